// The messages of PCP, version 2, and of its forerunner NAT-PMP, version 0, as a server reads and writes them.
//
//   Opcodes   PCP: ANNOUNCE and MAP; NAT-PMP: external address, map UDP, map TCP. Options: PREFER_FAILURE. All else that must be
//             processed is refused by its own result code; options that need not be are left out.
//   Order     everything on the wire is in network order; IPv4 addresses of PCP stand in IPv6 ones (::ffff:a.b.c.d).
//   Errors    a request that deserves no answer is kSilent; one that is refused says why, in the order of RFC 6887 8.2.
//   Cost      one pass over the request. Thread: pure.
//   Source    RFC 6887 7, 8, 9, 11, 13; RFC 6886 3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/types.h"
#include "nat/lease.h"
#include "packet/views.h"

namespace sekisho::nat {

inline constexpr uint16_t kPcpPort = 5351;
inline constexpr size_t kMostPcp = 1100;  // bytes of a message
// What an answer may be longer than its request: that to the shortest of all.
inline constexpr size_t kPcpRoom = 24;

struct PcpRequest {
    enum Kind : uint8_t {
        kSilent,    // no answer
        kRefused,   // `result` says why
        kAnnounce,  // asks for nothing but an answer
        kMap,       // `wish`
        kExternalAddress,
    } kind = kSilent;
    bool is_nat_pmp = false;
    bool was_parsed = false;  // but for its meaning
    PcpResult result = PcpResult::kSuccess;
    LeaseRequest wish{};
};

// `payload`: what the UDP datagram carries; `source`: of its IPv4 header, a host of `realm`.
PcpRequest parse_pcp(packet::Bytes payload, RealmId realm, Ipv4Addr source);

struct PcpAnswer {
    PcpResult result = PcpResult::kSuccess;
    uint32_t lifetime = 0;  // seconds; with an error: for how long it is to be expected
    uint32_t epoch = 0;     // seconds
    RemoteEndpoint external{};
};

// Turns the request in `message` into its answer; returns its length, at most kMostPcp.
//   message   the `length` bytes that were parsed, and room for kPcpRoom more.
size_t write_pcp_answer(
    std::span<uint8_t> message, size_t length, const PcpRequest& request, const PcpAnswer& answer
);

}  // namespace sekisho::nat
