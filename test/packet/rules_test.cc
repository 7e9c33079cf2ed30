// Rules on a packet's way: where they are asked, what they see there, what is kept of what they say, and what they count.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/text.h"
#include "scenario.h"
#include "support/rules_support.h"

namespace sekisho::test {
namespace {

using namespace rules;        // NOLINT(google-build-using-namespace)
using namespace rules::test;  // NOLINT(google-build-using-namespace)
using packet::kAck;
using packet::kRst;
using packet::kSyn;

constexpr auto kPeer = "192.0.2.1";

BedOptions usual() {
    BedOptions options;
    options.nat = nat_settings();
    return options;
}

// One chain at a hook, whose rules are given; the ids are those of the rules, then the policy's.
struct Rules {
    RuleSet set;
    ChainId chain;
    std::vector<RuleId> ids;

    explicit Rules(Hook hook, Action policy = Accept{})
        : chain(set.add_built_in("main", hook, 0, std::move(policy)).value()) {}
    Rules& add(std::vector<Condition> conditions, std::vector<Action> actions) {
        ids.push_back(set.append(chain, rule(std::move(conditions), std::move(actions))).value());
        return *this;
    }
    RuleId policy() const { return set.chain(chain)->policy_id; }
};

Condition in_state(ConnectionState state) {
    return {StateTest{ByteSet::of(state)}};
}
Condition in_by(LinkId link) {
    return {LinkTest{Way::kIn, ByteSet::of(link.value)}};
}
Condition out_by(LinkId link) {
    return {LinkTest{Way::kOut, ByteSet::of(link.value)}};
}
Condition with_flags(uint8_t mask, uint8_t set) {
    return {TcpFlagsTest{mask, set, false}};
}
uint64_t packets(const TestBed& bed, RuleId id) {
    return bed.counted(id).packets;
}
// Of the rules in order, then of the policy.
std::vector<uint64_t> all_packets(const TestBed& bed, const Rules& rules) {
    std::vector<uint64_t> counts;
    for (const RuleId id : rules.ids) {
        counts.push_back(packets(bed, id));
    }
    counts.push_back(packets(bed, rules.policy()));
    return counts;
}
std::vector<rules::Action> denying(bool logs) {
    return logs ? std::vector<rules::Action>{rules::Log{}, Deny{}}
                : std::vector<rules::Action>{Deny{}};
}
void check_denied(TestBed& bed, LinkId link, const PacketBuilder& packet) {
    check_refused(bed, link, packet, DropReason::kDeniedByRule);
}

}  // namespace

TEST_CASE("what a rule denies at forward makes nothing, and is counted", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        Rules rules(Hook::kForward);
        rules.add({protocol(Protocol::kUdp), to_port(53)}, {Deny{}});
        bed.put_rules(rules.set);
        for (unsigned n = 5; n < 15; ++n) {
            check_denied(bed, kInternalLink, udp_out(bed, host(n), 1000, kPeer, 53));
            CHECK(outward(bed, udp_out(bed, host(n), 1000, kPeer, 54)).destination_port == 54);
        }
        CHECK(bed.session_count() == 10);
        CHECK(bed.mapping_count() == 10);
        CHECK(packets(bed, rules.ids[0]) == 10);
        CHECK(packets(bed, rules.policy()) == 10);
        story.step(bed);
    });
}

