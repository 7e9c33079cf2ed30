// Fragments through the whole appliance: translated one by one, joined and verified by the receiver.
#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "fragment_scenario.h"

namespace sekisho::test {

TEST_CASE(
    "a datagram in fragments leaves in fragments that the receiver can join",
    "[packet][fragments][rfc4787-req14]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const ByteVector sent = big_udp(bed).bytes();
        push_all(bed, kInternalLink, split(sent, kPart));
        bed.run();
        const Frames left = taken(bed);
        CHECK(left.size() == 4);
        const Decoded received = whole(left);
        const Endpoint external = external_of(bed, Protocol::kUdp, host(5), 1000);
        CHECK(Endpoint{received.source, received.source_port} == external);
        CHECK(received.payload == decode(sent).payload);
        CHECK(received.ttl == 63);
        story.step(bed);
    });
}

TEST_CASE(
    "fragments may come in any order, in one burst or one by one, both ways",
    "[packet][fragments][rfc4787-req14][pitfall-17]"
) {
    const bool together = GENERATE(true, false);
    run_everywhere({}, [together](TestBed& bed, Story& story) {
        std::vector<size_t> order{0, 1, 2, 3};
        uint16_t id = 100;
        do {
            for (const LinkId link : {kInternalLink, kExternalLink}) {
                const ByteVector sent = link == kInternalLink
                                            ? big_udp(bed, 5, ++id).bytes()
                                            : udp_in(bed, kServer, 53, host(5), 1000)
                                                  .ip_id(++id)
                                                  .payload_size(900)
                                                  .bytes();
                for (const ByteVector& fragment : in_order(split(sent, kPart), order)) {
                    bed.push(link, fragment);
                    if (!together) {
                        bed.run();
                    }
                }
                bed.run();
                const Frames left = taken(bed);
                CHECK(left.size() == 4);
                CHECK(whole(left).payload == decode(sent).payload);
            }
        } while (std::next_permutation(order.begin(), order.end()));
        story.step(bed);
        CHECK(bed.totals().held == 0);
    });
}

TEST_CASE(
    "TCP segments and echo messages are translated in fragments, too",
    "[packet][fragments][rfc4787-req14]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const auto pass = [&](LinkId link, const PacketBuilder& packet) {
            PacketBuilder filled = packet;
            Frames fragments = split(filled.payload_size(600).bytes(), 64);
            std::reverse(fragments.begin(), fragments.end());
            push_all(bed, link, fragments);
            bed.run();
            return whole(taken(bed));
        };
        const auto open = [&](LinkId link, const PacketBuilder& packet) {
            bed.push(link, packet.bytes());
            bed.run();
            bed.take();
        };
        open(kInternalLink, tcp_out(bed, host(5), 1000, kServer, 80, kSyn));
        open(kExternalLink, tcp_in(bed, kServer, 80, host(5), 1000, kSyn | kAck));
        const Decoded segment =
            pass(kInternalLink, tcp_out(bed, host(5), 1000, kServer, 80, kAck).ip_id(1));
        CHECK(segment.source_port == external_of(bed, Protocol::kTcp, host(5), 1000).port);
        CHECK(segment.payload.size() == 600);
        const Decoded answer =
            pass(kExternalLink, tcp_in(bed, kServer, 80, host(5), 1000, kAck).ip_id(2));
        CHECK(answer.destination == host(5));
        CHECK(answer.destination_port == 1000);

        open(kInternalLink, udp_out(bed, host(6), 1000, kServer, 53));
        open(kExternalLink, udp_in(bed, kServer, 53, host(6), 1000));
        const Decoded query = pass(
            kInternalLink, bed.from_internal().ipv4(host(6), ip(kServer)).echo_request(9).ip_id(3)
        );
        const Endpoint asker = external_of(bed, Protocol::kIcmp, host(6), 9);
        CHECK(query.icmp_id == asker.port);
        const Decoded reply = pass(
            kExternalLink,
            bed.from_external().ipv4(ip(kServer), asker.address).echo_reply(asker.port).ip_id(4)
        );
        CHECK(reply.destination == host(6));
        CHECK(reply.icmp_id == 9);
        story.step(bed);
    });
}

