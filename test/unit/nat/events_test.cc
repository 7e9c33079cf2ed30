// What a shard tells its log, and what it does while the log is behind.
#include <map>

#include <catch2/catch.hpp>

#include "cluster.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::Event;
using nat::EventKind;

namespace {

constexpr uint32_t kRing = 16;
const Ipv4Addr kHost = subscriber(5);

nat::NatSettings logged(
    uint8_t events = nat::kLogMappings | nat::kLogBlocks | nat::kLogLimits,
    nat::OnLogLoss on_loss = nat::OnLogLoss::kRefuse
) {
    nat::NatSettings settings = lab();
    settings.events = {events, kRing, on_loss};
    return settings;
}

// Takes at most `most` events out of a shard's ring.
std::vector<Event> take(Cluster& cluster, size_t most = ~size_t{0}, size_t shard = 0) {
    nat::EventReader reader = cluster.shard(shard).event_reader();
    std::vector<Event> events;
    while (!reader.front().empty() && events.size() < most) {
        events.push_back(reader.front().front());
        reader.pop(1);
    }
    return events;
}

std::vector<EventKind> kinds(const std::vector<Event>& events) {
    std::vector<EventKind> all;
    for (const Event& event : events) {
        all.push_back(event.kind);
    }
    return all;
}

using Kinds = std::vector<EventKind>;

// Mappings of `kHost` from internal port 1 on, until one is refused; why it was.
DropReason open_until_refused(Cluster& cluster, unsigned& made) {
    for (made = 0; made < 1000; ++made) {
        const auto r = cluster.open(Protocol::kUdp, kHost, static_cast<uint16_t>(1 + made));
        if (r.kind == nat::MakeResult::kRefused) {
            return r.reason;
        }
    }
    return {};
}

}  // namespace