TEST_CASE(
    "each packet of a session is counted at the rules that its direction and state agree with",
    "[packet]"
) {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        Rules rules(Hook::kForward, Deny{});
        rules.add({in_state(ConnectionState::kEstablished), in_by(kInternalLink)}, {Accept{}});
        rules.add({in_state(ConnectionState::kEstablished), in_by(kExternalLink)}, {Accept{}});
        rules.add({in_state(ConnectionState::kNew), from("100.64.0.0/10")}, {Accept{}});
        bed.put_rules(rules.set);
        for (unsigned k = 0; k < 3; ++k) {  // nobody has answered yet
            outward(bed, udp_out(bed, host(5), 1000, kPeer, 53).payload_size(72));
        }
        for (unsigned k = 0; k < 4; ++k) {
            inward(bed, udp_in(bed, kPeer, 53, host(5), 1000));
        }
        for (unsigned k = 0; k < 5; ++k) {
            outward(bed, udp_out(bed, host(5), 1000, kPeer, 53));
        }
        CHECK(packets(bed, rules.ids[2]) == 3);
        CHECK(bed.counted(rules.ids[2]).bytes == 3 * 100);
        CHECK(packets(bed, rules.ids[1]) == 4);
        CHECK(packets(bed, rules.ids[0]) == 5);
        // Who was not asked is new, whatever the filtering behaviour of the mapping.
        check_denied(bed, kExternalLink, udp_in(bed, "192.0.2.99", 53, host(5), 1000));
        CHECK(packets(bed, rules.policy()) == 1);
        story.step(bed);
    });
}

TEST_CASE("each hook sees its own view of the addresses, ports and links", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        outward(bed, udp_out(bed, host(5), 1000, kPeer, 53));
        const Endpoint external = external_of(bed, Protocol::kUdp, host(5), 1000);
        const std::string outside = fmt::format("{}", external.address);
        const std::string inside = fmt::format("{}", host(5));

        RuleSet set;
        const auto chain = [&](const char* name, Hook hook) {
            return set.add_built_in(name, hook, 0, Accept{}).value();
        };
        const auto count = [&](ChainId id, std::vector<Condition> conditions) {
            return set.append(id, rule(std::move(conditions), {})).value();
        };
        const ChainId ingress = chain("ingress", Hook::kIngress);
        const ChainId forward = chain("forward", Hook::kForward);
        const ChainId egress = chain("egress", Hook::kEgress);
        const std::vector<RuleId> agree{
            count(ingress, {from(inside), to(kPeer), to_port(53), in_by(kInternalLink)}),
            count(ingress, {from(kPeer), to(outside), to_port(external.port)}),
            count(forward, {from(inside), to(kPeer), in_by(kInternalLink), out_by(kExternalLink)}),
            count(forward, {from(kPeer), to(inside), to_port(1000), out_by(kInternalLink)}),
            count(egress, {from(outside), to(kPeer), to_port(53), out_by(kExternalLink)}),
            count(egress, {from(kPeer), to(inside), to_port(1000), out_by(kInternalLink)}),
        };
        const std::vector<RuleId> disagree{
            count(ingress, {to(inside)}),
            count(ingress, {out_by(kExternalLink)}),
            count(forward, {from(outside)}),
            count(forward, {to(outside)}),
            count(egress, {from(inside)}),
        };
        bed.put_rules(set);
        outward(bed, udp_out(bed, host(5), 1000, kPeer, 53));
        inward(bed, udp_in(bed, kPeer, 53, host(5), 1000));
        for (size_t k = 0; k < agree.size(); ++k) {
            INFO("rule " << k);
            CHECK(packets(bed, agree[k]) == 1);
        }
        for (size_t k = 0; k < disagree.size(); ++k) {
            INFO("rule " << k);
            CHECK(packets(bed, disagree[k]) == 0);
        }
        story.step(bed);
    });
}

TEST_CASE("a rejected packet is answered with the rule's ICMP code", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        Rules rules(Hook::kForward);
        rules.add({protocol(Protocol::kUdp)}, {Reject{false, 13}});
        bed.put_rules(rules.set);
        bed.push_internal(udp_out(bed, host(5), 1000, kPeer, 53));
        bed.run();
        const Decoded error = bed.take_one(kInternalLink);
        CHECK(error.icmp_type == packet::kIcmpUnreachable);
        CHECK(error.icmp_code == 13);
        CHECK(error.destination == host(5));
        CHECK(bed.dropped(DropReason::kDeniedByRule) == 1);
        CHECK(bed.session_count() == 0);
        story.step(bed);
    });
}

