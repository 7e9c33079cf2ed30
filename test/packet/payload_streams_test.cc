// Payload rules and streams: where a stream begins, whoever says so, and what becomes of it when the rules change.
#include "dataplane/assembler.h"
#include "nat_rules.h"
#include "payload_scenario.h"

namespace sekisho::test {
namespace {

using namespace rules;        // NOLINT(google-build-using-namespace)
using namespace rules::test;  // NOLINT(google-build-using-namespace)
using packet::kFin;
using packet::kRst;

constexpr uint32_t kFirst = Connection::kClient;

BedOptions usual(nat::WindowPolicy policy = nat::WindowPolicy::kOff) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].tcp_window = policy;
    return options;
}

NatRules denying(std::vector<Condition> conditions = {to_port(80)}) {
    NatRules rules;
    conditions.push_back(has_pattern(0));
    rules.add(Hook::kForward, std::move(conditions), {Deny{}});
    return rules;
}

// Rules that search nothing.
NatRules harmless() {
    NatRules rules;
    rules.add(Hook::kForward, {to_port(9)}, {Deny{}});
    return rules;
}

PacketBuilder from_client(const Connection& connection, uint32_t sequence, std::string_view text) {
    return connection.client(kAck)
        .sequence(sequence)
        .acknowledgement(Connection::kServer)
        .payload(text);
}

}  // namespace

TEST_CASE("a segment outside of its window is no part of a stream", "[packet][window]") {
    for (const auto policy : {nat::WindowPolicy::kLog, nat::WindowPolicy::kDrop}) {
        for (const bool is_known : {false, true}) {
            INFO(
                (policy == nat::WindowPolicy::kLog ? "log" : "drop") << (is_known ? ", known" : "")
            );
            TestBed bed(usual(policy));
            bed.search_for(set_of({literal("needle")}));
            const NatRules searching = denying();
            const NatRules others = harmless();
            bed.put_rules(is_known ? searching.set : others.set);
            Connection connection(bed, 1000);
            connection.open();
            bed.put_rules(searching.set);
            const std::string text = "some text, then a needle";
            if (is_known) {
                connection.say(text, 0, 4);
            }
            // As if it were the stream's; and the same number again, with other bytes, when the window is there.
            connection.push(from_client(connection, kFirst + 0x100000, "forged"));
            CHECK(bed.totals().held == 0);
            const bool passes = policy == nat::WindowPolicy::kLog && !is_known;
            CHECK(bed.dropped(DropReason::kTcpOutOfWindow) == (passes ? 0 : 1));
            CHECK(bed.scanned() == (is_known ? 1 : 0));
            connection.say(text, is_known ? 4 : 0, 21);
            CHECK(connection.got_by_server() == text.substr(0, 21));
            connection.say(text, 21, 24);
            CHECK(connection.got_by_server() == text.substr(0, 21));
            CHECK(bed.dropped(DropReason::kDeniedByRule) == 1);
            CHECK(bed.dropped(DropReason::kStreamContradiction) == 0);
            // What was found holds for all that follows, wherever it lies.
            connection.push(from_client(connection, kFirst + 0x100000, "more"));
            CHECK(bed.totals().held == 0);
            CHECK(connection.got_by_server() == text.substr(0, 21));
        }
    }
}

TEST_CASE("rules that keep sessions keep nothing outside of its window", "[packet][window]") {
    TestBed bed(usual(nat::WindowPolicy::kLog));
    const NatRules before = harmless();
    bed.put_rules(before.set);
    Connection connection(bed, 1000);
    connection.open();
    NatRules rules;
    rules.add(Hook::kForward, {{StateTest{ByteSet::of(ConnectionState::kInvalid)}}}, {Deny{}});
    bed.put_rules(rules.set, false);
    connection.push(from_client(connection, kFirst + 0x100000, "forged"));
    CHECK(bed.dropped(DropReason::kDeniedByRule) == 1);
    connection.say("in order");
    CHECK(connection.got_by_server() == "in order");
}

