// Segments outside of their connection's window, through policies that track it.
#include <random>

#include <catch2/catch.hpp>

#include "nat/event_ring.h"
#include "scenario.h"

namespace sekisho::test {
namespace {

using packet::kAck;
using packet::kFin;
using packet::kRst;
using packet::kSyn;

constexpr auto kServer = "192.0.2.1";
constexpr uint32_t kSecond = 1000;

BedOptions with(nat::WindowPolicy policy) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].tcp_window = policy;
    return options;
}

struct Segment {
    bool out;
    uint8_t flags;
    uint32_t sequence;
    uint32_t acknowledgement;
    const char* data = "";
};

// How many frames left.
size_t pass(TestBed& bed, Ipv4Addr subscriber, const Segment& s) {
    PacketBuilder packet = s.out ? tcp_out(bed, subscriber, 1000, kServer, 80, s.flags)
                                 : tcp_in(bed, kServer, 80, subscriber, 1000, s.flags);
    packet.sequence(s.sequence).acknowledgement(s.acknowledgement).payload(s.data).window(1000);
    s.out ? bed.push_internal(packet) : bed.push_external(packet);
    bed.run();
    return bed.take().size();
}

void establish(TestBed& bed, Ipv4Addr subscriber) {
    CHECK(pass(bed, subscriber, {true, kSyn, 100, 0}) == 1);
    CHECK(pass(bed, subscriber, {false, kSyn | kAck, 500, 101}) == 1);
    CHECK(pass(bed, subscriber, {true, kAck, 101, 501}) == 1);
}

}  // namespace

TEST_CASE(
    "where a policy says so, what lies outside of the window is dropped", "[packet][window]"
) {
    const auto policy =
        GENERATE(nat::WindowPolicy::kOff, nat::WindowPolicy::kLog, nat::WindowPolicy::kDrop);
    run_everywhere(with(policy), [policy](TestBed& bed, Story& story) {
        establish(bed, host(5));
        const Segment outside[] = {
            {false, kAck, 501 + 1001, 101, "forged"},
            {false, kAck, 501, 102, "forged"},
            {false, kRst, 501 + 1001, 0},
            {false, kRst | kAck, 501 + 0x40000000, 101, "with data"},
            {false, kFin | kAck, 501U - 2000, 101},
            {false, kSyn | kAck, 0x50000000, 101},
            {true, kAck, 101 + 1001, 501, "too fast"},
            {true, kRst, 101 + 1001, 0},
        };
        size_t passed = 0;
        for (const Segment& segment : outside) {
            passed += pass(bed, host(5), segment);
        }
        const bool drops = policy == nat::WindowPolicy::kDrop;
        CHECK(passed == (drops ? 0 : std::size(outside)));
        CHECK(bed.dropped(DropReason::kTcpOutOfWindow) == (drops ? std::size(outside) : 0));
        CHECK(pass(bed, host(5), {false, kAck, 501, 101, "in order"}) == 1);
        CHECK(pass(bed, host(5), {true, kAck, 101, 509, "as well"}) == 1);
        if (drops) {
            CHECK(bed.sessions()[0].session.state == SessionState::kTcpEstablished);
            bed.advance(300 * kSecond);
            CHECK(bed.session_count() == 1);
        }
        story.step(bed);
    });
}

TEST_CASE(
    "a connection in its window passes whole, its end and the next one too", "[packet][window]"
) {
    run_everywhere(with(nat::WindowPolicy::kDrop), [](TestBed& bed, Story& story) {
        for (unsigned round = 0; round < 3; ++round) {
            establish(bed, host(5));
            const Segment segments[] = {
                {true, kAck, 101, 501, "request"},
                {false, kAck, 501, 108, "answer"},
                {false, kAck, 501, 108, "answer"},
                {true, kAck, 100, 507},  // keep-alive
                {false, kAck, 507, 108},
                {true, kFin | kAck, 108, 507},
                {false, kAck, 507, 109, "more"},
                {true, kAck, 109, 511},
                {false, kFin | kAck, 511, 109},
                {true, kAck, 109, 512},
            };
            for (const Segment& segment : segments) {
                CHECK(pass(bed, host(5), segment) == 1);
            }
        }
        CHECK(bed.dropped(DropReason::kTcpOutOfWindow) == 0);
        story.step(bed);
    });
}

