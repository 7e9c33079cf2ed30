// Measuring: the TSC, a loop of fixed cost to tell a disturbed run, and what is said of several runs.
//
//   Units     cycles are of the TSC, which runs at one speed whatever the core does.
//   Thread    one.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include <x86intrin.h>

namespace sekisho::bench {

struct Summary {
    double min = 0;
    double median = 0;
    double max = 0;
    static Summary of(std::vector<double> samples) {
        if (samples.empty()) {
            return {};
        }
        std::ranges::sort(samples);
        return {samples.front(), samples[samples.size() / 2], samples.back()};
    }
};

// Time since it was made.
class Stopwatch {
  public:
    Stopwatch() : start_time_(std::chrono::steady_clock::now()), start_(__rdtsc()) {}
    uint64_t cycles() const { return __rdtsc() - start_; }
    double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_time_)
            .count();
    }

  private:
    std::chrono::steady_clock::time_point start_time_;
    uint64_t start_;
};

// Cycles a round of a chain of multiplications that nothing but the clock speed and other users of the core can change.
inline double calibrate() {
    constexpr unsigned kRounds = 2'000'000;
    const uint64_t start = __rdtsc();
    uint64_t x = 1;
    for (unsigned i = 0; i < kRounds; ++i) {
        x = x * 0x9e3779b97f4a7c15ULL + 1;
    }
    asm volatile("" ::"r"(x));  // the loop has a result that somebody wants
    return static_cast<double>(__rdtsc() - start) / kRounds;
}

}  // namespace sekisho::bench
