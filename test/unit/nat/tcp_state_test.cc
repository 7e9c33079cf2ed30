// The TCP states of a session, as tables, and the window in which a RST counts.
#include "nat/tcp_state.h"

#include <catch2/catch.hpp>

#include "cluster.h"
#include "support/packet_builder.h"

using namespace sekisho;
using namespace sekisho::test;
using enum SessionState;
using nat::TcpEvent;

namespace {

constexpr Direction kOut = Direction::kOutbound;
constexpr Direction kIn = Direction::kInbound;

struct Row {
    SessionState from;
    TcpEvent event;
    Direction direction;
    Direction opener;
    bool was_established;
    SessionState to;
};

const Row kRows[] = {
    // opening, RFC 6146 3.5.2.2 and RFC 5382 REQ-2
    {kTcpOpenOutbound, TcpEvent::kSyn, kOut, kOut, false, kTcpOpenOutbound},
    {kTcpOpenOutbound, TcpEvent::kSyn, kIn, kOut, false, kTcpHalfOpen},
    {kTcpOpenOutbound, TcpEvent::kAck, kOut, kOut, false, kTcpOpenOutbound},
    {kTcpOpenOutbound, TcpEvent::kAck, kIn, kOut, false, kTcpOpenOutbound},
    {kTcpOpenOutbound, TcpEvent::kFin, kIn, kOut, false, kTcpOpenOutbound},
    {kTcpOpenOutbound, TcpEvent::kReset, kIn, kOut, false, kTcpReset},
    {kTcpOpenOutbound, TcpEvent::kNone, kIn, kOut, false, kTcpOpenOutbound},
    {kTcpOpenInbound, TcpEvent::kSyn, kIn, kIn, false, kTcpOpenInbound},
    {kTcpOpenInbound, TcpEvent::kSyn, kOut, kIn, false, kTcpHalfOpen},
    {kTcpOpenInbound, TcpEvent::kAck, kIn, kIn, false, kTcpOpenInbound},
    {kTcpOpenInbound, TcpEvent::kReset, kOut, kIn, false, kTcpReset},
    // the third segment must be the opener's
    {kTcpHalfOpen, TcpEvent::kAck, kOut, kOut, false, kTcpEstablished},
    {kTcpHalfOpen, TcpEvent::kAck, kIn, kOut, false, kTcpHalfOpen},
    {kTcpHalfOpen, TcpEvent::kAck, kIn, kIn, false, kTcpEstablished},
    {kTcpHalfOpen, TcpEvent::kAck, kOut, kIn, false, kTcpHalfOpen},
    {kTcpHalfOpen, TcpEvent::kSyn, kOut, kOut, false, kTcpHalfOpen},
    {kTcpHalfOpen, TcpEvent::kSyn, kIn, kOut, false, kTcpHalfOpen},
    {kTcpHalfOpen, TcpEvent::kFin, kOut, kOut, false, kTcpFinOutbound},
    {kTcpHalfOpen, TcpEvent::kFin, kIn, kOut, false, kTcpHalfOpen},
    {kTcpHalfOpen, TcpEvent::kReset, kIn, kOut, false, kTcpReset},
    // established
    {kTcpEstablished, TcpEvent::kAck, kIn, kOut, true, kTcpEstablished},
    {kTcpEstablished, TcpEvent::kSyn, kIn, kOut, true, kTcpEstablished},
    {kTcpEstablished, TcpEvent::kNone, kIn, kOut, true, kTcpEstablished},
    {kTcpEstablished, TcpEvent::kFin, kOut, kOut, true, kTcpFinOutbound},
    {kTcpEstablished, TcpEvent::kFin, kIn, kOut, true, kTcpFinInbound},
    {kTcpEstablished, TcpEvent::kReset, kIn, kOut, true, kTcpReset},
    // picked up: the other side must answer
    {kTcpPickedUp, TcpEvent::kAck, kOut, kOut, false, kTcpPickedUp},
    {kTcpPickedUp, TcpEvent::kFin, kOut, kOut, false, kTcpPickedUp},
    {kTcpPickedUp, TcpEvent::kSyn, kOut, kOut, false, kTcpOpenOutbound},
    {kTcpPickedUp, TcpEvent::kSyn, kIn, kOut, false, kTcpPickedUp},
    {kTcpPickedUp, TcpEvent::kNone, kIn, kOut, false, kTcpPickedUp},
    {kTcpPickedUp, TcpEvent::kAck, kIn, kOut, false, kTcpEstablished},
    {kTcpPickedUp, TcpEvent::kFin, kIn, kOut, false, kTcpFinInbound},
    {kTcpPickedUp, TcpEvent::kReset, kIn, kOut, false, kTcpReset},
    // a FIN a direction
    {kTcpFinOutbound, TcpEvent::kFin, kOut, kOut, true, kTcpFinOutbound},
    {kTcpFinOutbound, TcpEvent::kFin, kIn, kOut, true, kTcpClosing},
    {kTcpFinOutbound, TcpEvent::kAck, kIn, kOut, true, kTcpFinOutbound},
    {kTcpFinInbound, TcpEvent::kFin, kIn, kOut, true, kTcpFinInbound},
    {kTcpFinInbound, TcpEvent::kFin, kOut, kOut, true, kTcpClosing},
    {kTcpFinInbound, TcpEvent::kReset, kOut, kOut, true, kTcpReset},
    // closing and reset, and what comes after
    {kTcpClosing, TcpEvent::kAck, kOut, kOut, true, kTcpClosing},
    {kTcpClosing, TcpEvent::kReset, kIn, kOut, true, kTcpClosing},
    {kTcpClosing, TcpEvent::kSyn, kOut, kOut, true, kTcpOpenOutbound},
    {kTcpClosing, TcpEvent::kSyn, kIn, kOut, true, kTcpOpenInbound},
    {kTcpReset, TcpEvent::kAck, kIn, kOut, true, kTcpEstablished},
    {kTcpReset, TcpEvent::kAck, kOut, kOut, true, kTcpEstablished},
    {kTcpReset, TcpEvent::kAck, kIn, kOut, false, kTcpReset},
    {kTcpReset, TcpEvent::kFin, kIn, kOut, true, kTcpReset},
    {kTcpReset, TcpEvent::kSyn, kOut, kOut, true, kTcpOpenOutbound},
    // not TCP
    {kUdp, TcpEvent::kFin, kIn, kOut, false, kUdp},
};

// A subscriber's connection, segment by segment, through NatShard::track().
struct Connection {
    explicit Connection(nat::NatSettings settings = lab()) : cluster(std::move(settings)) {
        const auto made = cluster.open(Protocol::kTcp, subscriber(1), 4000);
        index = made.session;
    }
    Session& session() { return cluster.shard().session(index); }
    void segment(Direction d, uint8_t flags, uint32_t seq, uint32_t ack, uint16_t window = 1000) {
        PacketBuilder b = frame().ipv4("100.64.0.1", "198.51.100.7").tcp(4000, 80, flags);
        b.sequence(seq).acknowledgement(ack).window(window);
        if ((flags & packet::kSyn) != 0 && scale != 0) {
            b.tcp_options({1, 3, 3, scale});
        }
        const ByteVector bytes = b.l3();
        cluster.shard().track(index, d, bytes.data() + 20, cluster.now);
    }
    void establish() {
        segment(kOut, packet::kSyn, 100, 0);
        segment(kIn, packet::kSyn | packet::kAck, 500, 101);
        segment(kOut, packet::kAck, 101, 501);
    }
    Cluster cluster;
    SessionIndex index;
    uint8_t scale = 0;
};

}  // namespace