TEST_CASE(
    "a fragment that comes twice is dropped, and its datagram passes",
    "[packet][fragments][rfc4787-req14]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const ByteVector sent = big_udp(bed).bytes();
        Frames twice;
        for (const size_t i : {1, 1, 2, 0, 0, 2, 3}) {
            twice.push_back(split(sent, kPart)[i]);
        }
        push_all(bed, kInternalLink, twice);
        bed.run();
        CHECK(whole(taken(bed)).payload == decode(sent).payload);
        CHECK(bed.dropped(DropReason::kDuplicateFragment) == 3);
        story.step(bed);
    });
}

TEST_CASE(
    "fragments that overlap end their datagram, and no other",
    "[packet][fragments][rfc4787-req14a][pitfall-17]"
) {
    struct Row {
        const char* what;
        size_t begin;
        bool more;
        size_t size;
    };
    // Beside a first fragment of 256 bytes and one of the bytes 512 to 768.
    const Row rows[] = {
        {"into the first", 248, true, 64},
        {"over the second", 256, true, 512},
        {"into the second", 704, true, 128},
        {"an end within", 640, false, 64},
        {"an end before", 256, false, 64},
    };
    const Row row = GENERATE_COPY(from_range(std::begin(rows), std::end(rows)));
    CAPTURE(row.what);
    run_everywhere({}, [row](TestBed& bed, Story& story) {
        const Frames fragments = split(big_udp(bed).bytes(), kPart);
        const Frames other = split(big_udp(bed, 6).bytes(), kPart);
        bed.push(kInternalLink, fragments[2]);
        bed.push(kInternalLink, other[1]);
        bed.run();
        bed.push(
            kInternalLink,
            fragment_of(
                bed.from_internal().ipv4(host(5), ip(kServer)).protocol(17).ip_id(77),
                row.begin,
                row.more,
                ByteVector(row.size, 0xee)
            )
        );
        bed.run();
        bed.push(kInternalLink, fragments[0]);
        bed.run();
        bed.push(kInternalLink, fragments[1]);
        bed.push(kInternalLink, fragments[3]);
        push_all(bed, kInternalLink, {other[0], other[3], other[2]});
        bed.run();
        CHECK(bed.dropped(DropReason::kOverlappingFragment) >= 3);
        CHECK(whole(taken(bed)).payload.size() == 1000);
        story.step(bed);
        CHECK(bed.totals().held == 0);
    });
}

TEST_CASE(
    "later fragments share the fate of their first one", "[packet][fragments][rfc4787-req14]"
) {
    run_everywhere(
        with(one_address(FilteringBehaviour::kAddressDependent)),
        [](TestBed& bed, Story& story) {
            bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
            story.step(bed);
            const auto answer = [&](const char* from, uint16_t id) {
                Frames fragments = split(
                    udp_in(bed, from, 53, host(5), 1000).ip_id(id).payload_size(800).bytes(), kPart
                );
                std::swap(fragments[0], fragments[1]);
                push_all(bed, kExternalLink, fragments);
                story.step(bed);
            };
            answer(kStranger, 1);
            CHECK(bed.dropped(DropReason::kFiltered) == 4);
            answer(kServer, 2);
            CHECK(bed.dropped(DropReason::kFiltered) == 4);
            CHECK(bed.totals().forwarded >= 5);

            Frames unknown = split(
                bed.from_internal().ipv4("172.16.0.1", kServer).udp(1, 2).payload_size(800).bytes(),
                kPart
            );
            std::reverse(unknown.begin(), unknown.end());
            push_all(bed, kInternalLink, unknown);
            story.step(bed);
            CHECK(bed.dropped(DropReason::kNoPolicy) == 4);
            CHECK(bed.totals().held == 0);
        }
    );
}

TEST_CASE(
    "fragments without a first one are freed when their time is over",
    "[packet][fragments][rfc4787-req14a][pitfall-17]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Frames fragments = split(big_udp(bed).bytes(), kPart);
        push_all(bed, kInternalLink, {fragments[1], fragments[2]});
        bed.run();
        CHECK(bed.totals().held == 2);
        bed.advance(1500);
        CHECK(bed.totals().held == 2);
        bed.advance(1000);
        CHECK(bed.totals().held == 0);
        CHECK(bed.dropped(DropReason::kFragmentTimeout) == 2);
        push_all(bed, kInternalLink, {fragments[0], fragments[3]});
        story.step(bed);
        CHECK(bed.session_count() == 1);
    });
}