TEST_CASE("a rejected TCP segment is answered with a reset that its sender believes", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        Rules rules(Hook::kForward);
        rules.add({protocol(Protocol::kTcp), to_port(113)}, {Reject{true, 3}});
        rules.add({protocol(Protocol::kUdp), to_port(113)}, {Reject{true, 3}});
        bed.put_rules(rules.set);
        const auto segment = [&](uint8_t flags) {
            bed.push_internal(tcp_out(bed, host(5), 1000, kPeer, 113, flags)
                                  .sequence(5000)
                                  .acknowledgement(77)
                                  .payload_size(10));
            bed.run();
        };
        segment(kSyn);
        const Decoded reset = bed.take_one(kInternalLink);
        CHECK(reset.tcp_flags == (kRst | kAck));
        CHECK(reset.acknowledgement == 5011);
        CHECK(source_of(reset) == at(kPeer, 113));
        CHECK(destination_of(reset) == Endpoint{host(5), 1000});
        segment(kAck);
        const Decoded another = bed.take_one(kInternalLink);
        CHECK(another.tcp_flags == kRst);
        CHECK(another.sequence == 77);
        segment(kRst);  // never a reset for a reset
        CHECK(bed.take().empty());
        bed.push_internal(udp_out(bed, host(5), 1000, kPeer, 113));
        bed.run();
        CHECK(bed.take_one(kInternalLink).icmp_code == 3);
        story.step(bed);
    });
}

TEST_CASE("a rule sets the TOS of each packet, and the header's checksum with it", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        Rules rules(Hook::kForward);
        rules.add({to_port(53)}, {SetTos{0x0f, 0x80}});
        rules.add({to_port(54)}, {SetDscp{46}, Accept{}});
        bed.put_rules(rules.set);
        for (unsigned k = 0; k < 3; ++k) {
            CHECK(outward(bed, udp_out(bed, host(5), 1, kPeer, 53).tos(0x73)).tos == 0x83);
            CHECK(outward(bed, udp_out(bed, host(5), 1, kPeer, 53).tos(0x01)).tos == 0x81);
            CHECK(outward(bed, udp_out(bed, host(5), 1, kPeer, 54).tos(0x03)).tos == 0xbb);
            CHECK(outward(bed, udp_out(bed, host(5), 1, kPeer, 55).tos(0x03)).tos == 0x03);
        }
        CHECK(packets(bed, rules.ids[0]) == 6);
        story.step(bed);
    });
}

TEST_CASE("sessions that new rules forbid are cut at their next packet", "[packet]") {
    const bool logs = GENERATE(false, true);
    run_everywhere(usual(), [logs](TestBed& bed, Story& story) {
        Rules open(Hook::kForward);
        bed.put_rules(open.set);
        outward(bed, udp_out(bed, host(5), 1000, kPeer, 53));
        outward(bed, udp_out(bed, host(6), 1000, kPeer, 54));
        const Endpoint external = external_of(bed, Protocol::kUdp, host(5), 1000);
        Rules shut = open;
        shut.add({to_port(53)}, denying(logs));
        shut.add({{PortTest{Side::kSource, {{53, 53}}, false}}}, {Deny{}});
        bed.put_rules(shut.set);
        CHECK(bed.session_count() == 2);
        const auto answer =
            bed.from_external().ipv4(ip(kPeer), external.address).udp(53, external.port);
        check_denied(bed, kInternalLink, udp_out(bed, host(5), 1000, kPeer, 53));
        CHECK(bed.session_count() == 1);
        check_refused(bed, kExternalLink, answer, DropReason::kNoMapping);
        check_denied(bed, kInternalLink, udp_out(bed, host(5), 1000, kPeer, 53));
        outward(bed, udp_out(bed, host(6), 1000, kPeer, 54));
        CHECK(packets(bed, shut.policy()) == 3);  // the policy goes on counting
        story.step(bed);
    });
}

