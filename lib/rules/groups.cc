#include "rules/groups.h"

#include <bit>

namespace sekisho::rules {

void SubscriberGroups::add(RealmId realm, Ipv4Prefix prefix, GroupId group) {
    const uint32_t address = prefix.address.host() & prefix.mask_host();
    groups_.try_emplace(key_of(realm, prefix.length, address), group);
    lengths_ |= uint64_t{1} << prefix.length;
}

GroupId SubscriberGroups::group_of(RealmId realm, Ipv4Addr address) const {
    for (uint64_t left = lengths_; left != 0;) {
        const auto length = static_cast<uint8_t>(63 - std::countl_zero(left));
        left &= ~(uint64_t{1} << length);
        const uint32_t under = address.host() & Ipv4Prefix{address, length}.mask_host();
        const auto found = groups_.find(key_of(realm, length, under));
        if (found != groups_.end()) {
            return found->second;
        }
    }
    return kNoGroup;
}

}  // namespace sekisho::rules