TEST_CASE(
    "fragments go between two subscribers of the appliance, one TTL less in all",
    "[packet][fragments][rfc4787-req9]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (unsigned from = 5; from < 12; ++from) {
            bed.push_internal(udp_out(bed, host(from), 1000, kServer, 53));
        }
        story.step(bed);
        for (unsigned from = 5; from < 12; ++from) {
            const unsigned to = from == 11 ? 5 : from + 1;
            const Endpoint target = external_of(bed, Protocol::kUdp, host(to), 1000);
            const ByteVector sent = bed.from_internal()
                                        .ipv4(host(from), target.address)
                                        .udp(1000, target.port)
                                        .ip_id(static_cast<uint16_t>(from))
                                        .payload_size(1000)
                                        .bytes();
            push_all(bed, kInternalLink, in_order(split(sent, kPart), {2, 0, 3, 1}));
            bed.run();
            const Frames left = taken(bed);
            CHECK(left.size() == 4);
            const Decoded received = whole(left);
            CHECK(received.source == external_of(bed, Protocol::kUdp, host(from), 1000).address);
            CHECK(received.destination == host(to));
            CHECK(received.destination_port == 1000);
            CHECK(received.ttl == 63);
            for (const ByteVector& fragment : left) {
                CHECK(decode(fragment).ttl == 63);
            }
        }
        story.step(bed);
    });
}

TEST_CASE(
    "two subscribers' datagrams of one identification get two, as they share an address",
    "[packet][fragments][rfc6864][rfc7857-10]"
) {
    run_everywhere(with(one_address()), [](TestBed& bed, Story& story) {
        std::set<uint16_t> ids;
        for (unsigned from = 5; from < 45; ++from) {
            push_all(
                bed,
                kInternalLink,
                in_order(split(big_udp(bed, from, 77).bytes(), kPart), {3, 0, 1, 2})
            );
            bed.run();
            const Frames left = taken(bed);
            whole(left);  // one for all of a datagram
            ids.insert(id_of(left[0]));
        }
        CHECK(ids.size() == 40);
        story.step(bed);
    });
}

TEST_CASE(
    "the identification stays with what comes in, and with what must not be cut",
    "[packet][fragments][rfc6864][rfc7857-10]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53).ip_id(7).dont_fragment());
        bed.run();
        CHECK(bed.take_one(kExternalLink).ip_id == 7);
        const ByteVector answer =
            udp_in(bed, kServer, 53, host(5), 1000).ip_id(4711).payload_size(600).bytes();
        push_all(bed, kExternalLink, split(answer, kPart));
        bed.run();
        for (const ByteVector& fragment : taken(bed)) {
            CHECK(id_of(fragment) == 4711);
        }
        story.step(bed);
    });
}

TEST_CASE(
    "later fragments keep no session alive, and none of a session that is gone passes",
    "[packet][fragments]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
        story.step(bed);
        bed.advance(298'500);
        const ByteVector answer =
            udp_in(bed, kServer, 53, host(5), 1000).ip_id(1).payload_size(800).bytes();
        const Frames fragments = split(answer, kPart);
        bed.push(kExternalLink, fragments[0]);
        story.step(bed);
        bed.advance(1000);
        bed.push(kExternalLink, fragments[1]);
        story.step(bed);
        REQUIRE(bed.sessions().size() == 1);
        CHECK(bed.sessions()[0].idle_ms >= 1000);
        CHECK(bed.sessions()[0].session.packets[1] == 2);

        const Frames late = split(big_udp(bed, 5, 2).bytes(), kPart);
        bed.push(kInternalLink, late[0]);
        bed.run();
        bed.shard(bed.shard_of(host(5))).nat().clear_session({bed.sessions()[0].index}, bed.now());
        bed.push(kInternalLink, late[1]);
        story.step(bed);
        CHECK(bed.dropped(DropReason::kFragmentOrphan) == 1);
        CHECK(bed.session_count() == 0);
    });
}

TEST_CASE(
    "no error is sent for a later fragment, but for a first one",
    "[packet][fragments][rfc1122][rfc1812]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
        story.step(bed);
        push_all(bed, kInternalLink, split(big_udp(bed).ttl(1).bytes(), kPart));
        bed.run();
        const Decoded error = bed.take_one(kInternalLink);
        CHECK(error.icmp_type == 11);
        CHECK(bed.dropped(DropReason::kTtlExceeded) == 4);
        story.step(bed);
    });
}