TEST_CASE("what anybody outside may have sent ends no session, but is denied", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        outward(bed, udp_out(bed, host(5), 1000, kPeer, 53));
        Rules shut(Hook::kForward, Deny{});
        bed.put_rules(shut.set);
        for (unsigned k = 0; k < 3; ++k) {
            check_denied(bed, kExternalLink, udp_in(bed, kPeer, 53, host(5), 1000));
        }
        check_denied(bed, kInternalLink, udp_out(bed, host(5), 1000, kPeer, 53));
        CHECK(bed.session_count() == 1);
        story.step(bed);
    });
}

TEST_CASE("packets of one burst may have a session that the rules end", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        Rules few(Hook::kEgress, Deny{});
        few.add({{RateTest{1, Seconds{10}, 2}}}, {Accept{}});
        Rules shut(Hook::kForward);
        shut.add({from("100.64.0.5/32")}, {Deny{}});
        outward(bed, udp_out(bed, host(5), 1000, kPeer, 53));
        const Endpoint external = external_of(bed, Protocol::kUdp, host(5), 1000);
        const auto answer =
            bed.from_external().ipv4(ip(kPeer), external.address).udp(53, external.port);
        bed.put_rules(shut.set);
        for (unsigned k = 0; k < 4; ++k) {
            bed.push_internal(udp_out(bed, host(5), 1000, kPeer, 53));
            bed.push_external(answer);
        }
        bed.run();
        CHECK(bed.session_count() == 0);
        for (const auto& left : bed.take()) {
            CHECK(decode(left.bytes).destination == host(5));  // before the subscriber's own packet
        }
        story.note("done");
        if (bed.shards() > 1) {
            return;  // each shard has its share of a rate
        }
        bed.put_rules(few.set);
        for (unsigned k = 0; k < 4; ++k) {
            bed.push_internal(udp_out(bed, host(6), 1000, kPeer, 53));
        }
        bed.run();
        CHECK(bed.take().size() == 2);
        CHECK(bed.session_count() == 1);
    });
}

TEST_CASE("a TOS that an earlier chain has set is what later chains ask for", "[packet]") {
    TestBed bed(usual());
    Rules rules(Hook::kIngress);
    rules.add({}, {SetTos{0xff, 0x10}});
    const ChainId forward = rules.set.add_built_in("forward", Hook::kForward, 0, Accept{}).value();
    rules.set.append(forward, rule({{TosTest{0xff, 0x10}}}, {Deny{}})).value();
    bed.put_rules(rules.set);
    const auto datagram = [&](uint8_t tos) {
        return udp_out(bed, host(5), 1000, kPeer, 53).tos(tos);
    };
    for (unsigned k = 0; k < 3; ++k) {
        CHECK(outward(bed, datagram(0x10)).tos == 0x00);
        CHECK(outward(bed, datagram(0x08)).tos == 0x18);
        check_denied(bed, kInternalLink, datagram(0x00));
    }
}

TEST_CASE(
    "of a protocol whose ports are not translated each packet is asked by its own", "[packet]"
) {
    TestBed bed(usual());
    Rules rules(Hook::kForward, Deny{});
    rules.add({{ProtocolTest{ByteSet::of(Protocol::kUdpLite)}}, to_port(5000)}, {Accept{}});
    bed.put_rules(rules.set);
    const auto datagram = [&](uint16_t port) {
        return udp_out(bed, host(5), 1000, kPeer, port).protocol(136);
    };
    for (unsigned k = 0; k < 2; ++k) {
        bed.push_internal(datagram(5000));
        bed.run();
        CHECK(bed.take().size() == 1);
        check_denied(bed, kInternalLink, datagram(36412));
    }
}

TEST_CASE("the time of the week goes on from where it was set, and never back", "[packet]") {
    dataplane::WeekClock clock;
    clock.set(Tick{5000}, rules::TimeOfWeek{100});
    CHECK(clock.at(Tick{5000}).second == 100);
    CHECK(clock.at(Tick{4999}).second == 100);
    CHECK(clock.at(Tick{65000}).second == 160);
    clock.set(Tick{0}, rules::TimeOfWeek{7 * rules::TimeOfWeek::kDay - 1});
    CHECK(clock.at(Tick{1000}).second == 0);
}

