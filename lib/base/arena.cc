#include "base/arena.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

namespace sekisho::base {

namespace {

constexpr uint64_t kLine = 64;
constexpr uint64_t kPage = 4096;
constexpr uint64_t kHugePage = uint64_t{2} << 20;

constexpr uint64_t round_up(uint64_t value, uint64_t unit) {
    return (value + unit - 1) / unit * unit;
}

uint64_t mebibytes(uint64_t bytes) {
    return round_up(bytes, uint64_t{1} << 20) >> 20;
}

std::string reason() {
    return std::strerror(errno);
}

// Memory that the kernel could hand out now, 0 when it does not say.
uint64_t available_bytes() {
    std::FILE* file = std::fopen("/proc/meminfo", "r");
    if (file == nullptr) {
        return 0;
    }
    unsigned long long kib = 0;
    char line[128];
    bool found = false;
    while (!found && std::fgets(line, sizeof(line), file) != nullptr) {
        found = std::sscanf(line, "MemAvailable: %llu kB", &kib) == 1;
    }
    std::fclose(file);
    return kib * 1024;
}

// Lays the sections out one after the other; the end of the last one is the arena's size.
Result<uint64_t> lay_out(const ArenaPlan& plan, std::vector<ArenaSection>& sections) {
    if (plan.sections.size() > kMaxArenaSections) {
        return failure(fmt::format(
            "a state arena has at most {} sections, {} were planned",
            kMaxArenaSections,
            plan.sections.size()
        ));
    }
    uint64_t end = sizeof(ArenaHeader);
    for (const ArenaSectionPlan& section : plan.sections) {
        const bool twice =
            std::any_of(sections.begin(), sections.end(), [&](const ArenaSection& s) {
                return s.id == section.id;
            });
        if (twice || section.bytes > uint64_t{1} << 46) {
            return failure(fmt::format(
                "section {} of the state arena is planned {}",
                section.id,
                twice ? "twice" : "beyond any memory"
            ));
        }
        const uint64_t offset = round_up(end, section.bytes >= kHugePage ? kHugePage : kLine);
        sections.push_back({section.id, section.sparse, offset, section.bytes, section.records});
        end = offset + section.bytes;
    }
    return end;
}

}  // namespace

Result<void> check_header(
    const ArenaHeader& header, uint64_t file_bytes, const ArenaIdentity& wanted
) {
    if (file_bytes < sizeof(ArenaHeader) || header.magic != kArenaMagic) {
        return failure("this is no state arena, or its making was never finished");
    }
    if (header.version != kArenaVersion) {
        return failure(fmt::format(
            "the state arena has version {}, this program knows version {}",
            header.version,
            kArenaVersion
        ));
    }
    if (header.layout_digest != wanted.layout_digest) {
        return failure(fmt::format(
            "the state arena was made by a build with other records (layout {:016x}, here {:016x})",
            header.layout_digest,
            wanted.layout_digest
        ));
    }
    if (header.shard_count != wanted.shard_count) {
        return failure(fmt::format(
            "the state arena was made for {} shards, the configuration asks for {}",
            header.shard_count,
            wanted.shard_count
        ));
    }
    if (header.shard != wanted.shard) {
        return failure(
            fmt::format("the state arena is shard {}'s, not shard {}'s", header.shard, wanted.shard)
        );
    }
    if (header.bytes != file_bytes || header.section_count > kMaxArenaSections) {
        return failure(fmt::format(
            "the state arena says it has {} bytes, its file has {}", header.bytes, file_bytes
        ));
    }
    uint64_t end = sizeof(ArenaHeader);
    for (uint32_t i = 0; i < header.section_count; ++i) {
        const ArenaSection& section = header.sections[i];
        if (section.offset < end || section.offset > file_bytes ||
            section.bytes > file_bytes - section.offset) {
            return failure(
                fmt::format("section {} of the state arena lies outside of its place", section.id)
            );
        }
        end = section.offset + section.bytes;
    }
    for (const uint8_t shard : header.shard_table) {
        if (shard >= header.shard_count) {
            return failure(fmt::format(
                "the state arena's shard table names shard {} of {}", shard, header.shard_count
            ));
        }
    }
    return {};
}

Result<Arena> Arena::create(const ArenaPlan& plan) {
    Arena arena;
    const Result<uint64_t> bytes = lay_out(plan, arena.sections_);
    if (!bytes) {
        return tl::unexpected<Error>(bytes.error());
    }
    arena.bytes_ = *bytes;
    Result<void> backed;
    std::string why_not_huge;
    if (!plan.name.empty() && !plan.huge_directory.empty()) {
        backed = arena.back_by_file(plan, Backing::kHugePages);
        if (!backed) {
            why_not_huge = "; no huge pages: " + backed.error().message;
            arena.reset();
            arena.bytes_ = *bytes;
        }
    }
    if (plan.name.empty()) {
        arena.note_ = "anonymous memory";
        backed = arena.map(kHugePage);
    } else {
        if (arena.base_ == nullptr) {
            backed = arena.back_by_file(plan, Backing::kSharedMemory);
        }
        arena.note_ = arena.path_ + why_not_huge;
    }
    if (!backed) {
        return tl::unexpected<Error>(backed.error());
    }
    arena.write_header(plan);
    return arena;
}

Result<void> Arena::back_by_file(const ArenaPlan& plan, Backing backing) {
    const bool huge = backing == Backing::kHugePages;
    const std::string& directory = huge ? plan.huge_directory : plan.shared_directory;
    if (plan.name.find('/') != std::string::npos) {
        return failure(
            fmt::format("'{}' is no file name for a state arena: it holds a slash", plan.name)
        );
    }
    struct statfs filesystem {};
    if (::statfs(directory.c_str(), &filesystem) != 0) {
        return failure(fmt::format("the directory {} for the state arena: {}", directory, reason())
        );
    }
    constexpr long kHugetlbfsMagic = 0x958458f6;
    if (huge && static_cast<long>(filesystem.f_type) != kHugetlbfsMagic) {
        return failure(fmt::format(
            "{} is no hugetlbfs; mount one: mount -t hugetlbfs none {}", directory, directory
        ));
    }
    backing_ = backing;
    const uint64_t page_bytes = huge ? static_cast<uint64_t>(filesystem.f_bsize) : kHugePage;
    bytes_ = round_up(bytes_, page_bytes);
    return open_file(directory, plan.name)
        .and_then([&] { return set_memory_aside(directory); })
        .and_then([&] { return map(page_bytes); })
        .map([&] { populate(); });
}

// Otherwise the first session on each page would pay for the page: a fault costs more than making
// the session. Older kernels do not know the advice and stay slower.
void Arena::populate() const {
    for (const ArenaSection& section : sections_) {
        if (section.sparse == 0 && section.bytes != 0) {
            const uint64_t first = section.offset / kPage * kPage;
            const uint64_t last = round_up(section.offset + section.bytes, kPage);
            ::madvise(base_ + first, last - first, MADV_POPULATE_WRITE);
        }
    }
}

Result<void> Arena::open_file(const std::string& directory, const std::string& name) {
    const std::string path = directory + "/" + name;
    file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file_ < 0) {
        return failure(fmt::format("the state arena {} cannot be made: {}", path, reason()));
    }
    struct stat found {};
    struct stat named {};
    if (::fstat(file_, &found) != 0 || found.st_uid != ::geteuid() || !S_ISREG(found.st_mode)) {
        return failure(fmt::format(
            "the state arena {} belongs to another user or is no plain file; remove it first", path
        ));
    }
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
        return failure(fmt::format(
            "the state arena {} is in use by another process; stop it, or give this one another "
            "instance name",
            path
        ));
    }
    // The one who held the lock until now may have removed the file.
    if (::stat(path.c_str(), &named) != 0 || named.st_ino != found.st_ino ||
        named.st_dev != found.st_dev) {
        return failure(
            fmt::format("the state arena {} was removed while it was opened; start again", path)
        );
    }
    path_ = path;
    if (::fchmod(file_, 0600) != 0 || ::ftruncate(file_, 0) != 0 ||
        ::ftruncate(file_, static_cast<off_t>(bytes_)) != 0) {
        return failure(
            fmt::format("the state arena {} cannot be given {} bytes: {}", path, bytes_, reason())
        );
    }
    return {};
}

