#include "dataplane/slow_path_icmp.h"

#include "packet/checksum.h"
#include "slow_path_rig.h"

using namespace sekisho;
using namespace sekisho::test;

namespace {

// Whether IPv4 header and ICMP message verify.
bool checksums_hold(const ByteVector& bytes, size_t l3_offset = packet::kEthernetHeader) {
    const auto ip_view = packet::Ipv4View::at(packet::Bytes(bytes).subspan(l3_offset));
    return ip_view && packet::verifies(ip_view->header()) && packet::verifies(ip_view->payload());
}

PacketBuilder datagram(std::string_view source, std::string_view destination) {
    return frame().ipv4(source, destination).udp(1000, 33434).payload("hello");
}

}  // namespace

// ---- echo

TEST_CASE(
    "an echo request to an own address is answered from that address", "[dataplane][rfc792]"
) {
    SlowPathRig rig;
    rig.start();
    for (const char* own : {"100.64.0.1", "198.51.100.2"}) {
        for (const char* payload : {"", "x", "abcdefg", "abcdefgh"}) {
            CAPTURE(own, payload);
            const ByteVector bytes =
                frame().ipv4("100.64.0.9", own).ttl(1).echo_request(77, 5).payload(payload).bytes();
            REQUIRE(rig.punt(Punt::kToAppliance, bytes, kInt));
            const Outcome out = only(rig.poll());
            CHECK(out.back.kind == Back::kAnswer);
            CHECK(out.back.l3_offset == packet::kEthernetHeader);
            CHECK(out.back.packet.flags == (packet::kGenerated | packet::kCounted));
            CHECK(checksums_hold(out.bytes));
            const Decoded answer = out.frame();
            CHECK(answer.source == ip(own));
            CHECK(answer.destination == ip("100.64.0.9"));
            CHECK(answer.ttl == 64);
            CHECK(answer.icmp_type == 0);
            CHECK(answer.icmp_id == 77);
            CHECK(answer.icmp_sequence == 5);
            CHECK(text_of(answer.payload) == payload);
        }
    }
    rig.check();
}

TEST_CASE("an echo reply keeps IPv4 options and tags", "[dataplane][rfc1122]") {
    SlowPathRig rig;
    rig.start();
    const ByteVector bytes = frame()
                                 .vlan(100)
                                 .ipv4("192.0.2.9", "192.0.2.1")
                                 .ip_options({1, 1, 1, 1})
                                 .echo_request(7, 1)
                                 .payload("options")
                                 .bytes();
    REQUIRE(rig.punt(Punt::kToAppliance, bytes, kVlan, 0, 18));
    const Outcome out = only(rig.poll());
    CHECK(out.back.l3_offset == 18);
    CHECK(checksums_hold(out.bytes, 18));
    CHECK(out.frame().icmp_type == 0);
}

TEST_CASE(
    "an echo request with a wrong checksum gets no answer that verifies", "[dataplane][icmp]"
) {
    SlowPathRig rig;
    rig.start();
    const ByteVector bytes =
        frame().ipv4("100.64.0.9", "100.64.0.1").echo_request(7).l4_checksum(0x1234).bytes();
    REQUIRE(rig.punt(Punt::kToAppliance, bytes, kInt));
    CHECK_FALSE(checksums_hold(only(rig.poll()).bytes));
}

TEST_CASE("an echo reply of nothing but zeros has a checksum that verifies", "[dataplane][icmp]") {
    SlowPathRig rig;
    rig.start();
    const ByteVector bytes = frame().ipv4("100.64.0.9", "100.64.0.1").echo_request(0, 0).bytes();
    REQUIRE(rig.punt(Punt::kToAppliance, bytes, kInt));
    CHECK(checksums_hold(only(rig.poll()).bytes));
}

