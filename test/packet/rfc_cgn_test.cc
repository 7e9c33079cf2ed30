// RFC 6888 and RFC 7857, line by line: subscribers, their limits, pools and ports, from bytes to bytes. What other files
// show is not repeated here.
#include <set>

#include <catch2/catch.hpp>

#include "scenario.h"

namespace sekisho::test {
namespace {

using packet::kAck;
using packet::kFin;
using packet::kRst;
using packet::kSyn;

constexpr auto kServer = "192.0.2.1";
constexpr auto kOther = "192.0.2.2";
constexpr uint32_t kSecond = 1000;

uint16_t port(unsigned base, unsigned n) {
    return static_cast<uint16_t>(base + n);
}

// Whether a datagram of this subscriber leaves, and from where.
std::optional<Endpoint> try_udp(
    TestBed& bed, Ipv4Addr from, uint16_t from_port, std::string_view to = kServer
) {
    bed.take();
    bed.push_internal(udp_out(bed, from, from_port, to, 53));
    bed.run();
    for (const auto& sent : bed.take()) {
        if (sent.device == kExternalLink) {
            const Decoded packet = decode(sent.bytes);
            return Endpoint{packet.source, packet.source_port};
        }
    }
    return std::nullopt;
}

bool passes_in(TestBed& bed, const PacketBuilder& packet) {
    bed.take();
    bed.push_external(packet);
    bed.run();
    const auto sent = bed.take();
    return sent.size() == 1 && sent[0].device == kInternalLink;
}

// One pool of one address with a single block of 64 ports.
BedOptions one_block() {
    BedOptions options;
    options.nat = nat_settings("203.0.113.9", "203.0.113.9");
    options.nat.pools[0].ports = {1024, 1087};
    options.nat.pools[0].port_block_size = 64;
    return options;
}

}  // namespace

TEST_CASE(
    "all that a subscriber sends leaves from one address, whatever the protocol",
    "[packet][rfc6888-req2]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        std::set<Ipv4Addr> used;
        for (unsigned n = 5; n < 25; ++n) {
            const unsigned count = n == 9 ? 300 : 4;  // more than a block holds
            for (unsigned i = 0; i < count; ++i) {
                bed.push_internal(udp_out(bed, host(n), port(1000, i), kServer, 53));
                if (i % 32 == 31) {
                    bed.run();
                }
            }
            for (unsigned i = 0; i < 4; ++i) {
                bed.push_internal(tcp_out(bed, host(n), port(1000, i), kOther, 80, kSyn));
                bed.push_internal(
                    bed.from_internal().ipv4(host(n), ip(kServer)).echo_request(port(1, i))
                );
            }
            bed.run();
            std::set<Ipv4Addr> sources;
            for (const auto& sent : bed.take()) {
                sources.insert(decode(sent.bytes).source);
            }
            CHECK(sources.size() == 1);
            used.insert(sources.begin(), sources.end());
        }
        CHECK(used.size() > 1);  // but not all subscribers from the same
        story.step(bed);
    });
}

TEST_CASE(
    "a pool of separate ranges is used to its last address", "[packet][rfc6888-req3-ranges]"
) {
    BedOptions options = one_block();
    const auto range = [](std::string_view first, std::string_view last) {
        return nat::AddressRange{ip(first), ip(last)};
    };
    options.nat.pools[0].addresses = {
        range("203.0.113.0", "203.0.113.3"),
        range("198.18.7.255", "198.18.8.0"),
        range("192.0.2.250", "192.0.2.250")};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        std::set<Ipv4Addr> used;
        for (unsigned n = 0; n < 7; ++n) {
            const auto external = try_udp(bed, host(5 + n), 1000);
            REQUIRE(external);
            CHECK(used.insert(external->address).second);
        }
        CHECK(used.contains(ip("192.0.2.250")));
        CHECK(used.contains(ip("198.18.8.0")));
        CHECK_FALSE(try_udp(bed, host(40), 1000));
        story.step(bed);
    });
}

TEST_CASE("a pool of thousands of addresses spreads its subscribers", "[packet][rfc6888-req3]") {
    BedOptions options;
    options.nat = nat_settings("198.18.0.3", "198.18.15.250");
    run_everywhere(options, [](TestBed& bed, Story& story) {
        std::set<Ipv4Addr> used;
        for (unsigned n = 0; n < 200; ++n) {
            const auto external = try_udp(bed, host(5 + n), 1000);
            REQUIRE(external);
            CHECK(used.insert(external->address).second);
        }
        story.step(bed);
    });
}