// Takes the memory of all that is not sparse from the file system now: later a shortage would be a
// SIGBUS. The size of a tmpfs is only a limit and may exceed the machine's memory, hence the look
// at what is available.
Result<void> Arena::set_memory_aside(const std::string& directory) const {
    const bool huge = backing_ == Backing::kHugePages;
    uint64_t needed = sizeof(ArenaHeader);
    for (const ArenaSection& section : sections_) {
        needed += section.sparse != 0 ? 0 : section.bytes;
    }
    const uint64_t available = available_bytes();
    if (!huge && available != 0 && available < needed) {
        return failure(fmt::format(
            "the state arena {} needs {} MiB, the machine has {} MiB left: lower limits: in the "
            "configuration, or "
            "free memory",
            path_,
            mebibytes(needed),
            available >> 20
        ));
    }
    const auto allocate = [&](uint64_t offset, uint64_t bytes) {
        int result = 0;
        do {
            result = ::fallocate(file_, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes));
        } while (result != 0 && errno == EINTR);
        return result == 0;
    };
    bool enough = huge ? allocate(0, bytes_) : allocate(0, sizeof(ArenaHeader));
    for (const ArenaSection& section : sections_) {
        if (enough && !huge && section.sparse == 0 && section.bytes != 0) {
            enough = allocate(section.offset, section.bytes);
        }
    }
    if (enough) {
        return {};
    }
    if (huge) {
        return failure(fmt::format(
            "{} gives no {} MiB of huge pages ({}): raise /proc/sys/vm/nr_hugepages by {}",
            directory,
            mebibytes(bytes_),
            reason(),
            round_up(bytes_, kHugePage) / kHugePage
        ));
    }
    return failure(fmt::format(
        "{} has no room for {} MiB ({}): enlarge it (mount -o remount,size=SIZE {}), or lower "
        "limits: in the "
        "configuration",
        directory,
        mebibytes(needed),
        reason(),
        directory
    ));
}

