#include "base/arena.h"

#include <algorithm>
#include <cstring>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/record_layout.h"

using namespace sekisho;
using base::ArenaHeader;
using base::ArenaIdentity;
using base::check_header;

namespace {

std::string unique_name(const char* what) {
    return "sekisho-test-" + std::to_string(::getpid()) + "-" + what;
}

ArenaPlan small_plan(std::string name = {}) {
    ArenaPlan plan;
    plan.name = std::move(name);
    plan.identity = {3, 2, 0x1234567890abcdef};
    plan.facts.origin_ns = 77;
    plan.facts.toeplitz_key[39] = 9;
    plan.facts.shard_table[511] = 2;
    plan.sections = {{1, 1000, 10, false}, {7, 5 << 20, 99, false}, {2, 64, 1, true}};
    return plan;
}

bool mentions(const Result<void>& result, const char* words) {
    return !result && result.error().message.find(words) != std::string::npos;
}

bool exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

struct Sample {
    uint32_t a;
    uint16_t b;
    uint16_t c;
};

}  // namespace

TEST_CASE("an arena lays its sections out aligned, apart and zeroed", "[base][arena]") {
    for (const char* name : {"", "layout"}) {
        const auto arena = Arena::create(small_plan(*name == 0 ? "" : unique_name(name)));
        REQUIRE(arena);
        INFO(arena->note());
        const auto* start = reinterpret_cast<const std::byte*>(&arena->header());
        CHECK(reinterpret_cast<uintptr_t>(start) % (2 << 20) == 0);
        CHECK(arena->section(1).size() == 1000);
        CHECK(arena->section(7).size() == 5 << 20);
        CHECK(arena->section(2).size() == 64);
        CHECK(arena->section(3).empty());
        CHECK(arena->records<uint64_t>(1).size() == 125);
        CHECK((arena->section(1).data() - start) % 64 == 0);
        CHECK((arena->section(7).data() - start) % (2 << 20) == 0);
        CHECK(arena->section(1).data() - start >= static_cast<ptrdiff_t>(sizeof(ArenaHeader)));
        for (const uint32_t id : {1U, 7U, 2U}) {
            auto bytes = arena->section(id);
            CHECK(std::all_of(bytes.begin(), bytes.end(), [](std::byte b) {
                return b == std::byte{0};
            }));
            std::fill(bytes.begin(), bytes.end(), std::byte{static_cast<unsigned char>(id)});
        }
        for (const uint32_t id : {1U, 7U, 2U}) {
            auto bytes = arena->section(id);
            CHECK(std::all_of(bytes.begin(), bytes.end(), [id](std::byte b) {
                return b == std::byte{static_cast<unsigned char>(id)};
            }));
        }
        CHECK(check_header(arena->header(), arena->bytes(), small_plan().identity));
    }
}

TEST_CASE("an arena's header tells who made it", "[base][arena]") {
    const auto arena = Arena::create(small_plan());
    REQUIRE(arena);
    const ArenaHeader& h = arena->header();
    CHECK(h.shard_count == 3);
    CHECK(h.shard == 2);
    CHECK(h.origin_ns == 77);
    CHECK(h.toeplitz_key[39] == 9);
    CHECK(h.shard_table[511] == 2);
    CHECK(h.section_count == 3);
    CHECK(h.sections[1].records == 99);
    CHECK(h.sections[2].sparse == 1);
}

TEST_CASE(
    "a header that differs in anything is refused with a sentence that names it", "[base][arena]"
) {
    const auto arena = Arena::create(small_plan());
    REQUIRE(arena);
    const ArenaIdentity identity = small_plan().identity;
    const auto with = [&](auto&& change) {
        ArenaHeader h;
        std::memcpy(&h, &arena->header(), sizeof(h));
        change(h);
        return check_header(h, arena->bytes(), identity);
    };
    CHECK(with([](ArenaHeader&) {}));
    CHECK(mentions(with([](ArenaHeader& h) { h.magic ^= 1; }), "no state arena"));
    CHECK(mentions(with([](ArenaHeader& h) { h.version = 2; }), "version 2"));
    CHECK(mentions(with([](ArenaHeader& h) { h.layout_digest ^= 1; }), "other records"));
    CHECK(mentions(with([](ArenaHeader& h) { h.shard_count = 4; }), "for 4 shards"));
    CHECK(mentions(with([](ArenaHeader& h) { h.shard = 1; }), "shard 1's, not shard 2's"));
    CHECK(mentions(with([](ArenaHeader& h) { h.bytes += 1; }), "bytes"));
    CHECK(mentions(with([](ArenaHeader& h) { h.section_count = 33; }), "bytes"));
    CHECK(mentions(with([](ArenaHeader& h) { h.sections[1].offset = 8; }), "section 7"));
    CHECK(mentions(with([](ArenaHeader& h) { h.sections[2].offset = ~0ULL; }), "section 2"));
    CHECK(mentions(with([](ArenaHeader& h) { h.sections[1].bytes = ~0ULL; }), "section 7"));
    CHECK(mentions(with([](ArenaHeader& h) { h.shard_table[5] = 3; }), "shard 3 of 3"));
    CHECK(mentions(check_header(arena->header(), 100, identity), "no state arena"));
}

