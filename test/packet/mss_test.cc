// SYNs through policies that clamp the segment size.
#include <catch2/catch.hpp>

#include "scenario.h"

namespace sekisho::test {
namespace {

using packet::kAck;
using packet::kSyn;

constexpr auto kServer = "192.0.2.1";

ByteVector mss_option(uint16_t mss) {
    return {2, 4, static_cast<uint8_t>(mss >> 8), static_cast<uint8_t>(mss), 1, 3, 3, 7};
}

// The segment size of the one frame that left; 0: it has no options.
unsigned mss_of_sent(TestBed& bed, LinkId link) {
    const auto sent = bed.take();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].device == link);
    constexpr size_t kTcp = packet::kEthernetHeader + packet::kIpv4Header;
    const ByteVector& bytes = sent[0].bytes;
    return bytes[kTcp + 12] >> 4 == 5 ? 0U : unsigned{bytes[kTcp + 22]} << 8 | bytes[kTcp + 23];
}

BedOptions with(uint16_t clamp) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.policies[0].mss_clamp = clamp;
    options.external_mtu = 1400;
    return options;
}

}  // namespace

TEST_CASE("a policy clamps the segment size of SYN and SYN/ACK, both ways", "[packet][mss]") {
    struct Case {
        uint16_t clamp;
        uint16_t sent;  // 0: no option
        unsigned seen;
    };
    const Case each = GENERATE(
        Case{0, 1460, 1460},
        Case{0, 0, 0},
        Case{1220, 1460, 1220},
        Case{1220, 1219, 1219},
        Case{1220, 0, 0},
        Case{nat::kMssOfPath, 1460, 1360},
        Case{nat::kMssOfPath, 1300, 1300},
        Case{nat::kMssOfPath, 0, 0}
    );
    run_everywhere(with(each.clamp), [each](TestBed& bed, Story& story) {
        const auto dress = [each](PacketBuilder packet) {
            return each.sent == 0 ? packet : packet.tcp_options(mss_option(each.sent));
        };
        bed.push_internal(dress(tcp_out(bed, host(5), 1000, kServer, 80, kSyn).sequence(100)));
        bed.run();
        CHECK(mss_of_sent(bed, kExternalLink) == each.seen);
        bed.push_external(dress(
            tcp_in(bed, kServer, 80, host(5), 1000, kSyn | kAck).sequence(500).acknowledgement(101)
        ));
        bed.run();
        CHECK(mss_of_sent(bed, kInternalLink) == each.seen);
        bed.push_external(dress(tcp_in(bed, "192.0.2.9", 4000, host(5), 1000, kSyn)));
        bed.run();
        CHECK(mss_of_sent(bed, kInternalLink) == each.seen);
        story.step(bed);
    });
}

TEST_CASE("between two subscribers each one's policy clamps", "[packet][mss]") {
    BedOptions options = with(1400);
    nat::PolicySettings lower = options.nat.policies[0];
    lower.name = "lower";
    lower.source = {{host(60), 32}};
    lower.mss_clamp = 1000;
    options.nat.policies.insert(options.nat.policies.begin(), lower);
    run_everywhere(options, [](TestBed& bed, Story& story) {
        bed.push_internal(tcp_out(bed, host(60), 1000, kServer, 80, kSyn));
        bed.run();
        bed.take();
        const Endpoint callee = external_of(bed, Protocol::kTcp, host(60), 1000);
        bed.push_internal(bed.from_internal()
                              .ipv4(host(5), callee.address)
                              .tcp(2000, callee.port, kSyn)
                              .tcp_options(mss_option(1460)));
        bed.run();
        CHECK(mss_of_sent(bed, kInternalLink) == 1000);
        story.step(bed);
    });
}

TEST_CASE("only SYNs are clamped, and data that looks like options stays", "[packet][mss]") {
    run_everywhere(with(1000), [](TestBed& bed, Story& story) {
        bed.push_internal(tcp_out(bed, host(5), 1000, kServer, 80, kSyn)
                              .payload(Bytes(ByteVector{2, 4, 0xff, 0xff})));
        bed.run();
        CHECK(bed.take_one(kExternalLink).payload == ByteVector{2, 4, 0xff, 0xff});
        bed.push_internal(
            tcp_out(bed, host(5), 1000, kServer, 80, kAck).tcp_options(mss_option(1460))
        );
        bed.run();
        CHECK(mss_of_sent(bed, kExternalLink) == 1460);
        bed.push_internal(
            tcp_out(bed, host(5), 1001, kServer, 80, kSyn).tcp_options({2, 4, 5, 0xb4, 3, 0, 0, 0})
        );
        bed.run();
        CHECK(mss_of_sent(bed, kExternalLink) == 1460);
        story.step(bed);
    });
}

}  // namespace sekisho::test
