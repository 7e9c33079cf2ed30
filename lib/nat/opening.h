// What is known of a flow on its way to a session (outbound.cc).
#pragma once

#include <cstdint>
#include <optional>

#include "base/types.h"
#include "nat/original.h"
#include "nat/policy_numbers.h"
#include "nat/results.h"
#include "nat/settings.h"
#include "packet/batch.h"

namespace sekisho::nat {

// What a burst's foresight has found out of a flow that has no session, and what rules have chosen for it.
struct Newcomer {
    uint64_t session_hash = 0;
    uint64_t mapping_hash = 0;
    uint64_t subscriber_hash = 0;
    uint32_t subscriber = kNoIndex;          // a guess
    PoolId pool = kNoPool;                   // in place of its policy's; kNoPool: the policy's
    PoolTag tag = kOwnPool;                  // of `pool`, set where the hashes are those of it
    std::optional<RemoteEndpoint> target{};  // in place of what destination-nat says
};

// Where a packet from outside goes whose destination rules have translated.
struct Forward {
    RemoteEndpoint to;  // an internal endpoint
    RealmId realm;
};

// A new outbound flow: as sent, and as it goes on where its destination is translated.
struct Way {
    FlowKey key;
    FlowKey onward;
    uint64_t hash = 0;  // of `key`
    PoolTag tag = kOwnPool;
    bool redirected = false;
    bool keeps_source = false;
};

// The mapping that it may use and its subscriber; the hash under which a new mapping is to be found.
struct Sought {
    uint32_t mapping = kNoIndex;
    uint64_t hash = 0;
    Outcome subscriber = Outcome::made(kNoIndex);
};

}  // namespace sekisho::nat
