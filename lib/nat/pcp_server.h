// What a shard answers to the PCP and NAT-PMP requests of its subscribers (RFC 6888 REQ-9).
//
//   Law       asked only with what came from inside, by the shard of the source address. The answer goes to nobody else.
//   Cost      that of a first packet. Never allocates. Thread: the shard's worker.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "base/counters.h"
#include "nat/nat_shard.h"
#include "nat/pcp.h"

namespace sekisho::nat {

struct PcpCounters {
    std::array<Counter, kPcpResults> answered;  // by PcpResult; of NAT-PMP by what it means
    Counter silent;                             // requests that deserve no answer
};

struct PcpOutcome {
    enum Kind : uint8_t { kSilent, kAnswered, kHold } kind = kSilent;
    size_t length = 0;  // kAnswered: of what stands in the message now
    SubscriberIndex waiting{
        kNoIndex};  // kHold: ask again, with the same message, when its wait is over
};

struct PcpSource {
    RealmId realm;
    Ipv4Addr address;
};

// `message`: the request, and behind it kPcpRoom bytes of room, that are no part of it.
PcpOutcome answer_pcp(
    NatShard& shard,
    PcpCounters& counters,
    std::span<uint8_t> message,
    const PcpSource& source,
    Tick now
);

}  // namespace sekisho::nat
