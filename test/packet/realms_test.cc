// Two realms with the same addresses on two VLANs of one port: nobody gets what is another's, and neither realm learns of the
// other but what any outsider may.
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "fragmenter.h"
#include "two_realms.h"

namespace sekisho::test {
namespace {

// A session of the client of each realm, with the same internal endpoint.
void open_both(TestBed& bed) {
    outward(bed, query(bed, kRed).payload("red"));
    outward(bed, query(bed, kBlue).payload("blue"));
}

ByteVector tagged(ByteVector frame, RealmId realm) {
    const ByteVector tag = {0x81, 0, 0, static_cast<uint8_t>(tag_of(realm))};
    frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    return frame;
}

ByteVector untagged(ByteVector frame) {
    frame.erase(frame.begin() + 12, frame.begin() + 16);
    return frame;
}

}  // namespace

TEST_CASE("the same internal endpoint in two realms is two subscribers", "[packet][realms]") {
    run_everywhere(two_realms(), [](TestBed& bed, Story& story) {
        open_both(bed);
        CHECK(endpoint_of(bed, kRed, 4000) != endpoint_of(bed, kBlue, 4000));
        for (const RealmId realm : {kRed, kBlue, kBlue, kRed}) {  // the second time by known hops
            const Decoded seen = inward(bed, realm, answer(bed, realm).payload("here"));
            CHECK(destination_of(seen) == at(kClient, 4000));
            CHECK(source_of(seen) == at(kServer, 53));
            const Decoded out = outward(bed, query(bed, realm));
            CHECK(source_of(out) == endpoint_of(bed, realm, 4000));
        }
        CHECK(bed.session_count() == 2);
        CHECK(bed.mapping_count() == 2);
        story.step(bed);
    });
}

TEST_CASE("TCP and pings of two realms keep apart", "[packet][realms]") {
    run_everywhere(two_realms(), [](TestBed& bed, Story& story) {
        for (const RealmId realm : {kRed, kBlue}) {
            outward(bed, from(bed, realm).ipv4(kClient, kServer).tcp(4000, 80, packet::kSyn));
            outward(bed, from(bed, realm).ipv4(kClient, kServer).echo_request(7));
        }
        for (const RealmId realm : {kRed, kBlue}) {
            const Endpoint tcp = endpoint_of(bed, realm, 4000, Protocol::kTcp);
            const auto accept = bed.from_external().ipv4(ip(kServer), tcp.address);
            const uint8_t both = packet::kSyn | packet::kAck;
            CHECK(
                destination_of(inward(bed, realm, PacketBuilder(accept).tcp(80, tcp.port, both))) ==
                at(kClient, 4000)
            );
            const Endpoint ping = endpoint_of(bed, realm, 7, Protocol::kIcmp);
            const auto pong =
                bed.from_external().ipv4(ip(kServer), ping.address).echo_reply(ping.port);
            CHECK(inward(bed, realm, pong).icmp_id == 7);
        }
        story.step(bed);
    });
}

TEST_CASE("what lies behind the same router of two realms keeps apart", "[packet][realms]") {
    run_everywhere(two_realms(), [](TestBed& bed, Story& story) {
        for (const RealmId realm : {kRed, kBlue}) {
            outward(bed, from(bed, realm).ipv4("172.16.5.5", kServer).udp(4000, 53));
        }
        for (const RealmId realm : {kRed, kBlue}) {
            const auto to = bed.external_of(Protocol::kUdp, ip("172.16.5.5"), 4000, realm);
            REQUIRE(to);
            const Decoded seen = inward(
                bed, realm, bed.from_external().ipv4(ip(kServer), to->address).udp(53, to->port)
            );
            CHECK(destination_of(seen) == at("172.16.5.5", 4000));
            CHECK(seen.to == MacAddr{{6, static_cast<uint8_t>(tag_of(realm)), 10, 0, 0, 9}});
        }
        story.step(bed);
    });
}

TEST_CASE("fragments with the same addresses and identification keep apart", "[packet][realms]") {
    run_everywhere(two_realms(), [](TestBed& bed, Story& story) {
        open_both(bed);
        const auto whole = [&] {
            return bed.from_internal().ipv4(kClient, kServer).udp(4000, 53).ip_id(77);
        };
        const auto red = split(whole().payload(ByteVector(600, 'r')).bytes(), 256);
        const auto blue = split(whole().payload(ByteVector(600, 'b')).bytes(), 256);
        REQUIRE(red.size() == blue.size());
        for (size_t i = red.size(); i-- > 0;) {  // the first ones last
            bed.push(kInternalLink, tagged(red[i], kRed));
            bed.push(kInternalLink, tagged(blue[i], kBlue));
        }
        bed.run();
        std::map<Ipv4Addr, std::vector<ByteVector>> by_source;
        for (const auto& sent : bed.take()) {
            CHECK(sent.device == kExternalLink);
            by_source[decode(sent.bytes).source].push_back(sent.bytes);
        }
        std::vector<ByteVector> all;
        for (const auto& [source, frames] : by_source) {
            all.insert(all.end(), frames.begin(), frames.end());
        }
        std::map<uint16_t, std::vector<ByteVector>> by_id;
        for (const ByteVector& frame : all) {
            by_id[decode(frame).ip_id].push_back(frame);
        }
        REQUIRE(by_id.size() == 2);
        for (const auto& [id, frames] : by_id) {
            const auto joined = join(frames);
            REQUIRE(joined);
            CHECK(checksums_ok(*joined));
            const Decoded seen = decode(*joined);
            const bool is_red = seen.payload[0] == 'r';
            CHECK(source_of(seen) == endpoint_of(bed, is_red ? kRed : kBlue, 4000));
            CHECK(seen.payload == ByteVector(600, is_red ? 'r' : 'b'));
        }
        for (const RealmId realm : {kRed, kBlue}) {
            const Endpoint to = endpoint_of(bed, realm, 4000);
            const auto big = bed.from_external().ipv4(ip(kServer), to.address).udp(53, to.port);
            const auto pieces = split(PacketBuilder(big).ip_id(9).payload_size(600).bytes(), 256);
            for (size_t i = pieces.size(); i-- > 0;) {
                bed.push(kExternalLink, pieces[i]);
            }
            bed.run();
            std::vector<ByteVector> inside;
            for (const auto& sent : bed.take()) {
                CHECK(decode(sent.bytes).vlans == std::vector<uint16_t>{tag_of(realm)});
                inside.push_back(untagged(sent.bytes));
            }
            const auto joined = join(inside);
            REQUIRE(joined);
            CHECK(destination_of(decode(*joined)) == at(kClient, 4000));
        }
        story.step(bed);
    });
}

TEST_CASE("an ICMP error finds the realm of the packet that it quotes", "[packet][realms]") {
    run_everywhere(two_realms(), [](TestBed& bed, Story& story) {
        open_both(bed);
        for (const RealmId realm : {kRed, kBlue}) {
            const Endpoint own = endpoint_of(bed, realm, 4000);
            const auto quote = frame().ipv4(own.address, ip(kServer)).udp(own.port, 53);
            const Decoded seen = inward(
                bed,
                realm,
                bed.from_external().ipv4(ip(kStranger), own.address).icmp_error(11, 0, quote.l3())
            );
            REQUIRE(seen.quote.size() == 1);
            CHECK(seen.source == ip(kStranger));
            CHECK(seen.destination == ip(kClient));
            CHECK(source_of(seen.quote[0]) == at(kClient, 4000));

            const auto inbound = frame().ipv4(ip(kServer), ip(kClient)).udp(53, 4000);
            const Decoded out = outward(
                bed, from(bed, realm).ipv4(kClient, kServer).icmp_error(3, 3, inbound.l3())
            );
            REQUIRE(out.quote.size() == 1);
            CHECK(out.source == own.address);
            CHECK(destination_of(out.quote[0]) == own);
            // From a router of the realm, which has no mapping: the appliance speaks for it.
            const Decoded routed = outward(
                bed, from(bed, realm).ipv4("10.0.0.9", kServer).icmp_error(3, 1, inbound.l3())
            );
            CHECK(routed.source == ip("198.51.100.2"));
        }
        story.step(bed);
    });
}

TEST_CASE("errors owed to a subscriber come from its own realm's link", "[packet][realms]") {
    BedOptions options = two_realms();
    options.external_mtu = 1000;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (const RealmId realm : {kRed, kBlue}) {
            bed.push_internal(query(bed, realm).ttl(1));
            const Decoded late = into(bed, realm);
            CHECK(late.icmp_type == 11);
            CHECK(late.source == ip("10.0.0.1"));
            CHECK(late.destination == ip(kClient));
            bed.push_internal(query(bed, realm).dont_fragment().payload_size(1100));
            const Decoded big = into(bed, realm);
            CHECK(big.icmp_type == 3);
            CHECK(big.icmp_code == 4);
            CHECK(big.source == ip("10.0.0.1"));
            bed.push_internal(from(bed, realm).ipv4(kClient, "10.0.0.1").echo_request(9));
            const Decoded pong = into(bed, realm);
            CHECK(pong.icmp_type == 0);
            CHECK(pong.source == ip("10.0.0.1"));
        }
        story.step(bed);
    });
}

