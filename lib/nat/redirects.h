// Redirects: the rules of destination-nat for what subscribers send, compiled.
//
//   Law       the first rule that covers a flow decides; a target's own flows are covered by no rule that has it. The choice
//             is a function of the rule, the secret and the flow (or its source alone, where a rule says so), so it needs no
//             state; a session keeps its target in any case.
//   Inside    a target among the subscribers is reached at the external endpoint of its static mapping, as by any
//             neighbour: by hairpinning (RFC 4787 REQ-9). Its packets come back the same way.
//   Cost      target_of: a walk of the rules and their prefixes; for first packets. Nothing where there are no rules.
//   Thread    immutable.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/keyed_hash.h"
#include "base/types.h"
#include "nat/original.h"
#include "nat/policy.h"
#include "nat/settings.h"
#include "nat/static_table.h"
#include "nat/target_choice.h"
#include "packet/batch.h"

namespace sekisho::nat {

class Redirects {
  public:
    // `settings` and `statics` must outlive it.
    Redirects(const NatSettings& settings, const StaticTable& statics, const HashSecret& secret);

    bool are_any() const { return !rules_.empty(); }
    // Where the packets of a flow go, as its subscriber sends them; nothing: to their destination.
    std::optional<RemoteEndpoint> target_of(const FlowKey& outbound) const;
    // A host among the subscribers has its services at the external endpoint of its static mapping.
    RemoteEndpoint reached_as(const RemoteEndpoint& target, const FlowKey& outbound) const;
    // Whether it covers a flow of TCP or UDP between these addresses, of whatever ports.
    bool covers_any_port(const FlowKey& outbound) const;
    // Whether a flow to this target keeps its source (RFC 6888 REQ-6): its destination is judged as translated.
    bool keeps_source(const FlowKey& outbound, const RemoteEndpoint& target) const;

  private:
    struct Rule {
        const DestinationNatSettings* setting;
        TargetChoice choice;
    };
    static bool is_own_flow(const Rule& rule, const FlowKey& outbound);
    const Rule* find(const FlowKey& outbound) const;
    RemoteEndpoint endpoint_of(const Rule& rule, size_t target, const FlowKey& outbound) const;

    HashSecret secret_;
    const StaticTable* statics_;
    std::vector<Rule> rules_;
    Exemptions exemptions_;
};

}  // namespace sekisho::nat
