// Trigger forwards that come and go while sessions stand (LEGACY F1 to F4).
#include <algorithm>
#include <iterator>
#include <map>

#include <catch2/catch.hpp>

#include "change_support.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::AdmitResult;
using nat::MakeResult;

namespace {

void set(Cluster& c, std::vector<nat::TriggerForwardSettings> forwards) {
    c.change([&](nat::NatSettings& s) { s.trigger_forwards = std::move(forwards); }, kAll);
    c.pass(2 * kSecond);
}

// A datagram of a session of its host; false: it is not the holder's any more.
bool send(Cluster& c, const MakeResult& made, Ipv4Addr host) {
    nat::NatShard& shard = c.shard(c.shard_of(host));
    const Session& s = shard.session(made.session);
    shard.track(made.session, Direction::kOutbound, nullptr, c.now);
    return (s.flags & flow::kRedirected) == 0 ||
           shard.touch_trigger(made.session, Direction::kOutbound, c.now);
}

AdmitResult call(Cluster& c, Protocol protocol, uint16_t external_port, uint16_t from = 999) {
    const FlowKey key =
        FlowKey::of(kRemote, kExternal, port(from), port(external_port), protocol, kExternalRealm);
    const ShardId owner = c.directory().owner_of(c.directory().find(kExternal), key);
    return c.shard(owner.value).admit_inbound(key, Cluster::kind_of(protocol), packet::kSyn, c.now);
}

}  // namespace

TEST_CASE(
    "a trigger forward that comes is taken by whoever goes on calling", "[nat][change][trigger]"
) {
    for (const unsigned shards : {1U, 3U}) {
        INFO(shards);
        Cluster c(lab(), shards);
        const uint32_t blocks = free_blocks(c);
        const MakeResult before = c.open(Protocol::kUdp, subscriber(4), 6000, kRemote, kControl);
        REQUIRE(before.kind == MakeResult::kMade);
        CHECK(send(c, before, subscriber(4)));
        set(c, {trigger(7000, 7001)});
        CHECK(c.audit() == "");
        CHECK(call(c, Protocol::kUdp, 7000).kind == AdmitResult::kRefused);
        CHECK(send(c, before, subscriber(4)));
        CHECK(c.directory().triggers().holder(0) == subscriber(4));
        CHECK(call(c, Protocol::kUdp, 7000).kind == AdmitResult::kStaticOnly);
        // Who calls later has it.
        const MakeResult later = c.open(Protocol::kUdp, subscriber(5), 6000, kRemote, kControl);
        CHECK(send(c, later, subscriber(5)));
        CHECK(c.directory().triggers().holder(0) == subscriber(5));
        set(c, {});
        CHECK(call(c, Protocol::kUdp, 7000).kind == AdmitResult::kRefused);
        CHECK(send(c, later, subscriber(5)));
        CHECK(c.directory().triggers().holder(0) == Ipv4Addr{});
        pass(c, 1000);
        CHECK(free_blocks(c) == blocks);
        CHECK_FALSE(c.directory().triggers().are_any());
        CHECK(c.audit() == "");
    }
}

TEST_CASE(
    "connections of a trigger forward that goes stay, and its ports are kept for them",
    "[nat][change][trigger]"
) {
    for (const unsigned shards : {1U, 3U}) {
        INFO(shards);
        Cluster c(lab(), shards);
        const uint32_t blocks = free_blocks(c);
        set(c, {trigger(7000, 7001), trigger(8000, 8000)});
        const MakeResult caller = c.open(Protocol::kUdp, subscriber(4), 6000, kRemote, kControl);
        REQUIRE(send(c, caller, subscriber(4)));
        const AdmitResult first = call(c, Protocol::kTcp, 7001);
        REQUIRE(first.kind == AdmitResult::kSession);
        // The other one stays, under its number, and its holder with it.
        set(c, {trigger(8000, 8000)});
        CHECK(c.directory().triggers().holder(1) == subscriber(4));
        CHECK(call(c, Protocol::kTcp, 7001).session.value == first.session.value);
        CHECK(call(c, Protocol::kTcp, 7001, 1000).kind == AdmitResult::kRefused);
        nat::NatShard& shard = c.shard(c.shard_of(subscriber(4)));
        CHECK(shard.touch_trigger(first.session, Direction::kInbound, c.now));
        CHECK(free_blocks(c) == blocks - 3);  // those of 7000 and 8000, and the caller's
        pass(c, 500);
        CHECK(shard.session_count() == 0);
        CHECK(c.directory().triggers().state(0) == nat::EntryState::kFree);
        // A number is given again.
        set(c, {trigger(8000, 8000), trigger(9000, 9000)});
        CHECK(c.directory().triggers().size() == 2);
        CHECK(c.directory().triggers().holder(0) == Ipv4Addr{});
        set(c, {});
        pass(c, 200);
        CHECK(free_blocks(c) == blocks);
        CHECK(c.audit() == "");
    }
}

TEST_CASE(
    "a trigger forward stays the one that it was, whatever it is called and may do",
    "[nat][change][trigger]"
) {
    Cluster c(lab());
    set(c, {trigger(7000, 7001)});
    const MakeResult caller = c.open(Protocol::kUdp, subscriber(4), 6000, kRemote, kControl);
    REQUIRE(send(c, caller, subscriber(4)));
    auto other = trigger(7000, 7001);
    other.name = "other";
    other.access = nat::TriggerAccess::kContacted;
    set(c, {trigger(5000, 5000, 99), other});
    CHECK(c.directory().triggers().holder(0) == subscriber(4));
    const FlowKey key = FlowKey::of(
        addr(192, 0, 2, 9), kExternal, port(1), port(7000), Protocol::kUdp, kExternalRealm
    );
    CHECK(c.shard().admit_inbound(key, PacketKind::kUdp, 0, c.now).kind == AdmitResult::kRefused);
    CHECK(call(c, Protocol::kUdp, 7000).kind == AdmitResult::kStaticOnly);
}

