// What rules that log have to say of packets on their way.
#include <catch2/catch.hpp>

#include "base/text.h"
#include "scenario.h"
#include "support/fragmenter.h"
#include "support/rules_support.h"

namespace sekisho::test {
namespace {

using namespace rules;        // NOLINT(google-build-using-namespace)
using namespace rules::test;  // NOLINT(google-build-using-namespace)
using dataplane::RuleLogRecord;
using packet::kAck;
using packet::kSyn;

constexpr auto kPeer = "192.0.2.1";

BedOptions usual() {
    BedOptions options;
    options.nat = nat_settings();
    return options;
}

std::vector<RuleLogRecord> logged(TestBed& bed) {
    std::vector<RuleLogRecord> all;
    for (unsigned i = 0; i < bed.shards(); ++i) {
        std::array<RuleLogRecord, 64> some;
        while (const size_t count = bed.shard(i).rule_log().read(some)) {
            all.insert(all.end(), some.begin(), some.begin() + count);
        }
    }
    return all;
}
uint64_t lost(TestBed& bed) {
    uint64_t all = 0;
    for (unsigned i = 0; i < bed.shards(); ++i) {
        all += bed.shard(i).rule_log().lost();
    }
    return all;
}
ChainId add_chain(RuleSet& set, const char* name, Hook hook) {
    return set.add_built_in(name, hook, 0, Accept{}).value();
}
RuleId add_log(
    RuleSet& set, ChainId chain, std::vector<Condition> conditions, std::vector<Action> actions
) {
    return set.append(chain, rule(std::move(conditions), std::move(actions))).value();
}

}  // namespace

TEST_CASE("a rule tells of a packet as it was where the rule was asked", "[packet][rules-log]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        RuleSet set;
        const ChainId ingress = add_chain(set, "ingress", Hook::kIngress);
        const ChainId forward = add_chain(set, "forward", Hook::kForward);
        const ChainId egress = add_chain(set, "egress", Hook::kEgress);
        const RuleId inbound = add_log(set, ingress, {from(kPeer)}, {Log{}});
        const RuleId passing = add_log(set, forward, {to(kPeer)}, {Log{}});
        const RuleId leaving = add_log(set, egress, {to(kPeer)}, {Log{}});
        bed.put_rules(set);
        outward(bed, tcp_out(bed, host(5), 1000, kPeer, 80, kSyn).tos(0x10).ttl(61));
        const Endpoint external = external_of(bed, Protocol::kTcp, host(5), 1000);

        const auto out = logged(bed);
        REQUIRE(out.size() == 2);
        const RuleLogRecord& seen = out[0];
        CHECK(seen.rule == passing);
        CHECK(seen.hook == Hook::kForward);
        CHECK(seen.source == host(5));
        CHECK(seen.source_port == 1000);
        CHECK(seen.destination_port == 80);
        CHECK(seen.in_link == kInternalLink);
        CHECK(seen.out_link == kExternalLink);
        CHECK(seen.realm == kInternalRealm);
        CHECK(seen.protocol == 6);
        CHECK(seen.tcp_flags == kSyn);
        CHECK(seen.tos == 0x10);
        CHECK(seen.ttl == 61);
        CHECK(seen.length == 40);
        CHECK(seen.has_ethernet);
        CHECK(out[1].rule == leaving);
        CHECK(out[1].hook == Hook::kEgress);
        CHECK(out[1].source == external.address);
        CHECK(out[1].source_port == external.port);

        inward(bed, tcp_in(bed, kPeer, 80, host(5), 1000, kSyn | kAck));
        const auto in = logged(bed);
        REQUIRE(in.size() == 1);
        CHECK(in[0].rule == inbound);
        CHECK(in[0].destination == external.address);
        CHECK(in[0].destination_port == external.port);
        CHECK(in[0].out_link == kNoLink);
        story.step(bed);
    });
}