TEST_CASE("where they are to be kept, sessions that new rules forbid go on", "[packet]") {
    const bool logs = GENERATE(false, true);
    run_everywhere(usual(), [logs](TestBed& bed, Story& story) {
        outward(bed, udp_out(bed, host(5), 1000, kPeer, 53));
        Rules shut(Hook::kForward);
        shut.add({}, denying(logs));
        bed.put_rules(shut.set, false);
        for (unsigned k = 0; k < 3; ++k) {
            outward(bed, udp_out(bed, host(5), 1000, kPeer, 53));
            inward(bed, udp_in(bed, kPeer, 53, host(5), 1000));
        }
        check_denied(bed, kInternalLink, udp_out(bed, host(5), 1000, kPeer, 54));
        check_denied(bed, kInternalLink, udp_out(bed, host(6), 1000, kPeer, 53));
        CHECK(bed.session_count() == 1);
        CHECK(packets(bed, shut.ids[0]) == 8);
        story.step(bed);
    });
}

TEST_CASE("rules are changed thousands of times, and sessions always follow", "[packet]") {
    TestBed bed(usual());
    Rules open(Hook::kForward);
    Rules shut(Hook::kForward);
    shut.add({to_port(53)}, {Deny{}});
    outward(bed, udp_out(bed, host(5), 1000, kPeer, 54));
    for (unsigned turn = 0; turn < 9000; ++turn) {
        bed.put_rules(open.set);
        bed.run();
        REQUIRE(bed.shard(0).oldest_rules() == bed.shard(0).current_judge()->generation());
    }
    bed.put_rules(shut.set);
    check_denied(bed, kInternalLink, udp_out(bed, host(5), 1000, kPeer, 53));
    outward(bed, udp_out(bed, host(5), 1000, kPeer, 54));
}

TEST_CASE("what varies inside a flow is asked of every packet", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        Rules rules(Hook::kForward);
        rules.add({{LengthTest{{{1000, 65535}}}}}, {Deny{}});
        rules.add({{TtlTest{{0, 9}}}}, {Deny{}});
        rules.add({with_flags(kSyn | kAck, kSyn), in_by(kExternalLink)}, {Deny{}});
        bed.put_rules(rules.set);
        const auto datagram = [&] { return udp_out(bed, host(5), 1000, kPeer, 53); };
        for (unsigned k = 0; k < 3; ++k) {
            outward(bed, datagram());
            check_denied(bed, kInternalLink, datagram().payload_size(972));
            outward(bed, datagram().payload_size(971));
            check_denied(bed, kInternalLink, datagram().ttl(9));
            outward(bed, datagram().ttl(10));
        }
        outward(bed, tcp_out(bed, host(5), 1000, kPeer, 80, kSyn));
        check_denied(bed, kExternalLink, tcp_in(bed, kPeer, 80, host(5), 1000, kSyn));
        inward(bed, tcp_in(bed, kPeer, 80, host(5), 1000, kSyn | kAck));
        CHECK(all_packets(bed, rules) == std::vector<uint64_t>{3, 3, 1, 11});
        story.step(bed);
    });
}

TEST_CASE(
    "a rate holds over all packets of a flow, and is not begun anew by a change", "[packet]"
) {
    TestBed bed(usual());
    Rules rules(Hook::kForward, Deny{});
    rules.add({{RateTest{1, Seconds{10}, 3}}}, {Accept{}});
    bed.put_rules(rules.set);
    outward(bed, udp_out(bed, host(5), 1000, kPeer, 53));
    outward(bed, udp_out(bed, host(5), 1000, kPeer, 53));
    rules.add({to_port(99)}, {Accept{}});
    bed.put_rules(rules.set);
    outward(bed, udp_out(bed, host(6), 1000, kPeer, 53));
    check_denied(bed, kInternalLink, udp_out(bed, host(5), 1000, kPeer, 53));
    bed.advance(10000);
    outward(bed, udp_out(bed, host(5), 1000, kPeer, 53));
}

