#include "flow/flow_index.h"

#include <cstring>
#include <random>
#include <set>
#include <unordered_map>
#include <vector>

#include <catch2/catch.hpp>

#include "line_memory.h"

using namespace sekisho;
using flow::Bucket;
using flow::kBucketSlots;
using support::LineMemory;

namespace {

struct Table {
    explicit Table(size_t entries)
        : memory(FlowIndex::bytes_for(entries)), index(memory.bytes(), entries) {}

    bool has(uint64_t hash, uint32_t value) const {
        return index.find(hash, [&](uint32_t v) { return v == value; }) == value;
    }

    LineMemory memory;
    FlowIndex index;
};

std::vector<uint64_t> random_hashes(size_t n, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<uint64_t> hashes(n);
    for (auto& h : hashes) {
        h = random();
    }
    return hashes;
}

}  // namespace

TEST_CASE("an empty index finds nothing and erases nothing", "[flow][index]") {
    Table t(1000);
    bool more = true;
    for (const uint64_t hash : {uint64_t{0}, ~uint64_t{0}, uint64_t{0x8000}}) {
        CHECK(t.index.find(hash, [](uint32_t) { return true; }) == kNoIndex);
        CHECK(
            t.index.find_first(
                hash, [](uint32_t) { return true; }, more
            ) == kNoIndex
        );
        CHECK_FALSE(more);
        CHECK_FALSE(t.index.erase(hash, 0));
    }
    CHECK(t.index.size() == 0);
}

TEST_CASE(
    "an index costs 8 bytes an entry and a little at the sizes that matter", "[flow][index]"
) {
    for (const size_t entries :
         {size_t{1} << 21, size_t{1} << 25, size_t{1} << 27, size_t{33'000'001}}) {
        CHECK(
            static_cast<double>(FlowIndex::bytes_for(entries)) / static_cast<double>(entries) < 8.04
        );
        CHECK(FlowIndex::bytes_for(entries) % 64 == 0);
    }
}

TEST_CASE("no insert fails below 90 % of the slots, at any size", "[flow][index]") {
    std::vector<size_t> sizes{100, 1000, 4096, 10'007, 65'536};
    for (size_t entries = 1; entries <= 80; ++entries) {
        sizes.push_back(entries);
    }
    for (const size_t entries : sizes) {
        const unsigned seeds = entries <= 1000 ? 200 : 8;
        for (unsigned seed = 0; seed < seeds; ++seed) {
            Table t(entries);
            const auto hashes = random_hashes(t.index.slots() * 9 / 10, seed * 7919 + entries);
            INFO("entries " << entries << ", seed " << seed);
            uint32_t refused = 0;
            uint32_t lost = 0;
            for (uint32_t i = 0; i < hashes.size(); ++i) {
                refused += !t.index.insert(hashes[i], i);
            }
            for (uint32_t i = 0; i < hashes.size(); ++i) {
                lost += !t.has(hashes[i], i);
            }
            REQUIRE(refused == 0);
            REQUIRE(lost == 0);
            REQUIRE(t.index.size() == hashes.size());
        }
    }
}

TEST_CASE("below 90 % load a large index does not use its overflow area", "[flow][index]") {
    Table t(1'000'000);
    const auto hashes = random_hashes(t.index.slots() * 9 / 10, 42);
    uint32_t refused = 0;
    for (uint32_t i = 0; i < hashes.size(); ++i) {
        refused += !t.index.insert(hashes[i], i);
    }
    CHECK(refused == 0);
    CHECK(t.index.overflow_size() == 0);
}

