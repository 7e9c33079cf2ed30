#include <random>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

#include "stream/piece_key.h"
#include "stream/piece_pool.h"

namespace sekisho::stream {
namespace {

constexpr HashSecret kSecret{{0x1122334455667788, 0x99aabbccddeeff00, 3, 4}};

std::vector<uint8_t> noise(size_t size, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<uint8_t> bytes(size);
    for (uint8_t& byte : bytes) {
        byte = static_cast<uint8_t>(random());
    }
    return bytes;
}

// The same, number by number: what the four chains must come to.
uint32_t plain_digest(const HashSecret& secret, const std::vector<uint8_t>& bytes) {
    __extension__ typedef unsigned __int128 Wide;
    constexpr uint64_t kPrime = (uint64_t{1} << 61) - 1;
    constexpr uint64_t kDomain = 0x73656b6973686f32;
    const uint64_t drawn = keyed_hash(secret, kDomain, 0) >> 3;
    const uint64_t point = drawn | 2;
    Wide value = 0;
    for (size_t at = 0; at < bytes.size(); at += 7) {
        uint64_t limb = 0;
        for (size_t i = 0; i < 7 && at + i < bytes.size(); ++i) {
            limb |= uint64_t{bytes[at + i]} << 8 * i;
        }
        value = (value * point + limb) % kPrime;
    }
    return static_cast<uint32_t>(keyed_hash(secret, static_cast<uint64_t>(value), kDomain));
}

}  // namespace

TEST_CASE("a digest is that of the polynomial, whatever the length", "[stream]") {
    const PieceKey key(kSecret);
    for (size_t size = 0; size <= 600; ++size) {
        const auto bytes = noise(size, size);
        REQUIRE(key.digest(bytes) == plain_digest(kSecret, bytes));
    }
    const std::vector<uint8_t> ones(512, 0xff);
    CHECK(key.digest(ones) == plain_digest(kSecret, ones));
}

TEST_CASE("a digest depends on every bit, on the order and on the secret", "[stream]") {
    const PieceKey key(kSecret);
    auto bytes = noise(512, 1);
    std::set<uint32_t> seen{key.digest(bytes)};
    for (size_t bit = 0; bit < 8 * bytes.size(); bit += 3) {
        bytes[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
        seen.insert(key.digest(bytes));
        bytes[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
    }
    CHECK(seen.size() >= 1366 - 1);  // of 2^32: one pair alike once in 5000 secrets
    auto swapped = bytes;
    std::swap(swapped[7], swapped[14]);
    CHECK(key.digest(swapped) != key.digest(bytes));
    CHECK(PieceKey(HashSecret{{5, 6, 7, 8}}).digest(bytes) != key.digest(bytes));
}

TEST_CASE("pieces come out as they went in", "[stream]") {
    PiecePool pool(0, 2, 0);
    PiecePool::Chain chain;
    pool.open(chain);
    uint32_t in = 0;
    uint32_t out = 0;
    for (unsigned round = 0; round < 100; ++round) {
        for (unsigned i = 0; i < round % 14 && pool.has_room(chain, 1); ++i) {
            pool.add(chain, {static_cast<uint16_t>(1 + in % 512), in});
            ++in;
        }
        uint32_t walked = out;
        for (auto at = PiecePool::begin(chain); !PiecePool::is_end(chain, at); at = pool.next(at)) {
            REQUIRE(pool.at(at).digest == walked++);
        }
        REQUIRE(walked == in);
        for (unsigned i = 0; i < round % 11 && !pool.is_empty(chain); ++i) {
            REQUIRE(pool.front(chain).digest == out);
            REQUIRE(pool.front(chain).length == 1 + out % 512);
            pool.pop_front(chain);
            ++out;
        }
    }
    CHECK(in > 300);
    pool.close(chain);
    CHECK(pool.free_blocks() == pool.block_count());
}

TEST_CASE("no stream takes what others are promised", "[stream]") {
    PiecePool pool(20, 4, 100);
    PiecePool::Chain greedy;
    PiecePool::Chain others[3];
    pool.open(greedy);
    for (auto& chain : others) {
        pool.open(chain);
    }
    uint32_t taken = 0;
    for (; pool.has_room(greedy, 1); ++taken) {
        pool.add(greedy, {1, 0});
    }
    CHECK(taken == (20 - 3 * PiecePool::kGuaranteed) * PiecePool::kPerBlock);
    for (auto& chain : others) {
        CHECK(pool.has_room(chain, PiecePool::kGuaranteed * PiecePool::kPerBlock));
        CHECK(!pool.has_room(chain, PiecePool::kGuaranteed * PiecePool::kPerBlock + 1));
        for (unsigned i = 0; i < PiecePool::kGuaranteed * PiecePool::kPerBlock; ++i) {
            REQUIRE(pool.has_room(chain, 1));
            pool.add(chain, {1, 0});
        }
        CHECK(!pool.has_room(chain, 1));
    }
    pool.close(others[0]);
    CHECK(pool.has_room(greedy, PiecePool::kGuaranteed * PiecePool::kPerBlock));
    pool.close(greedy);
    pool.close(others[1]);
    pool.close(others[2]);
    CHECK(pool.free_blocks() == 20);
}

TEST_CASE("a stream has no more blocks than it may", "[stream]") {
    PiecePool pool(100, 1, 10);
    PiecePool::Chain chain;
    pool.open(chain);
    CHECK(pool.has_room(chain, 10 * PiecePool::kPerBlock));
    CHECK(!pool.has_room(chain, 10 * PiecePool::kPerBlock + 1));
}

}  // namespace sekisho::stream
