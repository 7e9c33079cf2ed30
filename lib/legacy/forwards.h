// Forwards: what ipautofw, ipportfw, ipmasqadm and redir set up, as one value, and as settings of the NAT.
//
//   Fixed     ports of the appliance that go to a host inside. One host: a static mapping; several for the same ports, or a
//             host's port that another forward has already: a rule of destination NAT from outside, shared by preference. Twice
//             the same host and port: the newest one's preference counts.
//   Called    ports that go to whoever inside has last used a control port (LEGACY F1, F2): a trigger forward, free after
//             5 idle minutes (F4).
//   Marks     packets from outside with a mark go to a host: rules for a chain at Hook::kNatDestination.
//   Thread    a value.
//   Source    LEGACY F; SEEDS B5, B6, B8.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "nat/settings.h"
#include "rules/rule_set.h"

namespace sekisho::legacy {

inline constexpr uint32_t kUsualPreference = 10;

// Whose table an entry is in: each lists and flushes its own.
enum class ForwardTool : uint8_t { kPortfw, kAutofw, kRedir };

struct FixedForward {
    Protocol protocol = Protocol::kTcp;
    std::optional<Ipv4Addr> local;  // none: the address behind which the inside is masqueraded
    nat::PortRange ports;
    Ipv4Addr host;
    uint16_t host_port = 0;  // the first of as many; 0: as outside
    uint32_t preference = kUsualPreference;
    ForwardTool tool = ForwardTool::kPortfw;

    nat::PortRange host_ports() const;
    friend bool operator==(const FixedForward&, const FixedForward&) = default;
};

struct CalledForward {
    Protocol protocol = Protocol::kUdp;
    nat::PortRange ports;
    Protocol control_protocol = Protocol::kUdp;
    uint16_t control_port = 0;
    nat::TriggerAccess access = nat::TriggerAccess::kContacted;
    friend bool operator==(const CalledForward&, const CalledForward&) = default;
};

struct MarkForward {
    uint32_t mark = 0;
    Ipv4Addr host;
    uint16_t port = 0;  // 0: the packet's own
    uint32_t preference = kUsualPreference;
    friend bool operator==(const MarkForward&, const MarkForward&) = default;
};

// In the order in which they are asked.
struct Forwards {
    std::vector<FixedForward> fixed;
    std::vector<CalledForward> called;
    std::vector<MarkForward> marks;
    friend bool operator==(const Forwards&, const Forwards&) = default;
};

// What they become; names of entries say the tool and a number.
struct ForwardSettings {
    std::vector<nat::StaticMappingSettings> static_mappings;
    std::vector<nat::DestinationNatSettings> destination_nat;
    std::vector<nat::TriggerForwardSettings> trigger_forwards;
};
// `external`: the address behind which the inside is masqueraded; `realm`: where the inside hosts are.
ForwardSettings settings_of(const Forwards& forwards, Ipv4Addr external, RealmId realm);

// The rules of marks, one a mark, for a chain at Hook::kNatDestination. `external`: the links by which packets come that they are
// asked about; empty: all.
std::vector<rules::Rule> rules_of_marks(
    const Forwards& forwards, const rules::ByteSet& external = {}
);

}  // namespace sekisho::legacy