TEST_CASE(
    "a subscriber has no more ports and identifiers than its limit, over all protocols",
    "[packet][rfc6888-req4]"
) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].limits.ports = 6;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (unsigned n = 0; n < 4; ++n) {
            bed.push_internal(udp_out(bed, host(5), port(1000, n), kServer, 53));
            bed.push_internal(tcp_out(bed, host(5), port(1000, n), kServer, 80, kSyn));
            bed.push_internal(
                bed.from_internal().ipv4(host(5), ip(kServer)).echo_request(port(1, n))
            );
            bed.run();
        }
        CHECK(bed.mapping_count() == 6);
        CHECK(bed.dropped(DropReason::kSubscriberPortLimit) == 6);
        CHECK(try_udp(bed, host(6), 1000));  // the limit is each one's own
        story.step(bed);
    });
}

TEST_CASE("each policy has its own limits", "[packet][rfc6888-req4a]") {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].source = {{ip("100.64.0.0"), 24}};
    options.nat.policies[0].limits.ports = 2;
    nat::PolicySettings second = options.nat.policies[0];
    second.name = "second";
    second.source = {{ip("100.64.1.0"), 24}};
    second.limits.ports = 5;
    options.nat.policies.push_back(second);
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (unsigned n = 0; n < 8; ++n) {
            CHECK(try_udp(bed, host(5), port(1000, n)).has_value() == (n < 2));
            CHECK(try_udp(bed, host(256 + 5), port(1000, n)).has_value() == (n < 5));
        }
        story.step(bed);
    });
}

TEST_CASE(
    "a subscriber that opens sessions too fast is slowed, and no other", "[packet][rfc6888-req4c]"
) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].limits.sessions_per_second = 10;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        unsigned first = 0;
        unsigned second = 0;
        for (unsigned n = 0; n < 50; ++n) {
            first += try_udp(bed, host(5), port(1000, n)) ? 1 : 0;
            second += n % 10 == 0 && try_udp(bed, host(6), port(1000, n)) ? 1 : 0;
        }
        CHECK(first == 10);
        CHECK(second == 5);
        CHECK(bed.dropped(DropReason::kSubscriberRate) == 40);
        bed.advance(2 * kSecond);
        CHECK(try_udp(bed, host(5), 2000));
        story.step(bed);
    });
}

TEST_CASE("by default anybody may answer to a mapping", "[packet][rfc6888-req7]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        REQUIRE(try_udp(bed, host(5), 1000));
        CHECK(passes_in(bed, udp_in(bed, kOther, 9999, host(5), 1000)));
        CHECK(bed.dropped(DropReason::kFiltered) == 0);
        story.step(bed);
    });
}

TEST_CASE(
    "a freed UDP port is given to nobody for 120 seconds, then again", "[packet][rfc6888-req8]"
) {
    BedOptions options = one_block();
    options.nat.timeouts.udp = Seconds{120};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        std::set<Endpoint> given;
        for (unsigned n = 0; n < 64; ++n) {
            given.insert(try_udp(bed, host(5), port(1000, n)).value_or(Endpoint{}));
        }
        CHECK(given.size() == 64);
        bed.advance(122 * kSecond);
        CHECK(bed.mapping_count() == 0);
        CHECK_FALSE(try_udp(bed, host(5), 2000));
        bed.advance(115 * kSecond);
        CHECK_FALSE(try_udp(bed, host(5), 2000));
        story.step(bed);
        bed.advance(140 * kSecond);
        CHECK(try_udp(bed, host(5), 2000));
        story.step(bed);
    });
}

