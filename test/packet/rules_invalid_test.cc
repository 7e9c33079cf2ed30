// What rules see as INVALID: packets that belong to no flow and may open none, and segments outside of their connection's window.
#include <catch2/catch.hpp>

#include "nat_rules.h"
#include "scenario.h"

namespace sekisho::test {
namespace {

using packet::kAck;
using packet::kFin;
using packet::kRst;
using packet::kSyn;
using rules::ConnectionState;
using rules::Hook;

constexpr auto kPeer = "192.0.2.1";

BedOptions usual() {
    BedOptions options;
    options.nat = nat_settings();
    return options;
}

rules::Condition in_state(ConnectionState state) {
    return {rules::StateTest{rules::ByteSet::of(state)}};
}

// At one hook: the first rule counts what is new, the second does as it is told with what is invalid.
NatRules telling(Hook hook, const std::vector<rules::Action>& of_invalid = {}) {
    NatRules rules;
    rules.add(hook, {in_state(ConnectionState::kNew)}, {});
    rules.add(hook, {in_state(ConnectionState::kInvalid)}, of_invalid);
    return rules;
}

using Counts = std::vector<uint64_t>;

PacketBuilder segment(const TestBed& bed, uint8_t flags) {
    return tcp_out(bed, host(5), 1000, kPeer, 80, flags);
}

}  // namespace

TEST_CASE("what belongs to no flow and may open none is invalid to the rules", "[packet]") {
    const Hook hook = GENERATE(Hook::kIngress, Hook::kForward);
    run_everywhere(usual(), [hook](TestBed& bed, Story& story) {
        const NatRules rules = telling(hook);
        bed.put_rules(rules.set);
        uint64_t strays = 0;
        for (const uint8_t flags :
             {uint8_t{kAck},
              uint8_t{kRst},
              uint8_t{kSyn | kAck},
              uint8_t{kFin | kAck},
              uint8_t{kRst | kAck}}) {
            check_refused(bed, kInternalLink, segment(bed, flags), DropReason::kNoSession);
            CHECK(rules.counts(bed) == Counts{0, ++strays});
        }
        const auto reply = bed.from_internal().ipv4(host(5), ip(kPeer)).echo_reply(7);
        check_refused(bed, kInternalLink, reply, DropReason::kIcmpNoSession);
        CHECK(rules.counts(bed) == Counts{0, ++strays});
        outward(bed, segment(bed, kSyn));
        outward(bed, bed.from_internal().ipv4(host(5), ip(kPeer)).echo_request(7));
        outward(bed, udp_out(bed, host(5), 1000, kPeer, 53));
        CHECK(rules.counts(bed) == Counts{3, strays});
        // From outside, to a mapping that would let a SYN in.
        const auto knock = [&bed](uint8_t flags) {
            return tcp_in(bed, "192.0.2.66", 9, host(5), 1000, flags);
        };
        check_refused(bed, kExternalLink, knock(kAck), DropReason::kNoSession);
        CHECK(rules.counts(bed) == Counts{3, strays + 1});
        inward(bed, knock(kSyn));
        CHECK(rules.counts(bed) == Counts{4, strays + 1});
        story.step(bed);
    });
}

TEST_CASE("the answers to pings that a whole address lets in are not invalid", "[packet][static]") {
    constexpr auto kWhole = "203.0.113.3";
    BedOptions options = usual();
    nat::StaticMappingSettings whole;
    whole.internal = host(12);
    whole.external = ip(kWhole);
    options.nat.static_mappings = {whole};
    const Hook hook = GENERATE(Hook::kIngress, Hook::kForward);
    run_everywhere(options, [hook](TestBed& bed, Story& story) {
        const NatRules rules = telling(hook, {rules::Deny{}});
        bed.put_rules(rules.set);
        const auto ping = bed.from_external().ipv4(kPeer, kWhole).echo_request(7);
        CHECK(inward(bed, ping).destination == host(12));
        const auto pong = bed.from_internal().ipv4(host(12), ip(kPeer)).echo_reply(7);
        CHECK(outward(bed, pong).source == ip(kWhole));
        const Decoded turned_in =
            turned(bed, bed.from_internal().ipv4(host(5), ip(kWhole)).echo_request(77));
        const auto back = bed.from_internal().ipv4(host(12), turned_in.source);
        CHECK(
            turned(bed, PacketBuilder(back).echo_reply(turned_in.icmp_id)).destination == host(5)
        );
        CHECK(rules.counts(bed)[1] == 0);
        const auto stray = bed.from_internal().ipv4(host(6), ip(kPeer)).echo_reply(7);
        check_refused(bed, kInternalLink, stray, DropReason::kDeniedByRule);
        story.step(bed);
    });
}

TEST_CASE("what comes in one burst with the SYN that opens its flow is not invalid", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        const NatRules rules = telling(Hook::kForward, {rules::Deny{}});
        bed.put_rules(rules.set);
        bed.push_internal(segment(bed, kSyn));
        bed.push_internal(segment(bed, kAck).payload("at once"));
        bed.run();
        CHECK(bed.take().size() == 2);
        CHECK(rules.counts(bed)[1] == 0);
        story.step(bed);
    });
}

TEST_CASE("what a policy picks up is new, not invalid", "[packet]") {
    BedOptions options = usual();
    options.nat.policies[0].tcp_pickup = true;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const NatRules rules = telling(Hook::kForward, {rules::Deny{}});
        bed.put_rules(rules.set);
        outward(bed, segment(bed, kAck));
        CHECK(rules.counts(bed) == Counts{1, 0});
        check_refused(
            bed,
            kInternalLink,
            tcp_out(bed, host(5), 1001, kPeer, 80, kRst),
            DropReason::kDeniedByRule
        );
        CHECK(rules.counts(bed) == Counts{1, 1});
        story.step(bed);
    });
}

