// Subscribers ask for mappings, by PCP and NAT-PMP, and are reached through them (RFC 6888 REQ-9).
#include <catch2/catch.hpp>

#include "dataplane/dataplane_inspector.h"
#include "pcp_messages.h"
#include "scenario.h"
#include "support/rules_support.h"

namespace sekisho::test {
namespace {

constexpr auto kServer = "192.0.2.80";
constexpr auto kAppliance = "100.64.0.1";
constexpr uint16_t kClientPort = 30000;

BedOptions lab() {
    BedOptions options;
    options.nat = nat_settings();
    return options;
}

PacketBuilder request(const TestBed& bed, Ipv4Addr from, const ByteVector& message) {
    return bed.from_internal().ipv4(from, ip(kAppliance)).udp(kClientPort, 5351).payload(message);
}

// The answer to the one request; the headers are right.
ByteVector ask(TestBed& bed, Ipv4Addr from, const ByteVector& message) {
    bed.push_internal(request(bed, from, message));
    bed.run();
    const Decoded answer = bed.take_one(kInternalLink);
    CHECK(answer.source == ip(kAppliance));
    CHECK(answer.destination == from);
    CHECK(answer.source_port == 5351);
    CHECK(answer.destination_port == kClientPort);
    return {answer.payload.begin(), answer.payload.end()};
}

PcpMap map_of(Ipv4Addr client, uint16_t port, Protocol protocol = Protocol::kUdp) {
    PcpMap map;
    map.client = client;
    map.port = port;
    map.protocol = protocol;
    return map;
}

uint32_t number(const ByteVector& bytes, size_t at, size_t size) {
    uint32_t value = 0;
    for (size_t i = at; i < at + size; ++i) {
        value = value << 8 | bytes.at(i);
    }
    return value;
}

Endpoint granted(const ByteVector& answer) {
    REQUIRE(answer.size() >= 60);
    CHECK(number(answer, 0, 2) == 0x0281);
    CHECK(answer[3] == 0);
    return {
        Ipv4Addr::from_host(number(answer, 56, 4)), static_cast<uint16_t>(number(answer, 42, 2))};
}

uint64_t answers(const TestBed& bed, nat::PcpResult result) {
    return bed.totals().pcp[static_cast<size_t>(result)];
}

}  // namespace

TEST_CASE(
    "a subscriber asks by PCP, and a stranger reaches it", "[packet][pcp][rfc6888-req9-pcp]"
) {
    run_everywhere(lab(), [](TestBed& bed, Story& story) {
        const Endpoint udp = granted(ask(bed, host(5), map_of(host(5), 4000).bytes()));
        CHECK(udp == external_of(bed, Protocol::kUdp, host(5), 4000));
        bed.push_external(bed.from_external().ipv4(ip(kServer), udp.address).udp(9, udp.port));
        bed.run();
        CHECK(destination_of(bed.take_one(kInternalLink)) == Endpoint{host(5), 4000});
        const auto tcp_map = map_of(host(5), 4000, Protocol::kTcp);
        const Endpoint tcp = granted(ask(bed, host(5), tcp_map.bytes()));
        CHECK(tcp.address == udp.address);
        const auto syn =
            bed.from_external().ipv4(ip(kServer), tcp.address).tcp(9, tcp.port, packet::kSyn);
        CHECK(destination_of(inward(bed, syn)) == Endpoint{host(5), 4000});
        CHECK(bed.session_count() == 1);
        CHECK(answers(bed, nat::PcpResult::kSuccess) == 2);
        story.step(bed);
        bed.advance(3'700'000);
        CHECK(bed.mapping_count() == 0);
        story.step(bed);
    });
}

TEST_CASE("a subscriber controls its mappings", "[packet][pcp][rfc6888-req9]") {
    run_everywhere(lab(), [](TestBed& bed, Story& story) {
        const Endpoint external = granted(ask(bed, host(5), map_of(host(5), 4000).bytes()));
        PcpMap end = map_of(host(5), 4000);
        end.lifetime = 0;
        const ByteVector ended = ask(bed, host(5), end.bytes());
        CHECK(number(ended, 2, 6) == 0);
        check_refused(
            bed,
            kExternalLink,
            bed.from_external().ipv4(ip(kServer), external.address).udp(9, external.port),
            DropReason::kNoMapping
        );
        story.step(bed);
        CHECK(bed.mapping_count() == 0);
    });
}

TEST_CASE("NAT-PMP asks for the address and for a mapping", "[packet][pcp]") {
    run_everywhere(lab(), [](TestBed& bed, Story& story) {
        const ByteVector address = ask(bed, host(6), {0, 0});
        REQUIRE(address.size() == 12);
        CHECK(number(address, 0, 4) == 0x00800000);
        const ByteVector map = ask(bed, host(6), {0, 2, 0, 0, 0x0f, 0xa0, 0, 0, 0, 0, 0x0e, 0x10});
        REQUIRE(map.size() == 16);
        CHECK(number(map, 0, 4) == 0x00820000);
        CHECK(number(map, 8, 2) == 4000);
        CHECK(number(map, 12, 4) == 3600);
        const Endpoint external = external_of(bed, Protocol::kTcp, host(6), 4000);
        CHECK(number(map, 10, 2) == external.port);
        CHECK(number(address, 8, 4) == external.address.host());
        story.step(bed);
    });
}

TEST_CASE("one subscriber reaches another by what that one asked for", "[packet][pcp]") {
    run_everywhere(lab(), [](TestBed& bed, Story& story) {
        const Endpoint external = granted(ask(bed, host(5), map_of(host(5), 4000).bytes()));
        const auto packet =
            bed.from_internal().ipv4(host(900), external.address).udp(700, external.port);
        CHECK(destination_of(turned(bed, packet)) == Endpoint{host(5), 4000});
        story.step(bed);
    });
}

TEST_CASE("requests with faults are refused, and make nothing", "[packet][pcp]") {
    run_everywhere(lab(), [](TestBed& bed, Story& story) {
        using enum nat::PcpResult;
        const ByteVector good = map_of(host(5), 4000).bytes();
        const auto refused = [&](size_t at, uint8_t value, nat::PcpResult result) {
            ByteVector bytes = good;
            bytes[at] = value;
            const ByteVector answer = ask(bed, host(5), bytes);
            CHECK(answer.size() == bytes.size());
            CHECK(answer.at(3) == static_cast<uint8_t>(result));
            CHECK(answers(bed, result) == 1);
        };
        refused(0, 1, kUnsupportedVersion);
        refused(1, 2, kUnsupportedOpcode);
        refused(23, 77, kAddressMismatch);
        refused(36, 1, kUnsupportedProtocol);
        ByteVector response = good;
        response[1] |= 0x80;
        check_refused(
            bed, kInternalLink, request(bed, host(5), response), DropReason::kToAppliance
        );
        const auto from_outside =
            bed.from_external().ipv4(kServer, "198.51.100.2").udp(kClientPort, 5351).payload(good);
        bed.push_external(from_outside);
        story.step(bed);
        CHECK(bed.mapping_count() == 0);
        CHECK(answers(bed, kSuccess) == 0);
    });
}

TEST_CASE("IPv4 options of a request do not come back", "[packet][pcp]") {
    TestBed bed(lab());
    bed.push_internal(request(bed, host(5), map_of(host(5), 4000).bytes()).ip_options({1, 1, 1, 1})
    );
    bed.run();
    const Decoded answer = bed.take_one(kInternalLink);
    CHECK(answer.total_length == 20 + 8 + 60);
    granted({answer.payload.begin(), answer.payload.end()});
}

TEST_CASE("a flood of requests from one subscriber leaves others what is theirs", "[packet][pcp]") {
    BedOptions options = lab();
    options.nat.pcp.mappings_per_subscriber = 16;
    options.nat.pcp.mappings = 1024;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (unsigned i = 0; i < 400; ++i) {
            const auto port = static_cast<uint16_t>(2000 + i * 7);
            bed.push_internal(request(bed, host(5), map_of(host(5), port).bytes()));
            if (i % 32 == 31) {
                bed.run();
            }
        }
        bed.run();
        bed.take();
        CHECK(bed.mapping_count() == 16);
        CHECK(answers(bed, nat::PcpResult::kSuccess) == 16);
        CHECK(answers(bed, nat::PcpResult::kUserExceededQuota) == 84);
        CHECK(bed.dropped(DropReason::kRateLimited) == 300);
        granted(ask(bed, host(6), map_of(host(6), 4000).bytes()));
        story.note("held out");
    });
}