TEST_CASE(
    "the port of a connection that was seen to close serves the same subscriber again",
    "[packet][rfc6888-req8a]"
) {
    run_everywhere(one_block(), [](TestBed& bed, Story& story) {
        for (unsigned n = 0; n < 64; ++n) {
            const uint16_t from = port(1000, n);
            bed.push_internal(tcp_out(bed, host(5), from, kServer, 80, kSyn).sequence(100));
            bed.run();
            bed.push_external(tcp_in(bed, kServer, 80, host(5), from, kSyn | kAck)
                                  .sequence(500)
                                  .acknowledgement(101));
            bed.run();
            bed.push_internal(tcp_out(bed, host(5), from, kServer, 80, kFin | kAck)
                                  .sequence(101)
                                  .acknowledgement(501));
            bed.run();
            bed.push_external(tcp_in(bed, kServer, 80, host(5), from, kFin | kAck)
                                  .sequence(501)
                                  .acknowledgement(102));
            bed.run();
        }
        CHECK(bed.mapping_count() == 64);
        bed.take();
        bed.advance(242 * kSecond);
        CHECK(bed.mapping_count() == 0);
        bed.push_internal(tcp_out(bed, host(5), 3000, kServer, 80, kSyn));
        bed.run();
        CHECK(bed.mapping_count() == 1);
        story.step(bed);
    });
}

TEST_CASE("a packet that no mapping can be made for goes nowhere", "[packet][rfc6888-req11a]") {
    run_everywhere(one_block(), [](TestBed& bed, Story& story) {
        REQUIRE(try_udp(bed, host(5), 1000));
        bed.push_internal(udp_out(bed, host(6), 1000, kServer, 53));
        bed.push_internal(tcp_out(bed, host(7), 1000, kServer, 80, kSyn));
        bed.push_internal(bed.from_internal().ipv4(host(8), ip(kServer)).echo_request(7));
        bed.run();
        for (const auto& sent : bed.take()) {
            CHECK(sent.device == kInternalLink);  // an error to the sender at most
        }
        CHECK(bed.dropped(DropReason::kPoolExhausted) == 3);
        CHECK(bed.mapping_count() == 1);
        story.step(bed);
    });
}

TEST_CASE(
    "whoever asks for more, what a mapping was given stays its own", "[packet][rfc6888-req11d]"
) {
    BedOptions options = one_block();
    options.nat.pools[0].blocks_per_subscriber = 1;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        std::vector<Endpoint> given;
        for (unsigned n = 0; n < 64; ++n) {
            given.push_back(try_udp(bed, host(5), port(1000, n)).value_or(Endpoint{}));
        }
        for (unsigned n = 0; n < 100; ++n) {
            CHECK_FALSE(try_udp(bed, host(5), port(5000, n)));
            CHECK_FALSE(try_udp(bed, host(6 + n), 1000));
        }
        for (unsigned n = 0; n < 64; ++n) {
            CHECK(bed.external_of(Protocol::kUdp, host(5), port(1000, n)) == given[n]);
        }
        story.step(bed);
    });
}

// ---- RFC 7857

namespace {

void establish(TestBed& bed, Ipv4Addr subscriber, uint16_t from) {
    bed.push_internal(tcp_out(bed, subscriber, from, kServer, 80, kSyn).sequence(100));
    bed.run();
    bed.push_external(
        tcp_in(bed, kServer, 80, subscriber, from, kSyn | kAck).sequence(500).acknowledgement(101)
    );
    bed.run();
    bed.push_internal(
        tcp_out(bed, subscriber, from, kServer, 80, kAck).sequence(101).acknowledgement(501)
    );
    bed.run();
    bed.take();
}

}  // namespace

TEST_CASE(
    "a connection that closes is kept for four minutes by default", "[packet][rfc7857-2.1-default]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        establish(bed, host(5), 1000);
        bed.push_internal(
            tcp_out(bed, host(5), 1000, kServer, 80, kFin | kAck).sequence(101).acknowledgement(501)
        );
        bed.push_external(
            tcp_in(bed, kServer, 80, host(5), 1000, kFin | kAck).sequence(501).acknowledgement(102)
        );
        bed.run();
        bed.advance(239 * kSecond);
        CHECK(passes_in(
            bed, tcp_in(bed, kServer, 80, host(5), 1000, kAck).sequence(502).acknowledgement(102)
        ));
        bed.advance(4 * kSecond);
        CHECK(bed.session_count() == 0);
        story.step(bed);
    });
}

