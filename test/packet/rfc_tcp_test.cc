// RFC 5382, line by line: what the NAT does to TCP, from bytes to bytes. What other files show is not repeated here.
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

BedOptions with(nat::FilteringBehaviour filtering) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].filtering = filtering;
    return options;
}

// A connection of one subscriber with one server, segment by segment; each must pass unchanged but for its ends.
class Connection {
  public:
    Connection(TestBed& bed, Ipv4Addr subscriber, uint16_t port, std::string_view server = kServer)
        : bed_(bed), subscriber_(subscriber), port_(port), server_(server) {}

    void out(
        uint8_t flags, uint32_t sequence, uint32_t acknowledgement, std::string_view data = ""
    ) {
        bed_.push_internal(tcp_out(bed_, subscriber_, port_, server_, 80, flags)
                               .sequence(sequence)
                               .acknowledgement(acknowledgement)
                               .payload(data));
        bed_.run();
        expect(kExternalLink, flags, sequence, acknowledgement, data);
    }
    void in(
        uint8_t flags, uint32_t sequence, uint32_t acknowledgement, std::string_view data = ""
    ) {
        bed_.push_external(tcp_in(bed_, server_, 80, subscriber_, port_, flags)
                               .sequence(sequence)
                               .acknowledgement(acknowledgement)
                               .payload(data));
        bed_.run();
        expect(kInternalLink, flags, sequence, acknowledgement, data);
    }
    void establish() {
        out(kSyn, 100, 0);
        in(kSyn | kAck, 500, 101);
        out(kAck, 101, 501);
    }

  private:
    void expect(
        LinkId link, uint8_t flags, uint32_t sequence, uint32_t ack, std::string_view data
    ) {
        const Decoded seen = bed_.take_one(link);
        CHECK(int{seen.tcp_flags} == int{flags});
        CHECK(seen.sequence == sequence);
        CHECK(seen.acknowledgement == ack);
        CHECK(std::string(seen.payload.begin(), seen.payload.end()) == data);
        CHECK((link == kInternalLink ? seen.destination : seen.source) != ip(server_));
    }

    TestBed& bed_;
    Ipv4Addr subscriber_;
    uint16_t port_;
    std::string_view server_;
};

Endpoint syn_and_see(TestBed& bed, Ipv4Addr from, uint16_t port, std::string_view to) {
    bed.push_internal(tcp_out(bed, from, port, to, 80, kSyn));
    bed.run();
    const Decoded sent = bed.take_one(kExternalLink);
    return {sent.source, sent.source_port};
}

void push_syn(TestBed& bed, std::string_view from, uint16_t from_port, const Endpoint& to) {
    bed.push_external(
        bed.from_external().ipv4(ip(from), to.address).tcp(from_port, to.port, kSyn).sequence(500)
    );
}

}  // namespace

TEST_CASE(
    "an internal endpoint has the same external endpoint in every connection",
    "[packet][rfc5382-req1]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint first = syn_and_see(bed, host(5), 1000, kServer);
        for (unsigned n = 2; n < 40; ++n) {
            CHECK(syn_and_see(bed, host(5), 1000, "192.0.2." + std::to_string(n)) == first);
        }
        story.step(bed);
    });
}

TEST_CASE("a connection's segments pass from SYN to the last ACK", "[packet][rfc5382-req2]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        struct {
            bool out;
            uint8_t flags;
            uint32_t sequence;
            uint32_t acknowledgement;
            const char* data;
        } const segments[] = {
            {true, kSyn, 100, 0, ""},
            {true, kSyn, 100, 0, ""},  // again
            {false, kSyn | kAck, 500, 101, ""},
            {false, kSyn | kAck, 500, 101, ""},
            {true, kAck, 101, 501, "request"},
            {false, kAck, 501, 108, "answer"},
            {false, kAck, 507, 108, "more"},
            {true, kAck, 108, 507, ""},
            {true, kFin | kAck, 108, 511, ""},  // half closed: the server goes on
            {false, kAck, 511, 109, "still sending"},
            {true, kAck, 109, 524, ""},
            {false, kFin | kAck, 524, 109, ""},
            {false, kFin | kAck, 524, 109, ""},
            {true, kAck, 109, 525, ""},
        };
        Connection c(bed, host(5), 1000);
        for (const auto& s : segments) {
            s.out ? c.out(s.flags, s.sequence, s.acknowledgement, s.data)
                  : c.in(s.flags, s.sequence, s.acknowledgement, s.data);
        }
        CHECK(bed.session_count() == 1);
        story.step(bed);
    });
}

