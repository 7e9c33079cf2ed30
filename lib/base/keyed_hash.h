// The keyed, non-linear hash of every table that strangers can fill.
//
//   Key       128 bits drawn at start (secret.h); without it collisions cannot be built (PITFALLS 16).
//   Cost      four AES rounds, pipelined over a burst, where the CPU option has AES; two folded 64x64 multiplications
//             in the generic build. Both builds give different values: nothing stores a hash on disk.
//   Thread    pure.
#pragma once

#include <cstdint>

#if defined(__AES__)
#include <immintrin.h>
#endif

namespace sekisho::base {

struct alignas(16) HashSecret {
    uint64_t words[4] = {};
};

inline uint64_t keyed_hash(const HashSecret& secret, uint64_t a, uint64_t b) {
#if defined(__AES__)
    const __m128i k0 = _mm_load_si128(reinterpret_cast<const __m128i*>(&secret.words[0]));
    const __m128i k1 = _mm_load_si128(reinterpret_cast<const __m128i*>(&secret.words[2]));
    __m128i v = _mm_set_epi64x(static_cast<long long>(b), static_cast<long long>(a));
    v = _mm_aesenc_si128(_mm_xor_si128(v, k0), k1);
    v = _mm_aesenc_si128(v, k0);
    v = _mm_aesenc_si128(v, k1);
    v = _mm_aesenc_si128(v, k0);
    return static_cast<uint64_t>(_mm_cvtsi128_si64(v));
#else
    __extension__ typedef unsigned __int128 Wide;
    const Wide m =
        static_cast<Wide>(a ^ secret.words[0]) * (b ^ secret.words[1] ^ 0x9e3779b97f4a7c15ULL);
    const uint64_t x = static_cast<uint64_t>(m) ^ static_cast<uint64_t>(m >> 64) ^ a;
    const Wide n =
        static_cast<Wide>(x ^ secret.words[2]) * (b ^ secret.words[3] ^ 0xbf58476d1ce4e5b9ULL);
    return static_cast<uint64_t>(n) ^ static_cast<uint64_t>(n >> 64) ^ b;
#endif
}

}  // namespace sekisho::base

namespace sekisho {
using base::HashSecret;
using base::keyed_hash;
}  // namespace sekisho
