// IPv4, TCP and UDP through parse: what passes and with which key, and the named drop of everything
// else.
#include "packet/parse.h"

#include <catch2/catch.hpp>

#include "packet/checksum.h"
#include "parsed.h"

namespace sekisho::test {
namespace {

using namespace packet;  // NOLINT: tests of this module

PacketBuilder a_udp() {
    return frame().ipv4("100.64.0.5", "192.0.2.1").udp(1000, 53).payload("query");
}
PacketBuilder a_tcp() {
    return frame().ipv4("100.64.0.5", "192.0.2.1").tcp(1000, 80, kSyn);
}

}  // namespace

TEST_CASE("an outbound UDP packet gets its offsets, key and TTL", "[packet]") {
    const auto p = parse_frame(a_udp().ttl(9).bytes());
    REQUIRE(outcome(p.meta) == "pass");
    CHECK(p.meta.kind == PacketKind::kUdp);
    CHECK(p.meta.direction == Direction::kOutbound);
    CHECK(
        p.meta.key == FlowKey::of(
                          ip("100.64.0.5"),
                          ip("192.0.2.1"),
                          Port::from_host(1000),
                          Port::from_host(53),
                          Protocol::kUdp,
                          kInternalRealm
                      )
    );
    CHECK(p.meta.l3_offset == 14);
    CHECK(p.meta.l4_offset == 34);
    CHECK(p.meta.l3_length == 20 + 8 + 5);
    CHECK(p.meta.quote_offset == 0);
    CHECK(p.meta.ttl == 9);
}

TEST_CASE("an inbound TCP segment is keyed in the external realm and keeps its flags", "[packet]") {
    const auto p = parse_frame(
        frame().ipv4("192.0.2.1", "203.0.113.5").tcp(80, 40000, kSyn | kAck).bytes(), kExternalLink
    );
    REQUIRE(outcome(p.meta) == "pass");
    CHECK(p.meta.kind == PacketKind::kTcp);
    CHECK(p.meta.direction == Direction::kInbound);
    CHECK(p.meta.tcp_flags == (kSyn | kAck));
    CHECK(
        p.meta.key == FlowKey::of(
                          ip("192.0.2.1"),
                          ip("203.0.113.5"),
                          Port::from_host(80),
                          Port::from_host(40000),
                          Protocol::kTcp,
                          kExternalRealm
                      )
    );
}

TEST_CASE("a hairpinned packet is inbound though its link is internal", "[packet]") {
    const auto p = parse_frame(a_udp().mac(kHostMac, kHostMac).bytes(), kInternalLink, kHairpin);
    REQUIRE(outcome(p.meta) == "pass");
    CHECK(p.meta.direction == Direction::kInbound);
    CHECK(p.meta.key.realm() == kExternalRealm);
}

TEST_CASE("the key of every internal link carries that link's realm", "[packet]") {
    auto links = two_links();
    links[0].realm = RealmId{7};
    CHECK(parse_frame(a_udp().bytes(), kInternalLink, 0, links).meta.key.realm() == RealmId{7});
}

TEST_CASE("Ethernet padding behind the IPv4 packet is cut off", "[packet]") {
    auto p = parse_frame(a_udp().padding(13).bytes());
    REQUIRE(outcome(p.meta) == "pass");
    CHECK(p.ref.length == 14 + 33);
    CHECK(p.ref.frame_length == 14 + 33);
}

TEST_CASE("padding in another segment is cut off too", "[packet]") {
    const auto bytes = a_udp().padding(13).bytes();
    auto p = parse_segment(bytes, 14 + 33);
    REQUIRE(outcome(p.meta) == "pass");
    CHECK(p.ref.length == 14 + 33);
    CHECK(p.ref.frame_length == 14 + 33);
}

TEST_CASE("a UDP datagram may be shorter than the IPv4 payload", "[packet]") {
    CHECK(outcome(a_udp().udp_length(8)) == "pass");
    CHECK(outcome(a_udp().udp_length(13)) == "pass");
}

TEST_CASE("a malformed IPv4 packet is a named drop", "[packet][rfc1812]") {
    struct Row {
        const char* what;
        PacketBuilder packet;
        const char* outcome;
    };
    const Row rows[] = {
        {"version 6", a_udp().version(6), "bad-ip-header"},
        {"IHL 4", a_udp().header_words(4), "bad-ip-header"},
        {"IHL 0", a_udp().header_words(0), "bad-ip-header"},
        {"IHL beyond the frame", a_udp().header_words(15), "truncated-ip"},
        {"total length below the header", a_udp().total_length(19), "bad-ip-length"},
        {"total length zero", a_udp().total_length(0), "bad-ip-length"},
        {"total length beyond the frame", a_udp().total_length(34), "bad-ip-length"},
        {"total length 65535", a_udp().total_length(65535), "bad-ip-length"},
        {"wrong checksum", a_udp().ip_checksum(0x1234), "bad-ip-checksum"},
        {"TTL 0", a_udp().ttl(0), "ttl-exceeded"},
        {"TTL 1 is left to later stages", a_udp().ttl(1), "pass"},
        {"don't fragment is no fragment", a_udp().dont_fragment(), "pass"},
        {"EGP",
         frame().ipv4("100.64.0.5", "192.0.2.1").protocol(8).payload("x"),
         "unknown-protocol"},
        {"GRE", frame().ipv4("100.64.0.5", "192.0.2.1").protocol(47).payload("1234"), "pass"},
        {"GRE without its header",
         frame().ipv4("100.64.0.5", "192.0.2.1").protocol(47).payload("123"),
         "truncated-transport"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.what);
        CHECK(outcome(row.packet) == row.outcome);
    }
}

TEST_CASE("addresses that no packet may carry are martians", "[packet][rfc1812]") {
    struct Row {
        const char* source;
        const char* destination;
        const char* outcome;
    };
    const Row rows[] = {
        {"0.0.0.0", "192.0.2.1", "martian-source"},
        {"0.255.255.255", "192.0.2.1", "martian-source"},
        {"1.0.0.0", "192.0.2.1", "pass"},
        {"126.255.255.255", "192.0.2.1", "pass"},
        {"127.0.0.1", "192.0.2.1", "martian-source"},
        {"128.0.0.1", "192.0.2.1", "pass"},
        {"223.255.255.255", "192.0.2.1", "pass"},
        {"224.0.0.1", "192.0.2.1", "martian-source"},
        {"240.0.0.1", "192.0.2.1", "martian-source"},
        {"255.255.255.255", "192.0.2.1", "martian-source"},
        {"100.64.0.5", "0.0.0.0", "martian-destination"},
        {"100.64.0.5", "1.0.0.1", "pass"},
        {"100.64.0.5", "127.0.0.1", "martian-destination"},
        {"100.64.0.5", "223.255.255.255", "pass"},
        {"100.64.0.5", "224.0.0.1", "multicast"},
        {"100.64.0.5", "239.255.255.250", "multicast"},
        {"100.64.0.5", "240.0.0.0", "martian-destination"},
        {"100.64.0.5", "255.255.255.255", "martian-destination"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.source, row.destination);
        CHECK(outcome(frame().ipv4(row.source, row.destination).udp(1, 2)) == row.outcome);
        const auto options = frame().ipv4(row.source, row.destination).ip_options({1}).udp(1, 2);
        CHECK(outcome(options) == row.outcome);
    }
}

TEST_CASE(
    "IPv4 options are walked; source routes and malformed ones are dropped", "[packet][rfc7126]"
) {
    struct Row {
        const char* what;
        ByteVector options;
        const char* outcome;
    };
    const Row rows[] = {
        {"no-operation", {1, 1, 1, 1}, "pass"},
        {"end of options, rubbish behind", {0, 99, 99, 99}, "pass"},
        {"router alert", {148, 4, 0, 0}, "pass"},
        {"record route", {7, 7, 4, 0, 0, 0, 0, 0}, "pass"},
        {"loose source route", {131, 7, 4, 192, 0, 2, 9, 0}, "source-routed"},
        {"strict source route behind a NOP", {1, 137, 7, 4, 192, 0, 2, 9}, "source-routed"},
        {"length zero", {7, 0, 0, 0}, "bad-ip-header"},
        {"length one", {7, 1, 0, 0}, "bad-ip-header"},
        {"length beyond the header", {7, 5, 0, 0}, "bad-ip-header"},
        {"no room for a length", {1, 1, 1, 7}, "bad-ip-header"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.what);
        const auto packet = a_udp().ip_options(row.options);
        CHECK(outcome(packet) == row.outcome);
        CHECK(outcome(PacketBuilder(packet).ip_checksum(0x1234)) == "bad-ip-checksum");
    }
    const auto p = parse_frame(a_udp().ip_options({148, 4, 0, 0}).bytes());
    CHECK(p.meta.l4_offset == 14 + 24);
    CHECK(p.meta.key.source_port().host() == 1000);
}

TEST_CASE("a TCP or UDP header that cannot be is a named drop", "[packet]") {
    struct Row {
        const char* what;
        PacketBuilder packet;
        const char* outcome;
    };
    const auto tcp_with = [](int flags) {
        return frame().ipv4("100.64.0.5", "192.0.2.1").tcp(1000, 80, static_cast<uint8_t>(flags));
    };
    const Row rows[] = {
        {"UDP length 7", a_udp().udp_length(7), "bad-transport-length"},
        {"UDP length 0", a_udp().udp_length(0), "bad-transport-length"},
        {"UDP length beyond the packet", a_udp().udp_length(14), "bad-transport-length"},
        {"UDP source port zero", a_udp().udp(0, 53), "port-zero"},
        {"UDP destination port zero", a_udp().udp(1000, 0), "port-zero"},
        {"TCP source port zero", a_tcp().tcp(0, 80, kSyn), "port-zero"},
        {"TCP destination port zero", a_tcp().tcp(1000, 0, kSyn), "port-zero"},
        {"TCP data offset 4", a_tcp().data_offset(4), "bad-transport-length"},
        {"TCP data offset 0", a_tcp().data_offset(0), "bad-transport-length"},
        {"TCP data offset beyond the packet", a_tcp().data_offset(6), "bad-transport-length"},
        {"TCP options", a_tcp().tcp_options({2, 4, 5, 0xb4}), "pass"},
        {"no flags", tcp_with(0), "bad-tcp-flags"},
        {"SYN and FIN", tcp_with(kSyn | kFin), "bad-tcp-flags"},
        {"SYN and RST", tcp_with(kSyn | kRst), "bad-tcp-flags"},
        {"all flags", tcp_with(0xff), "bad-tcp-flags"},
        {"SYN with ECE and CWR", tcp_with(kSyn | 0xc0), "pass"},
        {"RST and ACK", tcp_with(kRst | kAck), "pass"},
        {"FIN, PSH and ACK", tcp_with(kFin | kPsh | kAck), "pass"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.what);
        CHECK(outcome(row.packet) == row.outcome);
    }
}

TEST_CASE("a wrong transport checksum is the ends' business", "[packet]") {
    CHECK(outcome(a_udp().l4_checksum(0x1234)) == "pass");
    CHECK(outcome(a_udp().l4_checksum(0)) == "pass");
    CHECK(outcome(a_tcp().l4_checksum(0x1234)) == "pass");
}

TEST_CASE("what the NIC says of checksums is believed", "[packet][pitfall-22]") {
    const auto wrong = a_udp().ip_checksum(0x1234);
    CHECK(outcome(wrong, kInternalLink, kIpChecksumGood) == "pass");
    CHECK(
        outcome(a_udp().ip_options({1}).ip_checksum(0x1234), kInternalLink, kIpChecksumGood) ==
        "pass"
    );
    CHECK(outcome(a_udp(), kInternalLink, kIpChecksumBad) == "bad-ip-checksum");
    CHECK(outcome(a_udp().ip_options({1}), kInternalLink, kIpChecksumBad) == "bad-ip-checksum");
    CHECK(outcome(a_udp(), kInternalLink, kL4ChecksumBad) == "bad-transport-checksum");
    CHECK(outcome(a_tcp(), kInternalLink, kL4ChecksumBad) == "bad-transport-checksum");
}

TEST_CASE(
    "every shorter frame of a UDP, TCP, tagged and optioned packet is a named drop", "[packet]"
) {
    const ByteVector frames[] = {
        a_udp().bytes(),
        a_tcp().tcp_options({2, 4, 5, 0xb4}).bytes(),
        a_udp().ip_options({148, 4, 0, 0}).bytes(),
        frame().ipv4("100.64.0.5", "192.0.2.1").echo_request(7).payload("ping").bytes(),
        frame().arp_request(kHostMac, "100.64.0.5", "100.64.0.1").bytes(),
    };
    for (const auto& whole : frames) {
        REQUIRE_FALSE(outcome(parse_frame(whole).meta) == "unexpected verdict");
        for (size_t size = 0; size < whole.size(); ++size) {
            const auto p = parse_frame(Bytes(whole).first(size));
            CAPTURE(describe(whole), size);
            CHECK(p.meta.verdict == Verdict::kDrop);
            const bool named = p.meta.reason == DropReason::kTruncatedFrame ||
                               p.meta.reason == DropReason::kTruncatedIp ||
                               p.meta.reason == DropReason::kMalformedArp ||
                               p.meta.reason == DropReason::kBadIpLength;
            CHECK(named);
        }
    }
}

TEST_CASE("an IPv4 packet cut with its total length is a truncated transport", "[packet]") {
    const auto cut = [](PacketBuilder packet, size_t l4_bytes, ByteVector options) {
        packet.ip_options(options);
        const size_t total = 20 + (options.size() + 3) / 4 * 4 + l4_bytes;
        const auto bytes = packet.total_length(static_cast<uint16_t>(total)).bytes();
        return outcome(parse_frame(Bytes(bytes).first(14 + total)).meta);
    };
    for (const auto& options : {ByteVector{}, ByteVector{148, 4, 0, 0}}) {
        for (size_t size = 0; size < 8; ++size) {
            CHECK(cut(a_udp(), size, options) == "truncated-transport");
            CHECK(
                cut(frame().ipv4("100.64.0.5", "192.0.2.1").echo_request(7), size, options) ==
                "truncated-transport"
            );
        }
        for (size_t size = 0; size < 20; ++size) {
            CHECK(cut(a_tcp().payload("some data"), size, options) == "truncated-transport");
        }
        CHECK(cut(a_tcp().payload("some data"), 20, options) == "pass");
    }
}

TEST_CASE(
    "headers spread over segments are dropped by that name, never read", "[packet][pitfall-18]"
) {
    const ByteVector frames[] = {
        a_udp().bytes(),
        a_tcp().bytes(),
        a_udp().ip_options({148, 4, 0, 0}).bytes(),
        frame().vlan(100).ipv4("100.64.0.5", "192.0.2.1").udp(1, 2).bytes(),
        frame().arp_request(kHostMac, "100.64.0.5", "100.64.0.1").bytes(),
        frame().ipv4("100.64.0.5", "192.0.2.1").echo_request(7).bytes(),
    };
    const size_t headers[] = {42, 54, 46, 46, 42, 42};
    auto links = two_links();
    LinkView tagged = links[0];
    tagged.vlans[0] = 100;
    links.push_back(tagged);
    for (size_t i = 0; i < std::size(frames); ++i) {
        for (size_t first = 0; first < headers[i]; ++first) {
            CAPTURE(describe(frames[i]), first);
            const auto p = parse_segment(frames[i], first, kInternalLink, 0, links);
            CHECK(outcome(p.meta) == "segmented-header");
        }
        const auto p = parse_segment(frames[i], headers[i], kInternalLink, 0, links);
        CHECK(outcome(p.meta) != "segmented-header");
    }
}

TEST_CASE("TCP options must lie in the first segment", "[packet]") {
    const auto bytes =
        frame().ipv4("100.64.0.5", "192.0.2.1").tcp(1000, 80, kSyn).tcp_options(ByteVector(40, 1));
    constexpr size_t kHeaders = 14 + 20 + 60;
    for (size_t first = 14 + 20 + 20; first < kHeaders; ++first) {
        CAPTURE(first);
        CHECK(outcome(parse_segment(bytes.bytes(), first).meta) == "segmented-header");
    }
    CHECK(outcome(parse_segment(bytes.bytes(), kHeaders).meta) == "pass");
}

TEST_CASE("a burst is parsed packet by packet, and old metadata leaves no trace", "[packet]") {
    auto batch = std::make_unique<Batch>();
    std::vector<ByteVector> frames;
    for (uint32_t i = 0; i < kBurst; ++i) {
        auto builder = i % 2 == 0 ? a_udp().udp(static_cast<uint16_t>(1000 + i), 53) : a_tcp();
        frames.push_back(builder.bytes());
    }
    for (uint32_t i = 0; i < kBurst; ++i) {
        batch->ref[i].data = frames[i].data();
        batch->ref[i].length = batch->ref[i].frame_length = static_cast<uint16_t>(frames[i].size());
        batch->meta[i].session = batch.get();
        batch->meta[i].session_index = 5;
        batch->meta[i].verdict = Verdict::kTransmit;
        batch->meta[i].quote_offset = 99;
    }
    for (const uint32_t count : {kBurst, 0U, 1U, 3U}) {
        batch->count = count;
        parse(*batch, two_links());
        for (uint32_t i = 0; i < count; ++i) {
            const PacketMeta& meta = batch->meta[i];
            CHECK(meta.verdict == Verdict::kPending);
            CHECK(meta.session_index == kNoIndex);
            CHECK(meta.quote_offset == 0);
            CHECK(meta.kind == (i % 2 == 0 ? PacketKind::kUdp : PacketKind::kTcp));
            CHECK(meta.key.source_port().host() == 1000 + (i % 2 == 0 ? i : 0));
        }
    }
}

}  // namespace sekisho::test