TEST_CASE("later fragments are asked about as such", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        Rules rules(Hook::kForward);
        rules.add({{FragmentTest{false, false, true}}, to("192.0.2.66")}, {Deny{}});
        const RuleId counted = rules.add({{FragmentTest{false, false, true}}}, {}).ids.back();
        const RuleId by_port = rules.add({to_port(53)}, {}).ids.back();
        bed.put_rules(rules.set);
        const auto piece = [&](const char* to, unsigned number) {
            auto builder = number == 0 ? udp_out(bed, host(5), 1000, to, 53)
                                       : bed.from_internal().ipv4(host(5), ip(to)).protocol(17);
            return builder.ip_id(9)
                .fragment(static_cast<uint16_t>(number * 10), number == 0)
                .payload_size(number == 0 ? 72 : 80)
                .l4_checksum(0);
        };
        bed.push_internal(piece(kPeer, 0));
        bed.push_internal(piece(kPeer, 1));
        bed.push_internal(piece("192.0.2.66", 0));
        bed.push_internal(piece("192.0.2.66", 1));
        bed.run();
        CHECK(bed.take().size() == 3);
        CHECK(bed.dropped(DropReason::kDeniedByRule) == 1);
        CHECK(packets(bed, counted) == 1);
        CHECK(packets(bed, by_port) == 2);
        story.step(bed);
    });
}

TEST_CASE("rules say who may ask the appliance itself, and what it may say", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        Rules rules(Hook::kLocalIn);
        rules.add({from("100.64.0.5/32")}, {Deny{}});
        const ChainId out = rules.set.add_built_in("out", Hook::kLocalOut, 0, Accept{}).value();
        const RuleId silent = rules.set.append(out, rule({to("100.64.0.6/32")}, {Deny{}})).value();
        bed.put_rules(rules.set);
        const auto ping = [&](unsigned n) {
            return bed.from_internal().ipv4(host(n), ip("100.64.0.1")).echo_request(1);
        };
        check_denied(bed, kInternalLink, ping(5));
        check_denied(bed, kInternalLink, ping(6));
        CHECK(packets(bed, silent) == 1);
        CHECK(turned(bed, ping(7)).icmp_type == packet::kIcmpEchoReply);
        story.step(bed);
    });
}

TEST_CASE("both halves of a hairpin are asked about", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        outward(bed, udp_out(bed, host(5), 1000, kPeer, 53));
        outward(bed, udp_out(bed, host(6), 2000, kPeer, 53));
        const Endpoint five = external_of(bed, Protocol::kUdp, host(5), 1000);
        const Endpoint six = external_of(bed, Protocol::kUdp, host(6), 2000);
        Rules rules(Hook::kForward);
        const std::string inside = fmt::format("{}", host(5));
        const std::string behind = fmt::format("{}", host(6));
        const RuleId first = rules.add({from(inside)}, {}).ids.back();
        const RuleId second =
            rules.add({from(fmt::format("{}", five.address)), to(behind)}, {}).ids.back();
        bed.put_rules(rules.set);
        const auto across = [&] {
            return bed.from_internal().ipv4(host(5), six.address).udp(1000, six.port);
        };
        turned(bed, across());
        CHECK(packets(bed, first) == 1);
        CHECK(packets(bed, second) == 1);
        rules.add({to(behind)}, {Deny{}});
        bed.put_rules(rules.set);
        bed.push_internal(across());
        bed.run();
        CHECK(bed.take().empty());
        CHECK(bed.dropped(DropReason::kDeniedByRule) == 1);
        story.note("done");
    });
}

