// The listings of ipfwadm, in the original's columns.
//
//   Cost      control code. Thread: pure.
//   Source    LEGACY S23 to S26.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "legacy/firewall.h"
#include "legacy/names.h"

namespace sekisho::legacy {

struct ListingStyle {
    bool extended = false;
    bool numeric = false;
    bool exact = false;
};

class FirewallListing {
  public:
    FirewallListing(const Names& names, ListingStyle style) : names_(names), style_(style) {}

    std::string chain(const Firewall& firewall, Point point, const Counts& counts) const;
    std::string sessions(std::span<const MasqueradedSession> sessions) const;
    // With -v: the rule that is added or deleted, the packet that is checked. The style is numeric.
    std::string rule_line(Point point, const FirewallRule& rule) const;
    std::string packet_line(const FirewallRule& packet) const;

  private:
    std::string header(Point point) const;
    std::string line(Point point, const FirewallRule& rule, const rules::RuleTotal& count) const;
    std::string session(const MasqueradedSession& session) const;
    std::string way_of(const FirewallRule& rule) const;
    std::string any() const;
    std::string host(const HostMask& host) const;
    std::string port(uint16_t port, FirewallProtocol protocol) const;
    std::string port_list(const PortList& ports, FirewallProtocol protocol) const;
    std::string ports(const FirewallRule& rule) const;
    bool shows_counts(Point point) const { return style_.extended || point == Point::kAccounting; }

    const Names& names_;
    ListingStyle style_;
};

}  // namespace sekisho::legacy
