// SYNs that nobody inside has asked for (RFC 5382 REQ-4): what is held, what ends it, and what a flood of them costs.
#include "dataplane/unsolicited_syns.h"

#include <map>

#include <catch2/catch.hpp>

#include "packet/fragment.h"
#include "scenario.h"

namespace sekisho::test {
namespace {

using dataplane::UnsolicitedSyns;
using packet::kAck;
using packet::kFin;
using packet::kRst;
using packet::kSyn;

constexpr auto kServer = "192.0.2.1";
constexpr auto kOther = "192.0.2.2";
constexpr uint32_t kSecond = 1000;
constexpr Endpoint kNobody{Ipv4Addr::of(203, 0, 113, 3), 3000};

PacketBuilder syn(const TestBed& bed, Ipv4Addr from, uint16_t port, const Endpoint& to) {
    return bed.from_external().ipv4(from, to.address).tcp(port, to.port, kSyn);
}

uint64_t waiting(TestBed& bed) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < bed.shards(); ++i) {
        sum += bed.shard(i).unsolicited_syns().size();
    }
    return sum;
}

// Who was told that a port is unreachable since the last call, and how often.
std::map<Ipv4Addr, unsigned> told(TestBed& bed) {
    std::map<Ipv4Addr, unsigned> all;
    for (const auto& sent : bed.take()) {
        const Decoded error = decode(sent.bytes);
        CHECK(int{error.icmp_type} == 3);
        CHECK(int{error.icmp_code} == 3);
        ++all[error.destination];
    }
    return all;
}

Ipv4Addr stranger(unsigned n) {
    return Ipv4Addr::of(
        11, static_cast<uint8_t>(n >> 16), static_cast<uint8_t>(n >> 8), static_cast<uint8_t>(n)
    );
}

}  // namespace

TEST_CASE("a SYN that is sent again while it is held is answered once", "[packet][syns]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (const uint32_t pause : {1000U, 2000U, 2500U}) {
            bed.push_external(syn(bed, ip(kOther), 4000, kNobody).sequence(pause));
            bed.run();
            bed.advance(pause);
        }
        CHECK(waiting(bed) == 1);
        bed.advance(20 * kSecond);
        CHECK(told(bed) == std::map<Ipv4Addr, unsigned>{{ip(kOther), 1}});
        CHECK(waiting(bed) == 0);
        story.step(bed);
    });
}

TEST_CASE(
    "a SYN that is held while its address is taken from the pool ends in silence", "[packet][syns]"
) {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        bed.push_external(syn(bed, ip(kOther), 4000, kNobody));
        bed.run();
        REQUIRE(waiting(bed) == 1);
        nat::NatSettings settings = bed.settings();
        const Ipv4Addr rest = Ipv4Addr::of(203, 0, 113, 1);
        settings.pools[0].addresses = {{rest, rest}};
        bed.directory().follow(settings);
        REQUIRE(bed.directory().find(kNobody.address).value == kNoIndex);
        bed.advance(20 * kSecond);
        CHECK(bed.take().empty());
        CHECK(waiting(bed) == 0);
        story.step(bed);
    });
}

TEST_CASE("each pool says for itself whether a SYN is answered", "[packet][syns]") {
    BedOptions options;
    options.nat = nat_settings();
    nat::PoolSettings silent = options.nat.pools[0];
    silent.name = "silent";
    silent.addresses = {{ip("203.0.113.64"), ip("203.0.113.71")}};
    silent.unsolicited_syn = nat::UnsolicitedSyn::kSilent;
    options.nat.pools.push_back(silent);
    run_everywhere(options, [](TestBed& bed, Story& story) {
        bed.push_external(syn(bed, ip(kOther), 4000, {ip("203.0.113.66"), 3000}));
        bed.push_external(syn(bed, ip(kServer), 4000, kNobody));
        bed.run();
        bed.advance(20 * kSecond);
        CHECK(told(bed) == std::map<Ipv4Addr, unsigned>{{ip(kServer), 1}});
        story.step(bed);
    });
}

TEST_CASE("nothing but a whole SYN from outside is held", "[packet][syns]") {
    run_everywhere({}, [](TestBed& bed, Story& story) {
        for (const int flags : {kSyn | kAck, kAck + 0, kRst + 0, kFin | kAck, kRst | kAck}) {
            bed.push_external(bed.from_external()
                                  .ipv4(ip(kOther), kNobody.address)
                                  .tcp(4000, kNobody.port, static_cast<uint8_t>(flags)));
        }
        bed.push_external(syn(bed, ip(kOther), 4000, kNobody).fragment(0, true));
        bed.push_external(
            bed.from_external().ipv4(ip(kOther), kNobody.address).udp(4000, kNobody.port)
        );
        bed.push_internal(
            bed.from_internal().ipv4(host(5), kNobody.address).tcp(4000, kNobody.port, kSyn)
        );
        bed.run();
        CHECK(waiting(bed) == 0);
        bed.advance(20 * kSecond);
        CHECK(bed.take().empty());
        story.step(bed);
    });
}

TEST_CASE("a SYN with options is quoted as far as an error needs it", "[packet][syns]") {
    const size_t data = GENERATE(0, 1, 1400);
    run_everywhere({}, [data](TestBed& bed, Story& story) {
        const ByteVector nops(40, 1);
        bed.push_external(syn(bed, ip(kOther), 4000, kNobody)
                              .ip_options(nops)
                              .tcp_options(nops)
                              .payload_size(data));
        bed.run();
        bed.advance(7 * kSecond);
        const Decoded error = bed.take_one(kExternalLink);
        CHECK(error.total_length == 28 + UnsolicitedSyns::kQuoted);
        REQUIRE(error.quote.size() == 1);
        CHECK(error.quote[0].total_length == 120 + data);
        CHECK(error.quote[0].destination_port == kNobody.port);
        story.step(bed);
    });
}

