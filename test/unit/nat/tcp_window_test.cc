// The window of a connection as a bystander sees it: segment by segment, and at the edges of the numbers.
#include "nat/tcp_window.h"

#include <catch2/catch.hpp>

#include "packet/views.h"

using namespace sekisho;
using nat::TcpSegment;
using nat::WindowFault;
using packet::kAck;
using packet::kFin;
using packet::kRst;
using packet::kSyn;

namespace {

constexpr Direction kOut = Direction::kOutbound;
constexpr Direction kIn = Direction::kInbound;

// Both ends of one connection; passes each segment on only if it is in its window.
struct Connection {
    nat::TcpWindow window{};
    Session session{};
    uint32_t client;  // initial sequence numbers
    uint32_t server;

    explicit Connection(uint32_t c = 1000, uint32_t s = 9000) : client(c), server(s) {
        session.state = SessionState::kTcpOpenOutbound;
        session.window_scales = nat::kNoScale << 4 | nat::kNoScale;
    }
    WindowFault pass(Direction d, const TcpSegment& segment, uint32_t data = 0) {
        const WindowFault fault = nat::judge_window(window, d, segment, data);
        if (fault == WindowFault::kNone) {
            nat::learn_window(window, session, d, segment, data);
        }
        return fault;
    }
    // Sequence numbers relative to the initial ones.
    WindowFault out(
        uint8_t flags, uint32_t sequence, uint32_t ack, uint32_t data = 0, uint16_t win = 1000
    ) {
        return pass(kOut, {client + sequence, server + ack, win, flags, nat::kNoScale}, data);
    }
    WindowFault in(
        uint8_t flags, uint32_t sequence, uint32_t ack, uint32_t data = 0, uint16_t win = 2000
    ) {
        return pass(kIn, {server + sequence, client + ack, win, flags, nat::kNoScale}, data);
    }
    void establish() {
        CHECK(out(kSyn, 0, 0) == WindowFault::kNone);
        CHECK(in(kSyn | kAck, 0, 1) == WindowFault::kNone);
        CHECK(out(kAck, 1, 1) == WindowFault::kNone);
        session.state = SessionState::kTcpEstablished;
    }
};

}  // namespace

TEST_CASE("a connection passes from SYN to FIN, wherever its numbers wrap", "[nat][window]") {
    for (const uint32_t client : {0U, 1000U, 0xfffffff0U, 0x7ffffff0U, 0xffffffffU}) {
        for (const uint32_t server : {0U, 0xfffffc00U, 0x80000000U}) {
            CAPTURE(client, server);
            Connection c(client, server);
            c.establish();
            CHECK(c.out(kAck, 1, 1, 500) == WindowFault::kNone);
            CHECK(c.in(kAck, 1, 501, 900) == WindowFault::kNone);
            CHECK(c.in(kAck, 901, 501, 100) == WindowFault::kNone);
            CHECK(c.out(kAck, 501, 1001) == WindowFault::kNone);
            CHECK(c.in(kAck, 1, 501, 900) == WindowFault::kNone);  // again
            CHECK(c.out(kAck, 501, 901) == WindowFault::kNone);    // an old acknowledgement
            CHECK(c.out(kFin | kAck, 501, 1001) == WindowFault::kNone);
            CHECK(c.in(kAck, 1001, 502) == WindowFault::kNone);
            CHECK(c.in(kFin | kAck, 1001, 502) == WindowFault::kNone);
            CHECK(c.out(kAck, 502, 1002) == WindowFault::kNone);
        }
    }
}