TEST_CASE(
    "a new connection may follow a closed one between the same ends", "[packet][rfc5382-req2]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        Connection c(bed, host(5), 1000);
        for (unsigned round = 0; round < 3; ++round) {
            c.establish();
            c.out(kFin | kAck, 101, 501);
            c.in(kFin | kAck, 501, 102);
            c.out(kAck, 102, 502);
        }
        CHECK(bed.session_count() == 1);
        story.step(bed);
    });
}

TEST_CASE("both ends may open at once, under any filtering", "[packet][rfc5382-req2a]") {
    using enum nat::FilteringBehaviour;
    const auto filtering =
        GENERATE(kEndpointIndependent, kAddressDependent, kAddressAndPortDependent);
    run_everywhere(with(filtering), [](TestBed& bed, Story& story) {
        Connection c(bed, host(5), 1000);
        c.out(kSyn, 100, 0);
        c.in(kSyn, 500, 0);
        c.out(kSyn | kAck, 100, 501);
        c.in(kSyn | kAck, 500, 101);
        c.out(kAck, 101, 501, "data");
        c.in(kAck, 501, 105, "data");
        bed.advance(3600 * kSecond);
        c.in(kAck, 505, 105, "an hour later");
        story.step(bed);
    });
}

TEST_CASE("who may open a connection to a mapping is a setting", "[packet][rfc5382-req3a]") {
    using enum nat::FilteringBehaviour;
    const auto filtering =
        GENERATE(kEndpointIndependent, kAddressDependent, kAddressAndPortDependent);
    run_everywhere(with(filtering), [filtering](TestBed& bed, Story& story) {
        const Endpoint external = syn_and_see(bed, host(5), 1000, kServer);
        const auto opens = [&](std::string_view from, uint16_t port) {
            push_syn(bed, from, port, external);
            bed.run();
            return bed.take().size() == 1;
        };
        CHECK(opens(kOther, 4000) == (filtering == kEndpointIndependent));
        CHECK(opens(kServer, 4000) == (filtering != kAddressAndPortDependent));
        CHECK(opens(kServer, 80));
        story.step(bed);
    });
}

TEST_CASE("by default anybody may open a connection to a mapping", "[packet][rfc5382-req3]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint external = syn_and_see(bed, host(5), 1000, kServer);
        push_syn(bed, kOther, 4000, external);
        bed.run();
        const Decoded opened = bed.take_one(kInternalLink);
        CHECK(opened.destination == host(5));
        CHECK(opened.destination_port == 1000);
        story.step(bed);
    });
}

TEST_CASE("TCP may be filtered more strictly than UDP", "[packet][rfc5382-req3b]") {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].filtering.tcp = nat::FilteringBehaviour::kAddressAndPortDependent;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        bed.push_internal(udp_out(bed, host(5), 1000, kServer, 53));
        bed.run();
        bed.take();
        const Endpoint external = syn_and_see(bed, host(5), 1001, kServer);
        push_syn(bed, kOther, 4000, external);
        bed.run();
        CHECK(bed.take().empty());
        CHECK(bed.dropped(DropReason::kFiltered) == 1);
        bed.push_external(udp_in(bed, kOther, 4000, host(5), 1000));
        bed.run();
        CHECK(bed.take_one(kInternalLink).protocol == 17);
        story.step(bed);
    });
}

