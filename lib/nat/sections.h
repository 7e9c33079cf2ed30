// The sections of a shard's arena, by number: part of its layout, so that whoever looks at an arena knows what lies where.
#pragma once

#include <cstdint>

namespace sekisho::nat::section {

enum Section : uint32_t {
    kSessions = 1,
    kSessionIndex,
    kSessionWheel,
    kMappings,
    kMappingIndex,
    kSubscribers,
    kSubscriberIndex,
    kBlocks,
    kBlockBitmaps,
    kBlockWheel,
    kPermissions,
    kPermissionIndex,
    kMappingRemotes,
    kPortUses,
    kPortUseIndex,
    kEvents,
    kTcpWindows,
    kOriginals,
    kLeases,
    kLeaseIndex,
    kLeaseWheel,
};

}  // namespace sekisho::nat::section
