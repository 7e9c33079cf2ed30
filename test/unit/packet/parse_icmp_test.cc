// ICMP through parse: queries, errors with the packet they quote, and what a NAT does not carry.
#include <catch2/catch.hpp>

#include "packet/checksum.h"
#include "parsed.h"

namespace sekisho::test {
namespace {

using namespace packet;  // NOLINT: tests of this module

// What a subscriber's packet looks like to the Internet after translation.
PacketBuilder sent_udp() {
    return frame().ipv4("203.0.113.5", "192.0.2.1").udp(40000, 53).payload("query");
}

PacketBuilder error_about(
    const PacketBuilder& packet, uint8_t type = kIcmpUnreachable, uint8_t code = 3
) {
    return frame().ipv4("198.51.100.9", "203.0.113.5").icmp_error(type, code, packet.l3());
}

FlowKey udp_key(const char* source, uint16_t sport, const char* destination, uint16_t dport) {
    return FlowKey::of(
        ip(source),
        ip(destination),
        Port::from_host(sport),
        Port::from_host(dport),
        Protocol::kUdp,
        kExternalRealm
    );
}

}  // namespace

TEST_CASE(
    "an echo request carries its identifier as source port, a reply as destination port",
    "[packet][rfc5508-req1]"
) {
    const auto request =
        parse_frame(frame().ipv4("100.64.0.5", "192.0.2.1").echo_request(0x1234).bytes());
    REQUIRE(outcome(request.meta) == "pass");
    CHECK(request.meta.kind == PacketKind::kIcmpQuery);
    CHECK(
        request.meta.key == FlowKey::of(
                                ip("100.64.0.5"),
                                ip("192.0.2.1"),
                                Port::from_host(0x1234),
                                Port{},
                                Protocol::kIcmp,
                                kInternalRealm
                            )
    );
    const auto reply = parse_frame(
        frame().ipv4("192.0.2.1", "203.0.113.5").echo_reply(0x1234).bytes(), kExternalLink
    );
    REQUIRE(outcome(reply.meta) == "pass");
    CHECK(reply.meta.kind == PacketKind::kIcmpQuery);
    CHECK(
        reply.meta.key == FlowKey::of(
                              ip("192.0.2.1"),
                              ip("203.0.113.5"),
                              Port{},
                              Port::from_host(0x1234),
                              Protocol::kIcmp,
                              kExternalRealm
                          )
    );
}

TEST_CASE("an identifier of zero is as good as any", "[packet][rfc5508-req1]") {
    CHECK(outcome(frame().ipv4("100.64.0.5", "192.0.2.1").echo_request(0)) == "pass");
}

TEST_CASE(
    "an ICMP error gets the key of the quoted flow with its ends swapped", "[packet][rfc5508-req4a]"
) {
    for (const uint8_t type : {kIcmpUnreachable, kIcmpTimeExceeded, kIcmpParameterProblem}) {
        const auto p = parse_frame(error_about(sent_udp(), type, 0).bytes(), kExternalLink);
        REQUIRE(outcome(p.meta) == "pass");
        CHECK(p.meta.kind == PacketKind::kIcmpError);
        CHECK(p.meta.key == udp_key("192.0.2.1", 53, "203.0.113.5", 40000));
        CHECK(p.meta.l4_offset == 34);
        CHECK(p.meta.quote_offset == 42);
    }
}

TEST_CASE("an outbound ICMP error is keyed in its link's realm", "[packet][rfc5508-req5a]") {
    const auto arrived = frame().ipv4("192.0.2.1", "100.64.0.5").udp(53, 1000);
    const auto p = parse_frame(frame()
                                   .ipv4("100.64.0.5", "192.0.2.1")
                                   .icmp_error(kIcmpUnreachable, 3, arrived.l3())
                                   .bytes());
    REQUIRE(outcome(p.meta) == "pass");
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
}

TEST_CASE(
    "an ICMP error goes only to who sent the quoted packet", "[packet][rfc792][rfc5508-req4c]"
) {
    for (const char* to : {"203.0.113.6", "198.51.100.2", "192.0.2.1", "8.8.8.8"}) {
        CAPTURE(to);
        const auto inbound = frame().ipv4("192.0.2.200", to).icmp_error(3, 1, sent_udp().l3());
        CHECK(outcome(inbound, kExternalLink) == "bad-icmp-quote");
        const auto arrived = frame().ipv4("192.0.2.9", "100.64.0.5").udp(53, 1000);
        const auto outbound = frame().ipv4("100.64.0.5", to).icmp_error(3, 3, arrived.l3());
        CHECK(outcome(outbound) == "bad-icmp-quote");
    }
}

TEST_CASE("an error about an echo gets the key of the answer to it", "[packet][rfc5508-req4a]") {
    const auto request = frame().ipv4("203.0.113.5", "192.0.2.1").echo_request(77);
    const auto p = parse_frame(error_about(request).bytes(), kExternalLink);
    REQUIRE(outcome(p.meta) == "pass");
    CHECK(
        p.meta.key == FlowKey::of(
                          ip("192.0.2.1"),
                          ip("203.0.113.5"),
                          Port{},
                          Port::from_host(77),
                          Protocol::kIcmp,
                          kExternalRealm
                      )
    );
    const auto reply = frame().ipv4("203.0.113.5", "192.0.2.1").echo_reply(77);
    const auto q = parse_frame(error_about(reply).bytes(), kExternalLink);
    REQUIRE(outcome(q.meta) == "pass");
    CHECK(q.meta.key.source_port().host() == 77);
    CHECK(q.meta.key.destination_port().host() == 0);
}

TEST_CASE("options of the quoted header are walked past", "[packet][rfc5508-req3b]") {
    const auto quoted = sent_udp().ip_options({7, 7, 4, 0, 0, 0, 0, 0});
    const auto p = parse_frame(error_about(quoted).bytes(), kExternalLink);
    REQUIRE(outcome(p.meta) == "pass");
    CHECK(p.meta.key == udp_key("192.0.2.1", 53, "203.0.113.5", 40000));
    const auto outer =
        parse_frame(error_about(quoted).ip_options({148, 4, 0, 0}).bytes(), kExternalLink);
    REQUIRE(outcome(outer.meta) == "pass");
    CHECK(outer.meta.quote_offset == 46);
    CHECK(outer.meta.key == p.meta.key);
}

TEST_CASE("the quoted transport checksum is not looked at", "[packet][rfc5508-req3c]") {
    CHECK(outcome(error_about(sent_udp().l4_checksum(0x1234)), kExternalLink) == "pass");
}

TEST_CASE("a quote that a NAT cannot use is a named drop", "[packet][rfc5508-req3]") {
    const auto nested = error_about(sent_udp());
    const auto egp = frame().ipv4("203.0.113.5", "192.0.2.1").protocol(8).payload("12345678");
    struct Row {
        const char* what;
        PacketBuilder packet;
        const char* outcome;
    };
    const Row rows[] = {
        {"the error's own checksum is wrong",
         error_about(sent_udp()).l4_checksum(0x1234),
         "bad-icmp-checksum"},
        {"bad quoted header checksum",
         error_about(sent_udp().ip_checksum(0x1234)),
         "bad-icmp-quote"},
        {"a quoted ICMP error", error_about(nested), "bad-icmp-quote"},
        {"a quoted later fragment", error_about(sent_udp().fragment(10, false)), "bad-icmp-quote"},
        {"a quoted first fragment", error_about(sent_udp().fragment(0, true)), "pass"},
        {"a quoted unknown protocol", error_about(egp), "bad-icmp-quote"},
        {"a quoted port zero", error_about(sent_udp().udp(0, 53)), "bad-icmp-quote"},
        {"quoted version 6", error_about(sent_udp().version(6)), "bad-icmp-quote"},
        {"quoted IHL 4", error_about(sent_udp().header_words(4)), "bad-icmp-quote"},
        {"quoted IHL beyond the quote", error_about(sent_udp().header_words(15)), "bad-icmp-quote"},
        {"quoted total length too small",
         error_about(sent_udp().total_length(27)),
         "bad-icmp-quote"},
        {"quoted total length larger than the quote",
         error_about(sent_udp().total_length(1500)),
         "pass"},
        {"no quote",
         frame().ipv4("198.51.100.9", "203.0.113.5").icmp_error(3, 3, {}),
         "bad-icmp-quote"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.what);
        CHECK(outcome(row.packet, kExternalLink) == row.outcome);
    }
}

TEST_CASE(
    "a quote shorter than its header and eight bytes is dropped, byte by byte",
    "[packet][rfc5508-req3]"
) {
    for (const auto& options : {ByteVector{}, ByteVector{148, 4, 0, 0}}) {
        const auto quoted = sent_udp().ip_options(options).l3();
        const size_t least = 20 + options.size() + 8;
        for (size_t size = 0; size <= quoted.size(); ++size) {
            const auto packet = frame()
                                    .ipv4("198.51.100.9", "203.0.113.5")
                                    .icmp_error(kIcmpUnreachable, 1, Bytes(quoted).first(size));
            CAPTURE(size, least);
            CHECK(outcome(packet, kExternalLink) == (size < least ? "bad-icmp-quote" : "pass"));
        }
    }
}

TEST_CASE(
    "an ICMP error spread over segments is not read beyond the first", "[packet][pitfall-18]"
) {
    const auto bytes = error_about(sent_udp()).bytes();
    for (size_t first = 42; first < bytes.size(); ++first) {
        CHECK(outcome(parse_segment(bytes, first, kExternalLink).meta) == "segmented-header");
    }
}

TEST_CASE("padding behind an ICMP error is not part of its checksum", "[packet]") {
    auto bytes = error_about(sent_udp()).padding(9).bytes();
    bytes.back() = 0x5a;
    CHECK(outcome(parse_frame(bytes, kExternalLink).meta) == "pass");
}

TEST_CASE(
    "ICMP messages that are neither echo nor error are not carried", "[packet][rfc5508-req11]"
) {
    for (unsigned type = 0; type < 256; ++type) {
        if (type == 0 || type == 3 || type == 8 || type == 11 || type == 12) {
            continue;
        }
        CAPTURE(type);
        CHECK(
            outcome(frame().ipv4("192.0.2.1", "203.0.113.5").icmp(static_cast<uint8_t>(type), 0)) ==
            "icmp-unsupported"
        );
    }
}

}  // namespace sekisho::test