// Maps at a whole huge page, so that the kernel may use transparent ones where the file system or
// the memory has them.
Result<void> Arena::map(uint64_t page_bytes) {
    bytes_ = round_up(bytes_, page_bytes);
    const uint64_t window_bytes = bytes_ + page_bytes;
    void* window = ::mmap(
        nullptr, window_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0
    );
    if (window == MAP_FAILED) {
        return failure(fmt::format(
            "no {} MiB of address space for a state arena: {}", mebibytes(bytes_), reason()
        ));
    }
    auto* const window_start = static_cast<std::byte*>(window);
    const auto address = reinterpret_cast<uintptr_t>(window);
    std::byte* const start = window_start + (round_up(address, page_bytes) - address);
    const int kind = file_ >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
    const int reserve = backing_ == Backing::kHugePages ? 0 : MAP_NORESERVE;
    void* mapped =
        ::mmap(start, bytes_, PROT_READ | PROT_WRITE, kind | reserve | MAP_FIXED, file_, 0);
    if (mapped == MAP_FAILED) {
        const std::string why = reason();
        ::munmap(window, window_bytes);
        return failure(
            fmt::format("{} MiB for a state arena cannot be mapped: {}", mebibytes(bytes_), why)
        );
    }
    if (start > window_start) {
        ::munmap(window, static_cast<size_t>(start - window_start));
    }
    std::byte* const end = start + bytes_;
    if (end < window_start + window_bytes) {
        ::munmap(end, static_cast<size_t>(window_start + window_bytes - end));
    }
    // Advice: refused where it does not apply, and nothing depends on it. Where the kernel has large
    // pages to spare it may use them: without, most accesses miss the TLB.
    ::madvise(start, bytes_, MADV_HUGEPAGE);
    ::madvise(start, bytes_, MADV_DONTDUMP);
    base_ = start;
    return {};
}

void Arena::write_header(const ArenaPlan& plan) {
    auto* header = reinterpret_cast<ArenaHeader*>(base_);
    header->version = kArenaVersion;
    header->shard_count = plan.identity.shard_count;
    header->shard = plan.identity.shard;
    header->layout_digest = plan.identity.layout_digest;
    header->bytes = bytes_;
    header->origin_ns = plan.facts.origin_ns;
    std::copy(plan.facts.toeplitz_key.begin(), plan.facts.toeplitz_key.end(), header->toeplitz_key);
    std::copy(plan.facts.shard_table.begin(), plan.facts.shard_table.end(), header->shard_table);
    header->section_count = static_cast<uint32_t>(sections_.size());
    std::copy(sections_.begin(), sections_.end(), header->sections);
    std::atomic_signal_fence(std::memory_order_release);
    header->magic = kArenaMagic;
}

std::span<std::byte> Arena::section(uint32_t id) const {
    for (const ArenaSection& section : sections_) {
        if (section.id == id) {
            return {base_ + section.offset, section.bytes};
        }
    }
    return {};
}

void Arena::reset() {
    if (base_ != nullptr) {
        ::munmap(base_, bytes_);
    }
    if (!path_.empty()) {
        ::unlink(path_.c_str());
    }
    if (file_ >= 0) {
        ::close(file_);
    }
    base_ = nullptr;
    bytes_ = 0;
    file_ = -1;
    backing_ = Backing::kAnonymous;
    path_.clear();
}

Arena::Arena(Arena&& other) noexcept {
    *this = std::move(other);
}

Arena& Arena::operator=(Arena&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(bytes_, other.bytes_);
    std::swap(file_, other.file_);
    std::swap(backing_, other.backing_);
    std::swap(path_, other.path_);
    std::swap(note_, other.note_);
    std::swap(sections_, other.sections_);
    return *this;
}

Arena::~Arena() {
    reset();
}

}  // namespace sekisho::base
