// Floods against an appliance whose tables are at their limit: the established sessions of others stay as they were, to the
// byte, and go on working. Fragments have files of their own, too.
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <tuple>

#include <catch2/catch.hpp>

#include "fragmenter.h"
#include "packet/checksum.h"
#include "scenario.h"

namespace sekisho::test {
namespace {

using packet::kAck;
using packet::kPsh;
using packet::kRst;
using packet::kSyn;

constexpr auto kServer = "192.0.2.80";
constexpr unsigned kEach = 16;  // established flows of UDP, TCP and echo each
constexpr uint32_t kMinute = 60'000;

// Numbers at random, the same in every run.
class Draw {
  public:
    uint32_t operator()() { return static_cast<uint32_t>(random_()); }

  private:
    std::mt19937 random_{7};
};

Ipv4Addr stranger(uint32_t number) {  // 11.0.0.0 to 42.255.255.255
    return Ipv4Addr::from_host(0x0b000000 + (number & 0x1fffffff));
}

// What must stay of a session: all of it, if nothing of its own passes.
struct Kept {
    flow::Session session;
    uint32_t lifetime_ms;
};
using SessionKey = std::tuple<uint8_t, uint32_t, uint16_t, uint32_t, uint16_t>;
std::map<SessionKey, Kept> sessions_of(const TestBed& bed) {
    std::map<SessionKey, Kept> all;
    for (const nat::SessionView& view : bed.sessions()) {
        const flow::Session& s = view.session;
        all[{s.protocol, s.internal_address, s.internal_port, s.remote_address, s.remote_port}] = {
            s, view.lifetime_ms};
    }
    return all;
}

bool is_same(const Kept& a, const Kept& b) {
    return std::memcmp(&a.session, &b.session, sizeof(a.session)) == 0 &&
           a.lifetime_ms == b.lifetime_ms;
}

// As much of it as others' packets that fit it, and are counted, leave alone.
bool has_same_state(const Kept& a, const Kept& b) {
    return a.session.state == b.session.state && a.session.mapping == b.session.mapping &&
           a.session.external_address == b.session.external_address &&
           a.session.external_port == b.session.external_port && a.lifetime_ms == b.lifetime_ms;
}

BedOptions small_tables(unsigned shards) {
    BedOptions options;
    options.shards = shards;
    options.nat = nat_settings("203.0.113.0", "203.0.113.3");
    options.nat.limits.fragments = 256;
    options.sessions = 128;
    options.mappings = 128;
    options.subscribers = 40;
    options.checking = HeapStore::Checking::kFast;
    return options;
}

void turn_out(TestBed& bed) {
    bed.run();
    bed.take();
}

void establish(TestBed& bed) {
    for (unsigned n = 0; n < kEach; ++n) {
        const Ipv4Addr from = host(5 + n);
        bed.push_internal(udp_out(bed, from, 1000, kServer, 53));
        bed.push_internal(tcp_out(bed, from, 1000, kServer, 80, kSyn).sequence(100));
        bed.push_internal(bed.from_internal().ipv4(from, ip(kServer)).echo_request(7));
        turn_out(bed);
        bed.push_external(tcp_in(bed, kServer, 80, from, 1000, kSyn | kAck)
                              .sequence(500)
                              .acknowledgement(101)
                              .window(1000));
        turn_out(bed);
        bed.push_internal(
            tcp_out(bed, from, 1000, kServer, 80, kAck).sequence(101).acknowledgement(501)
        );
        turn_out(bed);
    }
}

// New flows of new hosts until no subscriber finds room, then of these hosts until no session does.
void fill(TestBed& bed) {
    for (uint16_t port = 1000; port < 1008; ++port) {
        for (unsigned n = 0; n < 60 * bed.shards(); ++n) {
            bed.push_internal(udp_out(bed, host(200 + n), port, kServer, 53));
        }
        turn_out(bed);
    }
    REQUIRE(bed.dropped(DropReason::kSubscriberTableFull) > 0);
    REQUIRE(bed.dropped(DropReason::kSessionTableFull) > 0);
    REQUIRE(bed.session_count() == 128 * bed.shards());
    REQUIRE(bed.mapping_count() == 128 * bed.shards());
}

// Each established flow passes, both ways, with the endpoints that it had.
void check_alive(TestBed& bed) {
    for (unsigned n = 0; n < kEach; ++n) {
        const Ipv4Addr from = host(5 + n);
        const Endpoint udp = external_of(bed, Protocol::kUdp, from, 1000);
        const Endpoint tcp = external_of(bed, Protocol::kTcp, from, 1000);
        const Endpoint echo = external_of(bed, Protocol::kIcmp, from, 7);
        CHECK(source_of(outward(bed, udp_out(bed, from, 1000, kServer, 53))) == udp);
        CHECK(
            destination_of(inward(bed, udp_in(bed, kServer, 53, from, 1000))) ==
            Endpoint{from, 1000}
        );
        auto data = tcp_out(bed, from, 1000, kServer, 80, kPsh | kAck);
        CHECK(source_of(outward(bed, data.sequence(101).acknowledgement(501).payload("a"))) == tcp);
        auto answer = tcp_in(bed, kServer, 80, from, 1000, kPsh | kAck);
        CHECK(
            inward(bed, answer.sequence(501).acknowledgement(102).payload("b")).destination == from
        );
        const auto ping = bed.from_internal().ipv4(from, ip(kServer)).echo_request(7, 2);
        CHECK(outward(bed, ping).icmp_id == echo.port);
        const auto pong = bed.from_external().ipv4(ip(kServer), echo.address);
        CHECK(inward(bed, PacketBuilder(pong).echo_reply(echo.port, 2)).destination == from);
    }
}

void check_same_state(
    const std::map<SessionKey, Kept>& before, const std::map<SessionKey, Kept>& after
) {
    REQUIRE(after.size() == before.size());
    for (const auto& [key, kept] : before) {
        REQUIRE(after.contains(key));
        CHECK(has_same_state(after.at(key), kept));
    }
}

using Same = bool (*)(const Kept&, const Kept&);
using Flood = std::function<void(TestBed&, Draw&, unsigned)>;

// `flood` pushes packet number n; `reason` counts most of them.
void check_untouched_by(
    const Flood& flood,
    DropReason reason,
    Same is_unchanged = is_same,
    nat::WindowPolicy window = nat::WindowPolicy::kOff
) {
    constexpr unsigned kPackets = 20'000;
    const unsigned shards = GENERATE(1U, 3U);
    CAPTURE(shards);
    BedOptions options = small_tables(shards);
    options.nat.policies[0].tcp_window = window;
    TestBed bed(options);
    establish(bed);
    fill(bed);
    const auto before = sessions_of(bed);
    const size_t mappings = bed.mapping_count();
    Draw draw;
    for (unsigned n = 0; n < kPackets; ++n) {
        flood(bed, draw, n);
        if (n % 32 == 31) {
            turn_out(bed);
        }
    }
    turn_out(bed);
    CHECK(bed.dropped(reason) > kPackets / 2);
    const auto after = sessions_of(bed);
    CHECK(after.size() == before.size());
    CHECK(bed.mapping_count() == mappings);
    for (const auto& [key, kept] : before) {
        const auto found = after.find(key);
        REQUIRE(found != after.end());
        CHECK(is_unchanged(found->second, kept));
    }
    check_alive(bed);
    bed.shut_down();
    CHECK(bed.store().in_use() == 0);
}

Ipv4Addr any_external(Draw& draw) {
    return Ipv4Addr::from_host(ip("203.0.113.0").host() + draw() % 4);
}
Ipv4Addr any_internal(Draw& draw) {
    return Ipv4Addr::from_host(ip("100.80.0.0").host() + draw() % 2'000'000);
}
uint16_t any_port(Draw& draw) {
    return static_cast<uint16_t>(1 + draw() % 65535);
}

}  // namespace

TEST_CASE(
    "packets from random sources outside leave a full table as it is",
    "[packet][flood][rfc6888-req11d]"
) {
    check_untouched_by(
        [](TestBed& bed, Draw& draw, unsigned) {
            bed.push_external(bed.from_external()
                                  .ipv4(stranger(draw()), any_external(draw))
                                  .udp(any_port(draw), any_port(draw)));
        },
        DropReason::kNoMapping
    );
}

TEST_CASE(
    "packets from random sources inside leave a full table as it is",
    "[packet][flood][rfc6888-req11d]"
) {
    check_untouched_by(
        [](TestBed& bed, Draw& draw, unsigned) {
            bed.push_internal(
                bed.from_internal().ipv4(any_internal(draw), ip(kServer)).udp(1000, 53)
            );
        },
        DropReason::kSubscriberTableFull
    );
}

TEST_CASE("SYNs from everywhere leave a full table as it is", "[packet][flood][rfc6888-req11d]") {
    const bool is_to_mappings = GENERATE(false, true);
    CAPTURE(is_to_mappings);
    check_untouched_by(
        [is_to_mappings](TestBed& bed, Draw& draw, unsigned n) {
            const auto known = bed.external_of(Protocol::kTcp, host(5 + n % kEach), 1000);
            const Endpoint to = is_to_mappings ? known.value_or(Endpoint{})
                                               : Endpoint{any_external(draw), any_port(draw)};
            bed.push_external(bed.from_external()
                                  .ipv4(stranger(draw()), to.address)
                                  .tcp(any_port(draw), to.port, kSyn));
        },
        is_to_mappings ? DropReason::kSessionTableFull : DropReason::kNoMapping
    );
}

TEST_CASE(
    "SYNs from one subscriber leave a full table as it is", "[packet][flood][rfc6888-req11d]"
) {
    check_untouched_by(
        [](TestBed& bed, Draw& draw, unsigned n) {
            const Ipv4Addr from = host(5 + n % kEach);
            const auto to = stranger(draw());
            bed.push_internal(bed.from_internal().ipv4(from, to).tcp(1000, any_port(draw), kSyn));
        },
        DropReason::kSessionTableFull
    );
}

TEST_CASE(
    "fragments of anything, with their table full, leave full tables as they are",
    "[packet][flood][rfc4787-req14a]"
) {
    check_untouched_by(
        [](TestBed& bed, Draw& draw, unsigned n) {
            const auto id = static_cast<uint16_t>(draw());
            const bool is_in = draw() % 2 != 0;
            const bool is_first = n % 4 == 0;
            PacketBuilder packet =
                is_in ? bed.from_external().ipv4(stranger(draw()), any_external(draw))
                      : bed.from_internal().ipv4(host(5 + draw() % 60), ip(kServer));
            packet.udp(any_port(draw), any_port(draw)).ip_id(id).payload_size(1000);
            const auto parts = split(packet.bytes(), 256);
            bed.push(is_in ? kExternalLink : kInternalLink, parts[is_first ? 0 : 1 + draw() % 3]);
        },
        DropReason::kFragmentOverflow
    );
}

TEST_CASE(
    "ICMP errors with forged quotes leave a full table as it is", "[packet][flood][rfc5508-req4]"
) {
    check_untouched_by(
        [](TestBed& bed, Draw& draw, unsigned n) {
            const Ipv4Addr pool = any_external(draw);
            const PacketBuilder about = frame().ipv4(pool, stranger(draw()));
            PacketBuilder quote(about);
            n % 2 == 0 ? quote.udp(any_port(draw), any_port(draw))
                       : quote.tcp(any_port(draw), any_port(draw), kAck);
            bed.push_external(bed.from_external()
                                  .ipv4(stranger(draw()), pool)
                                  .icmp_error(3, static_cast<uint8_t>(n % 5), quote.l3()));
        },
        DropReason::kIcmpNoSession
    );
}

// What the quote says is true, but the host that says so is not on the way: nothing ends (RFC 5382 REQ-10).
TEST_CASE(
    "ICMP errors that name a flow pass, and leave it as it is", "[packet][flood][rfc5382-req10]"
) {
    TestBed bed(small_tables(2));
    establish(bed);
    fill(bed);
    const auto before = sessions_of(bed);
    for (unsigned n = 0; n < 10'000; ++n) {
        const Ipv4Addr from = host(5 + n % kEach);
        const Endpoint to = external_of(bed, Protocol::kTcp, from, 1000);
        const auto quote = frame().ipv4(to.address, ip(kServer)).tcp(to.port, 80, kAck).l3();
        bed.push_external(bed.from_external()
                              .ipv4(stranger(n), to.address)
                              .icmp_error(3, static_cast<uint8_t>(n % 14), quote));
        if (n % 32 == 31) {
            turn_out(bed);
        }
    }
    turn_out(bed);
    check_same_state(before, sessions_of(bed));
    check_alive(bed);
}

TEST_CASE(
    "RSTs outside of the window leave the sessions of a full table as they are",
    "[packet][flood][pitfall-13]"
) {
    const Flood resets = [](TestBed& bed, Draw& draw, unsigned n) {
        const uint32_t sequence = 501 + 100'000 + draw() % 0xfff00000;
        const Ipv4Addr to = host(5 + n % kEach);
        bed.push_external(tcp_in(bed, kServer, 80, to, 1000, kRst).sequence(sequence));
    };
    SECTION("dropped, where the window is tracked") {
        check_untouched_by(
            resets, DropReason::kTcpOutOfWindow, has_same_state, nat::WindowPolicy::kDrop
        );
    }
    SECTION("passed on to whoever knows better, where it is not") {
        TestBed bed(small_tables(2));
        establish(bed);
        fill(bed);
        const auto before = sessions_of(bed);
        Draw draw;
        for (unsigned n = 0; n < 10'000; ++n) {
            resets(bed, draw, n);
            if (n % 32 == 31) {
                turn_out(bed);
            }
        }
        turn_out(bed);
        check_same_state(before, sessions_of(bed));
        check_alive(bed);
    }
}

namespace {

// A frame whose source address, the checksums made to fit, is written again and again.
class Scan {
  public:
    Scan(const PacketBuilder& first, size_t checksum_at)
        : frame_(first.bytes()), sum_(checksum_at) {}
    const ByteVector& from(Ipv4Addr source) {
        const auto before = packet::load<uint32_t>(&frame_[kSource]);
        const uint16_t delta = packet::checksum_delta(before, source.raw);
        packet::store(&frame_[kSource], source.raw);
        change(kIpSum, packet::apply_delta(packet::load<uint16_t>(&frame_[kIpSum]), delta));
        change(sum_, packet::apply_delta(packet::load<uint16_t>(&frame_[sum_]), delta));
        return frame_;
    }

