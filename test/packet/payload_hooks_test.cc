// Payload rules at hooks other than forward: whoever stops a packet there to search it has it alone.
#include "nat_rules.h"
#include "payload_scenario.h"

namespace sekisho::test {
namespace {

using namespace rules;        // NOLINT(google-build-using-namespace)
using namespace rules::test;  // NOLINT(google-build-using-namespace)

constexpr PoolId kOther{1};

BedOptions two_pools() {
    BedOptions options;
    options.nat = nat_settings();
    nat::PoolSettings other = options.nat.pools[0];
    other.name = "other";
    other.addresses = {{ip("203.0.113.64"), ip("203.0.113.67")}};
    options.nat.pools.push_back(other);
    options.nat.has_destination_rules = true;
    return options;
}

Condition of(Protocol p) {
    return protocol(p);
}

// Rules of which one searches at `hook`.
NatRules searching_at(Hook hook) {
    NatRules rules;
    switch (hook) {
        case Hook::kNatSource:
            rules.to_source({of(Protocol::kUdp), has_pattern(0)}, Snat{kOther});
            return rules.to_source({of(Protocol::kTcp), has_pattern(0)}, Snat{kOther});
        case Hook::kNatDestination:
            rules.to_destination({of(Protocol::kUdp), has_pattern(0)}, dnat_to("192.0.2.99"));
            return rules.to_destination(
                {of(Protocol::kTcp), has_pattern(0)}, dnat_to("192.0.2.99")
            );
        default:
            rules.add(hook, {of(Protocol::kUdp), has_pattern(0)}, {});
            return rules.add(hook, {of(Protocol::kTcp), has_pattern(0)}, {});
    }
}

// Each rule set in which somebody searches elsewhere than at forward, with a chain at forward besides or without.
void for_each_hook(const std::function<void(TestBed&, Hook)>& check) {
    for (const Hook hook : {Hook::kAccounting, Hook::kNatSource, Hook::kNatDestination}) {
        for (const bool has_forward : {false, true}) {
            for (const unsigned shards : {1U, 3U}) {
                INFO(name_of(hook) << (has_forward ? ", with forward" : "") << ", " << shards);
                BedOptions options = two_pools();
                options.shards = shards;
                TestBed bed(options);
                bed.search_for(set_of({literal("needle")}));
                NatRules rules = searching_at(hook);
                if (has_forward) {
                    rules.add(Hook::kForward, {to_port(9)}, {Deny{}});
                }
                bed.put_rules(rules.set);
                check(bed, hook);
            }
        }
    }
}

// One fragment is with one owner: it is held, leaves nowhere, and ends once, when its time is over.
void check_held_alone(TestBed& bed, LinkId link, const ByteVector& fragment) {
    const size_t buffers = bed.store().in_use();
    const uint64_t ended = bed.dropped(DropReason::kFragmentTimeout);
    const uint64_t other = bed.dropped(DropReason::kNoMapping);
    bed.push(link, fragment);
    bed.run();
    CHECK(bed.take().empty());
    CHECK(bed.totals().held == 1);
    CHECK(bed.store().in_use() == buffers + 1);
    CHECK(bed.imbalance().empty());
    CHECK(bed.session_count() == 0);
    bed.advance(2500);
    CHECK(bed.take().empty());
    CHECK(bed.totals().held == 0);
    CHECK(bed.store().in_use() == buffers);
    CHECK(bed.dropped(DropReason::kFragmentTimeout) == ended + 1);
    CHECK(bed.dropped(DropReason::kNoMapping) == other);
    CHECK(bed.imbalance().empty());
}

std::string text_with(std::string_view word) {
    return "......" + std::string(word) + std::string(40, '.');
}

}  // namespace

TEST_CASE("a first fragment that is to be searched has one owner, at every hook", "[packet]") {
    for_each_hook([](TestBed& bed, Hook) {
        auto datagram = udp_out(bed, host(5), 1000, kWeb, 80).ip_id(1);
        check_held_alone(bed, kInternalLink, split(datagram.payload_size(64).bytes(), 16)[0]);
    });
}

TEST_CASE("a first fragment from outside that is to be searched has one owner", "[packet]") {
    for_each_hook([](TestBed& bed, Hook hook) {
        if (hook == Hook::kNatSource) {
            return;  // asked of flows from inside alone
        }
        auto datagram =
            bed.from_external().ipv4(ip(kWeb), ip("203.0.113.1")).udp(4000, 80).ip_id(1);
        check_held_alone(bed, kExternalLink, split(datagram.payload_size(64).bytes(), 16)[0]);
    });
}

TEST_CASE(
    "rules that lead a new flow by its payload see its first datagram as a whole", "[packet]"
) {
    for_each_hook([](TestBed& bed, Hook hook) {
        const auto say = [&](unsigned from, std::string_view word) {
            auto datagram =
                udp_out(bed, host(from), 1000, kWeb, 80).ip_id(static_cast<uint16_t>(from));
            push_all(bed, kInternalLink, split(datagram.payload(text_with(word)).bytes(), 8));
            bed.run();
            const Decoded sent = whole(taken(bed));
            CHECK(std::string(sent.payload.begin(), sent.payload.end()) == text_with(word));
            return sent;
        };
        const Decoded with = say(5, "needle");
        const Decoded without = say(6, "nodule");
        const auto is_other = [](const Decoded& sent) {
            return sent.source >= ip("203.0.113.64") && sent.source <= ip("203.0.113.67");
        };
        CHECK(is_other(with) == (hook == Hook::kNatSource));
        CHECK_FALSE(is_other(without));
        CHECK((with.destination == ip("192.0.2.99")) == (hook == Hook::kNatDestination));
        CHECK(without.destination == ip(kWeb));
        CHECK(bed.totals().held == 0);
        CHECK(bed.imbalance().empty());
    });
}

TEST_CASE("a packet that is dropped as it is searched stays dropped, at every hook", "[packet]") {
    for_each_hook([](TestBed& bed, Hook) {
        ByteVector damaged =
            tcp_out(bed, host(5), 1000, kWeb, 80, packet::kSyn).payload("text").bytes();
        damaged.back() ^= 1;
        bed.push(kInternalLink, damaged);
        bed.run();
        CHECK(bed.take().empty());
        CHECK(bed.dropped(DropReason::kBadTransportChecksum) == 1);
        CHECK(bed.session_count() == 0);
        CHECK(bed.imbalance().empty());
        outward(bed, tcp_out(bed, host(5), 1000, kWeb, 80, packet::kSyn));
    });
}

// Only as they depart do they meet a rule that asks; their session is made by then.
TEST_CASE(
    "what accounting or egress stops as it departs has one owner, and no session", "[packet]"
) {
    for (const Hook hook : {Hook::kAccounting, Hook::kEgress}) {
        TestBed bed(two_pools());
        bed.search_for(set_of({literal("needle")}));
        NatRules rules;
        rules.add(hook, {of(Protocol::kUdp), out_by(kExternalLink), has_pattern(0)}, {});
        bed.put_rules(rules.set);
        INFO(name_of(hook));
        auto datagram = udp_out(bed, host(5), 1000, kWeb, 80).ip_id(1);
        check_held_alone(bed, kInternalLink, split(datagram.payload_size(64).bytes(), 16)[0]);
        push_all(bed, kInternalLink, split(datagram.payload(text_with("needle")).bytes(), 8));
        bed.run();
        whole(taken(bed));
        CHECK(rules.counts(bed) == Counts{1});
    }
}

}  // namespace sekisho::test