TEST_CASE(
    "a fragment is judged by where it begins, and lets the next whole segment speak",
    "[packet][window]"
) {
    BedOptions options = with(nat::WindowPolicy::kDrop);
    options.broken_frames = true;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        establish(bed, host(5));
        const auto fragment = [&bed](uint32_t sequence, uint16_t id) {
            bed.push_internal(tcp_out(bed, host(5), 1000, kServer, 80, kAck)
                                  .sequence(sequence)
                                  .acknowledgement(501)
                                  .payload("123456789012")
                                  .ip_id(id)
                                  .l4_checksum(0)
                                  .fragment(0, true));
            bed.run();
            return bed.take().size();
        };
        CHECK(fragment(101, 1) == 1);
        CHECK(fragment(101 + 1001, 2) == 0);
        CHECK(pass(bed, host(5), {false, kAck, 501, 117}) == 1);  // it had more behind
        CHECK(pass(bed, host(5), {true, kAck, 117, 501, "x"}) == 1);
        CHECK(pass(bed, host(5), {false, kAck, 501, 119}) == 0);
        story.note(std::to_string(bed.dropped(DropReason::kTcpOutOfWindow)));
    });
}

TEST_CASE(
    "the log tells of segments outside of the window, but not of a flood", "[packet][window]"
) {
    const bool told = GENERATE(false, true);
    BedOptions options = with(nat::WindowPolicy::kDrop);
    options.nat.events.logged =
        static_cast<uint8_t>(nat::kLogMappings | (told ? nat::kLogInvalid : 0));
    TestBed bed(options);
    establish(bed, host(5));
    nat::EventReader reader = bed.shard(0).nat().event_reader();
    const auto count = [&reader] {
        size_t invalid = 0;
        for (auto events = reader.front(); !events.empty(); events = reader.front()) {
            for (const nat::Event& event : events) {
                if (event.kind == nat::EventKind::kSegmentInvalid) {
                    ++invalid;
                    CHECK(event.inbound == 1);
                    CHECK(event.remote_address == ip(kServer).raw);
                    CHECK(event.cause == static_cast<uint8_t>(nat::WindowFault::kBeyondWindow));
                }
            }
            reader.pop(events.size());
        }
        return invalid;
    };
    for (unsigned n = 0; n < 500; ++n) {
        pass(bed, host(5), {false, kRst, 501 + 5000 + n, 0});
    }
    CHECK(count() == (told ? 1 : 0));
    bed.advance(1000);
    pass(bed, host(5), {false, kRst, 501 + 5000, 0});
    CHECK(count() == (told ? 1 : 0));
    CHECK(bed.dropped(DropReason::kTcpOutOfWindow) == 501);
}

namespace {

std::vector<nat::Event> invalid_segments(nat::EventReader& reader) {
    std::vector<nat::Event> invalid;
    for (auto events = reader.front(); !events.empty(); events = reader.front()) {
        for (const nat::Event& event : events) {
            if (event.kind == nat::EventKind::kSegmentInvalid) {
                invalid.push_back(event);
            }
        }
        reader.pop(events.size());
    }
    return invalid;
}

}  // namespace