TEST_CASE(
    "what comes to an open mapping is asked about before anything is made of it", "[packet]"
) {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        outward(bed, tcp_out(bed, host(5), 1000, kPeer, 80, kSyn));
        Rules rules(Hook::kForward);
        rules.add(
            {in_by(kExternalLink), in_state(ConnectionState::kNew), to("100.64.0.5/32")}, {Deny{}}
        );
        bed.put_rules(rules.set);
        const auto knock = [&] { return tcp_in(bed, "192.0.2.9", 4000, host(5), 1000, kSyn); };
        check_denied(bed, kExternalLink, knock());
        CHECK(bed.session_count() == 1);
        inward(bed, tcp_in(bed, kPeer, 80, host(5), 1000, kSyn | kAck));
        story.step(bed);
    });
}

TEST_CASE("an ICMP error is related to the flow that it is about", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        Rules rules(Hook::kForward);
        rules.add(
            {in_state(ConnectionState::kRelated), {IcmpTest{{{{3, 3}, {3, 3}}}, false}}}, {Deny{}}
        );
        bed.put_rules(rules.set);
        bed.push_internal(udp_out(bed, host(5), 1000, kPeer, 53));
        bed.run();
        const ByteVector sent = bed.take().at(0).bytes;
        const auto error = [&](uint8_t code) {
            return bed.from_external()
                .ipv4(ip("192.0.2.9"), decode(sent).source)
                .icmp_error(3, code, Bytes(sent).subspan(14));
        };
        check_denied(bed, kExternalLink, error(3));
        CHECK(inward(bed, error(1)).icmp_code == 1);
        story.step(bed);
    });
}

TEST_CASE("counters of rules are read and begun anew without losing a packet", "[packet]") {
    TestBed bed(usual());
    Rules rules(Hook::kForward);
    const RuleId id = rules.add({to_port(53)}, {Accept{}}).ids.back();
    bed.put_rules(rules.set);
    uint64_t sum = 0;
    for (unsigned k = 0; k < 20; ++k) {
        outward(bed, udp_out(bed, host(5 + k % 3), 1000, kPeer, 53));
        sum += k % 4 == 0 ? bed.rules().zero()[id.value].packets : 0;
        if (k % 7 == 0) {
            rules.add({to_port(static_cast<uint16_t>(60 + k))}, {Accept{}});
            bed.put_rules(rules.set);
        }
    }
    CHECK(packets(bed, id) == 3);
    CHECK(sum + packets(bed, id) == 20);
}

TEST_CASE(
    "counters that two read and zero are told once, however old what they look at", "[packet]"
) {
    TestBed bed(usual());
    Rules rules(Hook::kForward);
    const RuleId id = rules.add({to_port(53)}, {Accept{}}).ids.back();
    bed.put_rules(rules.set);
    const auto send = [&](unsigned packets) {
        for (unsigned k = 0; k < packets; ++k) {
            outward(bed, udp_out(bed, host(5), 1000, kPeer, 53));
        }
    };
    const auto read = [&](const std::vector<RuleTotal>& counted, bool zeroes) {
        return bed.rules().since_zero(std::span(&id, 1), counted, zeroes).at(0).packets;
    };
    send(3);
    const std::vector<RuleTotal> early = bed.rules().counted();
    send(2);
    const std::vector<RuleTotal> late = bed.rules().counted();
    CHECK(read(early, false) == 3);
    CHECK(read(early, true) == 3);
    CHECK(read(early, true) == 0);
    CHECK(read(late, true) == 2);
    CHECK(read(early, true) == 0);
    CHECK(read(late, false) == 0);
    send(4);
    CHECK(read(bed.rules().counted(), false) == 4);
    CHECK(packets(bed, id) == 4);
    CHECK(read({}, true) == 0);
    const RuleId unknown{4000};
    CHECK(bed.rules().since_zero(std::span(&unknown, 1), late, true).at(0) == RuleTotal{});
    CHECK(packets(bed, id) == 4);
}

}  // namespace sekisho::test