TEST_CASE("TCP states follow their table", "[nat][rfc7857-2][pitfall-11]") {
    for (const Row& r : kRows) {
        CAPTURE(static_cast<int>(r.from), static_cast<int>(r.event), static_cast<int>(r.direction));
        CHECK(
            nat::next_tcp_state(r.from, r.event, r.direction, r.opener, r.was_established) == r.to
        );
    }
}

TEST_CASE("only a three-way handshake earns the long timer", "[nat][pitfall-11][rfc5382-req5]") {
    Connection c;
    c.segment(kOut, packet::kSyn, 100, 0);
    CHECK(c.session().state == kTcpOpenOutbound);
    c.segment(kIn, packet::kSyn | packet::kAck, 500, 101);
    CHECK(c.session().state == kTcpHalfOpen);
    c.cluster.pass(239'000);
    CHECK(c.cluster.shard().session_count() == 1);
    c.cluster.pass(2'000);
    CHECK(c.cluster.shard().session_count() == 0);
}

TEST_CASE("an established connection lives 7440 seconds without packets", "[nat][rfc5382-req5]") {
    Connection c;
    c.establish();
    REQUIRE(c.session().state == kTcpEstablished);
    c.cluster.pass(7'439'000, 5000);
    CHECK(c.cluster.shard().session_count() == 1);
    c.cluster.pass(2'000);
    CHECK(c.cluster.shard().session_count() == 0);
}

TEST_CASE("a stranger cannot hold a TCP port by knocking now and then", "[nat][rfc5382-req5]") {
    struct {
        const char* what;
        std::vector<uint8_t> segments;  // from outside, every 200 seconds
    } const rows[] = {
        {"SYN", {packet::kSyn}},
        {"SYN, then a RST that fits", {packet::kSyn, packet::kRst}},
        {"RST, then SYN", {packet::kRst, packet::kSyn}},
        {"SYN, then data", {packet::kSyn, packet::kAck}},
    };
    for (const auto& r : rows) {
        for (const bool new_ports : {false, true}) {
            CAPTURE(r.what, new_ports);
            Connection c;
            const Session first = c.session();
            uint16_t from = 7;
            for (unsigned round = 0; round < 12; ++round) {
                for (const uint8_t flags : r.segments) {
                    const auto in = c.cluster.inbound(first, addr(198, 18, 0, 1), from, flags);
                    if (in.kind == nat::AdmitResult::kSession) {
                        c.index = in.session;
                        c.segment(kIn, flags, flags == packet::kSyn ? 500 : 501, 0);
                    }
                }
                from = static_cast<uint16_t>(from + (new_ports ? 1 : 0));
                c.cluster.pass(200'000, 1000);
            }
            CHECK(c.cluster.shard().mapping_count() == 0);
        }
    }
}

TEST_CASE("the far end cannot prolong a connection that is no longer one", "[nat][rfc7857-2]") {
    Connection c;
    c.establish();
    c.segment(kOut, packet::kFin | packet::kAck, 101, 501);
    c.segment(kIn, packet::kFin | packet::kAck, 501, 102);
    REQUIRE(c.session().state == kTcpClosing);
    c.cluster.pass(200'000);
    c.segment(kIn, packet::kAck, 502, 102);
    c.cluster.pass(41'000);
    CHECK(c.cluster.shard().session_count() == 0);
}

TEST_CASE("an opening from outside that is answered becomes a connection", "[nat][rfc5382-req5]") {
    Connection c;
    const auto in = c.cluster.inbound(c.session(), addr(198, 18, 0, 1), 7);
    REQUIRE(in.kind == nat::AdmitResult::kSession);
    c.index = in.session;
    c.segment(kIn, packet::kSyn, 500, 0);
    c.segment(kOut, packet::kSyn | packet::kAck, 100, 501);
    c.segment(kIn, packet::kAck, 501, 101);
    CHECK(c.session().state == kTcpEstablished);
    for (unsigned hour = 0; hour < 6; ++hour) {  // kept alive from outside alone (RFC 4787 REQ-6)
        c.cluster.pass(3'600'000, 5000);
        c.segment(kIn, packet::kAck, 501, 101);
    }
    CHECK(c.cluster.shard().session_count() == 1);
}

TEST_CASE("both sides may open at the same time", "[nat][rfc5382-req2a]") {
    Connection c;
    c.segment(kOut, packet::kSyn, 100, 0);
    c.segment(kIn, packet::kSyn, 500, 0);
    CHECK(c.session().state == kTcpHalfOpen);
    c.segment(kOut, packet::kSyn | packet::kAck, 100, 501);
    c.segment(kIn, packet::kSyn | packet::kAck, 500, 101);
    c.segment(kOut, packet::kAck, 101, 501);
    CHECK(c.session().state == kTcpEstablished);
}

TEST_CASE("after both FINs a session ends with the closing timer, at once", "[nat][rfc7857-2.1]") {
    nat::NatSettings settings = lab();
    settings.timeouts.tcp_closing = Seconds{10};
    Connection c(settings);
    c.establish();
    c.segment(kOut, packet::kFin | packet::kAck, 101, 501);
    CHECK(c.session().state == kTcpFinOutbound);
    c.segment(kIn, packet::kFin | packet::kAck, 501, 102);
    CHECK(c.session().state == kTcpClosing);
    c.cluster.pass(9'000);
    CHECK(c.cluster.shard().session_count() == 1);
    c.cluster.pass(2'000);
    CHECK(c.cluster.shard().session_count() == 0);
}

TEST_CASE(
    "a RST counts only within the window", "[nat][rfc7857-2.2-verify][pitfall-13][rfc5961-3.2]"
) {
    struct {
        uint32_t sequence;
        SessionState after;
    } const rows[] = {
        {501, kTcpReset},         // the left edge
        {501 + 1000, kTcpReset},  // the right edge
        {500, kTcpEstablished},   // before it
        {502 + 1000, kTcpEstablished},
        {0, kTcpEstablished},
        {0x80000000, kTcpEstablished},
    };
    for (const auto& r : rows) {
        CAPTURE(r.sequence);
        Connection c;
        c.establish();
        c.segment(kIn, packet::kRst, r.sequence, 0);
        CHECK(c.session().state == r.after);
    }
}

TEST_CASE("the window is scaled if both SYNs say so", "[nat][rfc7323-2.2]") {
    for (const uint8_t scale : {uint8_t{0}, uint8_t{3}}) {
        Connection c;
        c.scale = scale;
        c.establish();
        c.segment(kIn, packet::kRst, 501 + 8000, 0);
        CHECK(c.session().state == (scale == 3 ? kTcpReset : kTcpEstablished));
    }
}

TEST_CASE("the window of a SYN/ACK is not scaled", "[nat][rfc7323-2.2][pitfall-13]") {
    for (const uint32_t beyond : {1000U, 1001U, 7000U}) {
        Connection c;
        c.scale = 3;
        c.segment(kOut, packet::kSyn, 100, 0);
        c.segment(kIn, packet::kSyn | packet::kAck, 500, 101);
        c.segment(kOut, packet::kRst, 101 + beyond, 0);
        CHECK(c.session().state == (beyond == 1000 ? kTcpReset : kTcpHalfOpen));
    }
}

TEST_CASE("a refusal of a SYN must acknowledge it", "[nat][rfc793-3.4][pitfall-13]") {
    for (const uint32_t ack : {101U, 100U, 0U}) {
        Connection c;
        c.segment(kOut, packet::kSyn, 100, 0);
        c.segment(kIn, packet::kRst | packet::kAck, 0, ack);
        CHECK(c.session().state == (ack == 101 ? kTcpReset : kTcpOpenOutbound));
    }
}

TEST_CASE(
    "data after a RST brings the connection back", "[nat][rfc7857-2.2-keep][rfc6146-3.5.2.2]"
) {
    Connection c;
    c.establish();
    c.segment(kIn, packet::kRst, 501, 0);
    REQUIRE(c.session().state == kTcpReset);
    c.segment(kOut, packet::kAck, 101, 501);
    CHECK(c.session().state == kTcpEstablished);
    c.cluster.pass(1'000'000, 5000);
    CHECK(c.cluster.shard().session_count() == 1);
}

TEST_CASE("after a RST a session stays four minutes", "[nat][rfc7857-2.2-keep]") {
    Connection c;
    c.establish();
    c.segment(kIn, packet::kRst, 501, 0);
    c.cluster.pass(239'000);
    CHECK(c.cluster.shard().session_count() == 1);
    c.cluster.pass(2'000);
    CHECK(c.cluster.shard().session_count() == 0);
}

TEST_CASE("a new SYN reuses a closed session and its mapping", "[nat]") {
    Connection c;
    c.establish();
    c.segment(kOut, packet::kFin | packet::kAck, 101, 501);
    c.segment(kIn, packet::kFin | packet::kAck, 501, 102);
    const uint16_t external = c.session().external_port;
    c.segment(kOut, packet::kSyn, 9000, 0);
    CHECK(c.session().state == kTcpOpenOutbound);
    CHECK(c.session().external_port == external);
    // The old window is forgotten: a RST that fits it changes nothing.
    c.segment(kIn, packet::kRst, 502, 0);
    CHECK(c.session().state == kTcpOpenOutbound);
}

TEST_CASE("the window scale option is found among others, and never read beyond", "[nat]") {
    const ByteVector mss = {2, 4, 5, 180, 1, 3, 3, 7};
    const ByteVector cut = {2, 4, 5, 180, 1, 1, 3};
    const ByteVector zero_length = {3, 0, 3, 7};
    const struct {
        const ByteVector& options;
        uint8_t scale;
    } rows[] = {{mss, 7}, {cut, nat::kNoScale}, {zero_length, nat::kNoScale}};
    for (const auto& r : rows) {
        const ByteVector bytes = frame()
                                     .ipv4("100.64.0.1", "198.51.100.7")
                                     .tcp(1, 2, packet::kSyn)
                                     .tcp_options(r.options)
                                     .l3();
        const ByteVector header(bytes.begin() + 20, bytes.end());
        CHECK(nat::read_tcp_segment(header.data()).scale == r.scale);
    }
}