TEST_CASE("each rule has its edge", "[nat][window]") {
    for (const uint32_t base : {5000U, 0xffffff00U}) {
        const auto at = [base] {
            Connection c(base, base);
            c.establish();
            c.in(kAck, 1, 1, 400, 2000);
            c.out(kAck, 1, 401, 0, 1000);
            return c;
        };
        // The client allows the server 1400 (401 + 1000 - 1 behind the SYN), and has itself sent none.
        CHECK(at().in(kAck, 1401, 1, 1) == WindowFault::kNone);
        CHECK(at().in(kAck, 1402, 1, 1) == WindowFault::kBeyondWindow);
        CHECK(at().in(kRst, 1402, 0) == WindowFault::kBeyondWindow);
        CHECK(at().in(kRst | kAck, 1402 + 0x40000000, 1) == WindowFault::kBeyondWindow);
        CHECK(at().in(kAck, 401 - 1000, 1) == WindowFault::kNone);
        CHECK(at().in(kAck, 400 - 1000, 1) == WindowFault::kTooOld);
        CHECK(at().in(kAck, 401, 1) == WindowFault::kNone);
        CHECK(at().in(kAck, 401, 2) == WindowFault::kAcksUnsent);
        CHECK(at().in(kAck, 401, 1U - 66000) == WindowFault::kNone);
        CHECK(at().in(kAck, 401, 0U - 66000) == WindowFault::kAcksTooOld);
        CHECK(at().in(kSyn, 0x50000000, 0) == WindowFault::kNone);  // it must be heard
        CHECK(at().in(kSyn | kAck, 0x50000000, 1) == WindowFault::kBeyondWindow);
    }
}

TEST_CASE("a window counts with its scale when both sides have one", "[nat][window]") {
    struct Case {
        uint8_t client;
        uint8_t server;
        uint32_t allowed;  // by the client, whose window is 1000
    };
    for (const Case& each :
         {Case{0, 0, 1000},
          Case{14, 0, 1000U << 14},
          Case{14, nat::kNoScale, 1000},
          Case{nat::kNoScale, 14, 1000},
          Case{3, 14, 8000}}) {
        CAPTURE(int{each.client}, int{each.server});
        Connection c;
        c.session.window_scales = static_cast<uint8_t>(each.server << 4 | each.client);
        c.establish();
        CHECK(c.in(kAck, 1 + each.allowed, 1) == WindowFault::kNone);
        CHECK(c.in(kAck, 2 + each.allowed, 1) == WindowFault::kBeyondWindow);
    }
}

TEST_CASE("the largest window with the largest scale is no overflow", "[nat][window]") {
    Connection c(0xfffff000, 0xfffff000);
    c.session.window_scales = 14 << 4 | 14;
    c.establish();
    CHECK(c.out(kAck, 1, 1, 0, 0xffff) == WindowFault::kNone);
    CHECK(c.in(kAck, 1 + (0xffffU << 14), 1) == WindowFault::kNone);
    CHECK(c.in(kAck, 2 + (0xffffU << 14), 1) == WindowFault::kBeyondWindow);
    CHECK(c.in(kAck, 1 - (0xffffU << 14) + (0xffffU << 14), 1) == WindowFault::kNone);
}

TEST_CASE("a closed window may be probed, and a quiet side may be asked", "[nat][window]") {
    Connection c;
    c.establish();
    CHECK(c.in(kAck, 1, 1, 1000) == WindowFault::kNone);
    CHECK(c.out(kAck, 1, 1001, 0, 0) == WindowFault::kNone);  // closed
    CHECK(c.in(kAck, 1001, 1, 1) == WindowFault::kNone);      // a probe
    CHECK(c.out(kAck, 1, 1001, 0, 0) == WindowFault::kNone);
    CHECK(c.out(kAck, 0, 1001) == WindowFault::kNone);  // keep-alive, RFC 9293 3.8.4
    CHECK(c.in(kAck, 1001, 1) == WindowFault::kNone);
}