TEST_CASE("a connection that begins where one has ended is new to the rules", "[packet]") {
    const bool by_reset = GENERATE(false, true);
    run_everywhere(usual(), [by_reset](TestBed& bed, Story& story) {
        NatRules rules;
        const rules::Condition is_new = in_state(ConnectionState::kNew);
        rules.add(Hook::kForward, {is_new, in_by(kExternalLink)}, {rules::Deny{}});
        rules.add(Hook::kForward, {is_new}, {});
        rules.add(Hook::kForward, {in_state(ConnectionState::kEstablished)}, {});
        bed.put_rules(rules.set);
        const auto out = [&bed](uint8_t flags, uint32_t at) {
            outward(bed, segment(bed, flags).sequence(at).acknowledgement(501));
        };
        const auto from_peer = [&bed](uint8_t flags, uint32_t at) {
            return tcp_in(bed, kPeer, 80, host(5), 1000, flags).sequence(at).acknowledgement(101);
        };
        out(kSyn, 100);
        inward(bed, from_peer(kSyn | kAck, 500));
        out(kAck, 101);
        out(by_reset ? kRst : kFin | kAck, 101);
        if (!by_reset) {
            inward(bed, from_peer(kFin | kAck, 501));
        }
        const uint64_t established = by_reset ? 3 : 4;
        CHECK(rules.counts(bed) == Counts{0, 1, established});
        for (uint64_t k = 1; k <= 2; ++k) {
            check_refused(bed, kExternalLink, from_peer(kSyn, 9000), DropReason::kDeniedByRule);
            CHECK(rules.counts(bed) == Counts{k, 1, established});
        }
        if (!by_reset) {
            inward(bed, from_peer(kFin | kAck, 501));  // of what was before
        }
        out(kSyn, 70000);
        const uint64_t late = by_reset ? 0 : 1;
        CHECK(rules.counts(bed) == Counts{2, 2, established + late});
        inward(bed, from_peer(kSyn | kAck, 80000));
        out(kAck, 70001);
        CHECK(rules.counts(bed) == Counts{2, 2, established + late + 2});
        story.step(bed);
    });
}

TEST_CASE("where rules may say no-track, ingress sees nobody as invalid yet", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        NatRules rules = telling(Hook::kIngress, {rules::Deny{}});
        rules.add(Hook::kIngress, {rules::test::from("100.64.0.8")}, {rules::NoTrack{}});
        rules.add(Hook::kForward, {in_state(ConnectionState::kInvalid)}, {});
        rules.add(Hook::kForward, {in_state(ConnectionState::kUntracked)}, {});
        bed.put_rules(rules.set);
        outward(bed, tcp_out(bed, host(8), 1000, kPeer, 80, kAck));
        CHECK(rules.counts(bed) == Counts{1, 0, 1, 0, 1});
        check_refused(bed, kInternalLink, segment(bed, kAck), DropReason::kNoSession);
        CHECK(rules.counts(bed) == Counts{2, 0, 1, 1, 1});
        story.step(bed);
    });
}

TEST_CASE(
    "segments outside of their connection's window are invalid to the rules", "[packet][window]"
) {
    const auto policy =
        GENERATE(nat::WindowPolicy::kOff, nat::WindowPolicy::kLog, nat::WindowPolicy::kDrop);
    const bool denies = GENERATE(false, true);
    BedOptions options = usual();
    options.nat.policies[0].tcp_window = policy;
    run_everywhere(options, [policy, denies](TestBed& bed, Story& story) {
        NatRules rules = telling(
            Hook::kForward,
            denies ? std::vector<rules::Action>{rules::Deny{}} : std::vector<rules::Action>{}
        );
        rules.add(Hook::kForward, {in_state(ConnectionState::kEstablished)}, {});
        bed.put_rules(rules.set);
        const auto numbered = [](PacketBuilder packet, uint32_t sequence, uint32_t acknowledgement
                              ) {
            return packet.sequence(sequence).acknowledgement(acknowledgement).window(1000);
        };
        const auto from_peer = [&bed](uint8_t flags) {
            return tcp_in(bed, kPeer, 80, host(5), 1000, flags);
        };
        outward(bed, numbered(segment(bed, kSyn), 100, 0));
        inward(bed, numbered(from_peer(kSyn | kAck), 500, 101));
        outward(bed, numbered(segment(bed, kAck), 101, 501));
        CHECK(rules.counts(bed) == Counts{1, 0, 2});
        bed.push_external(numbered(from_peer(kAck), 501 + 1001, 101).payload("forged"));
        bed.push_external(numbered(from_peer(kRst), 501 + 1001, 101));
        bed.run();
        const bool is_judged = policy != nat::WindowPolicy::kOff;
        const bool passes = !is_judged || (policy == nat::WindowPolicy::kLog && !denies);
        CHECK(bed.take().size() == (passes ? 2 : 0));
        CHECK(rules.counts(bed) == (is_judged ? Counts{1, 2, 2} : Counts{1, 0, 4}));
        CHECK(bed.dropped(DropReason::kDeniedByRule) == (is_judged && denies ? 2 : 0));
        CHECK(
            bed.dropped(DropReason::kTcpOutOfWindow) ==
            (policy == nat::WindowPolicy::kDrop && !denies ? 2 : 0)
        );
        if (is_judged && denies) {  // and what is in order goes on, as if nothing had come
            inward(bed, numbered(from_peer(kAck), 501, 101).payload("in order"));
            CHECK(rules.counts(bed) == Counts{1, 2, 3});
        }
        story.step(bed);
    });
}

}  // namespace sekisho::test