TEST_CASE("echo answers have a rate", "[dataplane][icmp]") {
    SlowPathSettings settings;
    settings.echo_per_second = 10;
    SlowPathRig rig(1, settings);
    rig.start();
    const auto answered = [&](int requests) {
        size_t answers = 0;
        for (int i = 0; i < requests; ++i) {
            const ByteVector bytes =
                frame().ipv4("100.64.0.9", "100.64.0.1").echo_request(7).bytes();
            REQUIRE(rig.punt(Punt::kToAppliance, bytes, kInt));
            answers += only(rig.poll()).back.kind == Back::kAnswer;
        }
        return answers;
    };
    CHECK(answered(50) == 10);
    CHECK(rig.dropped[DropReason::kRateLimited] == 40);
    rig.now = rig.now + 300;
    CHECK(answered(50) == 3);
    rig.now = rig.now + 3600000;
    CHECK(answered(50) == 10);
    rig.check();
}

// ---- other packets to the appliance

TEST_CASE("what else is sent to the appliance", "[dataplane][rfc1122]") {
    struct Case {
        const char* what;
        PacketBuilder packet;
        Back::Kind kind;
        DropReason reason;
    };
    const auto to_us = [] { return frame().ipv4("100.64.0.9", "100.64.0.1"); };
    const ByteVector quote = frame().ipv4("100.64.0.1", "100.64.0.9").udp(1, 2).l3();
    const Case cases[] = {
        {"TCP", to_us().tcp(1, 22, packet::kSyn), Back::kDropped, DropReason::kToAppliance},
        {"UDP", to_us().udp(1, 53), Back::kAnswer, {}},
        {"an echo reply", to_us().echo_reply(1), Back::kDropped, DropReason::kToAppliance},
        {"an ICMP error",
         to_us().icmp_error(3, 1, quote),
         Back::kDropped,
         DropReason::kToAppliance},
        {"a timestamp request", to_us().icmp(13, 0), Back::kDropped, DropReason::kToAppliance},
        {"ICMP of one byte",
         to_us().protocol(1).payload("\x08"),
         Back::kDropped,
         DropReason::kTruncatedTransport},
        {"no ICMP at all", to_us().protocol(1), Back::kDropped, DropReason::kToAppliance},
        {"another protocol",
         to_us().protocol(47).payload("gre"),
         Back::kDropped,
         DropReason::kToAppliance},
        {"a first fragment",
         to_us().fragment(0, true).echo_request(1),
         Back::kDropped,
         DropReason::kFragment},
        {"a later fragment",
         to_us().fragment(8, false).udp(1, 2),
         Back::kDropped,
         DropReason::kFragment},
        {"from ourselves",
         frame().ipv4("198.51.100.2", "100.64.0.1").echo_request(1),
         Back::kDropped,
         DropReason::kSpoofedSource},
        {"UDP from a broadcast address",
         frame().ipv4("100.127.255.255", "100.64.0.1").udp(1, 2),
         Back::kDropped,
         DropReason::kToAppliance},
        {"not IPv4", to_us().udp(1, 2).version(6), Back::kDropped, DropReason::kBadIpHeader},
    };
    for (const Case& each : cases) {
        CAPTURE(each.what);
        SlowPathRig rig;
        rig.start();
        REQUIRE(rig.punt(Punt::kToAppliance, each.packet.bytes(), kInt));
        const Outcome out = only(rig.poll());
        CHECK(out.back.kind == each.kind);
        if (each.kind == Back::kDropped) {
            CHECK(base::info(out.reason()).text == base::info(each.reason).text);
        }
        rig.check();
    }
}

TEST_CASE("a traceroute to the appliance ends with port unreachable", "[dataplane][rfc792]") {
    SlowPathRig rig;
    rig.start();
    const PacketBuilder probe = datagram("100.64.0.9", "198.51.100.2");
    REQUIRE(rig.punt(Punt::kToAppliance, probe.bytes(), kInt));
    const Outcome out = only(rig.poll());
    CHECK(out.back.kind == Back::kAnswer);
    CHECK(checksums_hold(out.bytes));
    const Decoded error = out.frame();
    CHECK(error.source == ip("198.51.100.2"));  // the address that was asked
    CHECK(error.destination == ip("100.64.0.9"));
    CHECK(error.icmp_type == 3);
    CHECK(error.icmp_code == 3);
    CHECK(error.payload == probe.l3());
    rig.check();
}

// ---- errors owed

