// The guard before the sockets of DPDK's net_memif, which would end the process for a client that says nonsense or hangs up at
// the wrong moment. It stands in for the C library's accept(), recvmsg(), sendmsg() and epoll_ctl() (memif_guard.cc).
//
//   Law       a SOCK_SEQPACKET socket of this process is a memif's: nothing else here uses that type.
//   Does      a message that MemifTalk refuses becomes an end of file, upon which the driver closes that channel alone, and
//             its files are closed. An answer that cannot be sent becomes an end of file, too: the driver would otherwise
//             free a channel that it still listens to, or wait for ever for a client that does not read. Clients are turned
//             away while half of the process's descriptors are in use.
//   Thread    any; DPDK's interrupt thread in the main. Takes a lock, never on a packet's route.
#pragma once

#include <cstdint>
#include <string>

namespace sekisho::dpdk {

// How many queues a far end of the memif at `path` may open each way.
void guard_memif(const std::string& path, unsigned queues);

// How many clients of the socket at `path` have been refused for what they said.
uint64_t memif_refusals(const std::string& path);

}  // namespace sekisho::dpdk