  private:
    static constexpr size_t kSource = 14 + 12;
    static constexpr size_t kIpSum = 14 + 10;
    void change(size_t at, uint16_t sum) { packet::store(&frame_[at], sum); }

    ByteVector frame_;
    size_t sum_;
};

constexpr size_t kUdpSum = 14 + 20 + 6;
constexpr size_t kTcpSum = 14 + 20 + 16;

#ifdef __SANITIZE_ADDRESS__  // there each packet costs twenty times as much, and shows nothing new
constexpr uint32_t kSources = 1U << 20;
#else
constexpr uint32_t kSources = 1U << 24;
#endif

// A packet from each of 16 777 216 sources.
void scan(TestBed& bed, Scan packets) {
    for (uint32_t number = 0; number < kSources; ++number) {
        bed.push(kExternalLink, packets.from(stranger(number)));
        if (number % packet::kBurst == packet::kBurst - 1) {
            bed.turn();
            bed.take();
        }
    }
    turn_out(bed);
}

}  // namespace

TEST_CASE(
    "a scan of an open mapping from 16 million sources leaves its subscriber and the table as "
    "they were",
    "[packet][flood]"
) {
    TestBed bed(small_tables(1));
    establish(bed);
    const auto before = sessions_of(bed);
    const uint64_t forwarded = bed.totals().forwarded;
    scan(bed, Scan(udp_in(bed, kServer, 4444, host(5), 1000), kUdpSum));
    CHECK(bed.totals().forwarded == forwarded + kSources);  // the filtering admits everybody
    const auto after = sessions_of(bed);
    REQUIRE(after.size() == before.size());
    for (const auto& [key, kept] : before) {
        REQUIRE(after.contains(key));
        CHECK(is_same(after.at(key), kept));
    }
    CHECK(bed.mapping_count() == size_t{3} * kEach);
    check_alive(bed);
}

TEST_CASE(
    "a scan of an open TCP mapping from 16 million sources is bounded, and gone in four minutes",
    "[packet][flood]"
) {
    TestBed bed(small_tables(1));
    establish(bed);
    const auto before = sessions_of(bed);
    scan(bed, Scan(tcp_in(bed, kServer, 4444, host(5), 1000, kSyn), kTcpSum));
    CHECK(bed.dropped(DropReason::kTcpUnsolicited) == kSources - 16);
    CHECK(bed.session_count() == before.size() + 16);
    check_alive(bed);
    for (unsigned minutes = 0; minutes < 5; ++minutes) {
        bed.advance(kMinute - 1000);
        check_alive(bed);
    }
    const auto after = sessions_of(bed);
    CHECK(after.size() == before.size());
    for (const auto& [key, kept] : before) {
        REQUIRE(after.contains(key));
        CHECK(after.at(key).session.state == kept.session.state);
    }
    CHECK(bed.mapping_count() == size_t{3} * kEach);
}

}  // namespace sekisho::test
