// What slices of listings show: plain values, copied out on the worker.
#pragma once

#include <cstdint>

#include "base/types.h"
#include "flow/session.h"
#include "nat/mapping.h"
#include "nat/original.h"

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
    uint16_t marked[3];  // the same by the bitmaps, with those that are reserved
};
struct PoolView {                 // what this shard knows; sums over the shards are the pool's
    uint32_t free_blocks = 0;     // at home here
    uint32_t granted_blocks = 0;  // held here
    uint32_t ports_in_use = 0;    // of blocks held here
    uint32_t ports_resting = 0;   // freed in this epoch or the one before
    uint64_t refused = 0;         // requests that ended here without a block
    uint32_t draining = 0;        // addresses at home here that were taken away and have blocks
    uint64_t withdrawn = 0;       // sessions that ended with their external address
};

struct SessionView {
    Session session;  // as it stands
    uint32_t index;
    uint32_t idle_ms;
    uint32_t lifetime_ms;  // until it expires if nothing comes
    uint16_t pool;
    uint16_t policy;
    ShardId shard;
    RemoteEndpoint original{};  // with flow::kRedirected
};
struct MappingView {
    Mapping mapping;
    uint32_t index;
    uint16_t pool;
    ShardId shard;
    MappingRemote remote{};  // zero where it does not count
    // kStatic: an entry of the static table, in use or not: a run of ports from the mapping's on,
    // and the sessions of all. kStaticUse: the record of one of its endpoints.
    enum Kind : uint8_t { kDynamic, kStatic, kStaticUse } kind = kDynamic;
    uint16_t more_ports = 0;  // of kStatic, besides the first
    bool is_leased = false;   // its subscriber has asked for it (lease.h), for so much longer:
    uint32_t lease_ms = 0;
};

}  // namespace sekisho::nat
