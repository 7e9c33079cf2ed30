// What slices of listings show that needs no record: plain values, copied out on the worker.
#pragma once

#include <cstdint>

#include "base/types.h"

namespace sekisho::nat {

struct SubscriberView {
    Ipv4Addr address;
    RealmId realm;
    Ipv4Addr external_address;  // its paired address; 0.0.0.0 while it has none
    uint32_t sessions;
    uint32_t ports;
    uint32_t blocks;
    uint16_t policy;
    ShardId shard;
    bool waiting;
};
struct BlockView {
    ExternalIndex external;
    uint16_t number;
    uint16_t in_use[3];  // ports: TCP, UDP, ICMP
    SubscriberIndex subscriber;
};
struct PoolView {                 // what this shard knows; sums over the shards are the pool's
    uint32_t free_blocks = 0;     // at home here
    uint32_t granted_blocks = 0;  // held here
    uint32_t ports_in_use = 0;    // of blocks held here
    uint32_t ports_resting = 0;   // at most; exact where a block was looked at in this epoch
    uint64_t refused = 0;         // requests that ended here without a block
};

}  // namespace sekisho::nat