TEST_CASE("a port is used again where only the answers are searched", "[packet]") {
    TestBed bed(usual());
    bed.search_for(set_of({literal("needle")}));
    bed.put_rules(denying({{PortTest{Side::kSource, {{80, 80}}, false}}}).set);
    Connection first(bed, 1000);
    first.open();
    first.answer("an answer, not the last");
    CHECK(first.got_by_client() == "an answer, not the last");
    first.push(first.client(kAck | kFin).sequence(kFirst).acknowledgement(Connection::kServer + 23)
    );
    first.push(
        first.server(kAck | kFin).sequence(Connection::kServer + 23).acknowledgement(kFirst + 1)
    );
    first.push(first.client(kAck).sequence(kFirst + 1).acknowledgement(Connection::kServer + 24));
    const Connection second(bed, 1000);
    bed.push_internal(second.client(kSyn).sequence(0x40000000));
    bed.push_external(
        second.server(kSyn | kAck).sequence(Connection::kServer + 1000).acknowledgement(0x40000001)
    );
    bed.push_internal(
        second.client(kAck).sequence(0x40000001).acknowledgement(Connection::kServer + 1001)
    );
    bed.run();
    CHECK(bed.take().size() == 3);
    const auto answer = [&](uint32_t at, std::string_view text) {
        return second.server(kAck)
            .sequence(Connection::kServer + 1001 + at)
            .acknowledgement(0x40000001)
            .payload(text);
    };
    CHECK(inward(bed, answer(0, "another nee")).payload.size() == 11);
    check_refused(bed, kExternalLink, answer(11, "dle"), DropReason::kDeniedByRule);
    CHECK(bed.dropped(DropReason::kStreamContradiction) == 0);
    CHECK(bed.totals().held == 0);
}

TEST_CASE(
    "what an earlier chain denies after a change of rules makes nothing forgotten", "[packet]"
) {
    TestBed bed(usual());
    bed.search_for(set_of({literal("needle")}));
    NatRules rules = denying();
    rules.add(Hook::kIngress, {{LengthTest{{{1000, 1500}}}}}, {Deny{}});
    bed.put_rules(rules.set);
    Connection connection(bed, 1000);
    connection.open();
    const std::string text = "a needle" + std::string(1200, '.');
    connection.say(text, 0, 5);
    connection.say(text, 5, 8);
    CHECK(connection.got_by_server() == "a nee");
    bed.put_rules(rules.set);
    connection.say(text, 8, 1208);
    CHECK(bed.scanned() == 1);
    connection.say(text, 5, 8);
    CHECK(connection.got_by_server() == "a nee");
    CHECK(bed.dropped(DropReason::kDeniedByRule) == 3);
}

TEST_CASE("first bytes are counted from where the receiver begins, not the sender", "[packet]") {
    for (const bool says_before : {false, true}) {
        INFO((says_before ? "with bytes that nobody takes" : "without"));
        TestBed bed(usual());
        bed.search_for(set_of({literal("secret", false, 100)}));
        bed.put_rules(denying().set);
        Connection connection(bed, 1000);
        connection.push(connection.client(kSyn).sequence(500));
        connection.push(connection.client(kSyn).sequence(1000));
        connection.push(connection.client(kSyn).sequence(7'000'000));
        if (says_before) {
            connection.push(from_client(connection, 501, std::string(100, '.')));
        }
        connection.push(
            connection.server(kSyn | kAck).sequence(Connection::kServer - 1).acknowledgement(1001)
        );
        bed.push_internal(from_client(connection, 1001, "GET /sec"));
        bed.run();
        CHECK(bed.take().size() == 1);
        check_refused(
            bed, kInternalLink, from_client(connection, 1009, "ret"), DropReason::kDeniedByRule
        );
    }
}

TEST_CASE("behind the first bytes nothing passes before its beginning is certain", "[packet]") {
    TestBed bed(usual());
    bed.search_for(set_of({literal("secret", false, 100)}));
    bed.put_rules(denying().set);
    Connection connection(bed, 1000);
    connection.push(connection.client(kSyn).sequence(kFirst - 1));
    const std::string text(400, '.');
    connection.say(text, 200, 300);
    CHECK(bed.totals().held == 1);
    connection.push(
        connection.server(kSyn | kAck).sequence(Connection::kServer - 1).acknowledgement(kFirst)
    );
    CHECK(bed.totals().held == 0);
    connection.say(text, 300, 400);
    connection.say(text, 0, 200);
    CHECK(bed.totals().held == 0);
    CHECK(connection.got_by_server() == text);
}