TEST_CASE("each reason owes its error", "[dataplane][rfc1812]") {
    struct Case {
        DropReason reason;
        int type;  // negative: none
        int code;
        uint16_t detail = 1400;
    };
    const Case cases[] = {
        {DropReason::kTtlExceeded, 11, 0},
        {DropReason::kTooBig, 3, 4},
        {DropReason::kNoRoute, 3, 0},
        {DropReason::kNoPolicy, 3, 13, 13},
        {DropReason::kPoolExhausted, 3, 1, 1},    // RFC 6888 REQ-11
        {DropReason::kPoolExhausted, 3, 13, 13},  // RFC 5508 REQ-8
        {DropReason::kSubscriberPortLimit, 3, 1, 1},
        {DropReason::kSubscriberSessionLimit, 3, 13, 13},
        {DropReason::kSubscriberMappingLimit, 3, 1, 1},
        {DropReason::kSubscriberHalfOpen, 3, 1, 1},
        {DropReason::kSubscriberRate, 3, 1, 1},
        {DropReason::kSessionTableFull, 3, 1, 1},
        {DropReason::kMappingTableFull, 3, 1, 1},
        {DropReason::kSubscriberTableFull, 3, 1, 1},
        {DropReason::kAddressOnlyFull, 3, 1, 1},
        {DropReason::kFiltered, -1, 0},
        {DropReason::kMartianSource, -1, 0},
        {DropReason::kBug, -1, 0},
    };
    for (const Case& each : cases) {
        CAPTURE(base::info(each.reason).text);
        SlowPathRig rig;
        rig.start();
        const PacketBuilder packet = datagram("100.64.0.9", "8.8.8.8").ttl(1).tos(0x10);
        REQUIRE(rig.punt_error(packet.bytes(), kInt, each.reason, each.detail));
        const Outcome out = only(rig.poll());
        if (each.type < 0) {
            CHECK(out.back.kind == Back::kFree);
            CHECK(out.bytes == packet.bytes());
        } else {
            CHECK(out.back.kind == Back::kGeneratedSend);
            CHECK(out.back.l3_offset == packet::kEthernetHeader);
            CHECK(out.back.packet.in_link == kInt);
            CHECK(checksums_hold(out.bytes));
            const Decoded error = out.frame();
            CHECK(error.source == ip("100.64.0.1"));
            CHECK(error.destination == ip("100.64.0.9"));
            CHECK(error.ttl == 64);
            CHECK(int{error.icmp_type} == each.type);
            CHECK(int{error.icmp_code} == each.code);
            CHECK(error.icmp_sequence == (each.reason == DropReason::kTooBig ? 1400 : 0));
            CHECK(error.payload == packet.l3());
            CHECK(out.bytes[15] == 0xc0);  // RFC 1812 4.3.2.5: precedence
        }
        rig.check();
    }
}

TEST_CASE(
    "an unsolicited SYN is answered from where it went, and at a rate of its own",
    "[dataplane][rfc5382-req4]"
) {
    SlowPathSettings settings;
    settings.errors_per_second = 100;
    settings.unsolicited_per_second = 10;
    SlowPathRig rig(1, settings);
    rig.start();
    const auto answer = [&](int source, DropReason reason) {
        const std::string from = "8.8.8." + std::to_string(source);
        REQUIRE(rig.punt_error(datagram(from, "203.0.113.3").bytes(), kExt, reason));
        return only(rig.poll());
    };
    int answered = 0;
    for (int i = 1; i <= 100; ++i) {
        const Outcome out = answer(i, DropReason::kNoMapping);
        if (out.back.kind == Back::kGeneratedSend) {
            ++answered;
            CHECK(out.frame().source == ip("203.0.113.3"));
            CHECK(int{out.frame().icmp_type} == 3);
            CHECK(int{out.frame().icmp_code} == 3);
        }
    }
    CHECK(answered == 10);
    for (int i = 101; i <= 200; ++i) {  // the bucket of all others is full still
        CHECK(answer(i, DropReason::kTtlExceeded).back.kind == Back::kGeneratedSend);
    }
    rig.check();
}

