// Inserts that wait for their burst's end, and what becomes of one that fails all the same.
#include "nat/late_inserts.h"

#include <catch2/catch.hpp>

#include "cluster.h"
#include "support/line_memory.h"

using namespace sekisho;
using namespace sekisho::test;

namespace {

struct Table {
    explicit Table(size_t entries)
        : memory(flow::FlowIndex::bytes_for(entries)), index(memory.bytes(), entries) {}

    bool has(uint64_t hash, uint32_t value) const {
        return index.find(hash, [&](uint32_t v) { return v == value; }) == value;
    }

    support::LineMemory memory;
    flow::FlowIndex index;
};

constexpr uint64_t kHash = 0x9e3779b97f4a7c15;

}  // namespace

TEST_CASE("a late entry is found when it is settled, and at once if there are many", "[nat]") {
    constexpr uint32_t kMost = nat::LateInserts::kMost;
    Table t(1000);
    nat::LateInserts late;
    for (uint32_t i = 0; i < kMost; ++i) {
        late.add(t.index, kHash * (i + 1), i);
    }
    CHECK(t.index.size() == 0);
    late.add(t.index, kHash * (kMost + 1), kMost);
    CHECK(t.index.size() == kMost);
    CHECK_FALSE(late.empty());
    late.settle();
    CHECK(late.empty());
    for (uint32_t i = 0; i <= kMost; ++i) {
        CHECK(t.has(kHash * (i + 1), i));
    }
    CHECK(late.failed() == 0);
}

TEST_CASE("an entry that an index does not take is counted", "[nat]") {
    Table t(64);
    uint32_t entries = 0;
    while (t.index.insert(kHash, entries)) {  // of one hash, so that there are two buckets for them
        ++entries;
    }
    nat::LateInserts late;
    late.add(t.index, kHash, entries);
    CHECK(late.failed() == 0);
    late.settle();
    CHECK(late.failed() == 1);
    late.insert_now(t.index, kHash, entries);
    CHECK(late.failed() == 2);
    CHECK(t.index.size() == entries);
}

TEST_CASE("a session counts as indexed once it can be found from outside", "[nat]") {
    Cluster cluster(lab());
    nat::NatShard& shard = cluster.shard();
    const FlowKey key =
        FlowKey::of(subscriber(0), kRemote, port(4000), port(53), Protocol::kUdp, kInternalRealm);
    const nat::MakeResult made = shard.open_outbound(
        key, shard.foresee(key, shard.hash_of(key)), PacketKind::kUdp, 0, cluster.now
    );
    REQUIRE(made.kind == nat::MakeResult::kMade);
    CHECK_FALSE(shard.is_indexed(made.session));
    shard.settle();
    CHECK(shard.is_indexed(made.session));
    CHECK(shard.failed_inserts() == 0);
}
