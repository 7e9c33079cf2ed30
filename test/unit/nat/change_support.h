// Static mappings and forwards that come and go, as cases write them: all of the pool's first address.
#pragma once

#include <string>

#include "cluster.h"

namespace sekisho::test {

inline constexpr uint32_t kSecond = 1000;
inline constexpr nat::TableShares kAll{4096, 4096, 1024};
inline const Ipv4Addr kExternal = addr(203, 0, 113, 1);
inline constexpr uint16_t kControl = 7648;

inline nat::StaticMappingSettings forward(
    uint32_t host, uint16_t inside, uint16_t outside, uint16_t more = 0
) {
    nat::StaticMappingSettings s;
    s.internal = subscriber(host);
    s.external = kExternal;
    s.internal_ports = {inside, static_cast<uint16_t>(inside + more)};
    s.external_ports = {outside, static_cast<uint16_t>(outside + more)};
    return s;
}

inline nat::TriggerForwardSettings trigger(
    uint16_t first, uint16_t last, uint16_t control = kControl
) {
    nat::TriggerForwardSettings s;
    s.name = "t" + std::to_string(first);
    s.external = kExternal;
    s.ports = {first, last};
    s.trigger_port = control;
    s.access = nat::TriggerAccess::kAnyone;
    return s;
}

inline size_t sessions(Cluster& c) {
    size_t sum = 0;
    for (unsigned s = 0; s < c.shards(); ++s) {
        sum += c.shard(s).session_count();
    }
    return sum;
}

inline uint32_t free_blocks(Cluster& c) {
    uint32_t sum = 0;
    for (unsigned s = 0; s < c.shards(); ++s) {
        sum += c.shard(s).pool_view({0}, c.now).free_blocks;
    }
    return sum;
}

// Lets time pass, and what is former goes as the appliance has it go.
inline void pass(Cluster& c, uint32_t seconds) {
    for (uint32_t i = 0; i < seconds; ++i) {
        c.pass(kSecond);
        if (c.have_rested()) {
            c.change([](nat::NatSettings&) {}, kAll);
        }
    }
}

}  // namespace sekisho::test