TEST_CASE("a RST is translated, out and in", "[packet][rfc7857-2.2]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        establish(bed, host(5), 1000);
        bed.push_external(
            tcp_in(bed, kServer, 80, host(5), 1000, kRst | kAck).sequence(501).acknowledgement(101)
        );
        bed.run();
        const Decoded in = bed.take_one(kInternalLink);
        CHECK(in.destination == host(5));
        CHECK(in.destination_port == 1000);
        CHECK(int{in.tcp_flags} == int{kRst | kAck});
        establish(bed, host(6), 1000);
        const Endpoint shown = external_of(bed, Protocol::kTcp, host(6), 1000);
        bed.push_internal(tcp_out(bed, host(6), 1000, kServer, 80, kRst).sequence(101));
        bed.run();
        const Decoded out = bed.take_one(kExternalLink);
        CHECK(Endpoint{out.source, out.source_port} == shown);
        CHECK(int{out.tcp_flags} == int{kRst});
        story.step(bed);
    });
}

TEST_CASE("after a RST state stays for four minutes, then goes", "[packet][rfc7857-2.2-keep]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        establish(bed, host(5), 1000);
        bed.push_external(tcp_in(bed, kServer, 80, host(5), 1000, kRst).sequence(501));
        bed.run();
        bed.advance(238 * kSecond);
        CHECK(bed.session_count() == 1);
        bed.advance(4 * kSecond);
        CHECK(bed.session_count() == 0);
        story.step(bed);
    });
}

TEST_CASE(
    "a RST that does not fit the connection does not shorten its life",
    "[packet][rfc7857-2.2-verify]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        establish(bed, host(5), 1000);
        for (const uint32_t sequence : {0U, 500U, 501U + 65536U, 0x80000000U}) {
            bed.push_external(tcp_in(bed, kServer, 80, host(5), 1000, kRst).sequence(sequence));
            bed.run();
        }
        bed.take();
        bed.advance(3600 * kSecond);
        CHECK(passes_in(
            bed, tcp_in(bed, kServer, 80, host(5), 1000, kAck).sequence(501).acknowledgement(101)
        ));
        story.step(bed);
    });
}

TEST_CASE(
    "TCP finds no port when the paired address has none, though others have", "[packet][rfc7857-4]"
) {
    BedOptions options = one_block();
    options.nat.pools[0].addresses = {{ip("203.0.113.8"), ip("203.0.113.9")}};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        for (unsigned n = 0; n < 70; ++n) {
            bed.push_internal(tcp_out(bed, host(5), port(1000, n), kServer, 80, kSyn));
            bed.run();
        }
        CHECK(bed.mapping_count() == 64);
        CHECK(bed.dropped(DropReason::kPoolExhausted) == 6);
        CHECK(try_udp(bed, host(6), 1000));  // the other address serves another
        story.step(bed);
    });
}

TEST_CASE("one internal port has a mapping for each protocol", "[packet][rfc7857-5]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        REQUIRE(try_udp(bed, host(5), 1000));
        bed.push_internal(tcp_out(bed, host(5), 1000, kServer, 80, kSyn));
        bed.run();
        CHECK(bed.mapping_count() == 2);
        bed.advance(242 * kSecond);  // TCP's ends by its own timer
        CHECK(bed.mapping_count() == 1);
        CHECK_FALSE(bed.external_of(Protocol::kTcp, host(5), 1000).has_value());
        story.step(bed);
    });
}

TEST_CASE("a mapping of one protocol admits no packet of another", "[packet][rfc7857-6]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const auto udp = try_udp(bed, host(5), 1000);
        REQUIRE(udp);
        CHECK_FALSE(passes_in(
            bed, bed.from_external().ipv4(ip(kServer), udp->address).tcp(53, udp->port, kSyn)
        ));
        CHECK_FALSE(passes_in(
            bed, bed.from_external().ipv4(ip(kServer), udp->address).echo_reply(udp->port)
        ));
        CHECK(passes_in(bed, bed.from_external().ipv4(ip(kServer), udp->address).udp(53, udp->port))
        );
        story.step(bed);
    });
}