TEST_CASE("a stream that is picked up begins where its receiver stands", "[packet]") {
    TestBed bed(usual());
    bed.search_for(set_of({literal("secret")}));
    const NatRules others = harmless();
    bed.put_rules(others.set);
    Connection connection(bed, 1000);
    connection.open();
    const std::string text = std::string(3500, '.') + "no secret";
    for (size_t at = 0; at < 3500; at += 500) {
        connection.say(text, at, at + 500);
    }
    connection.acknowledge(3500);
    bed.put_rules(denying().set);
    // An old one once more, then what follows.
    connection.say(text, 1000, 1500);
    CHECK(bed.totals().held == 0);
    connection.say(text, 3500, 3506);
    CHECK(bed.totals().held == 0);
    CHECK(connection.got_by_server() == text.substr(0, 3506));
    connection.acknowledge(3506);
    connection.say(text, 3506, 3509);
    CHECK(connection.got_by_server() == text.substr(0, 3506));
    CHECK(bed.dropped(DropReason::kDeniedByRule) == 1);
}

TEST_CASE("first bytes of what is picked up are not used up by what is old", "[packet]") {
    TestBed bed(usual());
    bed.search_for(set_of({literal("early", false, 100)}));
    const NatRules others = harmless();
    bed.put_rules(others.set);
    Connection connection(bed, 1000);
    connection.open();
    const NatRules searching = denying();
    bed.put_rules(searching.set);
    connection.push(from_client(connection, kFirst - 500, std::string(100, '.')));
    connection.say("an ear");
    connection.say("an early", 6, 8);
    CHECK(connection.got_by_server() == "an ear");
    CHECK(bed.dropped(DropReason::kDeniedByRule) == 1);
}

TEST_CASE("rules that search more do so in connections that stand", "[packet]") {
    TestBed bed(usual());
    PatternSet patterns = set_of({literal("early", false, 100)});
    bed.search_for(patterns);
    const NatRules rules = denying();
    bed.put_rules(rules.set);
    Connection connection(bed, 1000);
    connection.open();
    const std::string text = std::string(150, '.') + "here is a needle";
    connection.say(text, 0, 120);
    connection.acknowledge(120);
    connection.say(text, 120, 150);
    connection.acknowledge(150);
    CHECK(connection.got_by_server() == text.substr(0, 150));
    REQUIRE(patterns.add(literal("needle")));
    bed.search_for(patterns);
    NatRules more = denying();
    more.add(Hook::kForward, {to_port(80), has_pattern(1)}, {Deny{}});
    bed.put_rules(more.set);
    connection.say(text, 150, 163);
    CHECK(connection.got_by_server() == text.substr(0, 163));
    connection.say(text, 163, 166);
    CHECK(connection.got_by_server() == text.substr(0, 163));
    CHECK(bed.dropped(DropReason::kDeniedByRule) == 1);
    CHECK(bed.totals().held == 0);
}

// Of which each fragment would have room with its own header's place, but not all with the first one's.
TEST_CASE("a datagram is joined only where its first fragment leaves room for it", "[packet]") {
    constexpr uint16_t kPlain = 14;
    constexpr uint16_t kTagged = 22;
    constexpr uint16_t kEnd = packet::kBufferRoom - packet::kLongestIpv4Header - kPlain;
    constexpr uint16_t kCut = 1000;
    const auto fragment = [](ByteVector& bytes, uint16_t l3_offset, uint16_t begin, uint16_t end) {
        bytes.assign(packet::kBufferRoom, 0);
        uint8_t* const ip = bytes.data() + l3_offset;
        ip[0] = 0x45;
        ip[packet::offset::kIpProtocol] = static_cast<uint8_t>(Protocol::kUdp);
        const auto length = static_cast<uint16_t>(20 + end - begin);
        packet::store(ip + packet::offset::kIpLength, Be16::from_host(length).raw);
        const auto field = static_cast<uint16_t>(begin / 8 | (end != kEnd ? 0x2000 : 0));
        packet::store(ip + packet::offset::kIpFragment, Be16::from_host(field).raw);
        PacketRef ref;
        ref.data = bytes.data();
        ref.length = ref.frame_length = static_cast<uint16_t>(l3_offset + length);
        return ref;
    };
    for (const bool is_tagged_first : {true, false}) {
        dataplane::Assembler assembler;
        ByteVector of_first;
        ByteVector of_last;
        const uint16_t offset = is_tagged_first ? kTagged : kPlain;
        PacketRef first = fragment(of_first, offset, 0, kCut);
        PacketRef last = fragment(of_last, kPlain, kCut, kEnd);
        CHECK_FALSE(assembler.hold(first, offset, Tick{0}));
        const auto refused = assembler.hold(last, kPlain, Tick{0});
        CHECK(refused.has_value() == is_tagged_first);
        CHECK(assembler.has_complete() != is_tagged_first);
        CHECK(assembler.has_ended() == is_tagged_first);
    }
}

}  // namespace sekisho::test
