// Timeouts that change while sessions stand.
#include <functional>

#include <catch2/catch.hpp>

#include "cluster.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::MakeResult;

namespace {

constexpr uint32_t kSecond = 1000;
constexpr nat::TableShares kAll{4096, 4096, 1024};

}  // namespace

namespace {

uint8_t* tcp_header(uint8_t flags) {
    static uint8_t tcp[20];
    tcp[12] = 5 << 4;
    tcp[13] = flags;
    return tcp;
}

// Each is a session that stands, by the state it is in.
void stand_tcp(Cluster& c, uint16_t port, bool is_established, bool is_closing) {
    using packet::kAck, packet::kFin, packet::kSyn;
    const MakeResult made = c.open(Protocol::kTcp, subscriber(1), 4000, kRemote, port);
    REQUIRE(made.kind == MakeResult::kMade);
    const auto segment = [&](Direction direction, unsigned flags) {
        c.shard().track(made.session, direction, tcp_header(static_cast<uint8_t>(flags)), c.now);
    };
    segment(Direction::kOutbound, kSyn);
    if (is_established) {
        segment(Direction::kInbound, kSyn | kAck);
        segment(Direction::kOutbound, kAck);
    }
    if (is_closing) {
        segment(Direction::kOutbound, kFin | kAck);
        segment(Direction::kInbound, kFin | kAck);
    }
}

void stand_address_only(Cluster& c, Protocol protocol) {
    const FlowKey key = FlowKey::of(subscriber(1), kRemote, {}, {}, protocol, kInternalRealm);
    MakeResult made = c.shard().make_outbound(key, PacketKind::kAddressOnly, 0, c.now);
    if (made.kind == MakeResult::kHold) {
        c.deliver();
        made = c.shard().make_outbound(key, PacketKind::kAddressOnly, 0, c.now);
    }
    REQUIRE(made.kind == MakeResult::kMade);
    c.shard().track(made.session, Direction::kOutbound, nullptr, c.now);
    c.shard().track(made.session, Direction::kInbound, nullptr, c.now);
}

void stand_udp(Cluster& c, uint16_t port) {
    REQUIRE(c.open(Protocol::kUdp, subscriber(1), 5000, kRemote, port).kind == MakeResult::kMade);
}

// Takes the place of the timeout of UDP to port 53 and of TCP to port 22.
std::vector<nat::PortTimeout> by_port(Seconds udp, Seconds tcp) {
    return {{Protocol::kUdp, {53, 53}, udp}, {Protocol::kTcp, {22, 22}, tcp}};
}

struct Timeout {
    const char* name;
    std::function<void(Cluster&)> stand;
    std::function<void(nat::TimeoutSettings&, Seconds)> set;
};

const Timeout kTimeouts[] = {
    {"TCP, being opened",
     [](Cluster& c) { stand_tcp(c, 80, false, false); },
     [](nat::TimeoutSettings& t, Seconds s) { t.tcp_transitory = s; }},
    {"TCP, established",
     [](Cluster& c) { stand_tcp(c, 80, true, false); },
     [](nat::TimeoutSettings& t, Seconds s) { t.tcp_established = s; }},
    {"TCP, closing",
     [](Cluster& c) { stand_tcp(c, 80, true, true); },
     [](nat::TimeoutSettings& t, Seconds s) { t.tcp_closing = s; }},
    {"UDP",
     [](Cluster& c) { stand_udp(c, 80); },
     [](nat::TimeoutSettings& t, Seconds s) { t.udp = s; }},
    {"ICMP",
     [](Cluster& c) {
         REQUIRE(c.open(Protocol::kIcmp, subscriber(1), 7).kind == MakeResult::kMade);
     },
     [](nat::TimeoutSettings& t, Seconds s) { t.icmp = s; }},
    {"association",
     [](Cluster& c) { stand_address_only(c, Protocol::kSctp); },
     [](nat::TimeoutSettings& t, Seconds s) { t.association = s; }},
    {"tunnel",
     [](Cluster& c) { stand_address_only(c, Protocol::kGre); },
     [](nat::TimeoutSettings& t, Seconds s) { t.tunnel = s; }},
    {"UDP by remote port",
     [](Cluster& c) { stand_udp(c, 53); },
     [](nat::TimeoutSettings& t, Seconds s) { t.by_remote_port = by_port(s, Seconds{2000}); }},
    {"TCP by remote port",
     [](Cluster& c) { stand_tcp(c, 22, true, false); },
     [](nat::TimeoutSettings& t, Seconds s) { t.by_remote_port = by_port(Seconds{2000}, s); }},
};

// All others are 2 000 s, so that the one in question is the one that is seen.
nat::NatSettings with_timeout(const Timeout& timeout, Seconds seconds) {
    constexpr Seconds kOther{2000};
    nat::NatSettings settings = lab();
    settings.timeouts = {
        kOther, kOther, kOther, kOther, kOther, kOther, kOther, {}, by_port(kOther, kOther)};
    timeout.set(settings.timeouts, seconds);
    return settings;
}

// How long something stands in all that was put there at once, and the change of the one timeout 100 s later.
uint32_t seconds_of(const Timeout& timeout, Seconds before, Seconds after) {
    Cluster c(with_timeout(timeout, before));
    timeout.stand(c);
    uint32_t seconds = 0;
    const auto pass_until = [&](uint32_t end) {
        for (; c.shard().session_count() == 1 && seconds < end; ++seconds) {
            c.pass(kSecond);
        }
    };
    pass_until(100);
    c.change([&](nat::NatSettings& s) { timeout.set(s.timeouts, after); }, kAll);
    pass_until(3000);
    return seconds;
}

}  // namespace

