// PassOrder: `count` numbers from `first` on, each once a pass, in an order drawn anew for every pass.
//
//   How       a bijection of the next power of two (multiplications and shifts with keys of the pass); numbers that are too
//             large are skipped.
//   Cost      a few cycles a number, at most twice as many draws as numbers. No memory.
//   Thread    its owner's.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

namespace sekisho::flowgen {

// Steele, Lea, Flood: SplitMix64; for keys, never for secrets.
class KeyStream {
  public:
    explicit KeyStream(uint64_t seed) : state_(seed) {}
    uint64_t next() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }

  private:
    uint64_t state_;
};

class PassOrder {
  public:
    PassOrder(uint32_t count, uint64_t seed, uint32_t first = 0)
        : count_(count),
          from_(first),
          bits_(static_cast<unsigned>(std::bit_width(count - 1))),
          mask_(static_cast<uint32_t>((uint64_t{1} << bits_) - 1)),
          shift_((bits_ + 1) / 2),
          keys_(seed) {
        start_pass();
    }

    void start_pass() {
        const uint64_t a = keys_.next();
        const uint64_t b = keys_.next();
        before_ = static_cast<uint32_t>(a);
        after_ = static_cast<uint32_t>(a >> 32);
        first_ = static_cast<uint32_t>(b) | 1;
        second_ = static_cast<uint32_t>(b >> 32) | 1;
        next_ = 0;
    }
    bool is_over() const { return next_ > mask_; }

    // The next numbers of the pass; fewer than out.size() only at its end.
    unsigned take(std::span<uint32_t> out) {
        unsigned taken = 0;
        while (taken < out.size() && next_ <= mask_) {
            const uint32_t number = permute(static_cast<uint32_t>(next_++));
            out[taken] = from_ + number;
            taken += number < count_ ? 1 : 0;  // no branch: it would be mispredicted
        }
        return taken;
    }

  private:
    // Each step has an inverse on bits_ bits.
    uint32_t permute(uint32_t x) const {
        x = (x + before_) & mask_;
        x = x * first_ & mask_;
        x ^= x >> shift_;
        x = x * second_ & mask_;
        x ^= x >> shift_;
        return (x * 0x9e3779b1U + after_) & mask_;
    }

    uint32_t count_;
    uint32_t from_;
    unsigned bits_;
    uint32_t mask_;
    unsigned shift_;
    KeyStream keys_;
    uint32_t before_ = 0;
    uint32_t after_ = 0;
    uint32_t first_ = 1;
    uint32_t second_ = 1;
    uint64_t next_ = 0;
};

}  // namespace sekisho::flowgen
