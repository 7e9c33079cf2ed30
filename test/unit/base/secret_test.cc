#include "base/secret.h"

#include <set>
#include <vector>

#include <catch2/catch.hpp>

#include "base/clock.h"

namespace sekisho::base {
namespace {

HashSecret secret_of(uint64_t seed) {
    return HashSecret{{seed, seed * 3 + 1, seed * 5 + 2, seed * 7 + 3}};
}

}  // namespace

TEST_CASE("two drawn secrets differ and none is empty", "[base]") {
    const auto a = draw_secret();
    const auto b = draw_secret();
    REQUIRE(a);
    REQUIRE(b);
    bool differ = false;
    for (size_t i = 0; i < 4; ++i) {
        differ = differ || a->words[i] != b->words[i];
        CHECK(a->words[i] != 0);
    }
    CHECK(differ);
}

TEST_CASE("random bytes fill odd and large spans to their end", "[base]") {
    for (const size_t size : {size_t{0}, size_t{1}, size_t{7}, size_t{100000}}) {
        std::vector<uint8_t> bytes(size + 1, 0);
        REQUIRE(fill_random({bytes.data(), size}));
        CHECK(bytes[size] == 0);
        const std::set<uint8_t> values(bytes.begin(), bytes.end());
        CHECK(values.size() >= (size > 1000 ? 256 : 1));
    }
}

TEST_CASE("a stream repeats with its secret and differs with another", "[base]") {
    SecretStream a(secret_of(1));
    SecretStream again(secret_of(1));
    SecretStream other(secret_of(2));
    std::set<uint64_t> seen;
    unsigned equal = 0;
    for (int i = 0; i < 10000; ++i) {
        const uint64_t n = a.next();
        CHECK(n == again.next());
        equal += n == other.next() ? 1 : 0;
        seen.insert(n);
    }
    CHECK(equal == 0);
    CHECK(seen.size() == 10000);
}

TEST_CASE("numbers below a bound reach every value, evenly", "[base]") {
    SecretStream stream(secret_of(3));
    std::vector<unsigned> counts(100);
    for (int i = 0; i < 100000; ++i) {
        const uint32_t n = stream.below(100);
        REQUIRE(n < 100);
        ++counts[n];
    }
    for (const unsigned count : counts) {
        CHECK(count > 800);  // mean 1000, deviation 31.5
        CHECK(count < 1200);
    }
    CHECK(stream.below(1) == 0);
}

TEST_CASE(
    "one flipped bit of the input changes about half the bits of the hash", "[base][pitfall-16]"
) {
    const HashSecret secret = secret_of(4);
    for (unsigned bit = 0; bit < 128; ++bit) {
        unsigned changed = 0;
        for (uint64_t i = 0; i < 256; ++i) {
            const uint64_t a = i * 0x9e3779b97f4a7c15;
            const uint64_t flip_a = bit < 64 ? uint64_t{1} << bit : 0;
            const uint64_t flip_b = bit < 64 ? 0 : uint64_t{1} << (bit - 64);
            const uint64_t difference =
                keyed_hash(secret, a, i) ^ keyed_hash(secret, a ^ flip_a, i ^ flip_b);
            changed += static_cast<unsigned>(__builtin_popcountll(difference));
        }
        CAPTURE(bit);
        CHECK(changed > 256 * 24);
        CHECK(changed < 256 * 40);
    }
}

TEST_CASE("the tick clock counts milliseconds from its origin and wraps", "[base]") {
    const TickClock clock(5'000'000'000);
    CHECK(clock.at(5'000'000'000) == Tick{0});
    CHECK(clock.at(5'000'999'999) == Tick{0});
    CHECK(clock.at(5'001'000'000) == Tick{1});
    const uint64_t wrap_ns = (uint64_t{1} << 32) * 1'000'000;
    CHECK(clock.at(5'000'000'000 + wrap_ns + 7'000'000) == Tick{7});
    const TickClock now;
    const Tick first = now.now();
    CHECK(elapsed_ms(first, now.now()) >= 0);
    CHECK(first.ms < 10000);
}

}  // namespace sekisho::base
