// The last blocks of a pool, asked for by several shards at once: everybody is served or refused, and everything comes to
// rest.
#include <catch2/catch.hpp>

#include "scenario.h"

namespace sekisho::test {
namespace {

constexpr auto kServer = "192.0.2.1";

// Two shards; each has subscribers of a pool whose one address is homed at the other.
BedOptions two_pools() {
    BedOptions options;
    options.shards = 2;
    options.workers = 2;
    options.subscribers = 4096;
    options.buffers = 8192;
    options.rings.message = 32;
    options.nat = nat_settings("203.0.113.1", "203.0.113.1");
    options.nat.pools[0].port_block_size = 64;
    options.nat.policies[0].source = {{ip("100.64.0.0"), 11}};
    nat::PoolSettings pool = options.nat.pools[0];
    pool.name = "other";
    pool.addresses = {{ip("203.0.113.2"), ip("203.0.113.2")}};
    options.nat.pools.push_back(pool);
    nat::PolicySettings policy = options.nat.policies[0];
    policy.pool = PoolId{1};
    policy.source = {{ip("100.96.0.0"), 11}};
    options.nat.policies.push_back(policy);
    return options;
}

// `count` subscribers of this shard, from `first` on.
std::vector<Ipv4Addr> hosts_of(
    const TestBed& bed, unsigned shard, std::string_view first, size_t count
) {
    std::vector<Ipv4Addr> hosts;
    for (uint32_t n = ip(first).host(); hosts.size() < count; ++n) {
        if (bed.shard_of(Ipv4Addr::from_host(n)) == shard) {
            hosts.push_back(Ipv4Addr::from_host(n));
        }
    }
    return hosts;
}

}  // namespace

TEST_CASE(
    "two subscribers of one shard ask for the last block at once: one has it, one is refused",
    "[packet][held][pitfall-4]"
) {
    BedOptions options;
    options.shards = 2;
    options.workers = GENERATE(1U, 2U);
    options.nat = nat_settings("203.0.113.9", "203.0.113.9");  // homed on shard 0
    options.nat.pools[0].ports = {1024, 1087};
    options.nat.pools[0].port_block_size = 64;
    TestBed bed(options);
    for (const Ipv4Addr from : hosts_of(bed, 1, "100.64.0.5", 2)) {
        bed.push_internal(udp_out(bed, from, 1000, kServer, 53));
    }
    bed.run();
    unsigned forwarded = 0;
    for (const auto& sent : bed.take()) {
        const Decoded packet = decode(sent.bytes);
        forwarded += packet.protocol == 17 ? 1 : 0;
        CHECK((packet.protocol == 17 || (packet.icmp_type == 3 && packet.icmp_code == 1)));
    }
    CHECK(forwarded == 1);
    CHECK(bed.dropped(DropReason::kPoolExhausted) == 1);
    CHECK(bed.totals().held == 0);
    CHECK(bed.mappings().size() == 1);
}

TEST_CASE(
    "two shards that ask each other for more than their rings hold do not wait for ever",
    "[packet][held]"
) {
    TestBed bed(two_pools());
    constexpr size_t kTurns = 8;
    const auto first = hosts_of(bed, 0, "100.96.0.5", kTurns * packet::kBurst);
    const auto second = hosts_of(bed, 1, "100.64.0.5", kTurns * packet::kBurst);
    for (size_t i = 0; i < first.size(); ++i) {
        for (const Ipv4Addr from : {first[i], second[i]}) {
            PacketRef packet =
                bed.store().make(udp_out(bed, from, 1000, kServer, 53).bytes(), kInternalLink);
            bed.shard(bed.shard_of(from)).receive({&packet, 1}, true, bed.now());
        }
        if (i % packet::kBurst == packet::kBurst - 1) {
            bed.turn();
        }
    }
    bed.run();
    CHECK(bed.totals().held == 0);
    CHECK(bed.take().size() == 2 * kTurns * packet::kBurst);
}

}  // namespace sekisho::test
