#include "base/toeplitz.h"

#include <vector>

#include <catch2/catch.hpp>

#include "base/text.h"

namespace sekisho::base {
namespace {

void append(std::vector<uint8_t>& out, const char* address) {
    const uint32_t a = parse_ipv4(address)->host();
    for (int shift = 24; shift >= 0; shift -= 8) {
        out.push_back(static_cast<uint8_t>(a >> shift));
    }
}
void append(std::vector<uint8_t>& out, uint16_t port) {
    out.push_back(static_cast<uint8_t>(port >> 8));
    out.push_back(static_cast<uint8_t>(port));
}

}  // namespace

TEST_CASE("the hash agrees with Microsoft's verification values for IPv4", "[base][rss]") {
    struct Row {
        const char* destination;
        uint16_t destination_port;
        const char* source;
        uint16_t source_port;
        uint32_t addresses;
        uint32_t with_ports;
    };
    const Row rows[] = {
        {"161.142.100.80", 1766, "66.9.149.187", 2794, 0x323e8fc2, 0x51ccc178},
        {"65.69.140.83", 4739, "199.92.111.2", 14230, 0xd718262a, 0xc626b0ea},
        {"12.22.207.184", 38024, "24.19.198.95", 12898, 0xd2d0a5de, 0x5c2b394a},
        {"209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xafc7327f},
        {"202.188.127.2", 1303, "153.39.163.191", 44251, 0x5d1809c5, 0x10e828a2},
    };
    for (const Row& row : rows) {
        std::vector<uint8_t> input;
        append(input, row.source);
        append(input, row.destination);
        CHECK(toeplitz_hash(kDefaultToeplitzKey, input) == row.addresses);
        append(input, row.source_port);
        append(input, row.destination_port);
        CHECK(toeplitz_hash(kDefaultToeplitzKey, input) == row.with_ports);
    }
}

TEST_CASE("the tables give what the bit-by-bit function gives, for any key", "[base][rss]") {
    ToeplitzKey key = kDefaultToeplitzKey;
    for (int round = 0; round < 3; ++round) {
        const Toeplitz hash(key);
        CHECK(hash.key() == key);
        for (uint32_t i = 0; i < 2000; ++i) {
            const Ipv4Addr address = Ipv4Addr::from_host(i * 2654435761U);
            std::vector<uint8_t> input;
            append(input, to_text(address).c_str());
            REQUIRE(hash(address) == toeplitz_hash(key, input));
        }
        for (auto& byte : key) {
            byte = static_cast<uint8_t>(byte * 5 + 3);
        }
    }
}

TEST_CASE("every shard has its share of the table and of neighbouring addresses", "[base][rss]") {
    const Toeplitz hash;
    for (const unsigned shards : {1U, 2U, 3U, 8U, 64U}) {
        const ShardTable table = ShardTable::even(shards);
        std::vector<unsigned> entries(shards);
        for (const ShardId shard : table.entries) {
            REQUIRE(shard.value < shards);
            ++entries[shard.value];
        }
        std::vector<unsigned> subscribers(shards);
        for (uint32_t i = 0; i < 65536; ++i) {
            ++subscribers[table.of(hash(Ipv4Addr::from_host(0x64400000 + i))).value];
        }
        for (unsigned s = 0; s < shards; ++s) {
            CHECK(entries[s] >= 512 / shards);
            CHECK(entries[s] <= 512 / shards + 1);
            CHECK(subscribers[s] > 65536 / shards * 8 / 10);
            CHECK(subscribers[s] < 65536 / shards * 12 / 10);
        }
    }
}

}  // namespace sekisho::base
