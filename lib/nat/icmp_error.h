// ICMP errors: the packet that they quote is translated back, so that the receiver knows it as its
// own (RFC 5508 REQ-4, REQ-5; RFC 4787 REQ-12; RFC 5382 REQ-9).
//
//   Inbound   outer destination X' becomes X; quoted source X':x' becomes X:x.
//   Outbound  quoted destination X:x becomes X':x'; outer source becomes X' if it was X, else the
//             NAT's own external address: a router behind the NAT has no mapping of its own.
//   Checksums the outer header's; the quoted header's; the quoted transport's as far as it is
//             quoted and used (UDP 0 stays 0, TCP's lies at offset 16); the error's own,
//             incrementally over all that changed. Type, code, MTU and RFC 4884 extensions stay.
//   Hairpin   the two halves are the two functions, one after the other; ttl_step 0 in the second.
//   Session   that of the quoted flow, or a scratch one made of its mapping. It is not refreshed
//             and never ended (RFC 5508 REQ-6, RFC 4787 REQ-12).
//   Errors    false if the quoted header and 8 bytes behind it are not there; nothing is changed.
//   Cost      a few dozen instructions. Thread: pure.
#pragma once

#include <cstdint>
#include <span>

#include "base/types.h"
#include "flow/session.h"
#include "nat/original.h"

namespace sekisho::nat {

struct IcmpErrorPacket {
    std::span<uint8_t> datagram;  // from the outer IPv4 header to the end of its total length
    uint16_t l4;                  // offset of the ICMP header in it
    uint16_t quote;               // offset of the quoted IPv4 header in it
    uint8_t ttl_step = 1;         // 0 on the second half of a hairpin
};

[[nodiscard]] bool rewrite_icmp_error_inbound(const IcmpErrorPacket& error, const Session& session);
[[nodiscard]] bool rewrite_icmp_error_outbound(
    const IcmpErrorPacket& error, const Session& session, Ipv4Addr own_external
);

// After one of those, of a session with flow::kRedirected: the quoted packet's other end and, where it is that end's, the
// outer address. Inbound the quoted destination Y:y becomes `original`, outbound the quoted source `original` becomes Y:y.
void rewrite_icmp_error_remote(
    const IcmpErrorPacket& error,
    const Session& session,
    const RemoteEndpoint& original,
    Direction direction
);

}  // namespace sekisho::nat