TEST_CASE(
    "a packet too big for the next link is cut if it may be, in order",
    "[packet][fragments][rfc4787-req13a-order]"
) {
    BedOptions options;
    options.external_mtu = 620;
    options.internal_mtu = 1400;
    options.internal_vlans = {100};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const auto tagged = [&](PacketBuilder packet) { return packet.vlan(100); };
        const ByteVector sent = tagged(big_udp(bed)).bytes();
        bed.push(kInternalLink, sent);
        bed.run();
        const Frames left = taken(bed);
        REQUIRE(left.size() == 2);
        CHECK(decode(left[0]).total_length == 620);
        CHECK(decode(left[1]).fragment_word == 75);
        CHECK(whole(left).payload == decode(sent).payload);
        CHECK(id_of(left[0]) != 77);
        const auto totals = bed.totals();
        bed.push(kInternalLink, tagged(big_udp(bed)).bytes());
        bed.run();
        CHECK(bed.totals().consumed == totals.consumed + 1);
        CHECK(bed.totals().generated == totals.generated + 2);
        CHECK(bed.totals().forwarded == totals.forwarded + 2);
        story.step(bed);
    });
}

TEST_CASE(
    "a whole packet too big for the next link reaches its receiver, if it may be cut",
    "[packet][fragments][rfc4787-req13a]"
) {
    BedOptions options;
    options.external_mtu = 620;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (unsigned n = 5; n < 10; ++n) {
            const ByteVector sent = big_udp(bed, n).bytes();
            bed.push(kInternalLink, sent);
            bed.run();
            const Frames left = taken(bed);
            CHECK(left.size() > 1);
            CHECK(whole(left).payload == decode(sent).payload);
        }
        CHECK(bed.dropped(DropReason::kTooBig) == 0);
        story.step(bed);
    });
}

TEST_CASE("a fragment that is too big is cut again", "[packet][fragments][rfc4787-req13a]") {
    BedOptions options;
    options.external_mtu = 120;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        push_all(bed, kInternalLink, in_order(split(big_udp(bed).bytes(), kPart), {1, 3, 0, 2}));
        bed.run();
        const Frames left = taken(bed);
        CHECK(left.size() == 12);
        CHECK(whole(left).payload.size() == 1000);
        story.step(bed);
    });
}

TEST_CASE("without a buffer for all pieces none is sent", "[packet][fragments][rfc4787-req13a]") {
    BedOptions options;
    options.external_mtu = 120;
    TestBed bed(options);
    bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
    bed.run();
    bed.take();
    bed.push_internal(big_udp(bed));
    bed.store().limit(bed.store().in_use() + 5);
    bed.run();
    CHECK(bed.take().empty());
    CHECK(bed.dropped(DropReason::kNoBuffer) == 1);
    bed.store().limit(1000);
    bed.push_internal(big_udp(bed));
    bed.run();
    CHECK(whole(taken(bed)).payload.size() == 1000);
}

TEST_CASE(
    "a jumbo frame in several segments is cut into pieces of one buffer",
    "[packet][fragments][rfc4787-req13a][pitfall-18]"
) {
    BedOptions options;
    options.internal_mtu = 9000;
    options.external_mtu = GENERATE(uint16_t{1500}, uint16_t{4000});
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (const size_t size : {4100, 6000, 8900}) {
            const ByteVector sent =
                udp_out(bed, host(5), 1000, kServer, 53).payload_size(size).bytes();
            bed.push(kInternalLink, sent);
            bed.run();
            const Frames left = taken(bed);
            CHECK(left.size() > 1);
            CHECK(whole(left).payload == decode(sent).payload);
        }
        story.step(bed);
    });
}

TEST_CASE(
    "a fragment that must not be cut and is too big is refused with all of its datagram",
    "[packet][fragments][rfc4787-req13]"
) {
    BedOptions options;
    options.external_mtu = 120;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        Frames fragments = split(big_udp(bed).bytes(), kPart);
        for (ByteVector& fragment : fragments) {
            fragment[14 + 6] |= 0x40;
            packet::store<uint16_t>(&fragment[14 + 10], 0);
            packet::store(&fragment[14 + 10], packet::full_checksum({&fragment[14], 20}));
        }
        push_all(bed, kInternalLink, fragments);
        bed.run();
        const Decoded error = bed.take_one(kInternalLink);
        CHECK(error.icmp_type == 3);
        CHECK(error.icmp_sequence == 120);
        CHECK(bed.dropped(DropReason::kTooBig) == 4);
        story.step(bed);
    });
}

}  // namespace sekisho::test
