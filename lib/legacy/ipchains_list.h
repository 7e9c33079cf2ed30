// The listings of ipchains, in the original's columns.
//
//   Cost      control code. Thread: pure.
//   Source    LEGACY C18.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "legacy/chains.h"
#include "legacy/names.h"

namespace sekisho::legacy {

struct ChainListingStyle {
    bool verbose = false;
    bool numeric = false;
    bool exact = false;
    bool line_numbers = false;
};

class ChainListing {
  public:
    ChainListing(const Names& names, ChainListingStyle style) : names_(names), style_(style) {}

    std::string chain(const Chains& chains, const Chains::Chain& chain, const Counts& counts) const;
    std::string sessions(std::span<const MasqueradedSession> sessions) const;
    // With -v: the rule that is added, deleted or checked. The style is numeric.
    std::string rule_line(const ChainRule& rule) const;

  private:
    std::string header() const;
    std::string line(const ChainRule& rule, size_t number, const rules::RuleTotal& count) const;
    std::string verbose_columns(const ChainRule& rule) const;
    std::string session(const MasqueradedSession& session) const;
    std::string protocol(uint16_t number) const;
    std::string host(const HostMask& host) const;
    std::string any() const;
    std::string port(uint16_t port, uint16_t protocol) const;
    std::string port_range(const PortRange& ports, uint16_t protocol) const;
    std::string ports(const ChainRule& rule) const;

    const Names& names_;
    ChainListingStyle style_;
};

}  // namespace sekisho::legacy
