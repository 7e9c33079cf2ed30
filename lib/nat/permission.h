// PermissionTable: to which remote addresses a mapping has sent, for address-dependent filtering.
//
//   Shape     a record for each (mapping, remote address) with the number of sessions that stand
//             for it; found by an index. There are at most as many as sessions, so it is never full
//             before the session table is.
//   Source    RFC 4787 5, REQ-8. Only made when a policy filters address-dependently.
//   Cost      one probe each. Nothing allocates after the constructor. Thread: the shard's worker.
#pragma once

#include <cstdint>
#include <span>

#include "base/keyed_hash.h"
#include "base/types.h"
#include "flow/flow_index.h"
#include "flow/record_pool.h"

namespace sekisho::nat {

struct Permission {
    uint32_t mapping;         // MappingIndex
    uint32_t remote_address;  // network order
    uint32_t sessions;
    uint32_t reserved;
};

class PermissionTable {
  public:
    PermissionTable() = default;
    PermissionTable(
        std::span<Permission> records, std::span<std::byte> index_memory, const HashSecret* secret
    )
        : pool_(records), index_(index_memory, records.size()), secret_(secret) {}

    bool has(MappingIndex mapping, Ipv4Addr remote) const {
        return pool_.capacity() != 0 && find(mapping, remote) != kNoIndex;
    }
    // One session more; false if there is no room.
    [[nodiscard]] bool add(MappingIndex mapping, Ipv4Addr remote) {
        const uint32_t found = find(mapping, remote);
        if (found != kNoIndex) {
            ++pool_[found].sessions;
            return true;
        }
        const uint32_t p = pool_.allocate();
        if (p == kNoIndex) {
            return false;
        }
        pool_[p] = Permission{mapping.value, remote.raw, 1, 0};
        if (!index_.insert(hash(mapping, remote), p)) {
            pool_.release(p);
            return false;
        }
        return true;
    }
    void remove(MappingIndex mapping, Ipv4Addr remote) {
        const uint32_t p = find(mapping, remote);
        if (p != kNoIndex && --pool_[p].sessions == 0) {
            index_.erase(hash(mapping, remote), p);
            pool_.release(p);
        }
    }
    void end_of_burst() { pool_.end_of_burst(); }
    uint32_t size() const { return pool_.size(); }

  private:
    uint64_t hash(MappingIndex mapping, Ipv4Addr remote) const {
        return keyed_hash(*secret_, mapping.value, remote.raw);
    }
    uint32_t find(MappingIndex mapping, Ipv4Addr remote) const {
        return index_.find(hash(mapping, remote), [&](uint32_t p) {
            return pool_[p].mapping == mapping.value && pool_[p].remote_address == remote.raw;
        });
    }

    flow::RecordPool<Permission> pool_;
    flow::FlowIndex index_;
    const HashSecret* secret_ = nullptr;
};

}  // namespace sekisho::nat