TEST_CASE("no more trigger forwards come and go than sessions can name", "[nat][change][trigger]") {
    nat::NatSettings settings = lab();
    nat::ExternalDirectory directory(settings, 1);
    for (uint16_t n = 0; n < nat::TriggerTable::kMost; ++n) {
        settings.trigger_forwards.push_back(
            trigger(static_cast<uint16_t>(2000 + n), static_cast<uint16_t>(2000 + n))
        );
    }
    auto planned = directory.plan_statics(settings);
    REQUIRE(planned);
    directory.follow_statics(settings, std::move(*planned), {1000});
    settings.trigger_forwards = {trigger(1, 1)};
    CHECK_FALSE(directory.plan_statics(settings));
    settings.trigger_forwards.clear();
    REQUIRE(directory.plan_statics(settings));
}

namespace {

std::vector<nat::Event> events(Cluster& c) {
    std::vector<nat::Event> all;
    for (unsigned s = 0; s < c.shards(); ++s) {
        nat::EventReader reader = c.shard(s).event_reader();
        for (; !reader.front().empty(); reader.pop(1)) {
            all.push_back(reader.front().front());
        }
    }
    return all;
}

// Of the pool's blocks and of forwards; what the caller's own flows have is of no account.
std::vector<nat::Event> of_triggers(const std::vector<nat::Event>& all) {
    std::vector<nat::Event> chosen;
    std::ranges::copy_if(all, std::back_inserter(chosen), [](const nat::Event& event) {
        return event.external_port == port(7000).raw;
    });
    return chosen;
}

}  // namespace

TEST_CASE(
    "a held trigger forward whose address its link loses is listed and released by its pool",
    "[nat][change][trigger]"
) {
    const Ipv4Addr next = addr(203, 0, 113, 9);
    for (const unsigned shards : {1U, 3U}) {
        INFO(shards);
        nat::NatSettings settings = lab();
        settings.events = {nat::kLogBlocks, 1024, {}};
        settings.pools.insert(settings.pools.begin(), settings.pools[0]);
        settings.pools[0].name = "other";
        settings.pools[0].addresses = {{addr(192, 0, 2, 1), addr(192, 0, 2, 1)}};
        settings.policies[0].pool = {1};
        Cluster c(settings, shards);
        set(c, {trigger(7000, 7001)});
        const MakeResult caller = c.open(Protocol::kUdp, subscriber(4), 6000, kRemote, kControl);
        REQUIRE(send(c, caller, subscriber(4)));
        REQUIRE(of_triggers(events(c)).size() == 1);
        c.change(
            [&](nat::NatSettings& s) {
                s.pools[1].addresses = {{next, next}};
                s.trigger_forwards.clear();
            },
            kAll,
            {kExternal}
        );
        REQUIRE(c.directory().find(kExternal).value == kNoIndex);
        std::vector<nat::MappingView> views(4096);
        uint32_t cursor = 0;
        size_t filled = 0;
        while (c.shard(c.shard_of(subscriber(4))).list_mappings(cursor, 4096, views, filled) &&
               filled == 0) {
        }
        REQUIRE(filled == 1);
        CHECK(views[0].mapping.external_address == kExternal.raw);
        CHECK(views[0].pool == 1);
        c.pass(2 * kSecond);
        const std::vector<nat::Event> released = of_triggers(events(c));
        REQUIRE(released.size() == 1);
        CHECK(released[0].kind == nat::EventKind::kBlockReleased);
        CHECK(released[0].internal_address == subscriber(4).raw);
        CHECK(released[0].external_address == kExternal.raw);
        CHECK(released[0].pool == 1);
        pass(c, 600);
        CHECK_FALSE(c.directory().triggers().are_any());
        REQUIRE(c.directory().has_drained());
        c.change([](nat::NatSettings&) {}, kAll);
        CHECK_FALSE(c.directory().are_any_withdrawn());
        CHECK(c.audit() == "");
    }
}

TEST_CASE(
    "a former trigger forward is not let go before its release is in the log",
    "[nat][change][trigger]"
) {
    nat::NatSettings settings = lab();
    settings.events = {nat::kLogBlocks, 16, {}};
    Cluster c(settings);
    set(c, {trigger(7000, 7001), trigger(8000, 8000)});
    const MakeResult caller = c.open(Protocol::kUdp, subscriber(4), 6000, kRemote, kControl);
    REQUIRE(send(c, caller, subscriber(4)));
    REQUIRE(c.directory().triggers().holder(1) == subscriber(4));
    uint32_t host = 20;
    while (c.open(Protocol::kUdp, subscriber(host), 5000).kind == MakeResult::kMade) {
        REQUIRE(++host < 60);
    }
    // There is room for one end, and nobody reads.
    set(c, {});
    pass(c, 600);
    std::map<uint16_t, unsigned> released;
    for (unsigned round = 0; round < 20; ++round) {
        for (const nat::Event& event : events(c)) {
            released[Port{event.external_port}.host()] +=
                event.kind == nat::EventKind::kBlockReleased ? 1 : 0;
        }
        pass(c, 20);
    }
    CHECK(released[7000] == 1);
    CHECK(released[8000] == 1);
    CHECK_FALSE(c.directory().triggers().are_any());
    CHECK(c.audit() == "");
}
