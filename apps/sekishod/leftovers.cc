#include "sekishod/leftovers.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include "dpdk/huge_page_mount.h"

namespace sekisho::daemon {
namespace {

namespace fs = std::filesystem;

// The process of a name "sekisho-PID" or "sekisho-PID-SHARD"; 0: no such name.
pid_t process_of(const std::string& name, bool with_shard) {
    int pid = 0;
    unsigned shard = 0;
    int length = 0;
    const char* form = with_shard ? "sekisho-%d-%u%n" : "sekisho-%d%n";
    const int fields = with_shard ? std::sscanf(name.c_str(), form, &pid, &shard, &length)
                                  : std::sscanf(name.c_str(), form, &pid, &length);
    const bool whole = static_cast<size_t>(length) == name.size();
    return fields == (with_shard ? 2 : 1) && whole && pid > 0 ? pid : 0;
}

bool is_gone(pid_t pid) {
    return kill(pid, 0) != 0 && errno == ESRCH;
}

// In another process namespace a number says nothing, so the lock decides.
bool is_unlocked(const fs::path& arena) {
    const int file = open(arena.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) {
        return false;
    }
    const bool free = flock(file, LOCK_EX | LOCK_NB) == 0;
    close(file);
    return free;
}

unsigned remove_arenas(const std::string& folder) {
    unsigned removed = 0;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
        const pid_t pid = process_of(entry.path().filename(), true);
        if (pid != 0 && entry.is_regular_file(error) && is_gone(pid) && is_unlocked(entry.path()) &&
            fs::remove(entry.path(), error)) {
            ++removed;
        }
    }
    return removed;
}

}  // namespace

std::vector<std::string> arena_folders() {
    std::vector<std::string> folders = {"/dev/shm"};
    if (const std::string mount = dpdk::huge_page_mount(); !mount.empty()) {
        folders.push_back(mount);
    }
    return folders;
}

unsigned remove_leftovers(
    const std::vector<std::string>& arena_folders, const std::string& run_time_parent
) {
    unsigned removed = 0;
    for (const auto& folder : arena_folders) {
        removed += remove_arenas(folder);
    }
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(run_time_parent, error)) {
        const pid_t pid = process_of(entry.path().filename(), false);
        if (pid != 0 && entry.is_directory(error) && is_gone(pid) &&
            fs::remove_all(entry.path(), error) != static_cast<uintmax_t>(-1)) {
            ++removed;
        }
    }
    return removed;
}

}  // namespace sekisho::daemon
