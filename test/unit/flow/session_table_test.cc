#include "flow/session_table.h"

#include <vector>

#include <catch2/catch.hpp>

#include "line_memory.h"

using namespace sekisho;
using flow::kLive;
using support::LineMemory;

TEST_CASE("a session freed during a burst is reused only after the burst", "[flow][sessions]") {
    LineMemory memory(SessionTable::bytes_for(3));
    SessionTable table(memory.records<Session>());
    const uint32_t a = table.allocate();
    const uint32_t b = table.allocate();
    const uint32_t c = table.allocate();
    CHECK(table.allocate() == kNoIndex);
    CHECK(table.size() == 3);
    table.release(b);
    table.release(a);
    CHECK(table.size() == 1);
    CHECK(table.allocate() == kNoIndex);
    table.end_of_burst();
    CHECK(table.allocate() == a);
    table.release(c);
    CHECK(table.allocate() == b);
    CHECK(table.allocate() == kNoIndex);
    table.end_of_burst();
    table.end_of_burst();
    CHECK(table.allocate() == c);
    CHECK(table.allocate() == kNoIndex);
    CHECK(table.size() == table.capacity());
}

TEST_CASE("a released session is no flow any more, in limbo and after", "[flow][sessions]") {
    LineMemory memory(SessionTable::bytes_for(2));
    SessionTable table(memory.records<Session>());
    const uint32_t i = table.allocate();
    Session& s = table[i];
    s.internal_address = Ipv4Addr::of(100, 64, 0, 1).raw;
    s.remote_address = Ipv4Addr::of(198, 51, 100, 1).raw;
    s.external_address = Ipv4Addr::of(203, 0, 113, 1).raw;
    s.internal_port = Port::from_host(1000).raw;
    s.remote_port = Port::from_host(53).raw;
    s.external_port = Port::from_host(5000).raw;
    s.protocol = 17;
    s.realm = 1;
    s.state = SessionState::kUdp;
    const FlowKey out = flow::key_of(s, Direction::kOutbound);
    const FlowKey in = flow::key_of(s, Direction::kInbound);
    CHECK_FALSE(flow::is_flow(s, out, Direction::kOutbound));
    table.publish(i);
    CHECK(flow::is_flow(s, out, Direction::kOutbound));
    CHECK(flow::is_flow(s, in, Direction::kInbound));
    CHECK_FALSE(flow::is_flow(s, out, Direction::kInbound));
    CHECK_FALSE(flow::is_flow(s, in, Direction::kOutbound));
    CHECK(table.index_of(s) == i);
    table.release(i);
    CHECK_FALSE(flow::is_flow(s, out, Direction::kOutbound));
    CHECK(s.state == SessionState::kFree);
    table.end_of_burst();
    CHECK(table.allocate() == i);
    CHECK(s.remote_port == 0);
    CHECK_FALSE(flow::is_flow(s, in, Direction::kInbound));
}

TEST_CASE(
    "a pool hands out each record once through many bursts, and touches none beyond its high water",
    "[flow][sessions]"
) {
    struct Record {
        uint32_t state;
        uint32_t link;
    };
    LineMemory memory(1000 * sizeof(Record));
    RecordPool<Record, 4> pool(memory.records<Record>());
    std::vector<uint32_t> held;
    uint64_t random = 1;
    for (int burst = 0; burst < 5000; ++burst) {
        for (int i = 0; i < 32; ++i) {
            random = random * 6364136223846793005ULL + 1442695040888963407ULL;
            if ((random >> 40) % 5 < 3) {
                const uint32_t index = pool.allocate();
                if (index == kNoIndex) {
                    continue;
                }
                REQUIRE(pool[index].state == 0);
                pool[index].state = 1;
                held.push_back(index);
            } else if (!held.empty()) {
                std::swap(held[(random >> 20) % held.size()], held.back());
                pool[held.back()].state = 0;
                pool.release(held.back());
                held.pop_back();
            }
            REQUIRE(pool.size() == held.size());
        }
        pool.end_of_burst();
        if (burst == 0) {
            for (uint32_t i = pool.high_water(); i < pool.capacity(); ++i) {
                REQUIRE(pool[i].link == 0);
            }
        }
    }
    CHECK(pool.high_water() == pool.capacity());
    // None is lost and none is there twice.
    for (uint32_t index = pool.allocate(); index != kNoIndex; index = pool.allocate()) {
        REQUIRE(pool[index].state == 0);
        pool[index].state = 1;
        held.push_back(index);
    }
    CHECK(held.size() == pool.capacity());
}
