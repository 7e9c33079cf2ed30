// The IPv4 header of packets that the appliance makes itself: ICMP errors, TCP resets, answers to requests of PCP.
//
//   Shape    20 bytes, no options, DF with identification 0 (RFC 6864 4.1), TTL 64, its checksum written
//   Errors   none: the 20 bytes at `at` must be there
//   Thread   any
//   Source   RFC 791 3.1, RFC 1812 4.3.2.5 (TOS of ICMP errors)
#pragma once

#include "packet/views.h"

namespace sekisho::dataplane {

inline constexpr uint8_t kOwnTtl = 64;

struct OwnHeader {
    Ipv4Addr source, destination;
    Protocol protocol = Protocol::kUdp;
    uint16_t length = 0;  // of the whole packet, this header included; host order
    uint8_t tos = 0;
};

void write_own_header(uint8_t* at, const OwnHeader& header);

}  // namespace sekisho::dataplane
