// Arena: all state of one shard in one piece of memory, with indexes and no pointers in it, so that
// another process may map it anywhere.
//
//   Shape     a header (version, who made it for which shard, digest of all record layouts,
//             Toeplitz key and shard table, origin of the ticks), then sections, named by number:
//             each begins on a cache line, one of 2 MiB and more on 2 MiB. All bytes are zero at
//             first; a record is live when its state byte says so, which is written last.
//   Where     a file in hugetlbfs where `huge_directory` is given and has the pages, else in
//             `shared_directory` (/dev/shm), mode 0600 and locked by its process; without a `name`
//             anonymous memory, for tests.
//   Errors    a shortage is found when the arena is made, since the memory is allocated then (save for
//             sections marked sparse): a sentence that says what is missing and how to get it.
//   Life      the destructor unmaps the memory and removes the file; a dead process's is overwritten.
//   Thread    made and destroyed by control code; the memory is its shard's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sekisho::base {

inline constexpr uint64_t kArenaMagic = 0x656e6572616b6573;  // "sekarene"
inline constexpr uint32_t kArenaVersion = 1;
inline constexpr size_t kMaxArenaSections = 32;
inline constexpr size_t kToeplitzKeyBytes = 40;
inline constexpr size_t kShardTableSlots = 512;

// What an arena must agree on with the process that uses it.
struct ArenaIdentity {
    uint16_t shard_count = 1;
    uint16_t shard = 0;
    uint64_t layout_digest = 0;  // record_layout.h
};

// What the arena hands on to the process that re-attaches.
struct ArenaFacts {
    int64_t origin_ns = 0;  // CLOCK_BOOTTIME at tick 0
    std::array<uint8_t, kToeplitzKeyBytes> toeplitz_key{};
    std::array<uint8_t, kShardTableSlots> shard_table{};
};

struct ArenaSectionPlan {
    uint32_t id = 0;  // unique in the plan
    uint64_t bytes = 0;
    uint64_t records = 0;  // capacity, for the reader
    bool sparse = false;   // may stay untouched: set aside beforehand in hugetlbfs only
};

struct ArenaPlan {
    std::string name;            // of the file: "sekisho-INSTANCE-SHARD"; empty: anonymous memory
    std::string huge_directory;  // a hugetlbfs mount; empty: none
    std::string shared_directory = "/dev/shm";
    ArenaIdentity identity;
    ArenaFacts facts;
    std::vector<ArenaSectionPlan> sections;
};

struct ArenaSection {
    uint32_t id;
    uint32_t sparse;
    uint64_t offset;  // from the header's first byte
    uint64_t bytes;
    uint64_t records;
};

struct ArenaHeader {
    uint64_t magic;  // written last
    uint32_t version;
    uint16_t shard_count;
    uint16_t shard;
    uint64_t layout_digest;
    uint64_t bytes;  // of the whole arena
    int64_t origin_ns;
    uint32_t section_count;
    uint32_t reserved;
    uint8_t toeplitz_key[kToeplitzKeyBytes];
    uint8_t shard_table[kShardTableSlots];
    ArenaSection sections[kMaxArenaSections];
};
static_assert(sizeof(ArenaHeader) == 48 + 40 + 512 + 32 * kMaxArenaSections);

// Whether `header`, found in a file of `file_bytes` bytes, may be used by a process of this identity.
//   Fails     with a sentence that names the first thing that differs. Reads the header only.
Result<void> check_header(
    const ArenaHeader& header, uint64_t file_bytes, const ArenaIdentity& wanted
);

class Arena {
  public:
    enum class Backing : uint8_t { kHugePages, kSharedMemory, kAnonymous };

    static Result<Arena> create(const ArenaPlan& plan);

    Arena() = default;
    Arena(Arena&& other) noexcept;
    Arena& operator=(Arena&& other) noexcept;
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    ~Arena();

    const ArenaHeader& header() const { return *reinterpret_cast<const ArenaHeader*>(base_); }
    // Empty when the plan had no such section.
    std::span<std::byte> section(uint32_t id) const;
    template <class T>
    std::span<T> records(uint32_t id) const {
        const std::span<std::byte> bytes = section(id);
        return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
    }

    uint64_t bytes() const { return bytes_; }
    Backing backing() const { return backing_; }
    const std::string& path() const { return path_; }  // empty: anonymous
    // For the start-up log: where the memory lies, and why not on huge pages if they were asked for.
    const std::string& note() const { return note_; }

  private:
    Result<void> back_by_file(const ArenaPlan& plan, Backing backing);
    Result<void> open_file(const std::string& directory, const std::string& name);
    Result<void> set_memory_aside(const std::string& directory) const;
    Result<void> map(uint64_t page_bytes);
    void populate() const;
    void write_header(const ArenaPlan& plan);
    void reset();

    std::byte* base_ = nullptr;
    uint64_t bytes_ = 0;  // mapped, whole pages
    int file_ = -1;
    Backing backing_ = Backing::kAnonymous;
    std::string path_;
    std::string note_;
    std::vector<ArenaSection> sections_;
};

}  // namespace sekisho::base

namespace sekisho {
using base::Arena;
using base::ArenaPlan;
}  // namespace sekisho