TEST_CASE(
    "a connection that was opened meanwhile and closed again ends a SYN in silence",
    "[packet][syns]"
) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].filtering = nat::FilteringBehaviour::kAddressAndPortDependent;
    run_everywhere(options, [](TestBed& bed, Story& story) {
        bed.push_internal(tcp_out(bed, host(5), 1000, kServer, 80, kSyn));
        bed.run();
        bed.take();
        bed.push_external(tcp_in(bed, kOther, 80, host(5), 1000, kSyn));
        bed.run();
        CHECK(waiting(bed) == 1);
        bed.push_internal(tcp_out(bed, host(5), 1000, kOther, 80, kSyn).sequence(100));
        bed.run();
        bed.push_external(
            tcp_in(bed, kOther, 80, host(5), 1000, kRst | kAck).acknowledgement(101).sequence(0)
        );
        bed.run();
        bed.take();
        bed.advance(20 * kSecond);
        CHECK(bed.take().empty());
        CHECK(waiting(bed) == 0);
        story.step(bed);
    });
}

TEST_CASE(
    "a connection that was opened meanwhile and has ended altogether ends a SYN in silence",
    "[packet][syns][rfc5382-req4]"
) {
    const bool is_cleared = GENERATE(true, false);
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].filtering = nat::FilteringBehaviour::kAddressAndPortDependent;
    options.nat.timeouts.tcp_closing = Seconds{1};
    run_everywhere(options, [is_cleared](TestBed& bed, Story& story) {
        bed.push_internal(tcp_out(bed, host(5), 1000, kServer, 80, kSyn));
        bed.run();
        bed.take();
        const auto in = [&](uint8_t flags, uint32_t sequence, uint32_t acknowledged) {
            bed.push_external(tcp_in(bed, kOther, 80, host(5), 1000, flags)
                                  .sequence(sequence)
                                  .acknowledgement(acknowledged));
            bed.run();
        };
        const auto out = [&](uint8_t flags, uint32_t sequence, uint32_t acknowledged) {
            bed.push_internal(tcp_out(bed, host(5), 1000, kOther, 80, flags)
                                  .sequence(sequence)
                                  .acknowledgement(acknowledged));
            bed.run();
        };
        in(kSyn, 500, 0);
        CHECK(waiting(bed) == 1);
        out(kSyn, 100, 0);
        if (is_cleared) {
            const nat::SessionView opened = [&] {
                for (const nat::SessionView& view : bed.sessions()) {
                    if (Ipv4Addr{view.session.remote_address} == ip(kOther)) {
                        return view;
                    }
                }
                return nat::SessionView{};
            }();
            bed.shard(opened.shard.value).nat().clear_session({opened.index}, bed.now());
        } else {
            in(kSyn | kAck, 500, 101);
            out(kAck, 101, 501);
            out(kFin | kAck, 101, 501);
            in(kFin | kAck, 501, 102);
            bed.advance(2 * kSecond);
        }
        bed.take();
        CHECK(bed.session_count() == 1);
        bed.advance(20 * kSecond);
        CHECK(bed.take().empty());
        CHECK(waiting(bed) == 0);
        story.step(bed);
    });
}

TEST_CASE("one source cannot keep another's SYN from being answered", "[packet][syns][flood]") {
    TestBed bed(BedOptions{});
    for (unsigned n = 0; n < 4 * UnsolicitedSyns::kMost; ++n) {
        bed.push_external(syn(bed, ip(kOther), static_cast<uint16_t>(1024 + n), kNobody));
        if (n % 64 == 0) {
            bed.run();
        }
    }
    bed.run();
    CHECK(waiting(bed) == UnsolicitedSyns::kMostOfSource);
    bed.push_external(syn(bed, ip(kServer), 4000, kNobody));
    bed.run();
    bed.advance(20 * kSecond);
    CHECK(told(bed)[ip(kServer)] == 1);
}

TEST_CASE(
    "a flood of SYNs from everywhere costs a bounded table, and others get their errors",
    "[packet][syns][flood]"
) {
    BedOptions options;
    options.shards = GENERATE(1, 3);
    TestBed bed(options);
    bed.push_internal(tcp_out(bed, host(5), 1000, kServer, 80, kSyn));
    bed.run();
    bed.take();
    const size_t sessions = bed.session_count();
    unsigned sent = 0;
    std::map<Ipv4Addr, unsigned> unreachable;
    unsigned expired = 0;
    constexpr unsigned kRounds = 130;
    for (unsigned round = 0; round < kRounds; ++round) {
        for (unsigned n = 0; n < 512; ++n, ++sent) {
            const Endpoint to{
                Ipv4Addr::of(203, 0, 113, static_cast<uint8_t>(sent % 8)),
                static_cast<uint16_t>(1024 + sent * 7 % 60000)};
            bed.push_external(syn(bed, stranger(sent), 4000, to));
        }
        bed.push_internal(bed.from_internal().ipv4(host(9), ip(kServer)).ttl(1).udp(1, 2));
        bed.run();
        bed.advance(100);
        for (const auto& frame : bed.take()) {
            const Decoded error = decode(frame.bytes);
            error.icmp_type == 11 ? ++expired : ++unreachable[error.destination];
        }
        REQUIRE(waiting(bed) <= bed.shards() * UnsolicitedSyns::kMost);
    }
    CHECK(expired == kRounds);
    CHECK(unreachable.size() > 500);
    CHECK(
        unreachable.size() < 250 * (kRounds / 10 - 5)
    );  // the bucket of such errors, since the first was due
    CHECK(bed.session_count() == sessions);
    CHECK(bed.store().in_use() == 0);
}

}  // namespace sekisho::test
