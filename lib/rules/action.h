// Actions: what a rule does with a packet that agrees with its conditions.
//
//   Order     a rule's actions are done in turn. At most one decides where the packet or the walk goes on, and it
//             is the last; all others (log, marks, TOS, police, no-track) let the walk go on. A rule without
//             any only counts (LEGACY C2).
//   Thread    values.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/types.h"
#include "rules/condition.h"

namespace sekisho::rules {

using ChainId = base::Id<struct ChainTag, uint16_t>;

struct Accept {
    friend bool operator==(const Accept&, const Accept&) = default;
};
struct Deny {  // silent
    friend bool operator==(const Deny&, const Deny&) = default;
};
struct Reject {
    bool by_tcp_reset = false;  // of TCP; all else, and if not set: by ICMP
    uint8_t icmp_code = 3;      // of destination unreachable
    friend bool operator==(const Reject&, const Reject&) = default;
};
// What a line of a log looks like: structured data (RFC 5424), or as the kernel of its time wrote it.
enum class LogStyle : uint8_t { kStructured, kIpfwadm, kIpchains, kIptables };
struct Log {
    uint8_t level = 6;  // severity of RFC 5424: 0 emergency to 7 debug
    std::string prefix;
    uint32_t per_minute = 0;  // lines; 0: no limit of its own
    LogStyle style = LogStyle::kStructured;
    friend bool operator==(const Log&, const Log&) = default;
};
struct Jump {
    ChainId chain;
    friend bool operator==(const Jump&, const Jump&) = default;
};
struct Goto {  // what returns from there returns from here
    ChainId chain;
    friend bool operator==(const Goto&, const Goto&) = default;
};
struct Return {
    friend bool operator==(const Return&, const Return&) = default;
};
struct Masquerade {               // behind the address of the departing link
    Range<uint16_t> ports{0, 0};  // 0: as the NAT chooses
    friend bool operator==(const Masquerade&, const Masquerade&) = default;
};
struct Snat {
    PoolId pool;
    friend bool operator==(const Snat&, const Snat&) = default;
};
struct DnatTarget {
    Ipv4Addr address;
    uint16_t port = 0;  // 0: the packet's own
    uint32_t weight = 1;
    friend bool operator==(const DnatTarget&, const DnatTarget&) = default;
};
struct Dnat {
    std::vector<DnatTarget> targets;
    bool by_source = false;  // one target for all flows of a source address
    friend bool operator==(const Dnat&, const Dnat&) = default;
};
struct Redirect {       // to the appliance itself
    uint16_t port = 0;  // 0: the packet's own
    friend bool operator==(const Redirect&, const Redirect&) = default;
};
struct NoTrack {
    friend bool operator==(const NoTrack&, const NoTrack&) = default;
};
struct SetTos {  // (TOS & keep) ^ flip
    uint8_t keep = 0xff;
    uint8_t flip = 0;
    friend bool operator==(const SetTos&, const SetTos&) = default;
};
struct SetDscp {
    uint8_t value = 0;
    friend bool operator==(const SetDscp&, const SetDscp&) = default;
};
struct SetMark {  // (mark & ~mask) | value
    uint32_t mask = 0xffffffff;
    uint32_t value = 0;
    friend bool operator==(const SetMark&, const SetMark&) = default;
};
struct Police {  // what exceeds it is denied
    uint64_t bytes_per_second = 0;
    uint32_t burst_bytes = 0;
    uint32_t bucket = 0;  // given by the rule set
    friend bool operator==(const Police& a, const Police& b) {
        return a.bytes_per_second == b.bytes_per_second && a.burst_bytes == b.burst_bytes;
    }
};

using Action = std::variant<
    Accept,
    Deny,
    Reject,
    Log,
    Jump,
    Goto,
    Return,
    Masquerade,
    Snat,
    Dnat,
    Redirect,
    NoTrack,
    SetTos,
    SetDscp,
    SetMark,
    Police>;

// Whether it decides where the packet or the walk goes on.
constexpr bool is_deciding(const Action& action) {
    return !std::holds_alternative<Log>(action) && !std::holds_alternative<NoTrack>(action) &&
           !std::holds_alternative<SetTos>(action) && !std::holds_alternative<SetDscp>(action) &&
           !std::holds_alternative<SetMark>(action) && !std::holds_alternative<Police>(action);
}
// Where the walk goes on, if that is its kind; nullptr: it is another.
constexpr const ChainId* chain_of(const Action& action) {
    if (const auto* jump = std::get_if<Jump>(&action)) {
        return &jump->chain;
    }
    const auto* go = std::get_if<Goto>(&action);
    return go != nullptr ? &go->chain : nullptr;
}
// As people call it: "accept", "snat".
const char* name_of(const Action& action);

}  // namespace sekisho::rules