TEST_CASE(
    "an index filled until it refuses keeps what it took and takes again after an erase",
    "[flow][index]"
) {
    for (const size_t entries : {size_t{1}, size_t{8}, size_t{30}, size_t{1000}, size_t{20'000}}) {
        Table t(entries);
        INFO("entries " << entries);
        const size_t most = t.index.slots() + t.index.overflow_capacity();
        const auto hashes = random_hashes(most + 1, entries);
        uint32_t taken = 0;
        while (taken < hashes.size() && t.index.insert(hashes[taken], taken)) {
            ++taken;
        }
        CHECK(taken >= t.index.slots() * 95 / 100);
        REQUIRE(taken <= most);
        CHECK(t.index.overflow_size() == t.index.overflow_capacity());
        for (uint32_t i = 0; i < taken; ++i) {
            REQUIRE(t.has(hashes[i], i));
        }
        REQUIRE_FALSE(t.has(hashes[taken], taken));
        const auto again = taken / 2;
        CHECK(t.index.erase(hashes[again], again));
        CHECK(t.index.insert(hashes[again], again));
        for (uint32_t i = 0; i < taken; ++i) {
            REQUIRE(t.index.erase(hashes[i], i));
            REQUIRE_FALSE(t.has(hashes[i], i));
        }
        CHECK(t.index.size() == 0);
        CHECK(t.index.overflow_size() == 0);
        bool more = false;
        for (uint32_t i = 0; i < taken; ++i) {
            t.index.find_first(
                hashes[i], [](uint32_t) { return true; }, more
            );
            REQUIRE_FALSE(more);
        }
    }
}

TEST_CASE(
    "entries of one hash fill two buckets and the overflow area, then are refused; others are not "
    "disturbed",
    "[flow][index]"
) {
    for (const uint64_t same : {uint64_t{0}, ~uint64_t{0}, uint64_t{0x123456789abcdef0}}) {
        Table t(20'000);
        const auto others = random_hashes(10'000, 3);
        uint32_t refused = 0;
        for (uint32_t i = 0; i < others.size(); ++i) {
            refused += !t.index.insert(others[i], 1'000'000 + i);
        }
        uint32_t taken = 0;
        while (t.index.insert(same, taken)) {
            ++taken;
            REQUIRE(taken <= 2 * kBucketSlots + t.index.overflow_capacity());
        }
        CHECK(taken >= kBucketSlots + t.index.overflow_capacity());
        CHECK(t.index.overflow_size() == t.index.overflow_capacity());
        CHECK_FALSE(t.has(same, taken));
        std::set<uint32_t> seen;
        t.index.find(same, [&](uint32_t v) { return v < 1'000'000 && !seen.insert(v).second; });
        CHECK(seen.size() == taken);
        for (uint32_t i = 0; i < others.size(); ++i) {
            refused += !t.has(others[i], 1'000'000 + i);
        }
        for (const uint64_t hash :
             random_hashes(2'000, 4)) {  // of other hashes there is still room
            refused += !t.index.insert(hash, 2'000'000);
        }
        CHECK(refused == 0);
        for (uint32_t i = taken; i-- > 0;) {
            REQUIRE(t.index.erase(same, i));
        }
        CHECK_FALSE(t.index.erase(same, 0));
        CHECK(t.index.overflow_size() == 0);
        CHECK(t.index.size() == 12'000);
    }
}

TEST_CASE("one value may stand under many hashes, each is erased alone", "[flow][index]") {
    Table t(100);
    CHECK(t.index.insert(0x1111222233334444, 7));
    CHECK(t.index.insert(0x9999222233334445, 7));
    CHECK_FALSE(t.index.erase(0x1111222233334444, 8));
    CHECK(t.index.erase(0x1111222233334444, 7));
    CHECK_FALSE(t.has(0x1111222233334444, 7));
    CHECK(t.has(0x9999222233334445, 7));
}

TEST_CASE("the first bucket says when nothing of it lies elsewhere", "[flow][index]") {
    Table t(4000);
    const auto hashes = random_hashes(4400, 11);
    for (uint32_t i = 0; i < hashes.size(); ++i) {
        REQUIRE(t.index.insert(hashes[i], i));
    }
    uint32_t elsewhere = 0;
    for (uint32_t i = 0; i < hashes.size(); ++i) {
        const auto match = [&](uint32_t v) { return v == i; };
        bool more = false;
        if (t.index.find_first(hashes[i], match, more) == kNoIndex) {
            REQUIRE(more);
            REQUIRE(t.index.find_rest(hashes[i], match) == i);
            ++elsewhere;
        } else {
            REQUIRE(t.index.find_rest(hashes[i], match) == kNoIndex);
        }
    }
    CHECK(elsewhere > 0);
    CHECK(elsewhere < 1600);
    for (uint32_t i = 0; i < hashes.size(); ++i) {
        REQUIRE(t.index.erase(hashes[i], i));
    }
    for (const uint64_t hash : hashes) {
        bool more = true;
        t.index.find_first(
            hash, [](uint32_t) { return true; }, more
        );
        REQUIRE_FALSE(more);
    }
}

TEST_CASE("the tag comparison of this build agrees with the plain one", "[flow][index]") {
    std::mt19937 random(5);
    for (int round = 0; round < 20'000; ++round) {
        Bucket bucket;
        auto* bytes = reinterpret_cast<uint16_t*>(&bucket);
        for (size_t i = 0; i < sizeof(Bucket) / 2; ++i) {
            bytes[i] = static_cast<uint16_t>(random() % 4 + 0xfffe);
        }
        const auto tag = static_cast<uint16_t>(random() % 4 + 0xfffe);
        uint32_t plain = 0;
        for (unsigned i = 0; i < kBucketSlots; ++i) {
            plain |= static_cast<uint32_t>(bucket.tags[i] == tag) << (2 * i);
        }
        REQUIRE(flow::slots_with(bucket, tag) == plain);
    }
}

TEST_CASE("clear empties the index", "[flow][index]") {
    Table t(64);
    for (uint32_t i = 0; i < 70; ++i) {
        REQUIRE(t.index.insert(0x42, i));
    }
    CHECK(t.index.overflow_size() > 0);
    t.index.clear();
    CHECK(t.index.size() == 0);
    CHECK(t.index.overflow_size() == 0);
    CHECK_FALSE(t.has(0x42, 0));
}
