// The remote endpoint of a session whose destination is translated: its two sides see different ones.
//
//   Order     network order. Owner: the shard's worker. Cost: eight bytes a session, only where there are such rules.
#pragma once

#include <cstdint>
#include <optional>

#include "base/types.h"

namespace sekisho::nat {

struct RemoteEndpoint {
    Ipv4Addr address;
    Port port;
    friend constexpr bool operator==(const RemoteEndpoint&, const RemoteEndpoint&) = default;
};

// Of a new session: to whom its packets go, and to whom the subscriber sent them if that is somebody else.
struct Remote {
    RemoteEndpoint target;
    std::optional<RemoteEndpoint> original{};
};

// Beside a session with flow::kRedirected: what its subscriber sees in place of the session's remote endpoint (or that
// again, if a trigger forward wants the mark).
struct OriginalDestination {
    uint32_t address;  // network order
    uint16_t port;
    uint16_t trigger;  // trigger.cc; 0: none
};
static_assert(sizeof(OriginalDestination) == 8);

}  // namespace sekisho::nat
