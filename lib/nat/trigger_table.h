// TriggerTable: which subscriber has the ports of a trigger forward now (ipautofw -A -r -c): the last one that has sent to
// the control port.
//
//   Thread    made at start; who holds is atomic, written by the shard on which a subscriber sends (two at once: either is
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

#include "base/types.h"
#include "nat/settings.h"
#include "nat/static_table.h"
#include "packet/batch.h"

namespace sekisho::nat {

// In StaticEntry::service: of no service, but like a member's its external endpoints are not its own for good.
inline constexpr uint32_t kTriggerService = kNoIndex - 1;

class TriggerTable {
  public:
    TriggerTable() = default;
    // `settings` must outlive it.
    TriggerTable(const NatSettings& settings, const ShardOfSubscriber& shard_of);

    bool are_any() const { return count_ != 0; }
    size_t size() const { return count_; }
    const TriggerForwardSettings& setting(size_t rule) const {
        return settings_->trigger_forwards[rule];
    }
    // The rule whose external ports a packet is for, or whose control port it goes to, or whose ports are its own.
    std::optional<size_t> find_forwarded(const FlowKey& inbound) const;
    std::optional<size_t> find_control(const FlowKey& outbound) const;
    std::optional<size_t> find_held(const FlowKey& outbound) const;
    // Its ports, without whoever holds them, and without a protocol.
    StaticEntry entry(size_t rule) const;
    // Whether a packet goes to the rule's control port.
    bool is_control(size_t rule, const FlowKey& outbound) const;
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
    // Whether a subscriber of this shard holds the ports and has not used them for their time.
    bool is_idle(size_t rule, ShardId shard, Tick now) const;
    // Of one that is idle; false: it has used them meanwhile, or another has taken them.
    bool release(size_t rule, Tick now);

  private:
    struct alignas(64) Holder {
        std::atomic<uint64_t> who{0};    // host | remote << 32, network order
        std::atomic<uint64_t> since{0};  // Tick, and kHeld
    };
    const NatSettings* settings_ = nullptr;
    size_t count_ = 0;
    ShardOfSubscriber shard_of_;
    std::unique_ptr<Holder[]> holders_;
};

}  // namespace sekisho::nat
