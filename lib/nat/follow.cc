// The external addresses that come and go while the appliance runs.
#include <algorithm>
#include <iterator>

#include "nat/external_directory.h"

namespace sekisho::nat {
namespace {

// A pool's addresses, to be asked for many.
class SortedRanges {
  public:
    explicit SortedRanges(std::vector<AddressRange> ranges) : ranges_(std::move(ranges)) {
        std::ranges::sort(ranges_, {}, first_of);
    }
    bool have(Ipv4Addr address) const {
        const auto after = std::ranges::upper_bound(ranges_, address.host(), {}, first_of);
        return after != ranges_.begin() && std::prev(after)->contains(address);
    }

  private:
    static uint32_t first_of(const AddressRange& range) { return range.first.host(); }
    std::vector<AddressRange> ranges_;  // disjoint
};

}  // namespace

bool ExternalDirectory::is_drained(ExternalIndex index) const {
    const ExternalAddress& address = addresses_[index.value];
    const std::span owners(address.owners, 65536U >> address.block_shift);
    return std::ranges::all_of(owners, [](const std::atomic<uint8_t>& owner) {
        return owner.load(std::memory_order_acquire) == kOwnedByHome;
    });
}

bool ExternalDirectory::has_drained() const {
    for (uint32_t i = 0; i < addresses_.size() && are_any_draining_; ++i) {
        if (is_leaving(addresses_[i].state) && is_drained({i})) {
            return true;
        }
    }
    return false;
}

AddressState ExternalDirectory::state_after(
    uint32_t index, bool is_wanted, std::span<const Ipv4Addr> lost
) const {
    const ExternalAddress& address = addresses_[index];
    if (is_wanted || is_drained({index})) {
        return is_wanted ? AddressState::kServing : AddressState::kGone;
    }
    const bool is_lost = address.state == AddressState::kWithdrawn ||
                         std::ranges::find(lost, address.address) != lost.end();
    return is_lost ? AddressState::kWithdrawn : AddressState::kDraining;
}

// Whose places are free.
std::vector<std::vector<uint32_t>> ExternalDirectory::gone_by_pool() const {
    std::vector<std::vector<uint32_t>> gone(homes_.size());
    for (uint32_t i = 0; i < addresses_.size(); ++i) {
        if (addresses_[i].state == AddressState::kGone) {
            gone[addresses_[i].pool.value].push_back(i);
        }
    }
    return gone;
}

// The place of one that is gone is taken first: all its blocks are at home. One that is still another pool's comes when that
// has let it go.
void ExternalDirectory::add_missing(
    PoolId pool, const PoolSettings& settings, std::span<const uint32_t> gone
) {
    size_t used = 0;
    const auto add_one = [&](Ipv4Addr address) {
        const bool has_place = used < gone.size();
        if (find(address).value != kNoIndex) {
            return;
        }
        if (is_withdrawn(address) || (!has_place && addresses_.size() >= capacity_)) {
            ++waiting_;
        } else if (has_place) {
            addresses_[gone[used]].address = address;
            addresses_[gone[used]].state = AddressState::kServing;
            ++used;
        } else {
            add(pool, {address, address}, block_shift(settings));
        }
    };
    for (const AddressRange& range : settings.addresses) {
        for (uint64_t a = range.first.host(); a <= range.last.host(); ++a) {
            add_one(Ipv4Addr::from_host(static_cast<uint32_t>(a)));
        }
    }
}

void ExternalDirectory::follow(const NatSettings& settings, std::span<const Ipv4Addr> lost) {
    static_change_ = {};
    std::vector<SortedRanges> wanted;
    wanted.reserve(settings.pools.size());
    for (const PoolSettings& pool : settings.pools) {
        wanted.emplace_back(pool.addresses);
    }
    are_any_draining_ = false;
    withdrawn_.clear();
    waiting_ = 0;
    for (uint32_t i = 0; i < addresses_.size(); ++i) {
        ExternalAddress& address = addresses_[i];
        if (address.state == AddressState::kGone) {
            continue;
        }
        address.state = state_after(i, wanted[address.pool.value].have(address.address), lost);
        are_any_draining_ = are_any_draining_ || is_leaving(address.state);
        if (address.state == AddressState::kWithdrawn) {
            withdrawn_.push_back(address.address);
        }
    }
    index_addresses();
    const std::vector<std::vector<uint32_t>> gone = gone_by_pool();
    for (size_t p = 0; p < settings.pools.size(); ++p) {
        add_missing(PoolId{static_cast<uint16_t>(p)}, settings.pools[p], gone[p]);
    }
    is_full_.resize(is_full_.empty() ? 0 : addresses_.size());
    index_addresses();
}

}  // namespace sekisho::nat
