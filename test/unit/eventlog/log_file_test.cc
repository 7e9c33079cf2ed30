#include "eventlog/log_file.h"

#include <filesystem>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"

using namespace sekisho;
using namespace sekisho::test;
using dataplane::LogState;
using eventlog::LogFile;

namespace fs = std::filesystem;

TEST_CASE("lines are appended to what is there, and half a line is ended first", "[eventlog]") {
    const Folder folder;
    const std::string path = folder / "log";
    std::ofstream(path) << "old\nhal";
    LogFile file(path);
    REQUIRE(file.open());
    CHECK(file.is_ready({0}));
    CHECK(file.write("new\n", {0}) == 4);
    CHECK(content(path) == "old\nhal\nnew\n");
    CHECK(file.state() == LogState::kOpen);
}

TEST_CASE("a new log can be read by its owner and group only", "[eventlog]") {
    const Folder folder;
    LogFile file(folder / "log");
    const mode_t before = umask(0);
    REQUIRE(file.open());
    umask(before);
    struct stat facts {};
    stat((folder / "log").c_str(), &facts);
    CHECK((facts.st_mode & 0777) == 0640);
}

TEST_CASE("a file that was renamed is left for a new one within a second", "[eventlog]") {
    const Folder folder;
    const std::string path = folder / "log";
    LogFile file(path);
    REQUIRE(file.open());
    file.write("a\n", {0});
    fs::rename(path, path + ".1");
    SECTION("by itself") {
        file.tend({999});
        CHECK(file.generation() == 1);
        file.tend({1000});
    }
    SECTION("at once when told") {
        file.reopen();
        file.tend({1});
    }
    CHECK(file.generation() == 2);
    file.write("b\n", {1001});
    CHECK(content(path + ".1") == "a\n");
    CHECK(content(path) == "b\n");
    file.reopen();  // it is still of that name: nothing changes
    file.tend({1002});
    CHECK(file.generation() == 2);
}

TEST_CASE(
    "a removed file is not written any more; one of its name is, as soon as can be", "[eventlog]"
) {
    const Folder folder;
    fs::create_directory(folder / "d");
    const std::string path = folder / "d/log";
    LogFile file(path);
    REQUIRE(file.open());
    fs::remove_all(folder / "d");
    file.tend({1000});
    CHECK(file.state() == LogState::kFailing);
    CHECK(file.trouble() == "cannot open " + path + ": No such file or directory");
    CHECK_FALSE(file.is_ready({1001}));
    CHECK(file.failures() == 1);
    fs::create_directory(folder / "d");
    CHECK_FALSE(file.is_ready({1199}));
    CHECK(file.is_ready({1200}));
    CHECK(file.trouble().empty());
    CHECK(file.write("x\n", {1200}) == 2);
    CHECK(content(path) == "x\n");
}

TEST_CASE("a renamed file goes on to be used while none of the name can be made", "[eventlog]") {
    const Folder folder;
    fs::create_directory(folder / "d");
    const std::string path = folder / "d/log";
    LogFile file(path);
    REQUIRE(file.open());
    fs::rename(path, folder / "kept");
    fs::remove_all(folder / "d");
    file.tend({1000});
    CHECK(file.state() == LogState::kOpen);
    CHECK(file.trouble() == "cannot open " + path + ": No such file or directory");
    REQUIRE(file.is_ready({1001}));
    CHECK(file.write("x\n", {1001}) == 2);
    CHECK_FALSE(file.trouble().empty());  // it stays said
    CHECK(content(folder / "kept") == "x\n");
    fs::create_directory(folder / "d");
    file.tend({2001});
    CHECK(file.trouble().empty());
    file.write("y\n", {2002});
    CHECK(content(path) == "y\n");
}

TEST_CASE("a full disk is an error that passes", "[eventlog]") {
    LogFile file("/dev/full");
    REQUIRE(file.open());
    CHECK(file.write("x\n", {0}) == 0);
    CHECK(file.state() == LogState::kFailing);
    CHECK(file.trouble() == "cannot write /dev/full: No space left on device");
    CHECK_FALSE(file.is_ready({199}));
    CHECK(file.is_ready({200}));
}

TEST_CASE("a FIFO that is not read is waited for by nobody", "[eventlog]") {
    signal(SIGPIPE, SIG_IGN);
    const Folder folder;
    const std::string path = folder / "fifo";
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    LogFile file(path);
    const auto opened = file.open();
    REQUIRE_FALSE(opened);
    CHECK(opened.error().message == "cannot open " + path + ": nobody reads it");
    const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
    REQUIRE(file.is_ready({200}));
    const std::string much(1 << 20, 'x');
    const size_t taken = file.write(much, {200});
    CHECK(taken > 0);
    CHECK(taken < much.size());
    CHECK(file.write(much, {200}) == 0);
    CHECK(file.state() == LogState::kStalled);
    std::string got(much.size(), 0);
    CHECK(::read(reader, got.data(), got.size()) == static_cast<ssize_t>(taken));
    CHECK(file.is_ready({201}));
    CHECK(file.write("x", {201}) == 1);
    CHECK(file.state() == LogState::kOpen);
    ::close(reader);
    CHECK(file.write("x", {202}) == 0);
    CHECK(file.state() == LogState::kFailing);
    CHECK_FALSE(file.is_ready({402}));
}

TEST_CASE("a file has one writer at a time", "[eventlog]") {
    const Folder folder;
    LogFile other(folder / "log");
    {
        LogFile one(folder / "log");
        REQUIRE(one.open());
        const auto opened = other.open();
        REQUIRE_FALSE(opened);
        CHECK(
            opened.error().message ==
            "cannot open " + (folder / "log") + ": another process writes it"
        );
    }
    CHECK(other.open());
}

TEST_CASE("a path that cannot be opened is a sentence at the start", "[eventlog]") {
    LogFile file("/proc/nowhere/log");
    const auto opened = file.open();
    REQUIRE_FALSE(opened);
    CHECK(opened.error().message == "cannot open /proc/nowhere/log: No such file or directory");
}