TEST_CASE(
    "an error speaks with the address of the link that the packet came from", "[dataplane][rfc1812]"
) {
    SlowPathRig rig;
    rig.start();
    REQUIRE(
        rig.punt_error(datagram("8.8.8.8", "203.0.113.3").bytes(), kExt, DropReason::kTtlExceeded)
    );
    CHECK(only(rig.poll()).frame().source == ip("198.51.100.2"));
    REQUIRE(
        rig.punt_error(datagram("192.0.2.9", "8.8.8.8").bytes(), kVlan, DropReason::kTtlExceeded)
    );
    CHECK(only(rig.poll()).frame().source == ip("192.0.2.1"));
}

TEST_CASE("a link without an address sends no errors", "[dataplane][rfc1812]") {
    config::Config config = rig_config();
    config.links[2].addresses.clear();
    SlowPathRig rig(1, {}, {}, config);
    rig.start();
    REQUIRE(
        rig.punt_error(datagram("192.0.2.9", "8.8.8.8").bytes(), kVlan, DropReason::kTtlExceeded)
    );
    CHECK(only(rig.poll()).back.kind == Back::kFree);
    rig.check();
}

TEST_CASE("an error quotes no more than 548 bytes", "[dataplane][rfc1812]") {
    for (const size_t size : {0, 1, 519, 520, 521, 1472, 1800}) {
        CAPTURE(size);
        SlowPathRig rig;
        rig.start();
        const PacketBuilder packet =
            frame().ipv4("100.64.0.9", "8.8.8.8").udp(1, 2).payload_size(size).padding(3);
        REQUIRE(rig.punt_error(packet.bytes(), kInt, DropReason::kTooBig, 1400));
        const Outcome out = only(rig.poll());
        const Decoded error = out.frame();
        CHECK(checksums_hold(out.bytes));
        const size_t quoted = std::min<size_t>(28 + size, 548);
        CHECK(error.payload.size() == quoted);
        CHECK(error.total_length == quoted + 28);
        CHECK(out.bytes.size() == packet::kEthernetHeader + quoted + 28);
        const ByteVector l3 = packet.l3();
        CHECK(std::equal(error.payload.begin(), error.payload.end(), l3.begin()));
        rig.check();
    }
}

TEST_CASE("an error about a tagged packet keeps the tag's place", "[dataplane][rfc1812]") {
    SlowPathRig rig;
    rig.start();
    Punt punt;
    punt.kind = Punt::kIcmpError;
    punt.link = kVlan;
    punt.l3_offset = 18;
    punt.reason = static_cast<uint8_t>(DropReason::kTtlExceeded);
    const PacketBuilder packet = datagram("192.0.2.9", "8.8.8.8").vlan(100);
    punt.packet = rig.store.make(packet.bytes(), kVlan);
    REQUIRE(rig.push(punt, PuntClass::kError, 0));
    const Outcome out = only(rig.poll());
    CHECK(out.back.l3_offset == 18);
    CHECK(out.frame().vlans == std::vector<uint16_t>{100});
    CHECK(out.frame().payload == packet.l3());
}

TEST_CASE("what no error may answer", "[dataplane][rfc1812]") {
    const ByteVector quote = frame().ipv4("8.8.8.8", "100.64.0.9").udp(1, 2).l3();
    const auto to = [](std::string_view destination) {
        return datagram("100.64.0.9", destination);
    };
    const auto from = [](std::string_view source) { return datagram(source, "8.8.8.8"); };
    const auto icmp = [] { return frame().ipv4("100.64.0.9", "8.8.8.8"); };
    struct Case {
        const char* what;
        PacketBuilder packet;
        bool answered;
    };
    const Case cases[] = {
        {"a datagram", from("100.64.0.9"), true},
        {"a first fragment", from("100.64.0.9").fragment(0, true), true},
        {"a later fragment", from("100.64.0.9").fragment(1, true), false},
        {"the last fragment", from("100.64.0.9").fragment(100, false), false},
        {"an echo request", icmp().echo_request(1), true},
        {"an echo reply", icmp().echo_reply(1), true},
        {"destination unreachable", icmp().icmp_error(3, 1, quote), false},
        {"source quench", icmp().icmp(4, 0), false},
        {"a redirect", icmp().icmp(5, 0), false},
        {"time exceeded", icmp().icmp_error(11, 0, quote), false},
        {"parameter problem", icmp().icmp_error(12, 0, quote), false},
        {"an ICMP type nobody knows", icmp().icmp(250, 0), false},
        {"ICMP without a byte", icmp().protocol(1), false},
        {"to multicast", to("224.0.0.1"), false},
        {"to all", to("255.255.255.255"), false},
        {"to a link's broadcast address", to("198.51.100.255"), false},
        {"to a link's network address", to("198.51.100.0"), false},
        {"to nobody", to("0.0.0.0"), false},
        {"from nobody", from("0.0.0.0"), false},
        {"from this network", from("0.1.2.3"), false},
        {"from a loopback address", from("127.0.0.1"), false},
        {"from multicast", from("224.1.2.3"), false},
        {"from class E", from("250.0.0.1"), false},
        {"from all", from("255.255.255.255"), false},
        {"from a link's broadcast address", from("100.127.255.255"), false},
        {"from ourselves", from("198.51.100.2"), false},
    };
    for (const Case& each : cases) {
        CAPTURE(each.what);
        SlowPathRig rig;
        rig.start();
        REQUIRE(rig.punt_error(each.packet.bytes(), kInt, DropReason::kTtlExceeded));
        CHECK(only(rig.poll()).back.kind == (each.answered ? Back::kGeneratedSend : Back::kFree));
        rig.check();
    }
}

