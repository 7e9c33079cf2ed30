// Rewriting packets and the packets that ICMP errors quote: checked against full recomputation.
#include "nat/rewrite.h"

#include <random>

#include <catch2/catch.hpp>

#include "cluster.h"
#include "nat/icmp_error.h"
#include "support/packet_builder.h"

using namespace sekisho;
using namespace sekisho::test;

namespace {

constexpr const char* kX = "100.64.0.1";
constexpr const char* kY = "198.51.100.7";

struct Flow {
    explicit Flow(Protocol p, uint16_t x = 4000) : cluster(lab()) {
        const auto made = cluster.open(p, ip(kX), x, ip(kY), 80);
        session = cluster.shard().session(made.session);
        external = base::Ipv4Addr{session.external_address};
        external_port = Port{session.external_port}.host();
    }
    Cluster cluster;
    Session session;
    Ipv4Addr external;
    uint16_t external_port = 0;
};

struct Rewriting {
    PacketKind kind;
    Direction direction = Direction::kOutbound;
    bool is_hairpin = false;
};

void rewrite(ByteVector& b, const Session& session, const Rewriting& how) {
    PacketRef ref;
    ref.data = b.data();
    ref.flags = how.is_hairpin ? packet::kHairpin : 0;
    PacketMeta meta{};
    meta.l3_offset = 14;
    meta.l4_offset = static_cast<uint16_t>(14 + 4 * (b[14] & 15));
    meta.kind = how.kind;
    meta.direction = how.direction;
    nat::rewrite(ref, meta, session);
}
void outbound(ByteVector& b, const Flow& f, PacketKind kind) {
    rewrite(b, f.session, {kind});
}
void inbound(ByteVector& b, const Flow& f, PacketKind kind) {
    rewrite(b, f.session, {kind, Direction::kInbound});
}

nat::IcmpErrorPacket error_in(ByteVector& b, uint8_t ttl_step = 1) {
    const auto l4 = static_cast<uint16_t>(4 * (b[14] & 15));
    return {std::span(b).subspan(14), l4, static_cast<uint16_t>(l4 + 8), ttl_step};
}

}  // namespace

TEST_CASE("TCP and UDP are rewritten both ways with correct checksums", "[nat][rfc1624][rfc3022]") {
    for (const bool options : {false, true}) {
        const ByteVector ip_options = options ? ByteVector{148, 4, 0, 0} : ByteVector{};
        Flow t(Protocol::kTcp);
        ByteVector b =
            frame().ipv4(kX, kY).ip_options(ip_options).tcp(4000, 80, 16).payload("hello").bytes();
        outbound(b, t, PacketKind::kTcp);
        Decoded d = decode(b);
        CHECK(d.source == t.external);
        CHECK(d.source_port == t.external_port);
        CHECK(d.destination == ip(kY));
        CHECK(d.ttl == 63);
        CHECK(checksums_ok(b));

        Flow u(Protocol::kUdp);
        b = frame()
                .ipv4(ip(kY), u.external)
                .ip_options(ip_options)
                .udp(80, u.external_port)
                .payload("abc")
                .bytes();
        rewrite(b, u.session, {PacketKind::kUdp, Direction::kInbound, true});
        d = decode(b);
        CHECK(d.destination == ip(kX));
        CHECK(d.destination_port == 4000);
        CHECK(d.source_port == 80);
        CHECK(d.ttl == 64);
        CHECK(checksums_ok(b));
    }
}

TEST_CASE("an ICMP query changes its identifier only", "[nat][rfc5508-req1]") {
    Flow f(Protocol::kIcmp, 77);
    ByteVector b = frame().ipv4(kX, kY).echo_request(77, 3).payload("ping").bytes();
    outbound(b, f, PacketKind::kIcmpQuery);
    CHECK(decode(b).icmp_id == f.external_port);
    CHECK(decode(b).icmp_sequence == 3);
    CHECK(decode(b).source == f.external);
    CHECK(checksums_ok(b));
    b = frame().ipv4(ip(kY), f.external).echo_reply(f.external_port, 3).bytes();
    inbound(b, f, PacketKind::kIcmpQuery);
    CHECK(decode(b).icmp_id == 77);
    CHECK(decode(b).destination == ip(kX));
    CHECK(checksums_ok(b));
}

TEST_CASE("UDP without checksum stays without", "[nat][pitfall-20][rfc768]") {
    Flow f(Protocol::kUdp);
    ByteVector b = frame().ipv4(kX, kY).udp(4000, 80).l4_checksum(0).payload("x").bytes();
    outbound(b, f, PacketKind::kUdp);
    CHECK(b[14 + 20 + 6] == 0);
    CHECK(b[14 + 20 + 7] == 0);
}

TEST_CASE(
    "incremental checksums equal full ones, and out and back is the same packet",
    "[nat][pitfall-20][rfc1624]"
) {
    std::mt19937 random(7);
    Flow t(Protocol::kTcp);
    Flow u(Protocol::kUdp);
    for (int i = 0; i < 20000; ++i) {
        const bool is_tcp = i % 2 == 0;
        Flow& f = is_tcp ? t : u;
        const PacketKind kind = is_tcp ? PacketKind::kTcp : PacketKind::kUdp;
        PacketBuilder builder = frame();
        builder.ipv4(kX, kY).ip_id(static_cast<uint16_t>(random()));
        is_tcp ? builder.tcp(4000, 80, 16).sequence(static_cast<uint32_t>(random()))
               : builder.udp(4000, 80);
        const uint8_t data[2] = {static_cast<uint8_t>(random()), static_cast<uint8_t>(random())};
        ByteVector b = builder.payload(Bytes(data)).ttl(64).bytes();
        outbound(b, f, kind);
        REQUIRE(checksums_ok(b));
        // Back again, by the ends' own exchange of places.
        Session mirror = f.session;
        std::swap(mirror.internal_address, mirror.external_address);
        std::swap(mirror.internal_port, mirror.external_port);
        mirror.ip_delta = packet::inverse_delta(mirror.ip_delta);
        mirror.l4_delta = packet::inverse_delta(mirror.l4_delta);
        rewrite(b, mirror, {kind});
        REQUIRE(b == builder.ttl(62).bytes());
    }
}