TEST_CASE(
    "each timeout that is changed holds for what stands: TCP by state, ICMP, association, tunnel, "
    "by "
    "remote port",
    "[nat][change]"
) {
    for (const Timeout& timeout : kTimeouts) {
        INFO(timeout.name);
        const auto lasts = [&](uint32_t before, uint32_t after, uint32_t wanted) {
            const uint32_t seconds = seconds_of(timeout, Seconds{before}, Seconds{after});
            CHECK((seconds >= wanted && seconds <= wanted + 3));
        };
        lasts(600, 600, 600);
        lasts(600, 300, 300);
        lasts(600, 50, 100);  // its time is over when the change comes
        lasts(600, 900, 900);
    }
}

namespace {

// UDP to `count` ports from `first` on.
std::vector<nat::PortTimeout> to_ports(uint16_t first, size_t count, Seconds timeout) {
    std::vector<nat::PortTimeout> all;
    for (uint16_t port = first; all.size() < count; ++port) {
        all.push_back({Protocol::kUdp, {port, port}, timeout});
    }
    return all;
}

void stand_to_ports(Cluster& c, uint16_t first, uint16_t count) {
    for (uint16_t port = first; port < first + count; ++port) {
        stand_udp(c, port);
    }
}

}  // namespace

TEST_CASE(
    "ports get a timeout of their own, and lose it, while sessions to them stand", "[nat][change]"
) {
    nat::NatSettings settings = lab();
    settings.timeouts.udp = Seconds{500};
    Cluster c(settings);
    const auto set = [&](std::vector<nat::PortTimeout> entries) {
        c.change(
            [&](nat::NatSettings& s) { s.timeouts.by_remote_port = std::move(entries); }, kAll
        );
    };
    stand_to_ports(c, 1, 15);
    stand_to_ports(c, 101, 15);
    set(to_ports(1, 15, Seconds{1000}));
    c.pass(490 * kSecond);
    CHECK(c.shard().session_count() == 30);
    c.pass(15 * kSecond);
    CHECK(c.shard().session_count() == 15);
    // All fifteen go at once and fifteen others come: each session has what its own port has.
    stand_to_ports(c, 101, 15);
    set(to_ports(101, 15, Seconds{200}));
    c.pass(2 * kSecond);
    CHECK(c.shard().session_count() == 15);  // 505 s are over the common timeout
    c.pass(190 * kSecond);
    CHECK(c.shard().session_count() == 15);
    c.pass(15 * kSecond);
    CHECK(c.shard().session_count() == 0);
}

TEST_CASE("nobody has another port's timeout while all are given theirs", "[nat][change]") {
    nat::NatSettings settings = lab();
    settings.timeouts.udp = Seconds{500};
    settings.timeouts.by_remote_port = to_ports(1, 15, Seconds{1000});
    Cluster c(settings);
    stand_to_ports(c, 1, 15);
    c.pass(600 * kSecond);
    REQUIRE(c.shard().session_count() == 15);
    c.change(
        [](nat::NatSettings& s) {
            s.timeouts.by_remote_port = to_ports(1, 1, Seconds{1000});
            for (const nat::PortTimeout& other : to_ports(201, 14, Seconds{1})) {
                s.timeouts.by_remote_port.push_back(other);
            }
        },
        kAll
    );
    for (int turns = 0; turns < 3; ++turns) {  // a session or so a turn
        c.shard().advance(c.now, 1);
        c.shard().end_of_burst();
    }
    const size_t standing = c.shard().session_count();
    CHECK((standing < 15 && standing > 1));  // one by one
    stand_udp(c, 201);
    c.pass(10 * kSecond);
    CHECK(c.shard().session_count() == 1);  // port 1's; that to 201 had its second
    c.pass(380 * kSecond);
    CHECK(c.shard().session_count() == 1);
    c.pass(15 * kSecond);
    CHECK(c.shard().session_count() == 0);
}
