#include "sekishod/leftovers.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sekisho::daemon {
namespace {

namespace fs = std::filesystem;

// Folders in the place of /dev/shm, a hugetlbfs and /var/run/dpdk; gone with it.
struct Folders {
    Folders() {
        char name[] = "/tmp/leftovers-XXXXXX";
        REQUIRE(mkdtemp(name) != nullptr);
        root = name;
        fs::create_directory(shared = root / "shm");
        fs::create_directory(huge = root / "hugepages");
        fs::create_directory(run_time = root / "dpdk");
    }
    ~Folders() {
        std::error_code error;
        fs::remove_all(root, error);
    }
    Folders(const Folders&) = delete;
    Folders& operator=(const Folders&) = delete;

    unsigned remove() const { return remove_leftovers({shared, huge}, run_time); }

    fs::path root;
    fs::path shared;
    fs::path huge;
    fs::path run_time;
};

// The number of a process that has ended.
pid_t dead_process() {
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    REQUIRE(pid > 0);
    REQUIRE(waitpid(pid, nullptr, 0) == pid);
    return pid;
}

void make_file(const fs::path& path) {
    std::ofstream(path) << "state";
    REQUIRE(fs::exists(path));
}

}  // namespace

TEST_CASE("what a killed process has left is removed and counted", "[sekishod]") {
    const Folders folders;
    const pid_t dead = dead_process();
    make_file(folders.shared / fmt::format("sekisho-{}-0", dead));
    make_file(folders.shared / fmt::format("sekisho-{}-63", dead));
    make_file(folders.huge / fmt::format("sekisho-{}-0", dead));
    const fs::path folder = folders.run_time / fmt::format("sekisho-{}", dead);
    fs::create_directory(folder);
    make_file(folder / "config");
    CHECK(folders.remove() == 4);
    CHECK(fs::is_empty(folders.shared));
    CHECK(fs::is_empty(folders.huge));
    CHECK(fs::is_empty(folders.run_time));
    CHECK(folders.remove() == 0);
}

TEST_CASE("what belongs to a living process stays", "[sekishod]") {
    const Folders folders;
    const fs::path arena = folders.shared / fmt::format("sekisho-{}-0", getpid());
    const fs::path folder = folders.run_time / fmt::format("sekisho-{}", getpid());
    make_file(arena);
    fs::create_directory(folder);
    CHECK(folders.remove() == 0);
    CHECK(fs::exists(arena));
    CHECK(fs::exists(folder));
}

TEST_CASE("an arena that somebody has locked stays, whatever its number says", "[sekishod]") {
    const Folders folders;
    const fs::path arena = folders.shared / fmt::format("sekisho-{}-0", dead_process());
    make_file(arena);
    const int file = open(arena.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(flock(file, LOCK_EX | LOCK_NB) == 0);
    CHECK(folders.remove() == 0);
    CHECK(fs::exists(arena));
    close(file);
    CHECK(folders.remove() == 1);
    CHECK_FALSE(fs::exists(arena));
}

TEST_CASE("files and folders of other names or kinds stay", "[sekishod]") {
    const Folders folders;
    const pid_t dead = dead_process();
    for (const std::string& name :
         {fmt::format("sekisho-{}", dead),
          fmt::format("sekisho-{}-", dead),
          fmt::format("sekisho-{}-0x", dead),
          fmt::format("sekisho-{}-0-1", dead),
          fmt::format("sekisho-{}-x", dead),
          fmt::format("sekisho--{}-0", dead),
          fmt::format("other-{}-0", dead),
          std::string("sekisho-0-0"),
          std::string("sekisho--0")}) {
        make_file(folders.shared / name);
    }
    fs::create_directory(folders.shared / fmt::format("sekisho-{}-1", dead));
    for (const std::string& name :
         {fmt::format("sekisho-{}-0", dead),
          fmt::format("other-{}", dead),
          std::string("sekisho-")}) {
        fs::create_directory(folders.run_time / name);
    }
    make_file(folders.run_time / fmt::format("sekisho-{}", dead));
    CHECK(folders.remove() == 0);
}

TEST_CASE("what a link points to stays", "[sekishod]") {
    const Folders folders;
    const pid_t dead = dead_process();
    const fs::path file = folders.root / "precious";
    const fs::path folder = folders.root / "treasury";
    make_file(file);
    fs::create_directory(folder);
    make_file(folder / "gold");
    fs::create_symlink(file, folders.shared / fmt::format("sekisho-{}-0", dead));
    fs::create_symlink(folder, folders.run_time / fmt::format("sekisho-{}", dead));
    folders.remove();
    CHECK(fs::exists(file));
    CHECK(fs::exists(folder / "gold"));
}

TEST_CASE("folders that are not there hold no leftovers", "[sekishod]") {
    CHECK(
        remove_leftovers({"/nonexistent/shm", "/nonexistent/hugepages"}, "/nonexistent/dpdk") == 0
    );
}

}  // namespace sekisho::daemon
