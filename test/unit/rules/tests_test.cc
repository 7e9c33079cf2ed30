// Each test of a packet, as it is and negated: covers().
#include "rules/covers.h"
#include "support/rules_support.h"

namespace sekisho::rules::test {
namespace {

struct Row {
    const char* what;
    Condition condition;
    RulePacket packet;
    bool holds;
    bool negated_holds;
};

void check(const std::vector<Row>& rows) {
    const AddressSets sets;
    for (const Row& row : rows) {
        INFO(row.what);
        CHECK(covers(row.condition, row.packet, sets, false) == row.holds);
        CHECK(covers(unless(row.condition), row.packet, sets, false) == row.negated_holds);
    }
}

constexpr bool kYes = true;
constexpr bool kNo = false;

template <class Change>
RulePacket with(RulePacket packet, Change change) {
    change(packet);
    return packet;
}

}  // namespace

TEST_CASE("a test of addresses holds for one end, or for either", "[rules]") {
    const RulePacket packet = tcp("10.1.2.3", "192.0.2.9", 80);
    const auto at = [](Side side, const char* text) {
        return Condition{AddressTest{side, {addresses(text)}, {}, {}}};
    };
    const auto masked = [](const char* value, const char* mask) {
        return Condition{AddressTest{Side::kSource, {}, {{address(value), address(mask)}}, {}}};
    };
    check({
        {"source in a prefix", from("10.0.0.0/8"), packet, kYes, kNo},
        {"source not in a prefix", from("11.0.0.0/8"), packet, kNo, kYes},
        {"the destination is not the source", from("192.0.2.0/24"), packet, kNo, kYes},
        {"destination in a range", to("192.0.2.1-192.0.2.9"), packet, kYes, kNo},
        {"destination behind a range", to("192.0.2.1-192.0.2.8"), packet, kNo, kYes},
        {"either end: source", at(Side::kEither, "10.1.2.3/32"), packet, kYes, kNo},
        {"either end: destination", at(Side::kEither, "192.0.2.9/32"), packet, kYes, kNo},
        {"neither end", at(Side::kEither, "192.0.2.8/32"), packet, kNo, kYes},
        {"all addresses", from("0.0.0.0/0"), packet, kYes, kNo},
        {"a mask with a hole (LEGACY S29)", masked("10.0.2.0", "255.0.255.0"), packet, kYes, kNo},
        {"another address under it", masked("10.0.3.0", "255.0.255.0"), packet, kNo, kYes},
        {"no address at all", {AddressTest{}}, packet, kNo, kYes},
        {"one of two ranges",
         {AddressTest{Side::kSource, {addresses("1.0.0.0/8"), addresses("10.0.0.0/8")}, {}, {}}},
         packet,
         kYes,
         kNo},
    });
}

TEST_CASE("a test of ports holds for what shows ports", "[rules]") {
    const RulePacket packet = udp("10.1.2.3", "192.0.2.9", 53);
    const auto test = [](Side side, uint16_t first, uint16_t last, bool later = false) {
        return Condition{PortTest{side, {{first, last}}, later}};
    };
    check({
        {"destination port", to_port(53), packet, kYes, kNo},
        {"another port", to_port(54), packet, kNo, kYes},
        {"lower end of a range", to_port(53, 60), packet, kYes, kNo},
        {"upper end of a range", to_port(50, 53), packet, kYes, kNo},
        {"source port", test(Side::kSource, 40000, 40000), packet, kYes, kNo},
        {"either port", test(Side::kEither, 40000, 40000), packet, kYes, kNo},
        {"neither port", test(Side::kEither, 1, 52), packet, kNo, kYes},
        {"all ports", to_port(0, 65535), packet, kYes, kNo},
        {"ICMP has none, negated or not", to_port(0, 65535), icmp(8, 0), kNo, kNo},
        {"a later fragment shows none (LEGACY C4)",
         to_port(0, 65535),
         later_fragment(packet),
         kNo,
         kNo},
        {"or is taken for 65535 (LEGACY S11)",
         test(Side::kDestination, 65535, 65535, true),
         later_fragment(packet),
         kYes,
         kYes},
        {"a first fragment shows them",
         to_port(53),
         with(packet, [](RulePacket& p) { p.fragment = FragmentKind::kFirst; }),
         kYes,
         kNo},
        {"SCTP shows them",
         to_port(53),
         with(packet, [](RulePacket& p) { p.protocol = 132; }),
         kYes,
         kNo},
        {"GRE does not",
         to_port(53),
         with(packet, [](RulePacket& p) { p.protocol = 47; }),
         kNo,
         kNo},
        {"no port at all", {PortTest{}}, packet, kNo, kYes},
    });
}

TEST_CASE("a test of ICMP holds by type and code", "[rules]") {
    const auto test = [](IcmpKind kind, bool later = false) {
        return Condition{IcmpTest{{kind}, later}};
    };
    const IcmpKind echo{{8, 8}, {0, 255}};
    const IcmpKind port_unreachable{{3, 3}, {3, 3}};
    check({
        {"type, any code", test(echo), icmp(8, 7), kYes, kNo},
        {"another type", test(echo), icmp(0, 0), kNo, kYes},
        {"type and code", test(port_unreachable), icmp(3, 3), kYes, kNo},
        {"another code", test(port_unreachable), icmp(3, 1), kNo, kYes},
        {"UDP has no type", test(echo), udp("10.0.0.1", "10.0.0.2", 8), kNo, kNo},
        {"nor has a later fragment", test(echo), later_fragment(icmp(8, 0)), kNo, kNo},
        {"or it is taken (LEGACY S11)", test(echo, true), later_fragment(icmp(8, 0)), kYes, kYes},
    });
}

TEST_CASE("a test of links holds for the link that the packet has", "[rules]") {
    const RulePacket both = tcp("10.0.0.1", "10.0.0.2", 80);  // in 0, out 1
    const RulePacket arriving = with(both, [](RulePacket& p) { p.out_link = kNoLink; });
    const auto test = [](Way way, ByteSet links) { return Condition{LinkTest{way, links}}; };
    check({
        {"in", test(Way::kIn, ByteSet::of(0)), both, kYes, kNo},
        {"in by another", test(Way::kIn, ByteSet::of(1)), both, kNo, kYes},
        {"out", test(Way::kOut, ByteSet::of(1, 7)), both, kYes, kNo},
        {"out, which is not known yet", test(Way::kOut, ByteSet::of(1)), arriving, kNo, kNo},
        {"either, at departure (LEGACY S4)", test(Way::kEither, ByteSet::of(1)), both, kYes, kNo},
        {"either, at arrival", test(Way::kEither, ByteSet::of(1)), arriving, kNo, kYes},
        {"a name that is no link yet (LEGACY S6)", test(Way::kIn, {}), both, kNo, kYes},
    });
}

TEST_CASE("a test of TCP flags looks at those of its mask", "[rules]") {
    const auto flags = [](uint8_t f) {
        return with(tcp("10.0.0.1", "10.0.0.2", 80), [f](RulePacket& p) { p.tcp_flags = f; });
    };
    const Condition syn{TcpFlagsTest{kSyn | kRst | kAck, kSyn, false}};
    const Condition old_syn{TcpFlagsTest{kSyn | kAck, kSyn, true}};
    const RulePacket other = udp("10.0.0.1", "10.0.0.2", 80);
    check({
        {"SYN", syn, flags(kSyn), kYes, kNo},
        {"SYN and FIN (LEGACY S7)", syn, flags(kSyn | kFin), kYes, kNo},
        {"SYN and ACK", syn, flags(kSyn | kAck), kNo, kYes},
        {"no flag", syn, flags(0), kNo, kYes},
        {"UDP (LEGACY C3)", syn, other, kNo, kNo},
        {"a later fragment (LEGACY C3)", syn, later_fragment(flags(kSyn)), kNo, kNo},
        {"UDP, as ipfwadm has it (LEGACY S7)", old_syn, other, kYes, kYes},
        {"a later fragment, the same", old_syn, later_fragment(flags(0)), kYes, kYes},
        {"SYN, the same", old_syn, flags(kSyn), kYes, kNo},
    });
}

TEST_CASE("tests of single fields", "[rules]") {
    const RulePacket p = with(tcp("10.0.0.1", "10.0.0.2", 80), [](RulePacket& packet) {
        packet.tos = 0xb9;
        packet.ttl = 5;
        packet.length = 1500;
        packet.state = ConnectionState::kRelated;
        packet.realm = RealmId{3};
        packet.group = GroupId{7};
        packet.mark = 0x1234;
    });
    const RulePacket first = with(p, [](RulePacket& f) { f.fragment = FragmentKind::kFirst; });
    const auto states = [](auto... s) { return Condition{StateTest{ByteSet::of(s...)}}; };
    using enum ConnectionState;
    check({
        {"protocol", protocol(Protocol::kTcp), p, kYes, kNo},
        {"another protocol", protocol(Protocol::kUdp), p, kNo, kYes},
        {"protocol of a later fragment", protocol(Protocol::kTcp), later_fragment(p), kYes, kNo},
        {"whole", {FragmentTest{true, false, false}}, p, kYes, kNo},
        {"first", {FragmentTest{false, true, false}}, first, kYes, kNo},
        {"first is not whole", {FragmentTest{true, false, false}}, first, kNo, kYes},
        {"later", {FragmentTest{false, false, true}}, later_fragment(p), kYes, kNo},
        {"first is not later (LEGACY C4)", {FragmentTest{false, false, true}}, first, kNo, kYes},
        {"TOS", {TosTest{0xff, 0xb9}}, p, kYes, kNo},
        {"DSCP", {TosTest{0xfc, 0xb8}}, p, kYes, kNo},
        {"another DSCP", {TosTest{0xfc, 0xb4}}, p, kNo, kYes},
        {"length", {LengthTest{{{1400, 1500}}}}, p, kYes, kNo},
        {"another length", {LengthTest{{{0, 100}, {1501, 65535}}}}, p, kNo, kYes},
        {"TTL", {TtlTest{{0, 5}}}, p, kYes, kNo},
        {"another TTL", {TtlTest{{6, 255}}}, p, kNo, kYes},
        {"state", states(kEstablished, kRelated), p, kYes, kNo},
        {"other states", states(kNew, kInvalid, kUntracked), p, kNo, kYes},
        {"realm", {RealmTest{ByteSet::of(3)}}, p, kYes, kNo},
        {"another realm", {RealmTest{ByteSet::of(0, 1)}}, p, kNo, kYes},
        {"group", {GroupTest{{GroupId{1}, GroupId{7}}}}, p, kYes, kNo},
        {"another group", {GroupTest{{GroupId{1}}}}, p, kNo, kYes},
        {"mark", {MarkTest{0xff00, 0x1200}}, p, kYes, kNo},
        {"another mark", {MarkTest{0xffffffff, 0x1200}}, p, kNo, kYes},
        {"a pattern that was not found", {PayloadTest{PatternId{4}}}, p, kNo, kYes},
    });
    const std::vector<PatternId> seen = {PatternId{2}, PatternId{4}, PatternId{9}};
    const RulePacket found = with(p, [&](RulePacket& packet) { packet.patterns = seen; });
    check({
        {"a pattern that was found", {PayloadTest{PatternId{4}}}, found, kYes, kNo},
        {"another pattern", {PayloadTest{PatternId{5}}}, found, kNo, kYes},
    });
}

TEST_CASE("a test of time holds between two seconds of its days", "[rules]") {
    const auto at = [](unsigned day, unsigned hour) {
        return with(tcp("10.0.0.1", "10.0.0.2", 80), [&](RulePacket& p) {
            p.time = {day * TimeOfWeek::kDay + hour * 3600};
        });
    };
    const Condition office{TimeTest{0x1f, {8 * 3600, 17 * 3600}}};
    const Condition night{TimeTest{0x01, {22 * 3600, 6 * 3600}}};
    check({
        {"Monday morning", office, at(0, 8), kYes, kNo},
        {"Friday afternoon", office, at(4, 17), kYes, kNo},
        {"Saturday", office, at(5, 12), kNo, kYes},
        {"too early", office, at(0, 7), kNo, kYes},
        {"before midnight", night, at(0, 23), kYes, kNo},
        {"Monday's own small hours", night, at(0, 5), kYes, kNo},
        {"Tuesday's", night, at(1, 5), kNo, kYes},
        {"Monday noon", night, at(0, 12), kNo, kYes},
    });
}

TEST_CASE("a rule may agree either way", "[rules]") {
    const AddressSets sets;
    Rule r = rule({from("10.0.0.0/8"), to_port(80), protocol(Protocol::kTcp)}, {});
    const RulePacket forth = tcp("10.0.0.1", "192.0.2.1", 80);
    RulePacket back = tcp("192.0.2.1", "10.0.0.1", 40000);
    back.source_port = Port::from_host(80);
    CHECK(covers(r, Part::kAll, forth, sets));
    CHECK_FALSE(covers(r, Part::kAll, back, sets));
    r.either_way = true;
    CHECK(covers(r, Part::kAll, forth, sets));
    CHECK(covers(r, Part::kAll, back, sets));
    // Addresses one way and ports the other are neither (LEGACY S8).
    back.source_port = Port::from_host(81);
    back.destination_port = Port::from_host(80);
    CHECK_FALSE(covers(r, Part::kAll, back, sets));
}

TEST_CASE("what is fixed in a flow and what varies are asked apart", "[rules]") {
    const AddressSets sets;
    const Rule r = rule({from("10.0.0.0/8"), {TtlTest{{0, 5}}}}, {});
    RulePacket packet = tcp("10.0.0.1", "192.0.2.1", 80);
    CHECK(covers(r, Part::kFixed, packet, sets));
    CHECK_FALSE(covers(r, Part::kVarying, packet, sets));
    packet.ttl = 5;
    packet.source = address("11.0.0.1");
    CHECK_FALSE(covers(r, Part::kFixed, packet, sets));
    CHECK(covers(r, Part::kVarying, packet, sets));
    CHECK_FALSE(covers(r, Part::kAll, packet, sets));
}

}  // namespace sekisho::rules::test
