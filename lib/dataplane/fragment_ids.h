// FragmentIds: identifications for datagrams that leave in fragments from an address that many share.
//
//   Why       two subscribers behind one external address may use the same identification towards the same host, which
//             would then join their fragments (RFC 6864 5.3.1, RFC 7857 10).
//   Parts     the 16 bits are divided between the shards, since subscribers of several shards share an address. A counter
//             stands for some (external address, remote address, protocol), chosen by hash: before one of them gets an
//             identification a second time, all others of the shard's part have been given out.
//   Order     of the identifications: a keyed permutation, so that who sees one cannot guess the next (RFC 7739).
//   Cost      one hash, a few steps of arithmetic. Never allocates after it is made. Thread: the shard's worker.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/keyed_hash.h"
#include "base/types.h"

namespace sekisho::dataplane {

class FragmentIds {
  public:
    FragmentIds(const HashSecret& secret, ShardId shard, unsigned shards);

    Be16 next(Ipv4Addr external, Ipv4Addr remote, uint8_t protocol);
    uint32_t part_size() const { return part_; }

  private:
    static constexpr size_t kCounters = 4096;
    uint32_t permute(uint32_t number, uint64_t key) const;

    HashSecret secret_;
    uint32_t part_;   // identifications of this shard
    uint32_t first_;  // the first of them
    uint32_t bits_;   // of the numbers below part_
    std::vector<uint16_t> counters_;
};

}  // namespace sekisho::dataplane