TEST_CASE(
    "an unsolicited SYN is answered with port unreachable, but not for six seconds",
    "[packet][rfc5382-req4]"
) {
    using enum nat::FilteringBehaviour;
    const bool filtered = GENERATE(false, true);
    run_everywhere(with(kAddressDependent), [filtered](TestBed& bed, Story& story) {
        const Endpoint taken = syn_and_see(bed, host(5), 1000, kServer);
        push_syn(bed, kOther, 4000, filtered ? taken : Endpoint{ip("203.0.113.3"), 3000});
        bed.run();
        bed.advance(6000);
        CHECK(bed.take().empty());
        bed.advance(100);
        CHECK(bed.take().size() == 1);
        story.step(bed);
    });
}

TEST_CASE(
    "a SYN that came before the subscriber's own is never answered, and the connection opens",
    "[packet][rfc5382-req4-drop]"
) {
    run_everywhere(
        with(nat::FilteringBehaviour::kAddressAndPortDependent),
        [](TestBed& bed, Story& story) {
            const Endpoint external = syn_and_see(bed, host(5), 1000, kServer);
            push_syn(bed, kOther, 80, external);  // too early: filtered
            bed.run();
            bed.advance(3 * kSecond);
            CHECK(bed.take().empty());
            Connection c(bed, host(5), 1000, kOther);
            c.out(kSyn, 100, 0);
            bed.advance(9 * kSecond);
            CHECK(bed.take().empty());
            c.in(kSyn, 500, 0);
            c.out(kSyn | kAck, 100, 501);
            c.in(kSyn | kAck, 500, 101);
            c.out(kAck, 101, 501, "data");
            story.step(bed);
        }
    );
}

TEST_CASE(
    "the answer to an unsolicited SYN is an error from where it went, and quotes it",
    "[packet][rfc5382-req4-error]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint nobody{ip("203.0.113.3"), 3000};
        push_syn(bed, kOther, 4000, nobody);
        bed.run();
        CHECK(bed.dropped(DropReason::kNoMapping) == 1);
        bed.advance(7 * kSecond);
        const Decoded error = bed.take_one(kExternalLink);
        CHECK(error.destination == ip(kOther));
        CHECK(error.source == nobody.address);
        CHECK(int{error.icmp_type} == 3);
        CHECK(int{error.icmp_code} == 3);
        REQUIRE(error.quote.size() == 1);
        const Decoded& quote = error.quote[0];
        CHECK(quote.source == ip(kOther));
        CHECK(quote.destination == nobody.address);
        CHECK(quote.source_port == 4000);
        CHECK(quote.destination_port == 3000);
        CHECK(quote.sequence == 500);
        CHECK(quote.ttl == 64);
        bed.advance(60 * kSecond);
        CHECK(bed.take().empty());
        story.step(bed);
    });
}

TEST_CASE(
    "where the pool says so an unsolicited SYN is dropped in silence, then and later",
    "[packet][rfc5382-req4a]"
) {
    using enum nat::FilteringBehaviour;
    const auto filtering =
        GENERATE(kEndpointIndependent, kAddressDependent, kAddressAndPortDependent);
    BedOptions options = with(filtering);
    options.nat.pools[0].unsolicited_syn = nat::UnsolicitedSyn::kSilent;
    run_everywhere(options, [filtering](TestBed& bed, Story& story) {
        const Endpoint external = syn_and_see(bed, host(5), 1000, kServer);
        const bool refuses = filtering != kEndpointIndependent;
        push_syn(bed, kOther, 4000, refuses ? external : Endpoint{ip("203.0.113.3"), 3000});
        bed.run();
        bed.advance(20 * kSecond);
        CHECK(bed.take().empty());
        CHECK(bed.dropped(refuses ? DropReason::kFiltered : DropReason::kNoMapping) == 1);
        story.step(bed);
    });
}

