#include "packet/checksum.h"

#include <array>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "packet/views.h"

namespace sekisho::packet {
namespace {

// RFC 1071 4.1, word by word with nothing clever: the specification of the others.
uint16_t plain_checksum(const std::vector<uint8_t>& bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes.size(); i += 2) {
        const uint32_t low = i + 1 < bytes.size() ? bytes[i + 1] : 0;
        sum += uint32_t{bytes[i]} << 8 | low;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return base::swap16(static_cast<uint16_t>(~sum));
}

std::vector<uint8_t> random_bytes(std::mt19937_64& random, size_t size) {
    // Words of all zeros and all ones are as frequent as others: that is where the two zeros of
    // one's complement meet.
    std::vector<uint8_t> bytes(size);
    for (size_t i = 0; i < size; i += 2) {
        const uint64_t r = random();
        const uint16_t word = r % 4 == 0 ? 0 : r % 4 == 1 ? 0xffff : static_cast<uint16_t>(r >> 32);
        bytes[i] = static_cast<uint8_t>(word);
        if (i + 1 < size) {
            bytes[i + 1] = static_cast<uint8_t>(word >> 8);
        }
    }
    return bytes;
}

const std::array<uint16_t, 6> kEdges = {0, 1, 0x00ff, 0x7fff, 0xfffe, 0xffff};

}  // namespace

TEST_CASE("the example of RFC 1071 section 3 sums to ddf2", "[packet][rfc1071]") {
    const std::vector<uint8_t> bytes = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    CHECK(base::swap16(fold(sum_of(bytes))) == 0xddf2);
}

TEST_CASE("the example of RFC 1624 section 4 gives 0000 and not ffff", "[packet][rfc1624]") {
    const uint16_t delta = checksum_delta16(base::swap16(0x5555), base::swap16(0x3285));
    CHECK(apply_delta(base::swap16(0xdd2f), delta) == 0x0000);
}

TEST_CASE(
    "the full checksum equals the plain word-by-word one for every length", "[packet][rfc1071]"
) {
    std::mt19937_64 random(1);
    for (size_t size = 0; size < 300; ++size) {
        const auto bytes = random_bytes(random, size);
        CHECK(full_checksum(bytes) == plain_checksum(bytes));
    }
    const auto longest = random_bytes(random, 65535);
    CHECK(full_checksum(longest) == plain_checksum(longest));
}

TEST_CASE("a sum continues over an even number of bytes", "[packet][rfc1071]") {
    std::mt19937_64 random(2);
    const auto bytes = random_bytes(random, 101);
    const Bytes all(bytes);
    for (size_t cut = 0; cut <= 100; cut += 2) {
        CHECK(fold(sum_of(all.subspan(cut), sum_of(all.first(cut)))) == fold(sum_of(all)));
    }
}

TEST_CASE(
    "an incremental change of an IPv4 header equals full recomputation", "[packet][rfc1624]"
) {
    std::mt19937_64 random(3);
    for (int round = 0; round < 200000; ++round) {
        auto header = random_bytes(random, 20);
        header[0] = 0x45;
        header[8] |= 1;  // a TTL to decrement
        store<uint16_t>(&header[10], 0);
        const uint16_t before = full_checksum(header);
        const Ipv4Addr old_source{load<uint32_t>(&header[12])};
        const Ipv4Addr new_source{static_cast<uint32_t>(round % 3 == 0 ? 0 : random())};
        store(&header[12], new_source.raw);
        header[8] = static_cast<uint8_t>(header[8] - 1);

        const uint16_t delta = checksum_delta(old_source, new_source);
        const uint16_t after = apply_delta(before, add_deltas(delta, kTtlDecrement));
        REQUIRE(after == full_checksum(header));

        // and the complement undoes it
        REQUIRE(apply_delta(apply_delta(before, delta), inverse_delta(delta)) == before);
    }
}

TEST_CASE("an incremental change of TCP and UDP equals full recomputation", "[packet][rfc1624]") {
    std::mt19937_64 random(4);
    for (int round = 0; round < 200000; ++round) {
        const bool udp = round % 2 == 0;
        const size_t at = udp ? offset::kUdpChecksum : offset::kTcpChecksum;
        auto segment = random_bytes(random, 20 + random() % 30);
        const Ipv4Addr source{static_cast<uint32_t>(random())};
        const Ipv4Addr peer{static_cast<uint32_t>(random())};
        const Ipv4Addr translated{static_cast<uint32_t>(random())};
        const auto number = udp ? Protocol::kUdp : Protocol::kTcp;
        const auto full = [&](Ipv4Addr from) {
            store<uint16_t>(&segment[at], 0);
            const auto length = static_cast<uint16_t>(segment.size());
            const uint16_t c =
                full_checksum(segment, pseudo_header_sum(from, peer, number, length));
            return udp && c == 0 ? uint16_t{0xffff} : c;
        };
        const uint16_t before = full(source);
        const Port old_port{load<uint16_t>(&segment[0])};
        const Port new_port{kEdges[random() % kEdges.size()]};
        store(&segment[0], new_port.raw);
        const uint16_t delta =
            add_deltas(checksum_delta(source, translated), checksum_delta(old_port, new_port));
        const uint16_t after = udp ? apply_delta_udp(before, delta) : apply_delta(before, delta);
        REQUIRE(after == full(translated));
    }
}

TEST_CASE(
    "an incremental change of an ICMP query verifies, even where all covered words are zero",
    "[packet][rfc1624]"
) {
    for (const uint16_t old_id : kEdges) {
        for (const uint16_t new_id : kEdges) {
            for (const uint8_t type : {kIcmpEchoReply, kIcmpEchoRequest}) {
                std::vector<uint8_t> message(12);
                message[0] = type;
                store(&message[offset::kIcmpIdentifier], old_id);
                store(&message[offset::kIcmpChecksum], full_checksum(message));
                store(&message[offset::kIcmpIdentifier], new_id);
                const auto before = load<uint16_t>(&message[offset::kIcmpChecksum]);
                const uint16_t after = apply_delta_icmp(before, checksum_delta16(old_id, new_id));
                store(&message[offset::kIcmpChecksum], after);
                CAPTURE(old_id, new_id, int{type});
                CHECK(verifies(message));
                CHECK(plain_checksum(message) == 0);
            }
        }
    }
}

TEST_CASE(
    "UDP checksum 0 means none and stays 0; a result 0 is written as ffff", "[packet][rfc768]"
) {
    for (const uint16_t delta : kEdges) {
        CHECK(apply_delta_udp(0, delta) == 0);
    }
    for (uint32_t checksum = 1; checksum <= 0xffff; ++checksum) {
        for (const uint16_t delta : kEdges) {
            const auto c = static_cast<uint16_t>(checksum);
            const uint16_t result = apply_delta_udp(c, delta);
            REQUIRE(result != 0);
            REQUIRE((result == 0xffff || result == apply_delta(c, delta)));
        }
    }
    // ~c as the delta leads to a sum of all ones: the only way to 0
    CHECK(apply_delta(0x1234, inverse_delta(0xedcb)) == apply_delta(0x1234, 0x1234));
    CHECK(apply_delta_udp(0xfffe, 0xfffe) == 0xffff);
}

TEST_CASE(
    "both zeros as a delta change nothing in a checksum that a stack may write", "[packet][rfc1624]"
) {
    for (uint32_t checksum = 0; checksum < 0xffff; ++checksum) {
        const auto c = static_cast<uint16_t>(checksum);
        REQUIRE(apply_delta(c, 0x0000) == c);
        REQUIRE(apply_delta(c, 0xffff) == c);
    }
}

TEST_CASE("a delta and its inverse cancel for every pair of words", "[packet][rfc1624]") {
    for (const uint16_t a : kEdges) {
        for (const uint16_t b : kEdges) {
            const uint16_t delta = checksum_delta16(a, b);
            const uint16_t back = checksum_delta16(b, a);
            CHECK(apply_delta(apply_delta(0x5a5a, delta), back) == 0x5a5a);
            CHECK(apply_delta(apply_delta(0x5a5a, delta), inverse_delta(delta)) == 0x5a5a);
        }
    }
}

}  // namespace sekisho::packet
