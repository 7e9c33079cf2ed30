// The Toeplitz hash of receive side scaling over one IPv4 address, and the table from hash to shard.
//
//   Why       a subscriber's shard is table[toeplitz(key, internal address) mod 512]. A NIC that hashes
//             the source (or destination) address alone computes the same, so that a packet arrives
//             where it belongs.
//   Trust     not keyed against strangers: subscribers do not choose their addresses.
//   Order     bytes as they stand in the packet; the hash is a host-order number, as NICs report it.
//   Cost      hash of an address: four loads, three xors; 4 KiB of tables.
//   Thread    immutable once made.
//   Source    Microsoft, RSS hashing functions and their verification values.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/types.h"

namespace sekisho::base {

using ToeplitzKey = std::array<uint8_t, 40>;

// The key that Microsoft published with the verification values: good where none has been drawn.
inline constexpr ToeplitzKey kDefaultToeplitzKey = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

// The hash of any input of at most 36 bytes, bit by bit: the specification of the class below.
uint32_t toeplitz_hash(const ToeplitzKey& key, std::span<const uint8_t> input);

// The hash of one address with one key.
class Toeplitz {
  public:
    explicit Toeplitz(const ToeplitzKey& key = kDefaultToeplitzKey);

    uint32_t operator()(Ipv4Addr address) const {
        const uint32_t a = address.raw;
        return tables_[0][a & 0xff] ^ tables_[1][a >> 8 & 0xff] ^ tables_[2][a >> 16 & 0xff] ^
               tables_[3][a >> 24];
    }
    const ToeplitzKey& key() const { return key_; }

  private:
    ToeplitzKey key_;
    std::array<std::array<uint32_t, 256>, 4> tables_;
};

// Which shard has which hash: the redirection table, as NICs are programmed with it.
struct ShardTable {
    static constexpr size_t kEntries = 512;
    std::array<ShardId, kEntries> entries{};

    // Every shard of `shards` (at least one) gets as many entries as any other, give or take one.
    static ShardTable even(unsigned shards);

    ShardId of(uint32_t hash) const { return entries[hash & (kEntries - 1)]; }
    friend bool operator==(const ShardTable&, const ShardTable&) = default;
};

}  // namespace sekisho::base

namespace sekisho {
using base::ShardTable;
using base::Toeplitz;
using base::ToeplitzKey;
}  // namespace sekisho
