// SubscriberGroups: which group a subscriber belongs to: of those of its realm that have its address, the one with the longest prefix.
//
//   Cost      group_of: a look-up for each length of prefix that there is. Allocates only in add().
//   Thread    one writer, then read by all.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "base/types.h"
#include "rules/packet.h"

namespace sekisho::rules {

class SubscriberGroups {
  public:
    // The first group that has just this prefix keeps it.
    void add(RealmId realm, Ipv4Prefix prefix, GroupId group);
    GroupId group_of(RealmId realm, Ipv4Addr address) const;
    bool is_empty() const { return groups_.empty(); }

  private:
    static uint64_t key_of(RealmId realm, uint8_t length, uint32_t address) {
        return uint64_t{realm.value} << 40 | uint64_t{length} << 32 | address;
    }

    std::unordered_map<uint64_t, GroupId> groups_;
    uint64_t lengths_ = 0;  // bit n: there is a prefix of n bits
};

}  // namespace sekisho::rules