TEST_CASE(
    "each packet that a logging rule agrees with is told once, whatever becomes of it",
    "[packet][rules-log]"
) {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        RuleSet set;
        const ChainId forward = add_chain(set, "forward", Hook::kForward);
        const RuleId denied =
            add_log(set, forward, {protocol(Protocol::kUdp), to_port(53)}, {Log{}, Deny{}});
        const RuleId passed = add_log(set, forward, {to_port(80)}, {Log{}});
        bed.put_rules(set);
        for (unsigned k = 0; k < 5; ++k) {  // the first of a subscriber waits for ports
            outward(bed, udp_out(bed, host(5), 1000, kPeer, 80));
            check_refused(
                bed,
                kInternalLink,
                udp_out(bed, host(5), 1000, kPeer, 53),
                DropReason::kDeniedByRule
            );
            outward(bed, udp_out(bed, host(5), 1000, kPeer, 81));
        }
        const auto all = logged(bed);
        CHECK(std::ranges::count(all, passed, &RuleLogRecord::rule) == 5);
        CHECK(std::ranges::count(all, denied, &RuleLogRecord::rule) == 5);
        CHECK(all.size() == 10);
        CHECK(bed.counted(passed).packets == 5);
        CHECK(bed.counted(denied).packets == 5);
        story.step(bed);
    });
}

TEST_CASE("rules that log keep their rate when others take their place", "[packet][rules-log]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        RuleSet set;
        const ChainId forward = add_chain(set, "forward", Hook::kForward);
        Log log;
        log.per_minute = 30;  // three in a burst
        const RuleId slow = add_log(set, forward, {}, {log});
        bed.put_rules(set);
        for (unsigned k = 0; k < 5; ++k) {
            outward(bed, udp_out(bed, host(5), 1000, kPeer, 80));
        }
        CHECK(logged(bed).size() == 3);
        add_log(set, forward, {to_port(99)}, {Log{}});
        bed.put_rules(set);
        outward(bed, udp_out(bed, host(5), 1000, kPeer, 80));
        CHECK(logged(bed).empty());
        bed.advance(2000);
        outward(bed, udp_out(bed, host(5), 1000, kPeer, 80));
        const auto one = logged(bed);
        REQUIRE(one.size() == 1);
        CHECK(one[0].suppressed == 3);
        CHECK(bed.counted(slow).packets == 7);
        story.step(bed);
    });
}

TEST_CASE(
    "what a packet's path has of logging rules beyond all bounds is counted as lost",
    "[packet][rules-log]"
) {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        constexpr size_t kRules = 100;  // longer than a path that is kept
        RuleSet set;
        const ChainId forward = add_chain(set, "forward", Hook::kForward);
        for (size_t k = 0; k < kRules; ++k) {
            add_log(set, forward, {to_port(static_cast<uint16_t>(80))}, {Log{}});
        }
        bed.put_rules(set);
        outward(bed, udp_out(bed, host(5), 1000, kPeer, 80));
        CHECK(logged(bed).size() == dataplane::Judge::kMostLogged);
        CHECK(lost(bed) == kRules - dataplane::Judge::kMostLogged);
        story.step(bed);
    });
}

TEST_CASE("a record has the fields of the packet's own bytes", "[packet][rules-log]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        RuleSet set;
        add_log(set, add_chain(set, "ingress", Hook::kIngress), {}, {Log{}});
        bed.put_rules(set);
        outward(
            bed,
            udp_out(bed, host(5), 1000, kPeer, 80).ip_id(0x1234).payload_size(12).dont_fragment()
        );
        auto one = logged(bed);
        REQUIRE(one.size() == 1);
        CHECK(one[0].ip_id == 0x1234);
        CHECK(one[0].fragment == 0x4000);
        CHECK(one[0].udp_length == 20);
        const auto whole = udp_out(bed, host(5), 1000, kPeer, 80).ip_id(9).payload_size(64);
        for (const ByteVector& frame : split(PacketBuilder(whole).bytes(), 40)) {
            bed.push(kInternalLink, frame);
        }
        bed.run();
        const auto two = logged(bed);
        REQUIRE(two.size() == 2);
        CHECK(two[0].fragment == 0x2000);
        CHECK(two[0].udp_length == 72);
        CHECK(two[1].is_later_fragment());
        const auto sent = bed.take();
        REQUIRE(sent.size() == 2);
        CHECK(two[1].ip_id == decode(sent[1].bytes).ip_id);
        CHECK(two[1].udp_length == 0);
        CHECK(two[1].source_port == 0);
        story.step(bed);
    });
}

}  // namespace sekisho::test
