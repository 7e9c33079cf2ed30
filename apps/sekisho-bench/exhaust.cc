// What a packet costs that asks for a new session where one thing is used up, beside one for which there is room.
#include <array>
#include <bit>

#include "sekisho-bench/benchmarks.h"

namespace sekisho::bench {
namespace {

using Checks = flowgen::FlowgenQueue::Checks;

constexpr unsigned kPasses = 4;

// As many whole addresses as cannot serve all subscribers of the sessions that stand.
void arrange_pool(RigPlan& plan, uint32_t sessions) {
    const uint32_t subscribers = sessions / plan.profile.sessions;
    plan.change = [subscribers](nat::NatSettings& nat) {
        nat::PoolSettings& pool = nat.pools.front();
        const uint32_t blocks =
            (uint32_t{pool.ports.last} - pool.ports.first + 1) / pool.port_block_size;
        const uint32_t addresses = std::max(subscribers / blocks, 1U);
        const Ipv4Addr first = pool.addresses.front().first;
        pool.addresses = {{first, Ipv4Addr::from_host(first.host() + addresses - 1)}};
    };
}

// All ports of the addresses are taken, and those that newcomers have inside most of all.
void arrange_preserve(RigPlan& plan, uint32_t sessions) {
    plan.change = [sessions](nat::NatSettings& nat) {
        nat::PoolSettings& pool = nat.pools.front();
        pool.port_selection = nat::PortSelection::kPreserve;
        const Ipv4Addr first = pool.addresses.front().first;
        const uint32_t addresses = std::max(sessions / kPortsOfAddress, 1U);
        pool.addresses = {{first, Ipv4Addr::from_host(first.host() + addresses - 1)}};
    };
}

void arrange_nothing(RigPlan& plan, uint32_t sessions) {
    plan.sessions = plan.mappings = 2 * sessions;
    plan.change = nullptr;
}
void arrange_sessions(RigPlan& plan, uint32_t sessions) {
    plan.sessions = sessions;
}
void arrange_mappings(RigPlan& plan, uint32_t sessions) {
    plan.mappings = sessions;
}
void arrange_subscribers(RigPlan& plan, uint32_t sessions) {
    plan.subscribers = sessions / plan.profile.sessions;
}
void arrange_one_port(RigPlan& plan, uint32_t) {
    plan.change = [](nat::NatSettings& nat) { nat.policies.front().limits.ports = 1; };
}
// One address, whose blocks a few subscribers share out among themselves.
void arrange_blocks(RigPlan& plan, uint32_t sessions) {
    constexpr uint32_t kEach = 4096;
    plan.profile.sessions = kEach;
    plan.profile.subscribers = plan.profile.flows / kEach + 1;
    (void)sessions;
    plan.change = [](nat::NatSettings& nat) {
        nat::PoolSettings& pool = nat.pools.front();
        pool.addresses.front().last = pool.addresses.front().first;
        pool.port_block_size = 64;
        pool.blocks_per_subscriber = 64;
        nat.policies.front().limits.ports = kEach;
    };
}
void arrange_one_session(RigPlan& plan, uint32_t) {
    plan.change = [](nat::NatSettings& nat) { nat.policies.front().limits.sessions = 1; };
}
void arrange_one_mapping(RigPlan& plan, uint32_t) {
    plan.change = [](nat::NatSettings& nat) { nat.policies.front().limits.mappings = 1; };
}
void arrange_half_open(RigPlan& plan, uint32_t) {
    plan.profile.protocol = config::FlowgenProtocol::kTcp;
    plan.change = [](nat::NatSettings& nat) { nat.policies.front().limits.half_open = 1; };
}
// Nobody reads it, so that it holds as many events as sessions stand, less the blocks'.
void arrange_log(RigPlan& plan, uint32_t sessions) {
    plan.logs = true;
    plan.reads_log = false;
    plan.change = [sessions](nat::NatSettings& nat) {
        nat.events.ring = std::bit_floor(sessions);
        nat.events.on_loss = nat::OnLogLoss::kRefuse;
    };
}
// Each session has a remote address of its own, so that none stands in another's way.
void arrange_address_only(RigPlan& plan, uint32_t sessions) {
    plan.profile.protocol = config::FlowgenProtocol::kEsp;
    plan.profile.remote = {Ipv4Addr::of(16, 0, 0, 0), 5};
    plan.change = [sessions](nat::NatSettings& nat) {
        nat.limits.address_only_sessions = sessions;
    };
}
void arrange_rate(RigPlan& plan, uint32_t) {
    plan.change = [](nat::NatSettings& nat) {
        nat.policies.front().limits.sessions_per_second = 1;
    };
}

constexpr std::array kExhaustions = {
    Exhaustion{"none", "nothing: it is made", {}, false, arrange_nothing},
    Exhaustion{
        "session-table",
        "the session table",
        DropReason::kSessionTableFull,
        false,
        arrange_sessions},
    Exhaustion{
        "mapping-table",
        "the mapping table",
        DropReason::kMappingTableFull,
        false,
        arrange_mappings},
    Exhaustion{
        "subscriber-table",
        "the subscriber table",
        DropReason::kSubscriberTableFull,
        false,
        arrange_subscribers},
    Exhaustion{"pool", "the pool's blocks", DropReason::kPoolExhausted, false, arrange_pool},
    Exhaustion{
        "ports",
        "the subscriber's ports",
        DropReason::kSubscriberPortLimit,
        true,
        arrange_one_port},
    Exhaustion{
        "subscriber-sessions",
        "its sessions",
        DropReason::kSubscriberSessionLimit,
        true,
        arrange_one_session},
    Exhaustion{"blocks", "blocks, it has some", DropReason::kPoolExhausted, true, arrange_blocks},
    Exhaustion{
        "preserve", "all ports, of preserve", DropReason::kPoolExhausted, false, arrange_preserve},
    Exhaustion{"rate", "its rate", DropReason::kSubscriberRate, true, arrange_rate},
    Exhaustion{
        "mappings", "its mappings", DropReason::kSubscriberMappingLimit, true, arrange_one_mapping},
    Exhaustion{
        "half-open", "its TCP openings", DropReason::kSubscriberHalfOpen, true, arrange_half_open},
    Exhaustion{"log", "the log's ring", DropReason::kLogFull, false, arrange_log},
    Exhaustion{
        "address-only",
        "the table of ESP's kind",
        DropReason::kAddressOnlyFull,
        false,
        arrange_address_only},
};

template <class Turn>
void send_pass(Rig& rig, Turn&& turn) {
    rig.subscribers().send_pass();
    while (!rig.subscribers().is_pass_over()) {
        turn();
    }
    turn();
}
void send_pass(Rig& rig) {
    send_pass(rig, [&rig] { rig.turn(); });
}

}  // namespace

std::span<const Exhaustion> exhaustions() {
    return kExhaustions;
}

RefusalResult measure_refusals(Rig& rig, const Exhaustion& exhaustion, uint32_t sessions) {
    rig.set_checks(Checks::kNone);
    rig.subscribers().limit_flows(sessions);
    send_pass(rig);
    rig.subscribers().limit_flows(sessions, exhaustion.is_subscribers ? 0 : sessions);
    const auto refused = [&] {
        return exhaustion.reason ? rig.refused(*exhaustion.reason) : uint64_t{0};
    };
    RefusalResult result;
    // What is made stands then, what is refused may ask again.
    const unsigned passes = exhaustion.reason ? kPasses : 1;
    const auto time = [&](auto&& turn) {
        const Stopwatch watch;
        for (unsigned pass = 0; pass < passes; ++pass) {
            send_pass(rig, turn);
        }
        return static_cast<double>(watch.cycles()) / sessions / passes;
    };
    result.io_cycles = time([&] { exhaustion.reason ? rig.discard_turn() : rig.io_turn(); });
    const auto passed = [&] { return rig.internet().counters().received.read(); };
    const uint64_t refused_before = refused();
    const uint64_t passed_before = passed();
    result.cycles = time([&] { rig.turn(); }) - result.io_cycles;
    result.asked = uint64_t{passes} * sessions;
    result.refused = refused() - refused_before;
    // Those of each subscriber's that stand pass; within the limit of its rate it may have another one by now.
    const bool may_pass = !exhaustion.reason || exhaustion.is_subscribers;
    const uint64_t as_expected = result.refused + (may_pass ? passed() - passed_before : 0);
    result.faults = result.asked - std::min(result.asked, as_expected);
    return result;
}

}  // namespace sekisho::bench