TEST_CASE(
    "what the filtering refuses does not keep a mapping alive, TCP's neither", "[packet][rfc7857-7]"
) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].filtering = nat::FilteringBehaviour::kAddressAndPortDependent;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        const auto udp = try_udp(bed, host(5), 1000);
        REQUIRE(udp);
        bed.push_internal(tcp_out(bed, host(5), 1000, kServer, 80, kSyn));
        bed.run();
        const Endpoint tcp = external_of(bed, Protocol::kTcp, host(5), 1000);
        for (unsigned n = 0; n < 3; ++n) {
            bed.advance(78 * kSecond);
            CHECK_FALSE(
                passes_in(bed, bed.from_external().ipv4(ip(kOther), udp->address).udp(9, udp->port))
            );
            CHECK_FALSE(passes_in(
                bed, bed.from_external().ipv4(ip(kOther), tcp.address).tcp(9, tcp.port, kSyn)
            ));
        }
        bed.advance(8 * kSecond);
        CHECK_FALSE(bed.external_of(Protocol::kTcp, host(5), 1000).has_value());
        bed.advance(60 * kSecond);
        CHECK(bed.mapping_count() == 0);
        story.step(bed);
    });
}

TEST_CASE("an ICMP error from inside does not keep a mapping alive", "[packet][rfc7857-7.1]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        REQUIRE(try_udp(bed, host(5), 1000));
        for (unsigned n = 0; n < 4; ++n) {
            bed.advance(70 * kSecond);
            CHECK(passes_in(bed, udp_in(bed, kOther, 9, host(5), 1000)));
            // About what a stranger has sent, and about what the session's far end has.
            for (const auto& [from, from_port] : {std::pair{kOther, 9}, {kServer, 53}}) {
                auto quote =
                    frame().ipv4(ip(from), host(5)).udp(static_cast<uint16_t>(from_port), 1000);
                bed.push_internal(bed.from_internal()
                                      .ipv4(host(5), ip(from))
                                      .icmp_error(3, 3, quote.payload("12345678").l3()));
                bed.run();
                CHECK(bed.take().size() == 1);
            }
        }
        bed.advance(24 * kSecond);
        CHECK(bed.mapping_count() == 0);
        story.step(bed);
    });
}

TEST_CASE(
    "a RST from inside in answer to a stranger's SYN does not keep a mapping alive",
    "[packet][rfc7857-7.1-rst]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(tcp_out(bed, host(5), 1000, kServer, 80, kSyn).sequence(100));
        bed.run();
        const Endpoint shown = external_of(bed, Protocol::kTcp, host(5), 1000);
        for (unsigned n = 0; n < 10; ++n) {
            bed.advance(200 * kSecond);
            bed.push_external(bed.from_external()
                                  .ipv4(ip(kOther), shown.address)
                                  .tcp(4000, shown.port, kSyn)
                                  .sequence(500));
            bed.run();
            bed.push_internal(bed.from_internal()
                                  .ipv4(host(5), ip(kOther))
                                  .tcp(1000, 4000, kRst | kAck)
                                  .sequence(0)
                                  .acknowledgement(501));
            bed.run();
        }
        bed.take();
        CHECK_FALSE(bed.external_of(Protocol::kTcp, host(5), 1000).has_value());
        story.step(bed);
    });
}

TEST_CASE("parity is kept only where it is set", "[packet][rfc7857-8]") {
    const bool parity = GENERATE(false, true);
    BedOptions options;
    options.nat = nat_settings();
    options.nat.pools[0].port_parity = parity;
    run_everywhere(options, [parity](TestBed& bed, Story& story) {
        unsigned kept = 0;
        for (unsigned n = 0; n < 64; ++n) {
            const auto external = try_udp(bed, host(5), port(1000, n));
            REQUIRE(external);
            kept += external->port % 2 == port(1000, n) % 2 ? 1 : 0;
        }
        CHECK((parity ? kept == 64 : kept < 60));
        story.note(parity ? "all kept" : "not all kept");
        bed.take();
    });
}

TEST_CASE("a query's mapping ends with its last session", "[packet][rfc7857-11]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_internal(bed.from_internal().ipv4(host(5), ip(kServer)).echo_request(7));
        bed.run();
        bed.advance(40 * kSecond);
        bed.push_internal(bed.from_internal().ipv4(host(5), ip(kOther)).echo_request(7));
        bed.run();
        bed.advance(30 * kSecond);
        CHECK(bed.session_count() == 1);
        CHECK(bed.mapping_count() == 1);
        bed.advance(32 * kSecond);
        CHECK(bed.mapping_count() == 0);
        story.step(bed);
    });
}

}  // namespace sekisho::test
