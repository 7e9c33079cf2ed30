// The guard before the sockets of DPDK's net_virtio_user, which would wait for ever for a vhost that does not answer: while
// the device is made, and while it ends. It stands in for the C library's connect() and recv() (vhost_guard.cc).
//
//   Does      an answer is waited for no longer than kVhostPatience. The first one that does not come hangs up, so that
//             whatever the driver asks next fails at once.
//   Scope     connections to the paths that were given to guard_vhost(), and those of a memif client (SOCK_SEQPACKET), which
//             are only kept from waiting for a server that takes nobody; others are as they were.
//   Thread    any. Takes a lock, never on a packet's route.
#pragma once

#include <string>

namespace sekisho::dpdk {

inline constexpr int kVhostPatience = 2;  // seconds

// From now on, connections to this path are guarded.
void guard_vhost(const std::string& path);

// Whether the vhost at `path` has left the last connection without an answer.
bool is_vhost_silent(const std::string& path);

}  // namespace sekisho::dpdk
