// Nothing on a packet's route allocates memory (ARCHITECTURE 3).
#include <algorithm>
#include <cstdlib>
#include <new>

#include <catch2/catch.hpp>

#include "cluster.h"

namespace {
size_t allocations = 0;
}

// Not inlined: or the compiler sees half of a pair and warns. Every plain form, so that a sanitizer
// finds no memory of its own among ours.
[[gnu::noinline]] void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(bytes);
}
[[gnu::noinline]] void* operator new(size_t bytes) {
    if (void* p = operator new(bytes, std::nothrow)) {
        return p;
    }
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new[](size_t bytes) {
    return operator new(bytes);
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
    std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept {
    std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, const std::nothrow_t&) noexcept {
    std::free(p);
}
[[gnu::noinline]] void operator delete[](void* p) noexcept {
    std::free(p);
}
[[gnu::noinline]] void operator delete[](void* p, size_t) noexcept {
    std::free(p);
}

using namespace sekisho;
using namespace sekisho::test;

TEST_CASE(
    "after create nothing allocates: not misses, timers, exhaustion, listings, nor the log",
    "[nat][architecture-3]"
) {
    const auto logged =
        static_cast<uint8_t>(GENERATE(0, nat::kLogMappings | nat::kLogBlocks | nat::kLogSessions));
    nat::NatSettings settings = lab(2);
    settings.pools[0].ports = {1024, 1024 + 8 * 64 - 1};
    settings.pools[0].port_block_size = 64;
    settings.policies[0].filtering = nat::FilteringBehaviour::kAddressDependent;
    settings.events = {logged, 256, nat::OnLogLoss::kRefuse};
    nat::ExternalDirectory directory(settings, 1);
    nat::NatShardPlan plan;
    plan.sessions = plan.mappings = 512;
    plan.subscribers = 64;
    auto made = nat::NatShard::create(plan, settings, directory, Tick{0});
    REQUIRE(made);
    nat::NatShard& shard = **made;
    nat::EventReader log = shard.event_reader();
    uint64_t most_pending = 0;
    nat::SessionView views[16];
    uint8_t tcp[20] = {};
    tcp[12] = 5 << 4;
    unsigned refused = 0;
    unsigned leased = 0;
    Tick now{0};
    const size_t before = allocations;
    for (uint32_t i = 0; i < 5000; ++i) {
        const Protocol p = i % 3 == 0 ? Protocol::kTcp : Protocol::kUdp;
        const FlowKey key = FlowKey::of(
            subscriber(i * 7 % 90),
            kRemote,
            port(static_cast<uint16_t>(1 + i % 50)),
            port(80),
            p,
            kInternalRealm
        );
        const auto r = shard.make_outbound(key, Cluster::kind_of(p), packet::kSyn, now);
        refused += r.kind == nat::MakeResult::kRefused;
        if (r.kind == nat::MakeResult::kMade) {
            tcp[13] = packet::kSyn;
            shard.track(r.session, Direction::kOutbound, p == Protocol::kTcp ? tcp : nullptr, now);
            const Session& s = shard.session(r.session);
            const FlowKey back = FlowKey::of(
                kRemote, {s.external_address}, port(81), {s.external_port}, p, kExternalRealm
            );
            (void)shard.admit_inbound(back, Cluster::kind_of(p), packet::kSyn, now);
        }
        nat::LeaseRequest wish;
        wish.internal = subscriber(i % 90);
        wish.port = port(static_cast<uint16_t>(1 + i % 40));
        wish.lifetime = {i % 11 == 0 ? 0U : 130U};
        leased += shard.lease(wish, now).kind == nat::LeaseAnswer::kGranted;
        now = now + 700;
        shard.advance(now, 64);
        shard.end_of_burst();
        uint32_t cursor = 0;
        size_t filled = 0;
        (void)shard.list_sessions(cursor, 16, now, views, filled);
        most_pending = std::max(most_pending, shard.log().pending());
        if (log.is_made() && i % 1000 < 400) {  // else nobody reads it
            log.pop(log.front().size());
        }
    }
    const size_t after = allocations;
    CHECK(after == before);
    CHECK(leased > 500);
    CHECK(refused > 0);
    CHECK(refused < 5000);
    CHECK((most_pending > 0) == (logged != 0));
}
