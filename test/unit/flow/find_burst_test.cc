#include "flow/find_burst.h"

#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "line_memory.h"

using namespace sekisho;
using support::LineMemory;

TEST_CASE("a burst finds what each packet alone would find", "[flow][index]") {
    constexpr size_t kEntries = 900;
    LineMemory memory(FlowIndex::bytes_for(kEntries));
    FlowIndex index(memory.bytes(), kEntries);
    std::mt19937_64 random(8);
    std::vector<uint64_t> hashes;  // by value
    while (hashes.size() < index.slots() * 9 / 10) {
        // Every fourth one repeats another's hash: the first candidate is then wrong at times.
        hashes.push_back(hashes.size() % 4 == 3 ? hashes[hashes.size() / 2] : random());
        REQUIRE(index.insert(hashes.back(), static_cast<uint32_t>(hashes.size() - 1)));
    }
    size_t prefetched = 0;
    for (int round = 0; round < 2000; ++round) {
        const size_t count = static_cast<size_t>(random() % (flow::kMaxFindBurst + 1));
        std::array<uint64_t, flow::kMaxFindBurst> hash;
        std::array<uint32_t, flow::kMaxFindBurst> wanted;
        std::array<uint32_t, flow::kMaxFindBurst> found;
        for (size_t i = 0; i < count; ++i) {
            const bool known = random() % 4 != 0;
            wanted[i] = known ? static_cast<uint32_t>(random() % hashes.size()) : kNoIndex;
            // A stranger may have a known hash and still match nothing.
            hash[i] = known               ? hashes[wanted[i]]
                      : random() % 2 == 0 ? random()
                                          : hashes[random() % hashes.size()];
        }
        find_burst(
            index,
            std::span(hash).first(count),
            found,
            [&](uint32_t value) { prefetched += value < hashes.size(); },
            [&](size_t i, uint32_t value) { return value == wanted[i]; }
        );
        for (size_t i = 0; i < count; ++i) {
            REQUIRE(found[i] == wanted[i]);
        }
    }
    CHECK(prefetched > 10'000);
}

TEST_CASE("a burst of one flow many times finds it each time", "[flow][index]") {
    LineMemory memory(FlowIndex::bytes_for(8));
    FlowIndex index(memory.bytes(), 8);
    REQUIRE(index.insert(0xabcdef, 5));
    std::array<uint64_t, 32> hash;
    std::array<uint32_t, 32> found;
    hash.fill(0xabcdef);
    find_burst(
        index, hash, found, [](uint32_t) {}, [](size_t, uint32_t value) { return value == 5; }
    );
    for (const uint32_t value : found) {
        CHECK(value == 5);
    }
}
