// PolicyNumbers: a policy, and the pool that a rule has chosen in place of the policy's own, as one number.
//
//   Law       what an internal endpoint has in another pool than its policy's is a subscriber's record of its own (key: tagged()),
//             with its own pairing, blocks, counts and mappings; all else follows from the policy. So the same internal endpoint
//             may have a mapping in each pool, and in each of them one (RFC 4787 REQ-1).
//   Shape     tag 0 is the policy's own pool, tag p + 1 is pool p. Number = tag * policies + policy, in Subscriber::policy and
//             Mapping::policy. Without rules that choose, the number is the policy's.
//   Cost      a compare; a division where a rule has chosen. Never allocates after it is made. Thread: the shard's worker.
//   Source    RFC 4787 REQ-1 and REQ-2.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/types.h"
#include "nat/settings.h"
#include "packet/batch.h"

namespace sekisho::nat {

using PoolTag = uint16_t;
inline constexpr PoolTag kOwnPool = 0;
inline constexpr unsigned kTagShift = 48;  // in FlowKey::rest, where no flow has anything

// A key as that of another pool's.
constexpr FlowKey tagged(const FlowKey& key, PoolTag tag) {
    return FlowKey{key.addresses, key.rest | uint64_t{tag} << kTagShift};
}

class PolicyNumbers {
  public:
    PolicyNumbers() = default;
    // `settings` must outlive it; their policies and pools stay as many as they are.
    explicit PolicyNumbers(const NatSettings& settings)
        : settings_(&settings), count_(static_cast<uint32_t>(settings.policies.size())) {
        tags_.reserve(settings.pools.size());
        of_links_.fill(kNoPool);
        for (size_t p = 0; p < settings.pools.size(); ++p) {
            const PoolSettings& pool = settings.pools[p];
            if (pool.links.size() == 1 && pool.addresses.size() == 1) {
                of_links_[pool.links[0].value] = PoolId{static_cast<uint16_t>(p)};
            }
        }
    }

    // Whether each of so many policies can be had with each of so many pools.
    static constexpr bool have_room(size_t policies, size_t pools) {
        return policies * (pools + 1) < 0xffff;
    }
    // The tag of a pool that is chosen for a policy; nothing: there is no number for both.
    std::optional<PoolTag> tag_of(PolicyId policy, PoolId pool) const {
        if (pool == kNoPool || settings_->policies[policy.value].pool == pool) {
            return kOwnPool;
        }
        const auto tag = static_cast<PoolTag>(pool.value + 1);
        return uint64_t{count_} * (tag + 1U) < 0xffff ? std::optional(tag) : std::nullopt;
    }
    uint16_t of(PolicyId policy, PoolTag tag) const {
        return static_cast<uint16_t>(policy.value + count_ * tag);
    }
    uint16_t policy_of(uint16_t number) const {
        return number < count_ ? number : static_cast<uint16_t>(number % count_);
    }
    PoolTag tag_of(uint16_t number) const {
        return number < count_ ? kOwnPool : static_cast<PoolTag>(number / count_);
    }
    const PolicySettings& at(uint16_t number) const {
        return settings_->policies[policy_of(number)];
    }
    PoolId pool_of(PolicyId policy, PoolTag tag) const {
        return tag == kOwnPool ? settings_->policies[policy.value].pool
                               : PoolId{static_cast<uint16_t>(tag - 1)};
    }
    PoolId pool_of(uint16_t number) const {
        return pool_of(PolicyId{policy_of(number)}, tag_of(number));
    }
    // That of the link's own address alone; kNoPool: there is none.
    PoolId pool_of_link(LinkId link) const { return of_links_[link.value]; }
    // Those that somebody has been led to, in the order of that.
    const std::vector<PoolTag>& tags() const { return tags_; }
    void note(PoolTag tag) {
        const bool is_new = tag != kOwnPool && std::ranges::find(tags_, tag) == tags_.end();
        if (is_new && tags_.size() < tags_.capacity()) {
            tags_.push_back(tag);
        }
    }

  private:
    const NatSettings* settings_ = nullptr;
    uint32_t count_ = 1;
    std::vector<PoolTag> tags_;
    std::array<PoolId, 256> of_links_{};
};

}  // namespace sekisho::nat