TEST_CASE(
    "subscribers of two realms meet by their external endpoints alone",
    "[packet][realms][rfc4787-req9]"
) {
    run_everywhere(two_realms(), [](TestBed& bed, Story& story) {
        open_both(bed);
        const Endpoint red = endpoint_of(bed, kRed, 4000);
        const Endpoint blue = endpoint_of(bed, kBlue, 4000);
        bed.push_internal(from(bed, kRed).ipv4(ip(kClient), blue.address).udp(4000, blue.port));
        const Decoded there = into(bed, kBlue);
        CHECK(source_of(there) == red);
        CHECK(destination_of(there) == at(kClient, 4000));
        CHECK(there.ttl == 63);
        bed.push_internal(from(bed, kBlue).ipv4(ip(kClient), red.address).udp(4000, red.port));
        const Decoded back = into(bed, kRed);
        CHECK(source_of(back) == blue);
        CHECK(destination_of(back) == at(kClient, 4000));
        const auto quote = frame().ipv4(red.address, ip(kClient)).udp(red.port, 4000);
        bed.push_internal(
            from(bed, kBlue).ipv4(ip(kClient), red.address).icmp_error(3, 3, quote.l3())
        );
        const Decoded error = into(bed, kRed);
        REQUIRE(error.quote.size() == 1);
        CHECK(error.source == blue.address);
        CHECK(source_of(error.quote[0]) == at(kClient, 4000));
        CHECK(destination_of(error.quote[0]) == blue);
        story.step(bed);
    });
}

