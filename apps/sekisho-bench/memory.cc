// What a session and a mapping take: the pages of their sections that the process really has, after filling the tables.
#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
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

Result<uint64_t> resident_bytes_of_arena(const Arena& arena) {
    const auto* first = reinterpret_cast<const std::byte*>(&arena.header());
    return resident_bytes({first, arena.bytes()});
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

constexpr double kMiB = 1048576;

Result<void> measure_tables(const nat::NatShard& nat, MemoryResult& result) {
    const auto of_sessions = resident(nat.arena(), {kSessions, kSessionIndex, kSessionWheel});
    const auto of_mappings = resident(nat.arena(), {kMappings, kMappingIndex});
    const auto of_subscribers = resident(nat.arena(), {kSubscribers, kSubscriberIndex});
    const auto of_blocks = resident(nat.arena(), {kBlocks, kBlockBitmaps, kBlockWheel});
    const auto of_arena = resident_bytes_of_arena(nat.arena());
    for (const auto* part : {&of_sessions, &of_mappings, &of_subscribers, &of_blocks}) {
        if (!*part) {
            return tl::unexpected(part->error());
        }
    }
    if (!of_arena) {
        return tl::unexpected(of_arena.error());
    }
    result.in_tables = *of_arena;
    result.per_session = *of_sessions / static_cast<double>(nat.session_count());
    result.per_mapping = *of_mappings / static_cast<double>(nat.mapping_count());
    result.per_subscriber = *of_subscribers / static_cast<double>(nat.subscriber_count());
    result.of_blocks = *of_blocks / static_cast<double>(nat.subscriber_count());
    return {};
}

// What the far ends remember of the sessions: the endpoint of each, and a bit whether it was answered.
int64_t bytes_of_far_ends(uint32_t sessions) {
    return int64_t{sessions} * static_cast<int64_t>(sizeof(flowgen::Endpoint)) + sessions / 8;
}

// What the tables take by their page map must have come to the process by the kernel's sums.
Result<void> check_growth(const MemoryResult& result) {
    const auto claimed = static_cast<double>(result.in_tables);
    const auto grown = static_cast<double>(result.growth);
    if (claimed > grown * 1.01 + kMiB) {
        return failure(fmt::format(
            "the tables' pages are {:.1f} MiB, the process has grown by {:.1f} MiB: what is "
            "resident "
            "is not known",
            claimed / kMiB,
            grown / kMiB
        ));
    }
    return {};
}

}  // namespace

// Huge pages are no part of what the kernel calls the resident set.
uint64_t resident_bytes_of_process() {
    malloc_trim(0);
    std::ifstream sums("/proc/self/smaps_rollup");
    uint64_t bytes = 0;
    for (std::string line; std::getline(sums, line);) {
        std::array<char, 32> name;
        unsigned long kib = 0;
        if (std::sscanf(line.c_str(), "%31[^:]: %lu kB", name.data(), &kib) == 2) {
            const std::string_view what = name.data();
            const bool counts =
                what == "Rss" || what == "Shared_Hugetlb" || what == "Private_Hugetlb";
            bytes += counts ? uint64_t{kib} * 1024 : 0;
        }
    }
    return bytes;
}

Result<uint64_t> resident_bytes_beside_tables(const Rig& rig, uint64_t before) {
    const uint64_t grown = resident_bytes_of_process() - before;
    return resident_bytes_of_arena(rig.nat().arena()).map([&](uint64_t tables) {
        return grown - std::min(grown, tables);
    });
}

// The tables are as large as what fills them, so that every page of theirs is in use.
Result<MemoryResult> measure_memory(Rig& rig, uint32_t sessions, uint64_t before) {
    rig.set_checks(flowgen::FlowgenQueue::Checks::kNone);
    rig.subscribers().send_pass();
    while (!rig.subscribers().is_pass_over()) {
        rig.turn();
    }
    rig.turn();
    MemoryResult result;
    result.standing = rig.nat().session_count();
    result.faults = sessions - result.standing;
    result.process_bytes = resident_bytes_of_process();
    result.growth =
        static_cast<int64_t>(result.process_bytes - before) - bytes_of_far_ends(sessions);
    return measure_tables(rig.nat(), result)
        .and_then([&] { return check_growth(result); })
        .map([&] { return result; });
}

}  // namespace sekisho::bench
