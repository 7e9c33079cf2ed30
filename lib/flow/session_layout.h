// The session's layout for the arena's digest (base/record_layout.h).
#pragma once

#include <cstddef>

#include "base/record_layout.h"
#include "flow/session.h"

namespace sekisho::flow {

inline constexpr FieldLayout kSessionFields[] = {
    {"internal_address", offsetof(Session, internal_address), sizeof(Session::internal_address)},
    {"remote_address", offsetof(Session, remote_address), sizeof(Session::remote_address)},
    {"external_address", offsetof(Session, external_address), sizeof(Session::external_address)},
    {"internal_port", offsetof(Session, internal_port), sizeof(Session::internal_port)},
    {"remote_port", offsetof(Session, remote_port), sizeof(Session::remote_port)},
    {"external_port", offsetof(Session, external_port), sizeof(Session::external_port)},
    {"protocol", offsetof(Session, protocol), sizeof(Session::protocol)},
    {"realm", offsetof(Session, realm), sizeof(Session::realm)},
    {"mapping", offsetof(Session, mapping), sizeof(Session::mapping)},
    {"ip_delta", offsetof(Session, ip_delta), sizeof(Session::ip_delta)},
    {"l4_delta", offsetof(Session, l4_delta), sizeof(Session::l4_delta)},
    {"last_activity", offsetof(Session, last_activity), sizeof(Session::last_activity)},
    {"packets", offsetof(Session, packets), sizeof(Session::packets)},
    {"verdict", offsetof(Session, verdict), sizeof(Session::verdict)},
    {"next_hop", offsetof(Session, next_hop), sizeof(Session::next_hop)},
    {"tcp_ack", offsetof(Session, tcp_ack), sizeof(Session::tcp_ack)},
    {"tcp_window", offsetof(Session, tcp_window), sizeof(Session::tcp_window)},
    {"state", offsetof(Session, state), sizeof(Session::state)},
    {"window_scales", offsetof(Session, window_scales), sizeof(Session::window_scales)},
    {"flags", offsetof(Session, flags), sizeof(Session::flags)},
};
inline constexpr RecordLayout kSessionLayout{"session", sizeof(Session), kSessionFields};
static_assert(base::covers(kSessionLayout), "a field of the session is missing from its layout");

}  // namespace sekisho::flow