TEST_CASE("no packet goes from one realm to an address of another", "[packet][realms][seeds-a14]") {
    run_everywhere(two_realms(), [](TestBed& bed, Story& story) {
        const auto to = [&](const char* address) {
            return from(bed, kRed).ipv4(kClient, address).udp(4000, 53);
        };
        check_refused(bed, kInternalLink, to("10.0.0.3"), DropReason::kWrongSide);
        check_refused(bed, kInternalLink, to("172.16.5.5"), DropReason::kWrongSide);
        // What only the other realm has means to this one what it means outside.
        CHECK(outward(bed, to("10.9.0.5")).destination == ip("10.9.0.5"));
        CHECK(outward(bed, to("10.9.0.1")).destination == ip("10.9.0.1"));
        CHECK(
            outward(bed, from(bed, kRed).ipv4(kClient, "10.9.0.1").echo_request(3)).destination ==
            ip("10.9.0.1")
        );
        story.step(bed);
    });
}

TEST_CASE("a source belongs to the realm of its link", "[packet][realms][seeds-a14]") {
    run_everywhere(two_realms(), [](TestBed& bed, Story& story) {
        const auto as = [&](RealmId realm, const char* source) {
            return from(bed, realm).ipv4(source, kServer).udp(4000, 53);
        };
        // Blue's: dropped, and there is nobody in red who could be told.
        bed.push_internal(as(kRed, "10.9.0.5"));
        bed.run();
        CHECK(bed.take().empty());
        CHECK(bed.dropped(DropReason::kNoPolicy) == 1);
        CHECK(bed.dropped(DropReason::kWrongSide) == 1);
        CHECK(source_of(outward(bed, as(kBlue, "10.9.0.5"))).address != ip("10.9.0.5"));
        const char* ours[] = {"10.0.0.1", "198.51.100.2", "203.0.113.3"};
        for (const char* source : ours) {
            check_refused(bed, kInternalLink, as(kRed, source), DropReason::kSpoofedSource);
            check_refused(bed, kInternalLink, as(kBlue, source), DropReason::kSpoofedSource);
        }
        check_refused(bed, kInternalLink, as(kBlue, "10.9.0.1"), DropReason::kSpoofedSource);
        // Who asks the appliance in a name of the other side, or of the other realm, is not answered there.
        for (const char* source : {kStranger, "10.9.0.5"}) {
            const auto ping = from(bed, kRed).ipv4(source, "10.0.0.1").echo_request(5);
            check_refused(bed, kInternalLink, ping, DropReason::kWrongSide);
        }
        story.step(bed);
    });
}

