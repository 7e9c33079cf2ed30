#include "sekishod/limit_watch.h"

#include <fmt/format.h>

namespace sekisho::daemon {
namespace {

struct Kind {
    DropReason reason;
    const char* sentence;
    uint32_t nat::TableLimits::*limit;  // nullptr: no table's
    const char* entries;
    bool is_shared_out;
};

constexpr Kind kKinds[] = {
    {DropReason::kSessionTableFull,
     "the session table is full",
     &nat::TableLimits::sessions,
     "sessions",
     true},
    {DropReason::kMappingTableFull,
     "the mapping table is full",
     &nat::TableLimits::mappings,
     "mappings",
     true},
    {DropReason::kSubscriberTableFull,
     "the subscriber table is full",
     &nat::TableLimits::subscribers,
     "subscribers",
     true},
    {DropReason::kAddressOnlyFull,
     "the table of sessions of protocols without ports is full",
     &nat::TableLimits::address_only_sessions,
     "sessions",
     false},
    {DropReason::kFragmentOverflow,
     "the table of datagrams in fragments is full, or too many fragments wait",
     &nat::TableLimits::fragments,
     "datagrams",
     true},
    {DropReason::kPoolExhausted,
     "a pool has no free port block for a subscriber (show pools)",
     nullptr,
     nullptr,
     false},
};

std::string line_of(
    const Kind& kind, uint64_t packets, const nat::TableLimits& limits, unsigned shards
) {
    std::string line = kind.sentence;
    if (kind.limit != nullptr) {
        line += fmt::format(": {} {}", limits.*kind.limit, kind.entries);
        line += kind.is_shared_out && shards > 1 ? fmt::format(", shared out to {} shards", shards)
                                                 : "";
    }
    return line + fmt::format(
                      "; {} packet{} dropped ({})",
                      packets,
                      packets == 1 ? "" : "s",
                      base::info(kind.reason).text
                  );
}

}  // namespace

std::vector<std::string> LimitWatch::look(
    const Drops& dropped, const nat::TableLimits& limits, unsigned shards, Time now
) {
    std::vector<std::string> lines;
    for (const Kind& kind : kKinds) {
        const uint64_t packets = dropped[static_cast<size_t>(kind.reason)];
        Told& told = told_[static_cast<size_t>(kind.reason)];
        if (packets == told.packets || (told.at && now - *told.at < kEvery)) {
            continue;
        }
        lines.push_back(line_of(kind, packets - told.packets, limits, shards));
        told = {packets, now};
    }
    return lines;
}

}  // namespace sekisho::daemon
