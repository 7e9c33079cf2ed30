// Secrets: random bytes from the kernel at start, and a stream of numbers that no outsider can guess.
//
//   Thread    fill_random, draw_secret: any, at start-up (a system call); a SecretStream: its owner.
//   Errors    Result: the kernel gives no randomness.
//   Source    RFC 6056 3.3 (what port selection needs), RFC 6888 REQ-15.
#pragma once

#include <cstdint>
#include <span>

#include "base/keyed_hash.h"
#include "base/result.h"

namespace sekisho::base {

// Fills `out` with bytes of getrandom(2).
[[nodiscard]] Result<void> fill_random(std::span<uint8_t> out);

[[nodiscard]] Result<HashSecret> draw_secret();

// A keyed counter: as long as the secret is one, the next number does not follow from those seen.
// No system call, no state that could run dry; for port selection and the like, not for keys.
//   Cost      two keyed hashes, about 20 cycles, off the route of a packet whose session is known.
class SecretStream {
  public:
    explicit SecretStream(const HashSecret& secret) : secret_(secret) {}

    uint64_t next() {
        const uint64_t count = counter_++;
        return keyed_hash(secret_, keyed_hash(secret_, count, kDomain), count);
    }

    // A number from 0 to bound - 1; bound is at least 1. Biased by less than bound / 2^32.
    uint32_t below(uint32_t bound) { return static_cast<uint32_t>((next() >> 32) * bound >> 32); }

  private:
    static constexpr uint64_t kDomain = 0x73656b6973686f31;  // apart from hashes of flow keys
    HashSecret secret_;
    uint64_t counter_ = 0;
};

}  // namespace sekisho::base

namespace sekisho {
using base::SecretStream;
}