TEST_CASE("a packet that rules deny ends nothing that was asked for", "[packet][pcp]") {
    run_everywhere(lab(), [](TestBed& bed, Story& story) {
        namespace rt = rules::test;
        rules::RuleSet set;
        const auto chain =
            set.add_built_in("main", rules::Hook::kEgress, 0, rules::Accept{}).value();
        REQUIRE(set.append(chain, rt::rule({rt::to("192.0.2.66/32")}, {rules::Deny{}})));
        bed.put_rules(set);
        const Endpoint udp = granted(ask(bed, host(5), map_of(host(5), 4000).bytes()));
        const auto knock = [&](const char* who) {
            bed.push_external(bed.from_external().ipv4(ip(who), udp.address).udp(9, udp.port));
            bed.run();
            CHECK(destination_of(bed.take_one(kInternalLink)) == Endpoint{host(5), 4000});
        };
        knock("192.0.2.66");
        const auto answer = bed.from_internal().ipv4(host(5), ip("192.0.2.66")).udp(4000, 9);
        check_refused(bed, kInternalLink, answer, DropReason::kDeniedByRule);
        CHECK(bed.session_count() == 0);
        CHECK(bed.mapping_count() == 1);
        knock(kServer);
        story.step(bed);
    });
}

TEST_CASE("the operator ends what was asked for, through the rings", "[packet][pcp]") {
    BedOptions options = lab();
    options.shards = 3;
    TestBed bed(options);
    for (unsigned n = 5; n < 45; ++n) {
        granted(ask(bed, host(n), map_of(host(n), 4000).bytes()));
    }
    dataplane::InspectorPlan plan = bed.inspector_plan();
    plan.pump = [&] { bed.turn(); };
    dataplane::DataplaneInspector inspector(plan);
    std::vector<nat::MappingView> leased;
    REQUIRE(inspector.mappings([&](const nat::MappingView& view) {
        CHECK(view.is_leased);
        leased.push_back(view);
        return true;
    }));
    REQUIRE(leased.size() == 40);
    leased[0].mapping.external_port ^= 1;  // another mapping by now
    CHECK(inspector.clear_leases(leased).value() == 39);
    CHECK(inspector.clear_leases(leased).value() == 0);
    CHECK(bed.mapping_count() == 1);
}

TEST_CASE("where it is switched off nothing answers there", "[packet][pcp]") {
    BedOptions options = lab();
    options.nat.pcp.enabled = false;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        bed.push_internal(request(bed, host(5), map_of(host(5), 4000).bytes()));
        bed.run();
        const Decoded answer = bed.take_one(kInternalLink);
        CHECK(answer.icmp_type == packet::kIcmpUnreachable);
        CHECK(answer.icmp_code == packet::kCodePortUnreachable);
        CHECK(bed.mapping_count() == 0);
        story.step(bed);
    });
}

}  // namespace sekisho::test
