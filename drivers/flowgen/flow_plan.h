// FlowPlan: which endpoints a session has, by arithmetic alone: no memory a session.
//
//   Numbers   sessions are 0 .. flows-1. Session s belongs to subscriber s / sessions; `fan_out` sessions that follow each
//             other share an internal endpoint and differ in their remote one.
//   Order     addresses and ports in network order, in their types.
//   Cost      two multiplications. Thread: immutable.
#pragma once

#include <cstdint>

#include "base/types.h"
#include "config/flowgen_profile.h"

namespace sekisho::flowgen {

using config::FlowgenProfile;
using config::FlowgenProtocol;
using config::FlowgenRole;

inline constexpr Port kRemotePort = Port::from_host(5001);

// Division of 32-bit numbers by a constant that is known only at run time.
class Divisor {
  public:
    explicit Divisor(uint32_t by) : by_(by), inverse_(by > 1 ? UINT64_MAX / by + 1 : 0) {}
    uint32_t operator()(uint32_t n) const {
        __extension__ typedef unsigned __int128 Wide;
        return by_ == 1 ? n : static_cast<uint32_t>(Wide{inverse_} * n >> 64);
    }

  private:
    uint32_t by_;
    uint64_t inverse_;  // 2^64 / by, rounded up: exact for all 32-bit n
};

// The two ends of a session as the subscriber sees them.
struct Ends {
    Ipv4Addr internal, remote;
    Port internal_port, remote_port;  // ICMP: the identifier and 0
};

class FlowPlan {
  public:
    explicit FlowPlan(const FlowgenProfile& profile)
        : flows_(profile.flows),
          sessions_(profile.sessions),
          endpoints_each_((profile.sessions - 1) / profile.fan_out + 1),
          protocol_(profile.protocol),
          by_subscriber_(profile.sessions),
          by_endpoint_(profile.fan_out),
          first_subscriber_(profile.prefix.address.host() + 1),
          first_remote_(profile.remote.address.host()),
          remote_mask_(~profile.remote.mask_host()) {}

    uint32_t flows() const { return flows_; }
    // Internal endpoints: mappings, where the appliance makes one for each.
    uint32_t endpoints() const { return endpoint_of(flows_ - 1) + 1; }

    Protocol protocol_of(uint32_t session) const {
        switch (protocol_) {
            case FlowgenProtocol::kUdp:
                return Protocol::kUdp;
            case FlowgenProtocol::kTcp:
                return Protocol::kTcp;
            case FlowgenProtocol::kIcmp:
                return Protocol::kIcmp;
            case FlowgenProtocol::kEsp:
                return Protocol::kEsp;
            case FlowgenProtocol::kMix:
                break;
        }
        // By the internal endpoint, so that sessions that share one are of one protocol.
        const uint32_t lot = endpoint_of(session) & 7;
        return lot < 5 ? Protocol::kTcp : lot < 7 ? Protocol::kUdp : Protocol::kIcmp;
    }
    bool is_mixed() const { return protocol_ == FlowgenProtocol::kMix; }

    Ends ends_of(uint32_t session) const {
        const uint32_t subscriber = by_subscriber_(session);
        const uint32_t endpoint = by_endpoint_(session - subscriber * sessions_);
        Ends ends;
        ends.internal = Ipv4Addr::from_host(first_subscriber_ + subscriber);
        ends.remote = Ipv4Addr::from_host(first_remote_ + (session & remote_mask_));
        ends.internal_port =
            Port::from_host(static_cast<uint16_t>(config::kFlowgenFirstPort + endpoint));
        ends.remote_port = kRemotePort;
        return ends;
    }

  private:
    // Its number among all; a subscriber's last one may be shared by fewer sessions.
    uint32_t endpoint_of(uint32_t session) const {
        const uint32_t subscriber = by_subscriber_(session);
        return subscriber * endpoints_each_ + by_endpoint_(session - subscriber * sessions_);
    }

    uint32_t flows_;
    uint32_t sessions_;
    uint32_t endpoints_each_;  // of a subscriber
    FlowgenProtocol protocol_;
    Divisor by_subscriber_;
    Divisor by_endpoint_;
    uint32_t first_subscriber_;
    uint32_t first_remote_;
    uint32_t remote_mask_;
};

}  // namespace sekisho::flowgen