TEST_CASE(
    "an inside address that comes from outside is stopped by realm", "[packet][realms][seeds-a14]"
) {
    run_everywhere(two_realms(), [](TestBed& bed, Story& story) {
        open_both(bed);
        for (const RealmId realm : {kRed, kBlue}) {
            for (const char* source : {"10.0.0.3", "10.0.0.1", "172.16.1.1"}) {
                check_refused(
                    bed, kExternalLink, answer(bed, realm, source), DropReason::kSpoofedSource
                );
            }
        }
        check_refused(
            bed, kExternalLink, answer(bed, kBlue, "10.9.0.5"), DropReason::kSpoofedSource
        );
        // To the other realm it is an address like any other outside.
        CHECK(source_of(inward(bed, kRed, answer(bed, kRed, "10.9.0.5"))) == at("10.9.0.5", 53));
        // Nobody has this port; and no ICMP error speaks in the name of somebody inside.
        const Endpoint own = endpoint_of(bed, kRed, 4000);
        const auto nobody = bed.from_external().ipv4(ip("10.0.0.3"), ip("203.0.113.7")).udp(1, 2);
        check_refused(bed, kExternalLink, nobody, DropReason::kSpoofedSource);
        const auto quote = frame().ipv4(own.address, ip(kServer)).udp(own.port, 53);
        const auto error =
            bed.from_external().ipv4(ip("10.0.0.1"), own.address).icmp_error(3, 3, quote.l3());
        check_refused(bed, kExternalLink, error, DropReason::kSpoofedSource);
        story.step(bed);
    });
}

TEST_CASE("a realm's subscriber is limited apart from its namesake", "[packet][realms]") {
    BedOptions options = two_realms();
    options.nat.policies[0].limits.sessions = 3;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (uint16_t port = 4000; port < 4003; ++port) {
            outward(bed, query(bed, kRed, port));
        }
        bed.push_internal(query(bed, kRed, 4003));
        CHECK(into(bed, kRed).icmp_type == 3);
        CHECK(bed.dropped(DropReason::kSubscriberSessionLimit) == 1);
        for (uint16_t port = 4000; port < 4010; ++port) {
            outward(bed, query(bed, kBlue, port));
        }
        story.step(bed);
    });
}

