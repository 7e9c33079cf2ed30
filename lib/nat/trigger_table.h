// TriggerTable: which subscriber has the ports of a trigger forward now (ipautofw -A -r -c): the last one that has sent to
// the control port.
//
//   Change    a rule keeps its number as long as anything uses it, like an entry of the static table: plan(), follow(), let_go().
//   Thread    rules change while no turn runs; who holds is atomic, written by the shard on which a subscriber sends (two at once: either is
//             the last), read by all. The host, and whom it called, are one word; when it used the ports last, and whether
//             it still holds them, another.
//   Idle      who has been idle holds them no more, and nothing new reaches it; but until somebody else takes them it is
//             known as the last holder, whose connections go on (RFC 5382 REQ-5).
//   Cost      find_*: a walk of the rules, for first packets; take() and refresh(): two loads, stores where something has
//             changed.
//   Source    SEEDS B6, LEGACY F.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "nat/settings.h"
#include "nat/static_table.h"
#include "packet/batch.h"

namespace sekisho::nat {

// In StaticEntry::service: of no service, but like a member's its external endpoints are not its own for good.
inline constexpr uint32_t kTriggerService = kNoIndex - 1;

struct TriggerRule {
    TriggerForwardSettings setting;
    EntryState state = EntryState::kFree;
};
// Rules by number, and in which order those in force are asked.
struct TriggerRules {
    std::vector<TriggerRule> rules;
    std::vector<uint8_t> order;
};

class TriggerTable {
  public:
    static constexpr size_t kMost = 254;  // a session names its own in eight bits

    TriggerTable() = default;
    TriggerTable(const NatSettings& settings, const ShardOfSubscriber& shard_of);

    // What becomes of the rules by other settings. Fails where former ones that are in use leave too few numbers.
    Result<TriggerRules> plan(const NatSettings& next) const;
    void follow(TriggerRules&& next);
    // A former rule that nothing uses.
    void let_go(size_t rule);

    bool are_any() const { return are_any_; }  // former ones included
    size_t size() const { return all_.rules.size(); }
    const TriggerForwardSettings& setting(size_t rule) const { return all_.rules[rule].setting; }
    EntryState state(size_t rule) const { return all_.rules[rule].state; }
    const std::vector<uint8_t>& in_force() const { return all_.order; }
    // The rule whose external ports a packet is for, or whose control port it goes to, or whose ports are its own.
    std::optional<size_t> find_forwarded(const FlowKey& inbound) const;
    std::optional<size_t> find_former(const FlowKey& inbound) const;
    std::optional<size_t> find_control(const FlowKey& outbound) const;
    std::optional<size_t> find_held(const FlowKey& outbound) const;
    // Its ports, without whoever holds them, and without a protocol.
    StaticEntry entry(size_t rule) const;
    // Whether a packet goes to the rule's control port.
    bool is_control(size_t rule, const FlowKey& outbound) const;
    // Whether a port of an external address is a rule's, and whether one of these is; of a former one, too.
    bool has_external(Ipv4Addr external, Port port, Protocol protocol) const;
    bool has_any_of(Ipv4Addr external, PortRange ports) const;
    // 0.0.0.0: nobody.
    Ipv4Addr holder(size_t rule) const;
    Ipv4Addr last_holder(size_t rule) const;
    bool admits(size_t rule, Ipv4Addr remote) const;
    ShardId shard_of(Ipv4Addr subscriber) const {
        return shard_of_ ? shard_of_(subscriber) : ShardId{};
    }
    // `host` has sent to the control port of `remote`. Returns who held the ports until now, or 0.0.0.0.
    Ipv4Addr take(size_t rule, Ipv4Addr host, Ipv4Addr remote, Tick now);
    // A packet of a forwarded flow.
    void refresh(size_t rule, Tick now);
    // Whether a subscriber of this shard holds the ports and has not used them for their time, or the rule is former.
    bool is_idle(size_t rule, ShardId shard, Tick now) const;
    // Of one that is idle; false: it has used them meanwhile, or another has taken them.
    bool release(size_t rule, Tick now);

  private:
    struct alignas(64) Holder {
        std::atomic<uint64_t> who{0};    // host | remote << 32, network order
        std::atomic<uint64_t> since{0};  // Tick, and kHeld
    };
    bool has_port(size_t rule, const FlowKey& inbound) const;
    bool is_over(size_t rule, uint64_t since, Tick now) const;
    void note_any();

    TriggerRules all_;
    bool are_any_ = false;
    ShardOfSubscriber shard_of_;
    std::unique_ptr<Holder[]> holders_;
};

}  // namespace sekisho::nat