TEST_CASE("a wrong checksum stays wrong", "[nat]") {
    Flow f(Protocol::kTcp);
    ByteVector b = frame().ipv4(kX, kY).tcp(4000, 80, 16).l4_checksum(0x1234).bytes();
    outbound(b, f, PacketKind::kTcp);
    CHECK_FALSE(checksums_ok(b));
}

TEST_CASE(
    "an error from outside names the subscriber's own packet", "[nat][rfc5382-req9][pitfall-19]"
) {
    for (const Protocol p : {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp}) {
        for (const size_t quoted_l4 : {8U, 17U, 18U, 40U}) {
            CAPTURE(static_cast<int>(p), quoted_l4);
            Flow f(p);
            auto sent = [&](Ipv4Addr from, uint16_t x) {
                PacketBuilder b = frame();
                b.ipv4(from, ip(kY)).ip_options({148, 4, 0, 0}).payload_size(60);
                p == Protocol::kTcp   ? b.tcp(x, 80, 2)
                : p == Protocol::kUdp ? b.udp(x, 80)
                                      : b.echo_request(x);
                ByteVector q = b.l3();
                q.resize(24 + quoted_l4);
                return q;
            };
            ByteVector e = frame()
                               .ipv4(ip("192.0.2.254"), f.external)
                               .icmp_error(3, 4, sent(f.external, f.external_port), 1400)
                               .bytes();
            REQUIRE(nat::rewrite_icmp_error_inbound(error_in(e), f.session));
            const Decoded d = decode(e);
            CHECK(d.source == ip("192.0.2.254"));
            CHECK(d.destination == ip(kX));
            CHECK(d.icmp_type == 3);
            CHECK(d.icmp_code == 4);
            CHECK(d.icmp_sequence == 1400);
            CHECK(d.ttl == 63);
            CHECK(checksums_ok(e));
            // The quote is, byte for byte, what the subscriber sent.
            // (Half a TCP checksum cannot be corrected.)
            ByteVector quote(e.begin() + 14 + 20 + 8, e.end());
            ByteVector wanted = sent(ip(kX), 4000);
            if (p == Protocol::kTcp && quoted_l4 == 17) {
                quote.pop_back();
                wanted.pop_back();
            }
            CHECK(quote == wanted);
        }
    }
}

TEST_CASE("an error from inside names the external endpoint", "[nat][rfc5508-req5]") {
    for (const char* sender : {kX, "100.64.9.9"}) {
        Flow f(Protocol::kUdp);
        auto received = [&](Ipv4Addr to, uint16_t x) {
            ByteVector q = frame().ipv4(ip(kY), to).udp(80, x).payload("abcdef").l3();
            q.resize(28);
            return q;
        };
        ByteVector e = frame().ipv4(sender, kY).icmp_error(3, 3, received(ip(kX), 4000)).bytes();
        const Ipv4Addr own = ip("198.51.100.2");
        REQUIRE(nat::rewrite_icmp_error_outbound(error_in(e), f.session, own));
        const Decoded d = decode(e);
        CHECK(d.source == (sender == kX ? f.external : own));
        CHECK(d.destination == ip(kY));
        CHECK(checksums_ok(e));
        const ByteVector quote(e.begin() + 14 + 20 + 8, e.end());
        CHECK(quote == received(f.external, f.external_port));
    }
}

TEST_CASE("a quoted UDP packet without checksum stays without", "[nat][pitfall-20]") {
    Flow f(Protocol::kUdp);
    const ByteVector q =
        frame().ipv4(f.external, ip(kY)).udp(f.external_port, 80).l4_checksum(0).l3();
    ByteVector e = frame().ipv4(ip(kY), f.external).icmp_error(3, 3, q).bytes();
    REQUIRE(nat::rewrite_icmp_error_inbound(error_in(e), f.session));
    CHECK(e[14 + 20 + 8 + 20 + 6] == 0);
    CHECK(e[14 + 20 + 8 + 20 + 7] == 0);
    CHECK(checksums_ok(e));
}

TEST_CASE(
    "a quote that is cut too short is refused and untouched", "[nat][rfc5508-req3][pitfall-19]"
) {
    Flow f(Protocol::kUdp);
    const ByteVector whole = frame().ipv4(f.external, ip(kY)).udp(f.external_port, 80).l3();
    for (size_t size = 0; size < 28; ++size) {
        ByteVector e =
            frame().ipv4(ip(kY), f.external).icmp_error(3, 3, Bytes(whole).first(size)).bytes();
        const ByteVector before = e;
        CHECK_FALSE(nat::rewrite_icmp_error_inbound(error_in(e), f.session));
        CHECK(e == before);
    }
}

TEST_CASE("a scratch session translates like the mapping's own", "[nat]") {
    Flow f(Protocol::kUdp);
    const Session scratch =
        f.cluster.shard().scratch_session({f.session.mapping}, ip("192.0.2.1"), port(5));
    ByteVector b = frame().ipv4(ip("192.0.2.1"), f.external).udp(5, f.external_port).bytes();
    rewrite(b, scratch, {PacketKind::kUdp, Direction::kInbound});
    CHECK(decode(b).destination == ip(kX));
    CHECK(decode(b).destination_port == 4000);
    CHECK(checksums_ok(b));
}