TEST_CASE(
    "the log tells of segments that belong to no connection, but not of a flood", "[packet][window]"
) {
    const bool told = GENERATE(false, true);
    BedOptions options = with(nat::WindowPolicy::kOff);
    options.nat.events.logged =
        static_cast<uint8_t>(nat::kLogMappings | (told ? nat::kLogInvalid : 0));
    nat::StaticMappingSettings fixed;
    fixed.internal = host(9);
    fixed.external = ip("203.0.113.3");
    fixed.internal_ports = {80, 80};
    fixed.external_ports = {8080, 8080};
    options.nat.static_mappings = {fixed};
    TestBed bed(options);
    establish(bed, host(5));
    nat::EventReader reader = bed.shard(0).nat().event_reader();
    CHECK(invalid_segments(reader).empty());
    const Endpoint mapped = external_of(bed, Protocol::kTcp, host(5), 1000);
    const Endpoint fixed_at = at("203.0.113.3", 8080);
    struct Row {
        bool out;
        PacketBuilder packet;
        Endpoint internal, external;
        const char* remote;
        uint8_t flags;
    };
    const auto in = [&](const char* from, const Endpoint& to, uint8_t flags) {
        return bed.from_external().ipv4(ip(from), to.address).tcp(81, to.port, flags);
    };
    const Row rows[] = {
        {true,
         tcp_out(bed, host(6), 2000, "192.0.2.76", 81, kAck),
         {host(6), 2000},
         {},
         "192.0.2.76",
         kAck},
        {false,
         in("192.0.2.77", mapped, kFin | kAck),
         {host(5), 1000},
         mapped,
         "192.0.2.77",
         kFin | kAck},
        {false, in("192.0.2.78", fixed_at, kRst), {host(9), 80}, fixed_at, "192.0.2.78", kRst},
    };
    for (const Row& row : rows) {
        INFO(row.remote);
        for (unsigned n = 0; n < 100; ++n) {
            row.out ? bed.push_internal(row.packet) : bed.push_external(row.packet);
        }
        bed.run();
        CHECK(bed.take().empty());
        const std::vector<nat::Event> events = invalid_segments(reader);
        REQUIRE(events.size() == (told ? 1 : 0));
        for (const nat::Event& event : events) {
            CHECK(event.cause == static_cast<uint8_t>(nat::WindowFault::kNoSession));
            CHECK(event.inbound == (row.out ? 0 : 1));
            CHECK(event.protocol == static_cast<uint8_t>(Protocol::kTcp));
            CHECK(event.realm == kInternalRealm.value);
            CHECK(event.internal_address == row.internal.address.raw);
            CHECK(event.internal_port == Port::from_host(row.internal.port).raw);
            CHECK(event.external_address == row.external.address.raw);
            CHECK(event.external_port == Port::from_host(row.external.port).raw);
            CHECK(event.remote_address == ip(row.remote).raw);
            CHECK(event.remote_port == Port::from_host(81).raw);
            CHECK(event.count == row.flags);
        }
        bed.advance(1000);
    }
    CHECK(bed.dropped(DropReason::kNoSession) == 300);
}

TEST_CASE(
    "a flood of resets at random leaves connections as they are, with or without tracking",
    "[packet][window][flood][pitfall-13]"
) {
    const auto policy = GENERATE(nat::WindowPolicy::kOff, nat::WindowPolicy::kDrop);
    BedOptions options = with(policy);
    options.shards = 2;
    TestBed bed(options);
    for (unsigned n = 5; n < 15; ++n) {
        establish(bed, host(n));
    }
    std::mt19937 draw(3);
    for (unsigned n = 0; n < 20000; ++n) {
        const uint32_t sequence = static_cast<uint32_t>(501 + 2000 + draw() % 0xffff0000);
        bed.push_external(tcp_in(bed, kServer, 80, host(5 + n % 10), 1000, kRst).sequence(sequence)
        );
        if (n % 100 == 0) {
            bed.run();
            bed.take();
        }
    }
    bed.run();
    bed.take();
    for (unsigned n = 5; n < 15; ++n) {
        CHECK(pass(bed, host(n), {false, kAck, 501, 101, "alive"}) == 1);
    }
    for (const nat::SessionView& view : bed.sessions()) {
        CHECK(view.session.state == SessionState::kTcpEstablished);
    }
}

}  // namespace sekisho::test