TEST_CASE(
    "an established connection passes data after 2 h 4 min of silence", "[packet][rfc5382-req5]"
) {
    const bool from_outside = GENERATE(false, true);
    run_everywhere({}, [from_outside](TestBed& bed, Story& story) {
        Connection c(bed, host(5), 1000);
        c.establish();
        bed.advance(7439 * kSecond);
        from_outside ? c.in(kAck, 501, 101, "late") : c.out(kAck, 101, 501, "late");
        story.step(bed);
    });
}

TEST_CASE("an opening connection is kept for four minutes", "[packet][rfc5382-req5]") {
    const bool answered = GENERATE(false, true);
    run_everywhere({}, [answered](TestBed& bed, Story& story) {
        Connection c(bed, host(5), 1000);
        c.out(kSyn, 100, 0);
        if (answered) {
            c.in(kSyn | kAck, 500, 101);
        }
        bed.advance(239 * kSecond);
        c.in(kSyn | kAck, 500, 101);
        story.step(bed);
    });
}

TEST_CASE("the timers of TCP are what is set", "[packet][rfc5382-req5a]") {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.timeouts.tcp_established = Seconds{9000};
    options.nat.timeouts.tcp_transitory = Seconds{300};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        Connection opening(bed, host(5), 1000);
        opening.out(kSyn, 100, 0);
        bed.advance(298 * kSecond);
        CHECK(bed.session_count() == 1);
        bed.advance(4 * kSecond);
        CHECK(bed.session_count() == 0);
        Connection open(bed, host(6), 1000);
        open.establish();
        bed.advance(8998 * kSecond);
        CHECK(bed.session_count() == 1);
        bed.advance(5 * kSecond);
        CHECK(bed.session_count() == 0);
        story.step(bed);
    });
}

TEST_CASE("an established connection may live longer by its remote port", "[packet][timeouts]") {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.timeouts.by_remote_port = {{Protocol::kTcp, {80, 80}, Seconds{10000}}};
    run_everywhere(options, [](TestBed& bed, Story& story) {
        Connection open(bed, host(6), 1000);
        open.establish();
        bed.push_internal(tcp_out(bed, host(6), 1001, kServer, 80, kSyn));  // but not its opening
        bed.run();
        bed.take();
        bed.advance(245 * kSecond);
        CHECK(bed.session_count() == 1);
        bed.advance(9700 * kSecond);
        CHECK(bed.session_count() == 1);
        open.out(kFin | kAck, 101, 501);
        open.in(kFin | kAck, 501, 102);  // nor its closing
        bed.advance(242 * kSecond);
        CHECK(bed.session_count() == 0);
        story.step(bed);
    });
}

TEST_CASE("a mail session passes byte for byte: no helper touches it", "[packet][rfc5382-req6]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        Connection c(bed, host(5), 1000);
        c.establish();
        c.out(kAck, 101, 501, "EHLO [100.64.0.5]\r\n");
        c.out(kAck, 120, 501, "INVITE sip:bob@100.64.0.5:1000 SIP/2.0\r\n");
        CHECK(bed.mapping_count() == 1);
        story.step(bed);
    });
}

TEST_CASE("TCP endpoints of one address keep their sources apart", "[packet][rfc5382-req7]") {
    BedOptions options;
    options.nat = nat_settings("203.0.113.9", "203.0.113.9");
    run_everywhere(options, [](TestBed& bed, Story& story) {
        std::set<Endpoint> seen;
        for (unsigned n = 5; n < 105; ++n) {
            for (const uint16_t port : {uint16_t{1000}, uint16_t{1001}}) {
                CHECK(seen.insert(syn_and_see(bed, host(n), port, kServer)).second);
            }
        }
        story.step(bed);
    });
}