TEST_CASE(
    "a SYN sent again with another number begins anew until it is answered", "[nat][window]"
) {
    Connection c;
    CHECK(c.out(kSyn, 0, 0) == WindowFault::kNone);
    CHECK(c.out(kSyn, 777777, 0) == WindowFault::kNone);
    CHECK(c.in(kSyn | kAck, 0, 1) == WindowFault::kAcksTooOld);  // of the first attempt
    CHECK(c.in(kSyn | kAck, 0, 777778) == WindowFault::kNone);
    c = Connection();
    CHECK(c.out(kSyn, 777777, 0) == WindowFault::kNone);
    CHECK(c.out(kSyn, 0, 0) == WindowFault::kNone);
    CHECK(c.in(kSyn | kAck, 0, 777778) == WindowFault::kAcksUnsent);
    CHECK(c.in(kSyn | kAck, 0, 1) == WindowFault::kNone);
    CHECK(c.out(kSyn, 777777, 0) == WindowFault::kNone);  // passes, but teaches nothing any more
    CHECK(c.in(kAck, 1, 777778) == WindowFault::kAcksUnsent);
    CHECK(c.out(kAck, 1, 1) == WindowFault::kNone);
}

TEST_CASE("both sides may open at once", "[nat][window]") {
    Connection c;
    CHECK(c.out(kSyn, 0, 0) == WindowFault::kNone);
    CHECK(c.in(kSyn, 0, 0) == WindowFault::kNone);
    CHECK(c.in(kSyn | kAck, 0, 1) == WindowFault::kNone);
    CHECK(c.out(kSyn | kAck, 0, 1) == WindowFault::kNone);
    CHECK(c.out(kAck, 1, 1, 100) == WindowFault::kNone);
    CHECK(c.in(kAck, 1, 102) == WindowFault::kAcksUnsent);
}

TEST_CASE("a refusal of a SYN is in the window if it acknowledges it", "[nat][window]") {
    Connection c;
    CHECK(c.out(kSyn, 0, 0) == WindowFault::kNone);
    CHECK(c.in(kRst | kAck, 0x30000000, 2) == WindowFault::kAcksUnsent);
    CHECK(c.in(kRst | kAck, 0x30000000, 1) == WindowFault::kNone);
}

TEST_CASE("after its end a connection of the same ends begins anew", "[nat][window]") {
    for (const SessionState end : {SessionState::kTcpClosing, SessionState::kTcpReset}) {
        Connection c;
        c.establish();
        c.session.state = end;
        CHECK(c.in(kAck, 0x40000000, 1) == WindowFault::kBeyondWindow);
        CHECK(c.out(kSyn, 0x20000000, 0) == WindowFault::kNone);
        c.session.state = SessionState::kTcpOpenOutbound;
        CHECK(c.in(kSyn | kAck, 0x40000000, 0x20000001) == WindowFault::kNone);
        CHECK(c.out(kAck, 0x20000001, 0x40000001, 10) == WindowFault::kNone);
    }
}

TEST_CASE("of a connection that was picked up the largest scale is assumed", "[nat][window]") {
    Connection c;
    c.session.state = SessionState::kTcpPickedUp;
    c.window.picked_up = 1;
    CHECK(c.out(kAck, 5000, 7000, 100, 10) == WindowFault::kNone);
    CHECK(c.in(kAck, 7000 + (10U << 14), 5100, 10) == WindowFault::kNone);
    CHECK(c.in(kAck, 7001 + (10U << 14), 5100) == WindowFault::kBeyondWindow);
    CHECK(c.in(kAck, 7100, 5101) == WindowFault::kAcksUnsent);
}

TEST_CASE("a RST teaches nothing, and what is not known is not judged", "[nat][window]") {
    Connection c;
    c.establish();
    const nat::TcpWindow before = c.window;
    CHECK(c.in(kRst | kAck, 500, 1, 300) == WindowFault::kNone);
    CHECK(c.window.end[1] == before.end[1]);
    CHECK(c.window.limit[0] == before.limit[0]);
    nat::forget_end(c.window, kIn);
    CHECK(c.in(kAck, 1002, 1, 1) == WindowFault::kBeyondWindow);  // what it may send is known
    CHECK(c.out(kAck, 1, 400000) == WindowFault::kNone);
    CHECK(c.in(kAck, 300, 1, 100) == WindowFault::kNone);
    CHECK(c.out(kAck, 1, 400) == WindowFault::kNone);
    CHECK(c.out(kAck, 1, 401) == WindowFault::kAcksUnsent);
}
