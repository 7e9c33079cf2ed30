#include "sekisho-legacy/private_view.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "legacy/kernel.h"

namespace sekisho::old {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgram = "/run/sekisho/legacy/sekisho-legacy";
constexpr const char* kReal = "/run/sekisho/legacy/real";  // folders that views stand over
constexpr const char* kViews = "/run/sekisho/legacy/views";

Result<void> failed(const std::string& what) {
    return failure(fmt::format("{}: {}", what, std::strerror(errno)));
}

Result<void> put_over(const std::string& from, const std::string& to) {
    const int done = mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr);
    return done == 0 ? Result<void>{}
                     : failed(fmt::format("cannot put {} in the place of {}", from, to));
}

// A namespace of mounts in which nothing reaches the others', and room in memory.
Result<void> make_room() {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        return failed("cannot have a mount namespace of its own");
    }
    std::error_code error;
    fs::create_directories(kFolder, error);
    if (error || mount("tmpfs", kFolder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0) {
        return failed(fmt::format("cannot make {}", kFolder));
    }
    for (const char* folder : {kTools, kSettings, kListings, kReal, kViews}) {
        fs::create_directory(folder, error);
    }
    return error ? failure(error.message()) : Result<void>{};
}

// The program itself, where no view stands over it.
Result<void> keep_program() {
    std::error_code error;
    const fs::path here = fs::read_symlink("/proc/self/exe", error);
    std::ofstream(kProgram).put('\n');
    return error ? failure(error.message()) : put_over(here.string(), kProgram);
}

void link_tools(const fs::path& folder) {
    std::error_code ignored;
    for (const std::string_view tool : legacy::tool_names()) {
        fs::remove(folder / tool, ignored);
        fs::create_symlink(kProgram, folder / tool, ignored);
    }
}

// A folder with the same programs, but for the tools.
Result<void> cover(const fs::path& folder, unsigned number) {
    const fs::path real = fs::path(kReal) / std::to_string(number);
    const fs::path view = fs::path(kViews) / std::to_string(number);
    std::error_code error;
    fs::create_directory(real, error);
    fs::create_directory(view, error);
    if (auto bound = put_over(folder, real); !bound) {
        return bound;
    }
    for (const fs::directory_entry& each : fs::directory_iterator(folder, error)) {
        fs::create_symlink(real / each.path().filename(), view / each.path().filename(), error);
    }
    if (error) {
        return failure(fmt::format("cannot list {}: {}", folder.string(), error.message()));
    }
    link_tools(view);
    return put_over(view, folder);
}

Result<void> cover_system_programs() {
    std::set<fs::path> covered;
    for (const char* name : {"/sbin", "/usr/sbin", "/usr/local/sbin"}) {
        std::error_code error;
        const fs::path folder = fs::canonical(name, error);
        if (error || !covered.insert(folder).second) {
            continue;
        }
        if (auto done = cover(folder, static_cast<unsigned>(covered.size())); !done) {
            return done;
        }
    }
    return {};
}

// /proc/net is a link, which leads each process to its own; another link is put over it.
Result<void> cover_proc_net() {
    std::error_code error;
    for (const fs::directory_entry& each : fs::directory_iterator("/proc/self/net", error)) {
        const fs::path name = each.path().filename();
        fs::create_symlink(fs::path("/proc/self/net") / name, fs::path(kListings) / name, error);
    }
    const fs::path link = fs::path(kFolder) / "net-link";
    fs::create_symlink(kListings, link, error);
    const auto tree = static_cast<int>(syscall(
        SYS_open_tree, AT_FDCWD, link.c_str(), OPEN_TREE_CLONE | O_CLOEXEC | AT_SYMLINK_NOFOLLOW
    ));
    const int place = open("/proc/net", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    const bool is_done =
        tree >= 0 && place >= 0 &&
        syscall(
            SYS_move_mount, tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
        ) == 0;
    auto result = is_done ? Result<void>{} : failed("cannot put files of ours into /proc/net");
    close(tree);
    close(place);
    return result;
}

bool write_file(const fs::path& path, const std::string& text) {
    std::error_code ignored;
    fs::create_directories(path.parent_path(), ignored);
    if (fs::is_symlink(path, ignored)) {
        fs::remove(path, ignored);
    }
    std::ofstream file(path, std::ios::trunc);
    file << text;
    file.flush();
    return file.good();
}

std::string read_file(const fs::path& path) {
    constexpr size_t kMostBytes = 4096;
    std::ifstream file(path);
    std::string text(kMostBytes, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(file.gcount()));
    text.erase(text.find_last_not_of(" \t\n") + 1);
    return text;
}

}  // namespace

Result<void> make_private_view(const std::map<std::string, std::string>& settings) {
    return make_room()
        .and_then(keep_program)
        .and_then([&settings] {
            link_tools(kTools);
            for (const auto& [path, value] : settings) {
                write_setting(path, value);
            }
            return put_over(kSettings, "/proc/sys/net/ipv4");
        })
        .and_then(cover_proc_net)
        .and_then(cover_system_programs);
}

bool has_private_view() {
    std::error_code ignored;
    return fs::exists(kProgram, ignored);
}

std::map<std::string, std::string> read_settings() {
    std::map<std::string, std::string> settings;
    std::error_code error;
    for (const fs::directory_entry& each : fs::recursive_directory_iterator(kSettings, error)) {
        if (each.is_regular_file(error)) {
            settings[fs::relative(each.path(), kSettings, error).string()] = read_file(each.path());
        }
    }
    return settings;
}

bool write_setting(const std::string& path, const std::string& value) {
    const fs::path place(path);
    if (place.is_absolute() || std::ranges::find(place, fs::path("..")) != place.end()) {
        return false;  // none of ours
    }
    return write_file(fs::path(kSettings) / path, value + "\n");
}

bool write_listing(const std::string& name, const std::string& text) {
    return write_file(fs::path(kListings) / name, text);
}

}  // namespace sekisho::old
