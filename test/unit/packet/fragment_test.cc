#include "packet/fragment.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include <catch2/catch.hpp>

#include "fragmenter.h"
#include "packet/checksum.h"
#include "packet_builder.h"
#include "parsed.h"

namespace sekisho::test {
namespace {

using packet::Cutter;
using packet::Extent;
using packet::Ipv4View;

// What a receiver's link sees of a datagram that was cut, as frames.
std::vector<ByteVector> cut(const ByteVector& frame, uint16_t mtu, Be16 id) {
    const Bytes l3 = Bytes(frame).subspan(14);
    auto cutter = Cutter::of(l3, mtu);
    REQUIRE(cutter);
    const unsigned count = cutter->pieces();
    std::vector<ByteVector> pieces;
    while (const auto piece = cutter->next()) {
        ByteVector one(frame.begin(), frame.begin() + 14);
        one.resize(14 + cutter->header_length(*piece));
        cutter->write_header(*piece, id, &one[14]);
        const Bytes payload = Ipv4View::at(l3)->payload().subspan(piece->begin, piece->length);
        one.insert(one.end(), payload.begin(), payload.end());
        CHECK(one.size() <= 14U + mtu);
        CHECK(packet::verifies(Ipv4View::at(Bytes(one).subspan(14))->header()));
        pieces.push_back(one);
    }
    CHECK(pieces.size() == count);
    return pieces;
}

PacketBuilder a_udp(size_t size) {
    return frame().ipv4("100.64.0.5", "192.0.2.1").udp(1000, 53).ip_id(7).payload_size(size);
}

}  // namespace

TEST_CASE("a datagram is cut into pieces that fit and join again", "[fragment][rfc4787-req13a]") {
    for (const size_t size : {1U, 8U, 60U, 61U, 500U, 1472U, 9000U}) {
        for (const int mtu : {28, 36, 68, 69, 75, 76, 576, 1280, 1500}) {
            CAPTURE(size, mtu);
            const ByteVector sent = a_udp(size).bytes();
            const auto pieces = cut(sent, static_cast<uint16_t>(mtu), Be16::from_host(99));
            const auto joined = join(pieces);
            REQUIRE(joined);
            CHECK(decode(*joined).payload == decode(sent).payload);
            CHECK(decode(*joined).ip_id == 99);
            CHECK(checksums_ok(*joined));
            CHECK(decode(pieces[0]).ttl == 64);
        }
    }
}

TEST_CASE("a fragment is cut as a part of its datagram", "[fragment][rfc4787-req13a]") {
    const ByteVector sent = a_udp(3000).bytes();
    std::vector<ByteVector> all;
    for (const ByteVector& fragment : split(sent, 1480)) {
        for (const ByteVector& piece : cut(fragment, 300, Be16::from_host(7))) {
            all.push_back(piece);
        }
    }
    const auto joined = join(all);
    REQUIRE(joined);
    CHECK(*joined == sent);
}

TEST_CASE("options are in every piece if they say so, else in the first", "[fragment][rfc791]") {
    // Router alert (copied), record route (not), stream id (copied).
    const ByteVector options{0x94, 4, 0, 0, 7, 7, 4, 1, 2, 3, 4, 1, 0x88, 4, 5, 6};
    const ByteVector sent = a_udp(400).ip_options(options).bytes();
    const auto pieces = cut(sent, 200, Be16::from_host(7));
    REQUIRE(pieces.size() == 3);
    CHECK(Ipv4View::at(Bytes(pieces[0]).subspan(14))->header_length() == 36);
    const auto later = *Ipv4View::at(Bytes(pieces[1]).subspan(14));
    CHECK(later.header_length() == 28);
    const ByteVector copied(later.options().begin(), later.options().end());
    CHECK(copied == ByteVector{0x94, 4, 0, 0, 0x88, 4, 5, 6});
    const auto joined = join(pieces);
    REQUIRE(joined);
    CHECK(*joined == sent);
}

TEST_CASE("what leaves no room for data cannot be cut", "[fragment]") {
    const ByteVector sent = a_udp(400).bytes();
    CHECK(!Cutter::of(Bytes(sent).subspan(14), 27));
    CHECK(Cutter::of(Bytes(sent).subspan(14), 28));
    CHECK(!Cutter::of(Bytes(sent).subspan(14, 19), 1500));
    CHECK(!Cutter::of({}, 1500));
}

TEST_CASE("another identification leaves a right checksum", "[fragment][rfc6864]") {
    for (uint32_t id = 0; id <= 0xffff; id += 257) {
        ByteVector sent = a_udp(10).ip_id(static_cast<uint16_t>(3 * id)).bytes();
        packet::rewrite_id(&sent[14], Be16::from_host(static_cast<uint16_t>(id)));
        CHECK(decode(sent).ip_id == id);
        CHECK(checksums_ok(sent));
    }
}

TEST_CASE(
    "a fragment that cannot be is dropped by name",
    "[parse][fragment][rfc4787-req14a][rfc1858][pitfall-17][pitfall-18]"
) {
    struct Row {
        const char* what;
        ByteVector frame;
        const char* outcome;
    };
    const auto header = [](uint8_t protocol) {
        return frame().ipv4("100.64.0.5", "192.0.2.1").protocol(protocol);
    };
    const auto part = [&](uint8_t protocol, size_t begin, bool more, size_t size) {
        return fragment_of(header(protocol), begin, more, ByteVector(size, 1));
    };
    const auto first = [](PacketBuilder packet, size_t size) {
        return split(packet.bytes(), size)[0];
    };
    const auto tcp = frame().ipv4("100.64.0.5", "192.0.2.1").tcp(1, 2, packet::kAck);
    auto tcp_with_options = tcp;
    tcp_with_options.tcp_options(ByteVector(16, 1)).payload_size(100);
    auto long_tcp = tcp;
    long_tcp.payload_size(100);
    const auto ping = frame().ipv4("100.64.0.5", "192.0.2.1").echo_request(1).payload_size(100);
    const auto unreachable =
        frame().ipv4("100.64.0.5", "192.0.2.1").icmp_error(3, 1, Bytes(a_udp(60).l3()));
    const Row rows[] = {
        {"a first one of UDP", first(a_udp(100), 8), "pass"},
        {"a later one of UDP", part(17, 8, true, 8), "pass"},
        {"a last one of an odd length", part(17, 8, false, 3), "pass"},
        {"one of TCP behind its header", part(6, 24, true, 8), "pass"},
        {"a first one of an echo", first(ping, 8), "pass"},
        {"one in the middle of an odd length", part(17, 8, true, 9), "bad-fragment"},
        {"one without data", part(17, 8, false, 0), "bad-fragment"},
        {"a first one without data", part(17, 0, true, 0), "bad-fragment"},
        {"a first one of TCP without its flags", first(long_tcp, 8), "tiny-fragment"},
        {"a first one of TCP without its window", first(long_tcp, 16), "tiny-fragment"},
        {"a first one of TCP without its options", first(tcp_with_options, 24), "tiny-fragment"},
        {"a first one of TCP with all of it", first(tcp_with_options, 40), "pass"},
        {"one of TCP over the flags", part(6, 8, true, 8), "tiny-fragment"},
        {"one of TCP over the checksum", part(6, 16, false, 20), "tiny-fragment"},
        {"the last byte that can be", part(17, 65504, false, 11), "pass"},
        {"one byte more", part(17, 65504, false, 12), "oversized-datagram"},
        {"ping of death", part(1, 65528, false, 1480), "oversized-datagram"},
        {"of an ICMP error", first(unreachable, 40), "fragment"},
        {"of GRE", part(47, 8, true, 8), "pass"},
        {"of EGP", part(8, 8, true, 8), "unknown-protocol"},
        {"a first one of GRE", part(47, 0, true, 8), "pass"},
        {"a first one of SCTP without its header", part(132, 0, true, 8), "tiny-fragment"},
        {"a first one of EGP", part(8, 0, true, 8), "unknown-protocol"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.what);
        CHECK(outcome(parse_frame(row.frame).meta) == row.outcome);
    }
}

}  // namespace sekisho::test
