// PieceKey: a keyed digest of a few hundred bytes, to tell later whether the same bytes come again.
//
//   Digest    the bytes as the coefficients of a polynomial, 56 bits each, at a secret point of the prime field of
//             2^61 - 1, and the result through the keyed hash, cut to 32 bits. Two different texts of one length have the
//             same with a probability of 2^-32 (and 2^-53 for 512 bytes), whoever chose them: nothing of it is ever seen from
//             outside but whether a packet passed, and how often one may ask is bounded (stream_table.h). It is not
//             linear (PITFALLS 16).
//   Length    is not part of it: only texts of one length are compared.
//   Cost      four chains of multiplications side by side, some half a cycle a byte. Never allocates.
//   Thread    a value.
//   Source    Carter and Wegman, New hash functions (1981): polynomials as universal hashes.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "base/keyed_hash.h"

namespace sekisho::stream {

class PieceKey {
  public:
    explicit PieceKey(const HashSecret& secret) : secret_(secret) {
        powers_[0] = 1;
        powers_[1] = reduced(keyed_hash(secret, kDomain, 0) >> 3) | 2;  // neither 0 nor 1
        for (unsigned i = 2; i <= kLanes; ++i) {
            powers_[i] = canonical(product(powers_[i - 1], powers_[1]));
        }
    }

    uint32_t digest(std::span<const uint8_t> bytes) const {
        uint64_t lanes[kLanes] = {};
        const uint8_t* at = bytes.data();
        size_t left = bytes.size();
        for (; left > kLanes * kLimb; left -= kLanes * kLimb, at += kLanes * kLimb) {
            for (unsigned i = 0; i < kLanes; ++i) {
                uint64_t limb;
                std::memcpy(&limb, at + i * kLimb, sizeof limb);  // one byte of the next: masked
                lanes[i] = reduced(product(lanes[i], powers_[kLanes]) + (limb & kLimbMask));
            }
        }
        uint64_t value = 0;
        for (unsigned i = 0; i < kLanes; ++i) {
            value = reduced(value + product(lanes[i], powers_[kLanes - 1 - i]));
        }
        for (; left > 0;) {
            const size_t taken = left < kLimb ? left : kLimb;
            uint64_t limb = 0;
            std::memcpy(&limb, at, taken);
            value = reduced(product(value, powers_[1]) + limb);
            at += taken;
            left -= taken;
        }
        return static_cast<uint32_t>(keyed_hash(secret_, canonical(value), kDomain));
    }

  private:
    static constexpr unsigned kLanes = 4;
    static constexpr size_t kLimb = 7;
    static constexpr uint64_t kLimbMask = (uint64_t{1} << 8 * kLimb) - 1;
    static constexpr uint64_t kPrime = (uint64_t{1} << 61) - 1;
    static constexpr uint64_t kDomain = 0x73656b6973686f32;  // apart from other uses of the hash

    // Below 2^61 + 8, the same modulo the prime.
    static constexpr uint64_t reduced(uint64_t v) { return (v & kPrime) + (v >> 61); }
    static constexpr uint64_t canonical(uint64_t v) {
        v = reduced(v);
        return v >= kPrime ? v - kPrime : v;
    }
    // Of a number below 2^61 + 8 and one below 2^61; below 2^62.
    static constexpr uint64_t product(uint64_t a, uint64_t b) {
        __extension__ typedef unsigned __int128 Wide;
        const Wide wide = static_cast<Wide>(a) * b;
        return (static_cast<uint64_t>(wide) & kPrime) + static_cast<uint64_t>(wide >> 61);
    }

    HashSecret secret_;
    uint64_t powers_[kLanes + 1];  // of the secret point
};

}  // namespace sekisho::stream
