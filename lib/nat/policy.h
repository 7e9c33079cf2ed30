// Which policy a subscriber falls under, and which of its flows that policy does not translate.
//
//   Cost      find_policy, covers: a walk of the policies and their prefixes, in order. For first
//             packets, and for those that are not translated.
//   Thread    pure: they read settings, which are immutable.
//   Source    RFC 6888 REQ-6.
#pragma once

#include "base/types.h"
#include "nat/settings.h"
#include "packet/batch.h"

namespace sekisho::nat {

inline constexpr PolicyId kNoPolicy{0xffff};

// The first policy that covers an internal address of a realm, or kNoPolicy.
PolicyId find_policy(const NatSettings& settings, Ipv4Addr address, RealmId realm);

// The pool that has an external address, or kNoPool.
PoolId find_pool(const NatSettings& settings, Ipv4Addr external);

// The exemptions of all policies. A flow is given as its subscriber's packets show it.
class Exemptions {
  public:
    explicit Exemptions(const NatSettings& settings);

    bool are_any() const { return are_any_; }
    bool covers(const FlowKey& outbound) const;
    // Whether it covers a flow between these addresses, and only the ports can tell which.
    bool covers_by_port(const FlowKey& outbound) const;

  private:
    const NatSettings* settings_;
    bool are_any_ = false;
    bool are_by_port_ = false;
};

}  // namespace sekisho::nat
