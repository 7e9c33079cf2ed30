// What is known of a flow on its way to a session (outbound.cc).
#pragma once

#include <cstdint>

#include "base/types.h"
#include "nat/results.h"
#include "packet/batch.h"

namespace sekisho::nat {

// What a burst's foresight has found out of a flow that has no session.
struct Newcomer {
    uint64_t session_hash = 0;
    uint64_t mapping_hash = 0;
    uint64_t subscriber_hash = 0;
    uint32_t subscriber = kNoIndex;  // a guess
};

// A new outbound flow: as sent, and as it goes on where its destination is translated.
struct Way {
    FlowKey key;
    FlowKey onward;
    uint64_t hash = 0;  // of `key`
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
