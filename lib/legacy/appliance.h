// Appliance: what the tools ask of the machine on which they run. The state that they change is a value of theirs
// (firewall.h, chains.h); this is only looked at.
//
//   Cost      control code; may allocate. Thread: the caller's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/types.h"
#include "rules/paths.h"
#include "rules/rule_set.h"

namespace sekisho::legacy {

struct Link {
    std::string name;
    LinkId id;
    std::vector<Ipv4Addr> addresses;  // its own
};
using Links = std::vector<Link>;

// A translated session, as the tools of its time list one (LEGACY S26).
struct MasqueradedSession {
    Protocol protocol = Protocol::kUdp;
    uint64_t expires_ms = 0;  // from now
    Ipv4Addr source;
    Ipv4Addr destination;
    Port source_port;
    Port mapped_port;
    Port destination_port;
    uint32_t first_sequence = 0;  // from which on `delta` is added
    int16_t delta = 0;
    int16_t previous_delta = 0;
};

// By RuleId, never less than before; what stands beyond the end has counted nothing.
using Counts = std::vector<rules::RuleTotal>;

// What a rule has counted since its counter was set to zero. Its zero is what it had then; nothing is written where
// packets are counted, so none is lost (SEEDS A13). A rule that goes on with another's count has a zero below 0: all is
// modulo 2^64.
inline rules::RuleTotal count_since(
    const Counts& counts, rules::RuleId id, const rules::RuleTotal& zero
) {
    const rules::RuleTotal total = id.value < counts.size() ? counts[id.value] : rules::RuleTotal{};
    return {total.packets - zero.packets, total.bytes - zero.bytes};
}

// The pool that has just these addresses and ports; ports of 0: just these addresses, and any ports.
using PoolFinder = std::function<std::optional<PoolId>(
    const rules::AddressRange& addresses, const rules::Range<uint16_t>& ports
)>;

class Appliance {
  public:
    Appliance() = default;
    Appliance(const Appliance&) = default;
    Appliance& operator=(const Appliance&) = default;
    virtual ~Appliance() = default;

    virtual Links links() const = 0;
    // All that the rules and policies of the published set have counted, read at once.
    virtual Counts counts() const = 0;
    virtual std::vector<MasqueradedSession> masqueraded() const = 0;
};

}  // namespace sekisho::legacy
