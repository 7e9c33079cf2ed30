// Protocols of which only the address is translated: SCTP, DCCP, UDP-Lite, GRE and ESP, on any number of shards.
#include <set>

#include <catch2/catch.hpp>

#include "base/text.h"
#include "fragment_scenario.h"

namespace sekisho::test {
namespace {

constexpr auto kOther = "192.0.2.81";

struct Kind {
    const char* name;
    Protocol protocol;
    size_t header;       // bytes that must be there
    size_t checksum_at;  // 0: none that covers the addresses
};
constexpr Kind kKinds[] = {
    {"sctp", Protocol::kSctp, 12, 0},
    {"dccp", Protocol::kDccp, 12, 6},
    {"udp-lite", Protocol::kUdpLite, 8, 6},
    {"gre", Protocol::kGre, 4, 0},
    {"esp", Protocol::kEsp, 8, 0},
};

// 64 bytes behind the IPv4 header; a checksum of all of it where there is one.
ByteVector body_of(const Kind& kind, Ipv4Addr from, Ipv4Addr to, uint8_t seed = 1) {
    ByteVector bytes(64);
    for (size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<uint8_t>(seed * 7 + i * 13);
    }
    if (kind.checksum_at != 0) {
        bytes[kind.checksum_at] = bytes[kind.checksum_at + 1] = 0;
        const uint16_t sum = packet::full_checksum(
            bytes, packet::pseudo_header_sum(from, to, kind.protocol, uint16_t{64})
        );
        packet::store(&bytes[kind.checksum_at], sum);
    }
    return bytes;
}

PacketBuilder out_of(const TestBed& bed, const Kind& kind, Ipv4Addr from, std::string_view to) {
    return bed.from_internal()
        .ipv4(from, ip(to))
        .protocol(static_cast<uint8_t>(kind.protocol))
        .payload(body_of(kind, from, ip(to)));
}
PacketBuilder in_of(const TestBed& bed, const Kind& kind, std::string_view from, Ipv4Addr to) {
    return bed.from_external()
        .ipv4(ip(from), to)
        .protocol(static_cast<uint8_t>(kind.protocol))
        .payload(body_of(kind, ip(from), to));
}

// What is behind the IPv4 header of a frame without tags.
Bytes body(const ByteVector& frame) {
    return Bytes(frame).subspan(14 + 20);
}

// The one frame that has left, which must be what `kind` would have sent between its addresses.
Decoded only_one(TestBed& bed, const Kind& kind) {
    const Frames frames = taken(bed);
    REQUIRE(frames.size() == 1);
    const Decoded seen = decode(frames[0]);
    CHECK(seen.protocol == static_cast<uint8_t>(kind.protocol));
    const ByteVector wanted = body_of(kind, seen.source, seen.destination);
    const Bytes got = body(frames[0]);
    CHECK(ByteVector(got.begin(), got.end()) == wanted);
    return seen;
}

// The external address that a packet from inside gets.
Ipv4Addr opened(TestBed& bed, const Kind& kind, Ipv4Addr from, std::string_view to) {
    bed.push_internal(out_of(bed, kind, from, to));
    bed.run();
    const Decoded seen = only_one(bed, kind);
    CHECK(seen.destination == ip(to));
    CHECK(int{seen.ttl} == 63);
    return seen.source;
}

BedOptions shards(unsigned count, const char* last = "203.0.113.7") {
    BedOptions options;
    options.nat = nat_settings("203.0.113.0", last);
    options.shards = count;
    options.workers = std::min(count, 2U);
    return options;
}

TEST_CASE(
    "SCTP, DCCP, UDP-Lite, GRE and ESP pass both ways by their address alone", "[packet][rfc5597]"
) {
    for (const Kind& kind : kKinds) {
        DYNAMIC_SECTION(kind.name) {
            TestBed bed(shards(GENERATE(1U, 3U, 8U)));
            for (unsigned n = 5; n < 13; ++n) {
                const std::string remote = "192.0.2." + std::to_string(n);
                const Ipv4Addr external = opened(bed, kind, host(n), remote);
                bed.push_external(in_of(bed, kind, remote, external));
                bed.run();
                CHECK(only_one(bed, kind).destination == host(n));
                // A stranger, and another protocol.
                bed.push_external(in_of(bed, kind, kStranger, external));
                bed.push_external(in_of(bed, kKinds[(&kind - kKinds + 1) % 5], remote, external));
                bed.run();
                CHECK(bed.take().empty());
            }
            CHECK(bed.dropped(DropReason::kNoMapping) == 16);
            CHECK(bed.session_count() == 8);
        }
    }
}

TEST_CASE("all of a subscriber's protocols have one external address", "[packet][rfc6888-req2]") {
    TestBed bed(shards(GENERATE(1U, 3U)));
    bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
    bed.run();
    const Ipv4Addr paired = bed.take_one(kExternalLink).source;
    for (const Kind& kind : kKinds) {
        CHECK(opened(bed, kind, host(5), kServer) == paired);
        CHECK(opened(bed, kind, host(5), kOther) == paired);
    }
}

TEST_CASE(
    "behind one external address a remote address is one inside host's, and free again in the end",
    "[packet][rfc5597]"
) {
    const Kind& kind = kKinds[GENERATE(0U, 3U)];
    TestBed bed(shards(GENERATE(1U, 3U, 8U), "203.0.113.0"));
    opened(bed, kind, host(5), kServer);
    for (unsigned n = 6; n < 14; ++n) {
        bed.push_internal(out_of(bed, kind, host(n), kServer));
        bed.run();
        CHECK(decode(taken(bed).at(0)).icmp_type == 3);  // its sender is told
    }
    CHECK(bed.dropped(DropReason::kRemoteTaken) == 8);
    opened(bed, kind, host(6), kOther);
    CHECK(bed.directory().claims().size() == 2);
    bed.advance(481 * 1000);  // nobody has answered
    CHECK(bed.session_count() == 0);
    CHECK(bed.mapping_count() == 0);
    CHECK(bed.directory().claims().size() == 0);
    opened(bed, kind, host(7), kServer);
    bed.push_external(in_of(bed, kind, kServer, ip("203.0.113.0")));
    bed.run();
    CHECK(only_one(bed, kind).destination == host(7));
}

TEST_CASE("what is answered lives as long as its protocol's timeout", "[packet][rfc5597]") {
    struct Life {
        unsigned kind;
        uint32_t seconds;
    };
    const auto [n, seconds] =
        GENERATE(Life{0, 7440}, Life{1, 7440}, Life{2, 300}, Life{3, 600}, Life{4, 600});
    const Kind& kind = kKinds[n];
    TestBed bed(shards(1));
    const Ipv4Addr external = opened(bed, kind, host(5), kServer);
    bed.push_external(in_of(bed, kind, kServer, external));
    bed.run();
    only_one(bed, kind);
    bed.advance((seconds - 2) * 1000);
    CHECK(bed.session_count() == 1);
    bed.advance(5000);
    CHECK(bed.session_count() == 0);
}

TEST_CASE(
    "an answer may shorten a session's life: the timer follows its protocol's timeout", "[packet]"
) {
    const unsigned n = GENERATE(0U, 1U, 3U, 4U);
    const Kind& kind = kKinds[n];
    BedOptions options = shards(1);
    options.nat.timeouts.association = options.nat.timeouts.tunnel = Seconds{60};
    TestBed bed(options);
    const Ipv4Addr external = opened(bed, kind, host(5), kServer);
    bed.push_external(in_of(bed, kind, kServer, external));
    bed.run();
    only_one(bed, kind);
    bed.advance(58 * 1000);
    CHECK(bed.session_count() == 1);
    bed.advance(5000);
    CHECK(bed.session_count() == 0);
    CHECK(bed.directory().claims().size() == 0);
}

TEST_CASE("a packet of an address-only protocol turns round to another subscriber", "[packet]") {
    for (const Kind& kind : kKinds) {
        DYNAMIC_SECTION(kind.name) {
            TestBed bed(shards(GENERATE(1U, 3U, 8U)));
            const Ipv4Addr five = opened(bed, kind, host(5), kServer);
            const Ipv4Addr six = opened(bed, kind, host(6), kServer);
            REQUIRE(five != six);
            const std::string to_five = base::to_text(five);
            const std::string to_six = base::to_text(six);
            bed.push_internal(out_of(bed, kind, host(5), to_six));
            bed.run();
            CHECK(bed.take().empty());  // the other one has not asked for it
            bed.push_internal(out_of(bed, kind, host(6), to_five));
            bed.run();
            const Decoded seen = only_one(bed, kind);
            CHECK(seen.source == six);
            CHECK(seen.destination == host(5));
            CHECK(int{seen.ttl} == 63);
        }
    }
}

TEST_CASE("fragments of an address-only protocol pass in any order", "[packet][rfc4787-req14]") {
    for (const Kind& kind : kKinds) {
        DYNAMIC_SECTION(kind.name) {
            TestBed bed(shards(GENERATE(1U, 3U)));
            Frames frames = split(out_of(bed, kind, host(5), kServer).ip_id(9).bytes(), 24);
            REQUIRE(frames.size() == 3);
            std::swap(frames[0], frames[2]);
            push_all(bed, kInternalLink, frames);
            bed.run();
            const auto joined = join(taken(bed));
            REQUIRE(joined);
            const Decoded seen = decode(*joined);
            const Bytes got = body(*joined);
            CHECK(ByteVector(got.begin(), got.end()) == body_of(kind, seen.source, ip(kServer)));
            push_all(bed, kExternalLink, split(in_of(bed, kind, kServer, seen.source).bytes(), 24));
            bed.run();
            CHECK(taken(bed).size() == 3);
            CHECK(bed.store().in_use() == 0);
        }
    }
}

TEST_CASE("an ICMP error about an address-only packet finds its sender", "[packet][rfc5508-req4]") {
    for (const Kind& kind : kKinds) {
        DYNAMIC_SECTION(kind.name) {
            TestBed bed(shards(GENERATE(1U, 3U)));
            const auto sent = out_of(bed, kind, host(5), kServer).l3();
            bed.push_internal(out_of(bed, kind, host(5), kServer));
            bed.run();
            const Frames frames = taken(bed);
            REQUIRE(frames.size() == 1);
            const Bytes quote = Bytes(frames[0]).subspan(14).first(28);
            bed.push_external(bed.from_external()
                                  .ipv4(ip(kOther), decode(frames[0]).source)
                                  .icmp_error(3, 2, quote));
            bed.run();
            const Decoded error = bed.take_one(kInternalLink);
            CHECK(error.destination == host(5));
            REQUIRE(error.quote.size() == 1);
            CHECK(error.quote[0].source == host(5));
            CHECK(bed.store().in_use() == 0);
        }
    }
}

TEST_CASE("what is too short for its header, or switched off, ends as its own drop", "[packet]") {
    for (const Kind& kind : kKinds) {
        DYNAMIC_SECTION(kind.name) {
            BedOptions options = shards(1);
            TestBed bed(options);
            for (size_t size = 0; size < kind.header; ++size) {
                bed.push_internal(bed.from_internal()
                                      .ipv4(host(5), ip(kServer))
                                      .protocol(static_cast<uint8_t>(kind.protocol))
                                      .payload(ByteVector(size, 1)));
            }
            bed.run();
            CHECK(bed.take().empty());
            CHECK(bed.dropped(DropReason::kTruncatedTransport) == kind.header);

            options.nat.policies[0].address_only = {false, false, false, false, false};
            TestBed strict(options);
            strict.push_internal(out_of(strict, kind, host(5), kServer));
            strict.run();
            CHECK(strict.take().empty());
            CHECK(strict.dropped(DropReason::kUnknownProtocol) == 1);
        }
    }
}

TEST_CASE("a whole static address has every protocol, from either side", "[packet][rfc3022-2.1]") {
    for (const Kind& kind : kKinds) {
        DYNAMIC_SECTION(kind.name) {
            BedOptions options = shards(GENERATE(1U, 3U, 8U));
            nat::StaticMappingSettings whole;
            whole.internal = host(12);
            whole.external = ip("203.0.113.3");
            options.nat.static_mappings = {whole};
            TestBed bed(options);
            bed.push_external(in_of(bed, kind, kStranger, whole.external));
            bed.run();
            CHECK(only_one(bed, kind).destination == host(12));
            CHECK(opened(bed, kind, host(12), kServer) == whole.external);
            bed.push_external(in_of(bed, kind, kServer, whole.external));
            bed.run();
            CHECK(only_one(bed, kind).destination == host(12));
            CHECK(bed.directory().claims().size() == 0);
        }
    }
}

TEST_CASE("exempt destinations are exempt for every protocol", "[packet][rfc6888-req6]") {
    const Kind& kind = kKinds[GENERATE(0U, 1U, 2U, 3U, 4U)];
    BedOptions options = shards(1);
    options.nat.policies[0].exempt = {{{ip("192.0.2.0"), 24}}};
    TestBed bed(options);
    CHECK(opened(bed, kind, host(5), kServer) == host(5));
    bed.push_external(in_of(bed, kind, kServer, host(5)));
    bed.run();
    CHECK(only_one(bed, kind).destination == host(5));
}

TEST_CASE("the log tells whose the remote address was", "[packet][events]") {
    BedOptions options = shards(GENERATE(1U, 3U), "203.0.113.0");
    options.nat.events.logged = GENERATE(nat::kLogMappings, nat::kLogBlocks);
    TestBed bed(options);
    opened(bed, kKinds[3], host(5), kServer);
    opened(bed, kKinds[3], host(6), kOther);
    bed.advance(481 * 1000);
    std::set<std::pair<Ipv4Addr, Ipv4Addr>> told;
    unsigned ended = 0;
    for (unsigned s = 0; s < bed.shards(); ++s) {
        nat::EventReader reader = bed.shard(s).nat().event_reader();
        for (const nat::Event& event : reader.front()) {
            const bool is_of_block = event.kind == nat::EventKind::kBlockGranted ||
                                     event.kind == nat::EventKind::kBlockReleased;
            CHECK((is_of_block || event.external_port == 0));
            if (event.kind == nat::EventKind::kSessionCreated) {
                told.insert({{event.internal_address}, {event.remote_address}});
            }
            ended += event.kind == nat::EventKind::kSessionEnded ? 1 : 0;
        }
    }
    CHECK(
        told ==
        std::set<std::pair<Ipv4Addr, Ipv4Addr>>{{host(5), ip(kServer)}, {host(6), ip(kOther)}}
    );
    CHECK(ended == 2);
}

TEST_CASE(
    "a protocol that a policy leaves out reaches no static address, nor an exempt one", "[packet]"
) {
    for (const Kind& kind : kKinds) {
        DYNAMIC_SECTION(kind.name) {
            BedOptions options = shards(GENERATE(1U, 3U));
            nat::StaticMappingSettings whole;
            whole.internal = host(12);
            whole.external = ip("203.0.113.3");
            options.nat.static_mappings = {whole};
            options.nat.policies[0].exempt = {{{ip("192.0.2.0"), 26}}};
            options.nat.policies[0].address_only = {false, false, false, false, false};
            TestBed bed(options);
            bed.push_external(in_of(bed, kind, kStranger, whole.external));
            bed.push_internal(out_of(bed, kind, host(5), "192.0.2.7"));
            bed.run();
            CHECK(bed.take().empty());
            CHECK(bed.dropped(DropReason::kUnknownProtocol) == 2);
            bed.push_external(in_of(bed, kind, "192.0.2.7", host(5)));
            bed.run();
            CHECK(bed.take().empty());
        }
    }
}

TEST_CASE("a full table of such sessions has its own reason, and is told", "[packet][events]") {
    BedOptions options = shards(GENERATE(1U, 3U));
    options.nat.limits.address_only_sessions = 4;
    options.nat.events.logged = nat::kLogLimits;
    TestBed bed(options);
    for (unsigned n = 0; n < 12; ++n) {
        bed.push_internal(out_of(bed, kKinds[3], host(5), "192.0.2." + std::to_string(1 + n)));
        bed.run();
    }
    CHECK(bed.session_count() == 4);
    CHECK(bed.dropped(DropReason::kAddressOnlyFull) == 8);
    unsigned told = 0;
    for (unsigned i = 0; i < bed.shards(); ++i) {
        nat::EventReader reader = bed.shard(i).nat().event_reader();
        for (const nat::Event& event : reader.front()) {
            told += event.cause == static_cast<uint8_t>(DropReason::kAddressOnlyFull) ? 1 : 0;
        }
    }
    CHECK(told == 1);
}

}  // namespace
}  // namespace sekisho::test