TEST_CASE("a realm's flood of errors does not silence its namesake", "[packet][realms]") {
    BedOptions options = two_realms();
    options.slow_path.errors_per_source_per_second = 2;
    TestBed bed(options);
    for (unsigned i = 0; i < 10; ++i) {
        bed.push_internal(query(bed, kRed).ttl(1));
    }
    bed.run();
    CHECK(bed.take().size() == 2);
    bed.push_internal(query(bed, kBlue).ttl(1));
    CHECK(into(bed, kBlue).icmp_type == 11);
}

TEST_CASE("the log of bindings says whose realm a subscriber is of", "[packet][realms]") {
    BedOptions options = two_realms();
    options.nat.events.logged = nat::kLogMappings | nat::kLogBlocks;
    TestBed bed(options);
    open_both(bed);
    std::map<uint8_t, std::set<nat::EventKind>> seen;
    nat::EventReader reader = bed.shard(0).nat().event_reader();
    for (auto front = reader.front(); !front.empty(); front = reader.front()) {
        for (const nat::Event& event : front) {
            CHECK(event.internal_address == ip(kClient).raw);
            CHECK(seen[event.realm].insert(event.kind).second);
        }
        reader.pop(front.size());
    }
    REQUIRE(seen.size() == 2);
    CHECK(seen[kRed.value] == seen[kBlue.value]);
    CHECK(seen[kRed.value].contains(nat::EventKind::kMappingCreated));
}

// The slow path gives an entry that nobody answers for to another neighbour; a session may still remember it.
TEST_CASE(
    "a next hop that has become another realm's is not believed", "[packet][realms][pitfall-8]"
) {
    TestBed bed(two_realms());
    open_both(bed);
    inward(bed, kRed, answer(bed, kRed));
    bed.answers_arp = [](const Decoded& seen) {
        return seen.vlans != std::vector<uint16_t>{10};  // red's client is gone
    };
    for (unsigned seconds = 0; seconds < 60; seconds += 10) {
        bed.advance(10'000);
        outward(bed, query(bed, kRed));
        outward(bed, query(bed, kBlue));
    }
    inward(bed, kBlue, answer(bed, kBlue));  // resolved now, by the entry that was red's
    bed.push_external(answer(bed, kRed));
    bed.run();
    CHECK(bed.take().empty());
    bed.advance(10'000);
    CHECK(bed.take().empty());
    CHECK(bed.dropped(DropReason::kNeighbourUnresolved) == 1);
}

TEST_CASE(
    "what is exempt comes back to the realm that exempts it", "[packet][realms][rfc6888-req6]"
) {
    BedOptions options = two_realms();
    options.nat.policies[0].exempt.push_back({{ip("192.0.2.80"), 32}});
    options.nat.policies[1].exempt.push_back({{ip("192.0.2.99"), 32}});
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const auto back = [&](const char* source) {
            return bed.from_external().ipv4(source, kClient).udp(53, 4000);
        };
        CHECK(source_of(outward(bed, query(bed, kRed))) == at(kClient, 4000));
        CHECK(source_of(outward(bed, query(bed, kBlue))).address != ip(kClient));
        CHECK(destination_of(inward(bed, kRed, back(kServer))) == at(kClient, 4000));
        CHECK(destination_of(inward(bed, kBlue, back(kStranger))) == at(kClient, 4000));
        const auto quote = frame().ipv4(ip(kClient), ip(kServer)).udp(4000, 53);
        const auto error = [&](const char* source) {
            return bed.from_external().ipv4(source, kClient).icmp_error(3, 3, quote.l3());
        };
        CHECK(inward(bed, kRed, error(kStranger)).source == ip(kStranger));
        bed.push_external(error("10.0.0.1"));
        bed.push_external(back("192.0.2.55"));
        bed.run();
        CHECK(bed.take().empty());
        story.step(bed);
    });
}

}  // namespace sekisho::test
