// What a session and a mapping take: the pages of their sections that the process really has, after filling the tables.
#include <algorithm>
#include <array>
#include <fstream>

#include <fcntl.h>
#include <unistd.h>

#include "nat/sections.h"
#include "sekisho-bench/benchmarks.h"

namespace sekisho::bench {
namespace {

using namespace nat::section;

// The page map wants to be read in whole entries, which streams do not do.
class PageMap {
  public:
    PageMap() : file_(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {}
    ~PageMap() { close(file_); }
    PageMap(const PageMap&) = delete;
    PageMap& operator=(const PageMap&) = delete;

    // How many of the pages from `first` on are present: bit 63 of an entry.
    Result<uint64_t> count_present(uint64_t first, uint64_t pages) const {
        std::array<uint64_t, 4096> entries;
        uint64_t present = 0;
        for (uint64_t at = first; at < first + pages;) {
            const uint64_t count = std::min<uint64_t>(entries.size(), first + pages - at);
            const auto wanted = static_cast<ssize_t>(count * sizeof(uint64_t));
            const auto place = static_cast<off_t>(at * sizeof(uint64_t));
            if (pread(file_, entries.data(), static_cast<size_t>(wanted), place) != wanted) {
                return failure("/proc/self/pagemap cannot be read: what is resident is not known");
            }
            present += static_cast<uint64_t>(std::count_if(
                entries.begin(),
                entries.begin() + static_cast<ptrdiff_t>(count),
                [](uint64_t entry) { return entry >> 63 != 0; }
            ));
            at += count;
        }
        return present;
    }

  private:
    int file_;
};

// Bytes of a range of our own memory that are present.
Result<uint64_t> resident_bytes(std::span<const std::byte> range) {
    const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<uintptr_t>(range.data());
    const uint64_t first = begin / page;
    const uint64_t last = (begin + range.size() + page - 1) / page;
    return PageMap().count_present(first, last - first).map([&](uint64_t n) { return n * page; });
}

Result<double> resident(const Arena& arena, std::initializer_list<uint32_t> sections) {
    uint64_t bytes = 0;
    for (const uint32_t section : sections) {
        const auto range = std::as_const(arena).section(section);
        const auto part = range.empty() ? Result<uint64_t>(0) : resident_bytes(range);
        if (!part) {
            return tl::unexpected(part.error());
        }
        bytes += *part;
    }
    return static_cast<double>(bytes);
}

}  // namespace

uint64_t resident_bytes_of_process() {
    std::ifstream statm("/proc/self/statm");
    uint64_t size = 0;
    uint64_t pages = 0;
    statm >> size >> pages;
    return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// The tables are as large as what fills them, so that every page of theirs is in use.
Result<MemoryResult> measure_memory(Rig& rig, uint32_t sessions) {
    rig.set_checks(flowgen::FlowgenQueue::Checks::kNone);
    rig.subscribers().send_pass();
    while (!rig.subscribers().is_pass_over()) {
        rig.turn();
    }
    rig.turn();
    MemoryResult result;
    nat::NatShard& nat = rig.nat();
    result.standing = nat.session_count();
    result.faults = sessions - result.standing;
    result.process_bytes = resident_bytes_of_process();
    const auto of_sessions = resident(nat.arena(), {kSessions, kSessionIndex, kSessionWheel});
    const auto of_mappings = resident(nat.arena(), {kMappings, kMappingIndex});
    const auto of_subscribers = resident(nat.arena(), {kSubscribers, kSubscriberIndex});
    const auto of_blocks = resident(nat.arena(), {kBlocks, kBlockBitmaps, kBlockWheel});
    for (const auto* part : {&of_sessions, &of_mappings, &of_subscribers, &of_blocks}) {
        if (!*part) {
            return tl::unexpected(part->error());
        }
    }
    result.per_session = *of_sessions / static_cast<double>(nat.session_count());
    result.per_mapping = *of_mappings / static_cast<double>(nat.mapping_count());
    result.per_subscriber = *of_subscribers / static_cast<double>(nat.subscriber_count());
    result.of_blocks = *of_blocks / static_cast<double>(nat.subscriber_count());
    return result;
}

}  // namespace sekisho::bench