TEST_CASE(
    "a block is granted before its mapping and released after it, with their times",
    "[nat][log][rfc6888-req14]"
) {
    Cluster cluster(logged());
    const auto r = cluster.open(Protocol::kUdp, kHost, 1234);
    const Session s = cluster.session_of(r, kHost);
    const Tick begin = cluster.now;
    cluster.pass(1'000'000);
    const auto events = take(cluster);
    using enum EventKind;
    REQUIRE(kinds(events) == Kinds{kBlockGranted, kMappingCreated, kMappingEnded, kBlockReleased});
    for (size_t i = 0; i < events.size(); ++i) {
        CHECK(events[i].sequence == i + 1);
        CHECK(events[i].internal_address == kHost.raw);
        CHECK(events[i].external_address == s.external_address);
        CHECK(events[i].realm == kInternalRealm.value);
    }
    CHECK(events[0].tick_ms == begin.ms);
    CHECK(events[1].tick_ms == begin.ms);
    CHECK(elapsed_ms(begin, {events[2].tick_ms}) >= 300'000);
    CHECK(elapsed_ms(begin, {events[2].tick_ms}) <= 302'000);
    CHECK(events[1].internal_port == port(1234).raw);
    CHECK(events[1].external_port == s.external_port);
    CHECK(events[2].external_port == s.external_port);
    CHECK(events[2].cause == static_cast<uint8_t>(nat::EndCause::kIdle));
    const uint16_t external = Port{s.external_port}.host();
    CHECK(Port{events[0].external_port}.host() == external / 256 * 256);
    CHECK(Port{events[0].last_port}.host() == external / 256 * 256 + 255);
}

TEST_CASE("destinations are logged only where sessions are", "[nat][log][rfc6888-req12]") {
    for (const bool sessions : {false, true}) {
        CAPTURE(sessions);
        const auto events =
            static_cast<uint8_t>(nat::kLogMappings | (sessions ? nat::kLogSessions : 0));
        Cluster cluster(logged(events));
        cluster.open(Protocol::kUdp, kHost, 1, kRemote, 80);
        const auto r = cluster.open(Protocol::kUdp, kHost, 1, kRemote, 443);
        cluster.shard().clear_session(r.session, cluster.now);
        cluster.pass(400'000);
        const auto seen = take(cluster);
        using enum EventKind;
        if (!sessions) {
            CHECK(kinds(seen) == Kinds{kMappingCreated, kMappingEnded});
            CHECK(seen[0].remote_address == 0);
            continue;
        }
        REQUIRE(
            kinds(seen) ==
            Kinds{
                kMappingCreated,
                kSessionCreated,
                kSessionCreated,
                kSessionEnded,
                kSessionEnded,
                kMappingEnded}
        );
        CHECK(seen[3].remote_address == kRemote.raw);
        CHECK(seen[3].remote_port == port(443).raw);
        CHECK(seen[3].cause == static_cast<uint8_t>(nat::EndCause::kCleared));
        CHECK(seen[4].remote_port == port(80).raw);
    }
}

TEST_CASE(
    "while the ring is full nothing new is made, and what is there goes on", "[nat][log][log-full]"
) {
    Cluster cluster(logged());
    unsigned made = 0;
    CHECK(open_until_refused(cluster, made) == DropReason::kLogFull);
    CHECK(made > 4);
    CHECK(made + 1 <= kRing - nat::EventLog::kRoomToStart + 1);
    // A known mapping's further sessions are not logged, so they are made.
    CHECK(cluster.open(Protocol::kUdp, kHost, 1, kRemote, 9).kind == nat::MakeResult::kMade);
    CHECK(cluster.open(Protocol::kUdp, kHost, 2).kind == nat::MakeResult::kMade);
    take(cluster, 1);
    CHECK(cluster.open(Protocol::kUdp, kHost, 900).kind == nat::MakeResult::kMade);
    CHECK(cluster.open(Protocol::kUdp, kHost, 901).kind == nat::MakeResult::kRefused);
}

TEST_CASE(
    "an end that finds no room keeps its port until it is written, with the time of the end",
    "[nat][log][log-full]"
) {
    Cluster cluster(logged());
    unsigned made = 0;
    open_until_refused(cluster, made);
    const Tick begin = cluster.now;
    cluster.pass(400'000);
    nat::NatShard& shard = cluster.shard();
    CHECK(shard.session_count() == 0);
    CHECK(shard.log().pending() >= made - 2);
    CHECK(shard.mapping_count() == shard.log().pending());
    CHECK(cluster.blocks(0).at(0).in_use[1] == shard.log().pending());
    // Nobody finds them any more, and nobody gets their ports.
    for (unsigned i = 0; i < made; ++i) {
        const auto x = static_cast<uint16_t>(1 + i);
        const FlowKey key =
            FlowKey::of(kHost, kRemote, port(x), port(80), Protocol::kUdp, kInternalRealm);
        CHECK(shard.find_mapping_of_outbound(key).value == kNoIndex);
    }
    CHECK(cluster.open(Protocol::kUdp, kHost, 5000).reason == DropReason::kLogFull);
    uint32_t cursor = 0;
    size_t filled = 0;
    std::vector<nat::MappingView> views(100);
    shard.list_mappings(cursor, 1000, views, filled);
    CHECK(filled == 0);

    std::vector<Event> all = take(cluster);
    for (int i = 0; i < 10; ++i) {
        cluster.tick();
        const auto more = take(cluster);
        all.insert(all.end(), more.begin(), more.end());
    }
    CHECK(shard.log().pending() == 0);
    CHECK(shard.mapping_count() == 0);
    CHECK(cluster.blocks(0).at(0).in_use[1] == 0);
    unsigned ended = 0;
    for (size_t i = 0; i < all.size(); ++i) {
        CHECK(all[i].sequence == i + 1);
        if (all[i].kind == EventKind::kMappingEnded) {
            ++ended;
            CHECK(all[i].cause == static_cast<uint8_t>(nat::EndCause::kIdle));
            CHECK(elapsed_ms(begin, {all[i].tick_ms}) >= 300'000);
            CHECK(elapsed_ms(begin, {all[i].tick_ms}) <= 302'000);
        }
    }
    CHECK(ended == made);
    CHECK(cluster.audit().empty());
}

TEST_CASE("an end does not overtake those that wait", "[nat][log][log-full]") {
    Cluster cluster(logged(nat::kLogMappings));
    const auto kept = cluster.open(Protocol::kUdp, kHost, 7000);
    unsigned made = 0;
    open_until_refused(cluster, made);
    cluster.pass(200'000);
    cluster.shard().track(kept.session, Direction::kOutbound, nullptr, cluster.now);
    cluster.pass(200'000);
    const uint64_t waiting = cluster.shard().log().pending();
    REQUIRE(waiting > 0);
    std::vector<Event> all = take(cluster);
    cluster.shard().clear_session(kept.session, cluster.now);  // there is room now
    CHECK(cluster.shard().log().pending() == waiting + 1);
    for (int i = 0; i < 10; ++i) {
        cluster.tick();
        const auto more = take(cluster);
        all.insert(all.end(), more.begin(), more.end());
    }
    REQUIRE(all.size() == 2 * (made + 1));
    CHECK(all.back().internal_port == port(7000).raw);
    for (size_t i = 1; i < all.size(); ++i) {
        CHECK(elapsed_ms({all[i - 1].tick_ms}, {all[i].tick_ms}) >= 0);
    }
}

TEST_CASE("sessions' ends wait in order, before their mapping's", "[nat][log][log-full]") {
    Cluster cluster(logged(nat::kLogMappings | nat::kLogSessions));
    unsigned made = 0;
    open_until_refused(cluster, made);
    cluster.pass(400'000);
    CHECK(cluster.shard().log().pending() > made);
    std::vector<Event> all = take(cluster);
    for (int i = 0; i < 20; ++i) {
        cluster.tick();
        const auto more = take(cluster);
        all.insert(all.end(), more.begin(), more.end());
    }
    std::map<uint16_t, Kinds> stories;  // by internal port
    for (const Event& event : all) {
        stories[event.internal_port].push_back(event.kind);
    }
    CHECK(stories.size() == made);
    using enum EventKind;
    for (const auto& [x, story] : stories) {
        CHECK(story == Kinds{kMappingCreated, kSessionCreated, kSessionEnded, kMappingEnded});
    }
    CHECK(cluster.shard().session_count() == 0);
    // The records are whole: as many can be made again.
    unsigned again = 0;
    cluster.pass(300'000);
    take(cluster);
    open_until_refused(cluster, again);
    CHECK(again == made);
}

TEST_CASE(
    "of mappings that share a port the log tells the remote endpoint, also of a late end",
    "[nat][log][rfc6888-req12]"
) {
    nat::NatSettings settings = logged(nat::kLogMappings);
    settings.policies[0].mapping = nat::MappingBehaviour::kAddressAndPortDependent;
    settings.policies[0].filtering = nat::FilteringBehaviour::kAddressAndPortDependent;
    settings.policies[0].port_overloading = true;
    settings.policies[0].limits.ports = 1;
    Cluster cluster(settings);
    uint16_t made = 0;
    while (cluster.open(Protocol::kUdp, kHost, 9, kRemote, static_cast<uint16_t>(made + 1)).kind ==
           nat::MakeResult::kMade) {
        ++made;
    }
    cluster.pass(400'000);
    CHECK(cluster.shard().log().pending() > 0);
    std::map<uint16_t, Kinds> stories;  // by remote port
    for (int i = 0; i < 10; ++i) {
        for (const Event& event : take(cluster)) {
            CHECK(event.remote_address == kRemote.raw);
            stories[event.remote_port].push_back(event.kind);
        }
        cluster.tick();
    }
    CHECK(stories.size() == made);
    for (const auto& [y, story] : stories) {
        CHECK(story == Kinds{EventKind::kMappingCreated, EventKind::kMappingEnded});
    }
    // Where none is shared it is nobody's business.
    settings.policies[0].port_overloading = false;
    settings.policies[0].limits.ports = 100;
    Cluster alone(settings);
    alone.open(Protocol::kUdp, kHost, 9);
    CHECK(take(alone).at(0).remote_address == 0);
}

TEST_CASE("under count nothing is refused, and what was lost is told", "[nat][log][log-full]") {
    Cluster cluster(logged(nat::kLogMappings, nat::OnLogLoss::kCount));
    for (uint16_t x = 1; x <= 30; ++x) {
        REQUIRE(cluster.open(Protocol::kUdp, kHost, x).kind == nat::MakeResult::kMade);
        ++cluster.now.ms;
    }
    CHECK(cluster.shard().log().lost() == 30 - kRing);
    const auto before = take(cluster);
    CHECK(before.size() == kRing);
    cluster.tick();  // told as soon as there is room, not only with the next event
    const auto lost = take(cluster);
    REQUIRE(kinds(lost) == Kinds{EventKind::kLost});
    CHECK(lost[0].count == 30 - kRing);
    CHECK(lost[0].since_ms == before.back().tick_ms + 1);
    CHECK(lost[0].sequence == kRing + 1);
    cluster.open(Protocol::kUdp, kHost, 31);
    const auto after = take(cluster);
    REQUIRE(kinds(after) == Kinds{EventKind::kMappingCreated});
    CHECK(after[0].sequence == kRing + 2);
    CHECK(cluster.shard().log().pending() == 0);
}

TEST_CASE(
    "a limit that is reached again and again is told once a minute", "[nat][log][rfc6888-req11c]"
) {
    nat::NatSettings settings = logged(nat::kLogLimits);
    settings.policies[0].limits.ports = 2;
    settings.policies[0].limits.sessions = 4;
    Cluster cluster(settings);
    const auto knock = [&](Ipv4Addr from, unsigned times) {
        for (unsigned i = 0; i < times; ++i) {
            for (uint16_t x = 1; x < 4; ++x) {
                cluster.open(Protocol::kUdp, from, x);
            }
            ++cluster.now.ms;
        }
    };
    knock(kHost, 500);
    knock(subscriber(6), 500);
    auto events = take(cluster);
    REQUIRE(events.size() == 2);
    CHECK(events[0].kind == EventKind::kLimitReached);
    CHECK(events[0].cause == static_cast<uint8_t>(DropReason::kSubscriberPortLimit));
    CHECK(events[0].internal_address == kHost.raw);
    CHECK(events[1].internal_address == subscriber(6).raw);
    // Another limit of the same subscriber is told at once, the same one after a minute.
    for (uint16_t y = 1; y < 9; ++y) {
        cluster.open(Protocol::kUdp, kHost, 1, kRemote, y);
    }
    events = take(cluster);
    REQUIRE(events.size() == 1);
    CHECK(events[0].cause == static_cast<uint8_t>(DropReason::kSubscriberSessionLimit));
    cluster.now.ms += 60'000;
    knock(subscriber(6), 500);
    CHECK(take(cluster).size() == 1);
}

TEST_CASE("an exhausted pool is told once a minute, whoever asks", "[nat][log][rfc6888-req11c]") {
    nat::NatSettings settings = logged(nat::kLogLimits);
    settings.pools[0].ports = {1024, 1024 + 255};
    Cluster cluster(settings);
    cluster.open(Protocol::kUdp, kHost, 1);
    for (unsigned i = 10; i < 500; ++i) {
        cluster.open(Protocol::kUdp, subscriber(i), 1);
    }
    const auto events = take(cluster);
    REQUIRE(events.size() == 1);
    CHECK(events[0].cause == static_cast<uint8_t>(DropReason::kPoolExhausted));
    CHECK(events[0].pool == 0);
}

TEST_CASE(
    "a block whose release cannot be logged is not given up, and is later", "[nat][log][log-full]"
) {
    nat::NatSettings settings = logged(nat::kLogBlocks);
    settings.pools[0].port_quarantine = {0};
    settings.pools[0].block_release_delay = {0};
    Cluster cluster(settings);
    // Every subscriber has a block; the log has room for some releases only.
    unsigned made = 0;
    while (cluster.open(Protocol::kUdp, subscriber(made), 1).kind == nat::MakeResult::kMade) {
        ++made;
    }
    cluster.pass(400'000);
    const size_t held = cluster.blocks(0).size();
    CHECK(held > 0);
    CHECK(cluster.shard().mapping_count() == 0);
    take(cluster);
    cluster.pass(2'000);
    take(cluster);
    cluster.pass(2'000);
    CHECK(cluster.blocks(0).empty());
    CHECK(cluster.audit().empty());
}

TEST_CASE(
    "a grant that was under way when the ring filled up is logged all the same",
    "[nat][log][log-full][rfc6888-req14]"
) {
    // Two shards, one address, homed on shard 0; the subscriber is shard 1's.
    nat::NatSettings settings = logged(nat::kLogMappings | nat::kLogBlocks);
    settings.events.ring = kRing;
    Cluster cluster(settings, 2);
    const Ipv4Addr first = subscriber(1);
    unsigned made = 0;
    for (; made < kRing; ++made) {
        const auto r = cluster.open(Protocol::kUdp, first, static_cast<uint16_t>(1 + made));
        if (r.kind != nat::MakeResult::kMade) {
            break;
        }
    }
    take(cluster, 2, 1);
    // Three ask at once with room for less than all that they would log.
    const FlowKey key =
        FlowKey::of(subscriber(3), kRemote, port(7), port(80), Protocol::kUdp, kInternalRealm);
    const auto r = cluster.shard(1).make_outbound(key, PacketKind::kUdp, 0, cluster.now);
    REQUIRE(r.kind == nat::MakeResult::kHold);
    cluster.pass(400'000);  // ends take what room there is, but not the grant's
    cluster.deliver();
    CHECK(cluster.shard(1).log().lost() == 0);
    std::vector<Event> all;
    for (int i = 0; i < 10; ++i) {
        for (const Event& event : take(cluster, ~size_t{0}, 1)) {
            all.push_back(event);
        }
        cluster.tick();
    }
    for (size_t i = 1; i < all.size(); ++i) {
        CHECK(all[i].sequence == all[i - 1].sequence + 1);
    }
    CHECK(cluster.shard(1).log().pending() == 0);
    CHECK(cluster.audit().empty());
}
