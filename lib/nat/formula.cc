#include "nat/formula.h"

#include <algorithm>

#include "nat/external_directory.h"
#include "nat/policy.h"

namespace sekisho::nat {
namespace {

uint64_t size_of(Ipv4Prefix prefix) {
    return uint64_t{1} << (32 - prefix.length);
}

}  // namespace

Formula::Formula(const NatSettings& settings, PoolId pool) : settings_(&settings), pool_(pool) {
    for (const PolicySettings& policy : settings.policies) {
        for (size_t i = 0; policy.pool == pool && i < policy.source.size(); ++i) {
            sources_.push_back({policy.source[i], policy.realm, subscribers_});
            subscribers_ += size_of(policy.source[i]);
        }
    }
    const BlockSpan span = block_span(settings.pools[pool.value]);
    blocks_each_ = span.count();
    first_block_ = span.first;
    blocks_ = settings.pools[pool.value].address_count() * blocks_each_;
}

std::optional<uint64_t> Formula::number_of(Ipv4Addr internal, RealmId realm) const {
    const PolicyId policy = find_policy(*settings_, internal, realm);
    if (policy == kNoPolicy || settings_->policies[policy.value].pool != pool_) {
        return std::nullopt;
    }
    const auto found = std::ranges::find_if(sources_, [&](const Source& s) {
        return s.realm == realm && s.prefix.contains(internal);
    });
    return found->first + (internal.host() - found->prefix.address.host());
}

std::optional<FormulaExternal> Formula::external_of(Ipv4Addr internal, RealmId realm) const {
    const auto number = number_of(internal, realm);
    if (!number || *number >= blocks_) {
        return std::nullopt;
    }
    const PoolSettings& pool = settings_->pools[pool_.value];
    uint64_t address = *number / blocks_each_;
    const uint32_t block = first_block_ + static_cast<uint32_t>(*number % blocks_each_);
    const auto range = std::ranges::find_if(pool.addresses, [&](const AddressRange& r) {
        const bool is_here = address < r.size();
        address -= is_here ? 0 : r.size();
        return is_here;
    });
    const uint32_t first = std::max<uint32_t>(block * pool.port_block_size, pool.ports.first);
    const uint32_t last =
        std::min<uint32_t>((block + 1) * pool.port_block_size - 1, pool.ports.last);
    return FormulaExternal{
        Ipv4Addr::from_host(range->first.host() + static_cast<uint32_t>(address)),
        {static_cast<uint16_t>(std::max<uint32_t>(first, 1)), static_cast<uint16_t>(last)}};
}

std::optional<FormulaInternal> Formula::internal_of(Ipv4Addr external, uint16_t port) const {
    const PoolSettings& pool = settings_->pools[pool_.value];
    uint64_t address = 0;
    const auto range = std::ranges::find_if(pool.addresses, [&](const AddressRange& r) {
        const bool is_here = r.contains(external);
        address += is_here ? external.host() - r.first.host() : r.size();
        return is_here;
    });
    const bool is_reserved = std::ranges::any_of(pool.reserved_ports, [port](PortRange r) {
        return r.first <= port && port <= r.last;
    });
    const bool is_its = range != pool.addresses.end() && port != 0 && port >= pool.ports.first &&
                        port <= pool.ports.last && !is_reserved;
    if (!is_its) {
        return std::nullopt;
    }
    const uint64_t number = address * blocks_each_ + port / pool.port_block_size - first_block_;
    for (const Source& s : sources_) {
        if (number >= s.first && number - s.first < size_of(s.prefix)) {
            const Ipv4Addr internal = Ipv4Addr::from_host(
                s.prefix.address.host() + static_cast<uint32_t>(number - s.first)
            );
            const bool is_first = number_of(internal, s.realm) == number;
            return is_first ? std::optional(FormulaInternal{internal, s.realm}) : std::nullopt;
        }
    }
    return std::nullopt;
}

}  // namespace sekisho::nat