TEST_CASE(
    "the file is locked and private while it is used and removed at the end", "[base][arena]"
) {
    const std::string name = unique_name("life");
    std::string path;
    {
        auto arena = Arena::create(small_plan(name));
        REQUIRE(arena);
        path = arena->path();
        CHECK(path == "/dev/shm/" + name);
        CHECK(arena->backing() == Arena::Backing::kSharedMemory);
        struct stat s {};
        REQUIRE(::stat(path.c_str(), &s) == 0);
        CHECK((s.st_mode & 0777) == 0600);
        const auto second = Arena::create(small_plan(name));
        REQUIRE_FALSE(second);
        CHECK(second.error().message.find("in use by another process") != std::string::npos);
        CHECK(exists(path));
        Arena moved = std::move(*arena);
        CHECK(moved.section(1).size() == 1000);
        CHECK(exists(path));
    }
    CHECK_FALSE(exists(path));
}

TEST_CASE("a file that a dead process left is overwritten, its contents gone", "[base][arena]") {
    const std::string name = unique_name("left");
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        auto arena = Arena::create(small_plan(name));
        if (arena) {
            std::memset(arena->section(7).data(), 0xff, 1 << 20);
        }
        ::_exit(arena ? 0 : 1);  // no destructor runs
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(status == 0);
    REQUIRE(exists("/dev/shm/" + name));
    {
        const auto arena = Arena::create(small_plan(name));
        REQUIRE(arena);
        const auto bytes = arena->section(7);
        CHECK(std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; })
        );
    }
    CHECK_FALSE(exists("/dev/shm/" + name));
}

TEST_CASE(
    "memory that is not there is refused with what is missing and how to get it", "[base][arena]"
) {
    const std::string name = unique_name("big");
    ArenaPlan plan = small_plan(name);
    plan.sections[1].bytes = uint64_t{1} << 44;
    const auto big = Arena::create(plan);
    REQUIRE_FALSE(big);
    CHECK(big.error().message.find("MiB") != std::string::npos);
    CHECK(big.error().message.find("limits:") != std::string::npos);
    CHECK_FALSE(exists("/dev/shm/" + name));
    plan.sections[1].sparse = true;  // address space is no shortage
    const auto sparse = Arena::create(plan);
    CHECK(sparse);
}

TEST_CASE("a plan that cannot be is refused", "[base][arena]") {
    ArenaPlan plan = small_plan(unique_name("twice"));
    plan.sections.push_back({7, 64, 1, false});
    CHECK_FALSE(Arena::create(plan));
    plan.sections.assign(33, {});
    for (uint32_t i = 0; i < 33; ++i) {
        plan.sections[i].id = i;
    }
    CHECK_FALSE(Arena::create(plan));
    CHECK_FALSE(Arena::create(small_plan("../etc/x")));
    plan = small_plan(unique_name("nowhere"));
    plan.shared_directory = "/nonexistent";
    const auto nowhere = Arena::create(plan);
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().message.find("/nonexistent") != std::string::npos);
}

TEST_CASE("without huge pages the arena lies in shared memory and says why", "[base][arena]") {
    ArenaPlan plan = small_plan(unique_name("huge"));
    plan.huge_directory = "/tmp";
    const auto arena = Arena::create(plan);
    REQUIRE(arena);
    CHECK(arena->backing() == Arena::Backing::kSharedMemory);
    CHECK(arena->note().find("/tmp is no hugetlbfs") != std::string::npos);
}

TEST_CASE("the layout digest changes with name, size and order of the fields", "[base][arena]") {
    using base::covers;
    static constexpr FieldLayout kWhole[] = {{"a", 0, 4}, {"b", 4, 2}, {"c", 6, 2}};
    static constexpr FieldLayout kGap[] = {{"a", 0, 4}, {"c", 6, 2}};
    static constexpr FieldLayout kShort[] = {{"a", 0, 4}, {"b", 4, 2}};
    static constexpr FieldLayout kRenamed[] = {{"a", 0, 4}, {"x", 4, 2}, {"c", 6, 2}};
    static_assert(covers({"sample", sizeof(Sample), kWhole}));
    CHECK_FALSE(covers({"sample", sizeof(Sample), kGap}));
    CHECK_FALSE(covers({"sample", sizeof(Sample), kShort}));
    const uint64_t whole = layout_digest({{"sample", 8, kWhole}});
    CHECK(whole == layout_digest({{"sample", 8, kWhole}}));
    CHECK(whole != layout_digest({{"sample", 8, kRenamed}}));
    CHECK(whole != layout_digest({{"other", 8, kWhole}}));
    CHECK(whole != layout_digest({{"sample", 16, kWhole}}));
    CHECK(
        layout_digest({{"p", 8, kWhole}, {"q", 8, kGap}}) !=
        layout_digest({{"q", 8, kGap}, {"p", 8, kWhole}})
    );
}
