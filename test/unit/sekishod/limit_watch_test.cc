#include "sekishod/limit_watch.h"

#include <catch2/catch.hpp>

namespace sekisho::daemon {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

struct Watched {
    LimitWatch watch;
    LimitWatch::Drops dropped{};
    nat::TableLimits limits{};
    LimitWatch::Time now{1h};

    Lines look(unsigned shards = 1) { return watch.look(dropped, limits, shards, now); }
    void drop(DropReason reason, uint64_t packets) {
        dropped[static_cast<size_t>(reason)] += packets;
    }
};

TEST_CASE(
    "a full table is told of at once, with its limit, and nothing is said before", "[limits]"
) {
    Watched t;
    t.limits.sessions = 65536;
    CHECK(t.look().empty());
    t.drop(DropReason::kNoSession, 100);
    t.drop(DropReason::kSubscriberSessionLimit, 100);
    CHECK(t.look().empty());
    t.drop(DropReason::kSessionTableFull, 1);
    CHECK(
        t.look() ==
        Lines{"the session table is full: 65536 sessions; 1 packet dropped (session-table-full)"}
    );
}

TEST_CASE(
    "a limit that stays reached is told of once a minute, with all packets since", "[limits]"
) {
    Watched t;
    t.limits.mappings = 10;
    t.drop(DropReason::kMappingTableFull, 1);
    CHECK(t.look().size() == 1);
    for (int i = 0; i < 59; ++i) {
        t.now += 1s;
        t.drop(DropReason::kMappingTableFull, 1);
        CHECK(t.look().empty());
    }
    t.now += 1s;
    CHECK(
        t.look() ==
        Lines{"the mapping table is full: 10 mappings; 59 packets dropped (mapping-table-full)"}
    );
    t.now += 1h;
    CHECK(t.look().empty());
}

TEST_CASE(
    "each kind of limit has a line of its own, by the limits that are in effect", "[limits]"
) {
    Watched t;
    t.drop(DropReason::kSessionTableFull, 1);
    CHECK(t.look(3).size() == 1);
    t.limits.subscribers = 7;
    t.limits.address_only_sessions = 8;
    t.limits.fragments = 512;
    for (const DropReason reason :
         {DropReason::kSessionTableFull,
          DropReason::kSubscriberTableFull,
          DropReason::kAddressOnlyFull,
          DropReason::kFragmentOverflow,
          DropReason::kPoolExhausted}) {
        t.drop(reason, 2);
    }
    CHECK(
        t.look(3) ==
        Lines{
            "the subscriber table is full: 7 subscribers, shared out to 3 shards; 2 packets "
            "dropped (subscriber-table-full)",
            "the table of sessions of protocols without ports is full: 8 sessions; 2 packets "
            "dropped (address-only-full)",
            "the table of datagrams in fragments is full, or too many fragments wait: 512 "
            "datagrams, shared out to 3 shards; 2 packets dropped (fragment-overflow)",
            "a pool has no free port block for a subscriber (show pools); 2 packets dropped "
            "(pool-exhausted)"}
    );
}

}  // namespace
}  // namespace sekisho::daemon
