// RestGate: a time in which threads that poll stand still, so that another may change what they all read.
//
//   Members   each polls in turns and calls pass() between two of them: one load of a line that nobody writes. A member that
//             sleeps or has not begun is away and need not be waited for; it finds the gate shut when it comes back.
//   Changer   while_all_rest() shuts the gate, waits until every member rests or is away, calls the change and opens it
//             again. What it has written is seen by all of them from then on, and by none before.
//   Errors    a member that does not come to rest in time: nothing was called, and nothing is returned.
//   Thread    each member one thread; one changer at a time.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>

namespace sekisho::base {

class RestGate {
  public:
    explicit RestGate(unsigned members)
        : members_(members), away_(std::make_unique<Flag[]>(members)) {}

    void pass(unsigned member) {
        if (is_shut_.load(std::memory_order_relaxed)) [[unlikely]] {
            leave(member);
            come_back(member);
        }
    }
    // Before a sleep, and at the end.
    void leave(unsigned member) { away_[member].is_set.store(true, std::memory_order_seq_cst); }
    // Before the first turn, and after each sleep.
    void come_back(unsigned member) {
        away_[member].is_set.store(false, std::memory_order_seq_cst);
        while (is_shut_.load(std::memory_order_seq_cst)) {
            rest(away_[member]);
        }
    }

    // Returns how long a member has stood still for it, at most; 0: all were away.
    template <class Change>
    std::optional<std::chrono::nanoseconds> while_all_rest(
        Change&& change, std::chrono::milliseconds patience
    ) {
        is_shut_.store(true, std::memory_order_seq_cst);
        const bool all_rest = wait_for_all(std::chrono::steady_clock::now() + patience);
        if (all_rest) {
            change();
        }
        const auto rested = longest_rest();
        is_shut_.store(false, std::memory_order_seq_cst);
        return all_rest ? std::optional(rested) : std::nullopt;
    }

  private:
    struct alignas(64) Flag {
        std::atomic<bool> is_set{true};
        std::atomic<int64_t> since{0};  // when it found the gate shut; 0: it has not
    };

    static int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }
    void rest(Flag& flag) {
        flag.since.store(now_ns(), std::memory_order_relaxed);
        flag.is_set.store(true, std::memory_order_seq_cst);
        while (is_shut_.load(std::memory_order_acquire)) {
            __builtin_ia32_pause();
        }
        flag.since.store(0, std::memory_order_relaxed);
        flag.is_set.store(false, std::memory_order_seq_cst);
    }
    std::chrono::nanoseconds longest_rest() const {
        const int64_t now = now_ns();
        int64_t longest = 0;
        for (unsigned member = 0; member < members_; ++member) {
            const int64_t since = away_[member].since.load(std::memory_order_relaxed);
            longest = since != 0 ? std::max(longest, now - since) : longest;
        }
        return std::chrono::nanoseconds(longest);
    }

    bool wait_for_all(std::chrono::steady_clock::time_point end) const {
        unsigned member = 0;
        while (member < members_) {
            if (away_[member].is_set.load(std::memory_order_seq_cst)) {
                ++member;
                continue;
            }
            if (std::chrono::steady_clock::now() > end) {
                return false;
            }
            std::this_thread::yield();  // members may be more than there are CPUs
        }
        return true;
    }

    unsigned members_;
    std::unique_ptr<Flag[]> away_;
    alignas(64) std::atomic<bool> is_shut_{false};
};

}  // namespace sekisho::base