TEST_CASE("errors have a rate for each source and one for all", "[dataplane][rfc1812]") {
    SlowPathSettings settings;
    settings.errors_per_second = 100;
    settings.errors_per_source_per_second = 20;
    SlowPathRig rig(1, settings);
    rig.start();
    const auto sent = [&](std::string_view source, int packets) {
        size_t errors = 0;
        for (int i = 0; i < packets; ++i) {
            REQUIRE(
                rig.punt_error(datagram(source, "8.8.8.8").bytes(), kInt, DropReason::kTtlExceeded)
            );
            errors += only(rig.poll()).back.kind == Back::kGeneratedSend;
        }
        return errors;
    };
    CHECK(sent("100.64.0.9", 60) == 20);
    CHECK(sent("100.64.0.10", 60) == 20);
    size_t others = 0;
    for (int i = 1; i <= 100; ++i) {
        others += sent("100.64.7." + std::to_string(i), 1);
    }
    CHECK(others == 60);
    rig.now = rig.now + 500;
    CHECK(sent("100.64.0.9", 60) == 10);
    CHECK(rig.slow.counters().errors_sent.read() == 110);
    CHECK(rig.slow.counters().errors_suppressed.read() == 40 + 40 + 40 + 50);
    rig.check();
}

TEST_CASE("a malformed packet gets no error and is given back as it was", "[dataplane][icmp]") {
    const ByteVector good = datagram("100.64.0.9", "8.8.8.8").bytes();
    SlowPathRig rig;
    rig.start();
    for (size_t length = 0; length < packet::kEthernetHeader + packet::kIpv4Header; ++length) {
        const ByteVector cut(good.begin(), good.begin() + static_cast<ptrdiff_t>(length));
        REQUIRE(rig.punt_error(cut, kInt, DropReason::kTtlExceeded));
        const Outcome out = only(rig.poll());
        CHECK(out.back.kind == Back::kFree);
        CHECK(out.bytes == cut);
        REQUIRE(rig.punt(Punt::kToAppliance, cut, kInt));
        CHECK(only(rig.poll()).reason() == DropReason::kBadIpHeader);
    }
    rig.check();
}

TEST_CASE("a buffer without headroom gets no error", "[dataplane][icmp]") {
    HeapStore store(1);
    PacketRef packet = store.make(datagram("100.64.0.9", "8.8.8.8").bytes());
    const ByteVector before = bytes_of(packet);
    const uint16_t headroom = packet.headroom;
    packet.headroom = 27;
    const dataplane::IcmpErrorKind kind{11, 0};
    CHECK_FALSE(dataplane::make_icmp_error(packet, 14, kind, ip("100.64.0.1")));
    CHECK(bytes_of(packet) == before);
    packet.headroom = 28;
    CHECK(dataplane::make_icmp_error(packet, 14, kind, ip("100.64.0.1")));
    CHECK(packet.headroom == 0);
    packet.headroom = static_cast<uint16_t>(headroom - 28);
    store.free_one(packet);
}
