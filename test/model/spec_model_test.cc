// Random packets through the whole pipeline and through the specification (spec/): the two agree.
//
//   Runs      every world below with 1, 2, 3 and 8 shards. SEKISHO_LONG=1: ten million packets in all,
//             in several seeds; SEKISHO_SEED=N: one seed of its own.
#include <cstdlib>
#include <string>

#include <catch2/catch.hpp>

#include "spec_traffic.h"

namespace sekisho::test {
namespace {

using enum DropReason;
using spec::Dependence;
using spec::Policy;
using spec::Pool;
using spec::Proto;
using spec::Settings;

// Under a sanitizer it is memory that is looked at: a short run need not meet everything.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kMeetsAll = false;
constexpr unsigned kPackets = 10'000;  // a world, shape and seed
#else
constexpr bool kMeetsAll = true;
constexpr unsigned kPackets = 85'000;
#endif
constexpr unsigned kPacketsOfLong = 140'000;  // the same
constexpr Shape kShapes[] = {{1, 1, 1, false}, {2, 1, 1, false}, {3, 3, 1, false}, {8, 8, 8, true}};

bool is_long() {
    const char* text = std::getenv("SEKISHO_LONG");
    return text != nullptr && std::string(text) == "1";
}

std::vector<uint64_t> seeds() {
    if (const char* text = std::getenv("SEKISHO_SEED")) {
        return {std::stoull(text)};
    }
    return is_long() ? std::vector<uint64_t>{1, 2, 3} : std::vector<uint64_t>{1};
}

Pool small_pool(unsigned blocks) {
    Pool pool;
    pool.first = 0xcb007100;  // 203.0.113.0
    pool.addresses = 2;
    pool.first_port = 1024;
    pool.last_port = static_cast<uint16_t>(1024 + 64 * blocks - 1);
    pool.blocks_per_subscriber = 2;
    pool.quarantine = 20'000;
    pool.release_delay = 10'000;
    return pool;
}

Policy policy_for(spec::Address source, unsigned length, unsigned pool) {
    Policy policy;
    policy.source = source;
    policy.length = length;
    policy.pool = pool;
    return policy;
}

// One policy for 100.64.0.0/16; 10.0.0.0/8 is routed inside too, and has no policy.
Settings base_settings(unsigned blocks) {
    Settings settings;
    settings.pools = {small_pool(blocks)};
    settings.policies = {policy_for(0x64400000, 16, 0)};
    settings.own = {0x64400001, 0xc6336402};  // 100.64.0.1, 198.51.100.2
    settings.is_routed_inside = [](spec::Address a) {
        return (a >> 22) == (0x64400000U >> 22) || (a >> 24) == 10;
    };
    return settings;
}

World base_world() {
    World world;
    for (unsigned i = 0; i < 4; ++i) {
        world.inside.push_back(0x64400105 + i);  // 100.64.1.5 and on
    }
    world.outside = {0xc6336409, 0xc633640a, 0xc0000201, 0xc0000202};
    return world;
}

// `seen`: what must have happened at least once in each run, or the run shows less than it says.
void agree(const Settings& settings, const World& world, const std::vector<DropReason>& seen) {
    for (const Shape& shape : kShapes) {
        for (const uint64_t seed : seeds()) {
            INFO(
                "SEKISHO_SEED=" << seed << ", " << shape.shards << " shards, " << shape.workers
                                << " workers"
            );
            SpecBed bed(settings, shape);
            SpecTraffic traffic(bed, world, seed);
            const unsigned packets = is_long() ? kPacketsOfLong : kPackets;
            for (unsigned i = 0; i < packets; ++i) {
                traffic.step();
            }
            bed.compare();
            CHECK(bed.forwarded() > packets / 4);
            for (const DropReason reason : seen) {
                INFO(base::info(reason).text);
                CHECK((!kMeetsAll || bed.dropped(reason) > 0));
            }
        }
    }
}

}  // namespace

TEST_CASE("with default behaviours and too few ports the NAT does what the RFCs ask", "[model]") {
    agree(base_settings(3), base_world(), {kPoolExhausted, kSubscriberPortLimit, kTcpUnsolicited});
}

TEST_CASE("with behaviours that differ by protocol the NAT does what the RFCs ask", "[model]") {
    Settings settings = base_settings(8);
    Policy& policy = settings.policies[0];
    policy.mapping[Proto::kUdp] = Dependence::kAddress;
    policy.mapping[Proto::kIcmp] = Dependence::kAddressAndPort;
    policy.filtering[Proto::kTcp] = Dependence::kAddress;
    policy.filtering[Proto::kUdp] = Dependence::kAddressAndPort;
    policy.refusal_code = 13;
    agree(settings, base_world(), {kFiltered, kNoMapping, kIcmpNoSession});
}

TEST_CASE("with shared ports the NAT does what the RFCs ask", "[model]") {
    Settings settings = base_settings(5);
    Policy& policy = settings.policies[0];
    policy.overloading = true;
    policy.refusal_code = 0;
    for (const Proto p : spec::kProtos) {
        policy.mapping[p] = policy.filtering[p] = Dependence::kAddressAndPort;
    }
    settings.pools[0].blocks_per_subscriber = 1;
    World world = base_world();
    world.ports_inside = 30;
    agree(settings, world, {kFiltered, kSubscriberPortLimit});
}

TEST_CASE("with tight limits the NAT does what the RFCs ask", "[model]") {
    Settings settings = base_settings(12);
    settings.pools[0].blocks_per_subscriber = 4;
    spec::Limits& limits = settings.policies[0].limits;
    limits.sessions = 50;
    limits.ports = 36;
    limits.sessions_per_second = 6;
    limits.inbound_openings = 2;
    limits.mappings = 34;
    limits.half_open = 8;
    limits.of[Proto::kTcp] = {30, 20, 4};
    limits.of[Proto::kUdp] = {0, 0, 6};
    limits.of[Proto::kIcmp] = {8, 6, 2};
    World world = base_world();
    world.inside.resize(4);
    world.ports_inside = 40;
    world.pause = 60;
    agree(
        settings,
        world,
        {kSubscriberSessionLimit,
         kSubscriberPortLimit,
         kSubscriberRate,
         kSubscriberMappingLimit,
         kSubscriberHalfOpen,
         kTcpUnsolicited}
    );
}

TEST_CASE("with parity and contiguity the NAT does what the RFCs ask", "[model]") {
    Settings settings = base_settings(3);
    settings.pools[0].parity = settings.pools[0].contiguity = true;
    settings.pools[0].sequential = true;
    settings.pools[0].quarantine = 0;
    agree(settings, base_world(), {kPoolExhausted});
}

TEST_CASE("with ports that are preserved the NAT does what the RFCs ask", "[model]") {
    for (const bool is_paired : {true, false}) {
        Settings settings = base_settings(1);
        Pool& pool = settings.pools[0];
        pool.preserve = true;
        pool.is_paired = is_paired;
        pool.keeps_ranges = !is_paired;
        pool.parity = is_paired;
        pool.first_port = 1000;
        pool.last_port = is_paired ? 1045 : 1040;
        settings.policies[0].limits.ports = 40;
        settings.policies[0].limits.of[Proto::kTcp] = {0, 12, 2};
        World world = base_world();
        world.ports_inside = 60;
        world.first_port_inside = 990;
        agree(settings, world, {kPoolExhausted, kSubscriberPortLimit, kTcpUnsolicited});
    }
}

TEST_CASE("without pairing the NAT does what the RFCs ask, but for that", "[model]") {
    Settings settings = base_settings(3);
    settings.pools[0].is_paired = false;
    agree(settings, base_world(), {kPoolExhausted, kSubscriberPortLimit, kTcpUnsolicited});
}

TEST_CASE(
    "with soft pairing the NAT does what the RFCs ask, but for that", "[model][rfc7857-4-soft]"
) {
    Settings settings = base_settings(3);
    settings.pools[0].is_paired = false;
    settings.pools[0].is_soft = true;
    settings.pools[0].blocks_per_subscriber = 4;
    agree(settings, base_world(), {kPoolExhausted, kTcpUnsolicited});
}

TEST_CASE("with ports that are reserved the NAT does what the RFCs ask", "[model]") {
    for (const bool preserves : {false, true}) {
        Settings settings = base_settings(4);
        Pool& pool = settings.pools[0];
        pool.preserve = preserves;
        pool.last_port = static_cast<uint16_t>(preserves ? 1024 + 99 : pool.last_port);
        pool.reserved = {1024, 1031, 1032, 1033, 1070};
        for (uint16_t port = 1088; port < 1152; ++port) {  // a whole block
            pool.reserved.insert(port);
        }
        World world = base_world();
        world.first_port_inside = preserves ? 1010 : world.first_port_inside;
        agree(settings, world, {kPoolExhausted, kTcpUnsolicited});
    }
}

// 10.9.0.0/16 is inside for the second realm, and outside for the first.
TEST_CASE(
    "with two realms that have the same addresses the NAT does what the RFCs ask", "[model]"
) {
    constexpr spec::Address kSecond = spec::Address{1} << 32;
    Settings settings = base_settings(3);
    settings.realms = 2;
    settings.policies = {policy_for(0x0a000000, 24, 0), policy_for(kSecond | 0x0a000000, 24, 0)};
    settings.policies[1].filtering[Proto::kUdp] = Dependence::kAddress;
    settings.policies[1].limits.sessions = 200;
    settings.own = {0x0a000001, kSecond | 0x0a000001, kSecond | 0x0a090001, 0xc6336402};
    settings.is_routed_inside = [](spec::Address a) {
        const spec::Address address = spec::bare(a);
        return (address >> 8) == 0x0a0000 || (address >> 16) == 0xac10 ||
               ((address >> 16) == 0x0a09 && spec::realm_of(a) == 1);
    };
    World world = base_world();
    world.uncovered = 0xac100001;  // 172.16.0.1
    world.router = 0x0a0000c8;
    world.inside.clear();
    for (unsigned i = 0; i < 3; ++i) {
        world.inside.push_back(0x0a000005 + i);
        world.inside.push_back(kSecond | (0x0a000005 + i));
    }
    world.outside.push_back(0x0a090005);
    agree(settings, world, {kPoolExhausted, kWrongSide, kSpoofedSource, kNoPolicy});
}

TEST_CASE("with two pools and small tables the NAT does what the RFCs ask", "[model]") {
    Settings settings = base_settings(8);
    Pool second = small_pool(4);
    second.first = 0xcb007180;  // 203.0.113.128
    second.addresses = 3;
    second.block_size = 128;
    second.quarantine = 120'000;
    settings.pools.push_back(second);
    settings.policies.push_back(policy_for(0x0a000000, 8, 1));
    settings.policies[1].filtering[Proto::kUdp] = Dependence::kAddress;
    settings.timeouts.closing = 240'000;
    settings.sessions = 90;
    settings.mappings = 70;
    World world = base_world();
    world.inside = {0x64400105, 0x64400106, 0x64400107, 0x0a000001, 0x0a000002, 0x0a010203};
    agree(settings, world, {kSessionTableFull, kMappingTableFull});
}

}  // namespace sekisho::test