namespace {

// One segment between two subscribers by the callee's external endpoint; what arrives.
Decoded across(
    TestBed& bed, Ipv4Addr from, uint16_t port, const Endpoint& to, uint8_t flags, uint32_t sequence
) {
    bed.push_internal(bed.from_internal()
                          .ipv4(from, to.address)
                          .tcp(port, to.port, flags)
                          .sequence(sequence)
                          .acknowledgement(sequence == 100 || sequence == 101 ? 501 : 101));
    bed.run();
    return bed.take_one(kInternalLink);
}

}  // namespace

TEST_CASE(
    "two subscribers connect by their external endpoints and stay connected",
    "[packet][rfc5382-req8]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (unsigned n = 0; n < 6; ++n) {  // on one shard and across shards
            const Ipv4Addr a = host(5 + n);
            const Ipv4Addr b = host(60);
            const uint16_t port = static_cast<uint16_t>(2000 + n);
            const Endpoint to = syn_and_see(bed, a, 1000, kServer);
            CHECK(across(bed, b, port, to, kSyn, 100).destination == a);
            const Endpoint back = external_of(bed, Protocol::kTcp, b, port);
            CHECK(across(bed, a, 1000, back, kSyn | kAck, 500).destination == b);
            CHECK(across(bed, b, port, to, kAck, 101).destination_port == 1000);
            CHECK(across(bed, a, 1000, back, kAck, 501).destination_port == port);
        }
        bed.advance(3600 * kSecond);
        const Endpoint to = external_of(bed, Protocol::kTcp, host(5), 1000);
        CHECK(across(bed, host(60), 2000, to, kAck, 101).destination == host(5));
        story.step(bed);
    });
}

TEST_CASE(
    "a segment between two subscribers shows its sender's external endpoint",
    "[packet][rfc5382-req8a]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (unsigned n = 0; n < 6; ++n) {
            const Endpoint to = syn_and_see(bed, host(5 + n), 1000, kServer);
            const Endpoint shown =
                syn_and_see(bed, host(60), static_cast<uint16_t>(2000 + n), kServer);
            const Decoded arrived =
                across(bed, host(60), static_cast<uint16_t>(2000 + n), to, kSyn, 100);
            CHECK(Endpoint{arrived.source, arrived.source_port} == shown);
        }
        story.step(bed);
    });
}

namespace {

PacketBuilder error_about(
    const TestBed& bed, uint8_t type, uint8_t code, const Endpoint& external, uint32_t rest = 0
) {
    const auto quote =
        frame().ipv4(external.address, ip(kServer)).tcp(external.port, 80, kAck).sequence(101).l3();
    return bed.from_external()
        .ipv4(ip("192.0.2.200"), external.address)
        .icmp_error(type, code, Bytes(quote).first(28), rest);
}

}  // namespace

TEST_CASE("Destination Unreachable about a segment reaches its sender", "[packet][rfc5382-req9]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        const Endpoint external = syn_and_see(bed, host(5), 1000, kServer);
        for (uint8_t code = 0; code < 16; ++code) {
            bed.push_external(error_about(bed, 3, code, external, code == 4 ? 1400 : 0));
            bed.run();
            const Decoded error = bed.take_one(kInternalLink);
            CHECK(error.destination == host(5));
            CHECK(int{error.icmp_code} == code);
            CHECK(error.icmp_sequence == (code == 4 ? 1400 : 0));
        }
        story.step(bed);
    });
}

TEST_CASE("no ICMP error ends a TCP connection or shortens its life", "[packet][rfc5382-req10]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        Connection c(bed, host(5), 1000);
        c.establish();
        const Endpoint external = external_of(bed, Protocol::kTcp, host(5), 1000);
        for (uint8_t code = 0; code < 16; ++code) {
            bed.push_external(error_about(bed, 3, code, external));
        }
        bed.push_external(error_about(bed, 11, 0, external));
        bed.push_external(error_about(bed, 12, 0, external));
        bed.run();
        bed.take();
        bed.advance(7430 * kSecond);
        c.in(kAck, 501, 101, "still here");
        story.step(bed);
    });
}

}  // namespace sekisho::test
