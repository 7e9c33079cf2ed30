#include "sekishod/device_claim.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <set>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/device.h"

namespace sekisho::daemon {
namespace {

using config::DeviceKind;

// Whether nobody but this user and root can put a file into the folder; it is made if there is none.
bool is_ours(const std::string& folder) {
    constexpr mode_t kFolderMode = 0755;
    struct stat facts {};
    mkdir(folder.c_str(), kFolderMode);
    return lstat(folder.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) &&
           (facts.st_uid == 0 || facts.st_uid == geteuid()) &&
           (facts.st_mode & (S_IWGRP | S_IWOTH)) == 0 && access(folder.c_str(), W_OK) == 0;
}

// Another network namespace may have an interface of the same name.
std::string lock_path(const std::string& folder, const std::string& interface) {
    struct stat facts {};
    stat("/proc/self/ns/net", &facts);
    return fmt::format("{}/interface-{}-{}.lock", folder, facts.st_ino, interface);
}

bool is_file_at(int descriptor, const std::string& path) {
    struct stat opened {};
    struct stat named {};
    return fstat(descriptor, &opened) == 0 && lstat(path.c_str(), &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

// A descriptor that holds the lock; -1 with errno EWOULDBLOCK if another process does.
int hold_lock(const std::string& path) {
    constexpr mode_t kMode = 0600;
    constexpr int kAttempts =
        16;  // the owner before may remove the file between our open and our lock
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const int holder = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kMode);
        if (holder < 0) {
            return -1;
        }
        if (flock(holder, LOCK_EX | LOCK_NB) != 0) {
            const int error = errno;
            close(holder);
            errno = error;
            return -1;
        }
        if (is_file_at(holder, path)) {
            return holder;
        }
        close(holder);
    }
    errno = EWOULDBLOCK;
    return -1;
}

// A descriptor that holds the name; -1 with errno EADDRINUSE if another process does, of whichever user.
int hold_name(const std::string& name) {
    const std::string text = "sekishod/interface/" + name;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (text.size() >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    // An abstract name: behind a zero byte, and as long as the address is said to be.
    std::memcpy(address.sun_path + 1, text.data(), text.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
    const int holder = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (holder >= 0 && bind(holder, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
        const int error = errno;
        close(holder);
        errno = error;
        return -1;
    }
    return holder;
}

// A descriptor that holds the file; -1 with errno EWOULDBLOCK if another process does. A new file is made empty, as the
// driver would; a pipe is not waited for.
int hold_file(const std::string& path) {
    constexpr mode_t kMode = 0644;
    const int holder = open(path.c_str(), O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, kMode);
    if (holder >= 0 && flock(holder, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        close(holder);
        errno = error;
        return -1;
    }
    return holder;
}

}  // namespace

Result<DeviceClaim> DeviceClaim::take(const config::Config& config, const std::string& folder) {
    DeviceClaim taken;
    taken.folder_ = is_ours(folder) ? folder : "";
    std::set<std::string> seen;  // a device may carry several links
    for (const auto& link : config.links) {
        if (seen.insert(config::device_identity(link.device)).second && !taken.claim(link.device)) {
            return failure(fmt::format(
                "link {}: another sekishod has the device {}; stop it, or name another device",
                link.name,
                link.device.text
            ));
        }
    }
    return taken;
}

// False: another process has it. What fails otherwise is told better by who opens the device.
bool DeviceClaim::claim(const config::DeviceSettings& device) {
    int holder = -1;
    switch (device.kind) {
        case DeviceKind::kAfPacket:
        case DeviceKind::kAfXdp:
        case DeviceKind::kTap:
            holder = hold_interface(device.arguments[0]);
            break;
        case DeviceKind::kPcap:
            holder = hold_file(device.arguments[1]);
            break;
        default:
            return true;
    }
    if (holder >= 0) {
        descriptors_.push_back(holder);
        return true;
    }
    return errno != EADDRINUSE && errno != EWOULDBLOCK;
}

int DeviceClaim::hold_interface(const std::string& interface) {
    if (folder_.empty()) {
        return hold_name(interface);
    }
    const std::string path = lock_path(folder_, interface);
    const int holder = hold_lock(path);
    if (holder >= 0) {
        locks_.push_back(path);
    }
    return holder;
}

DeviceClaim::DeviceClaim(DeviceClaim&& other) noexcept
    : folder_(std::move(other.folder_)),
      locks_(std::move(other.locks_)),
      descriptors_(std::move(other.descriptors_)) {
    other.locks_.clear();
    other.descriptors_.clear();
}

DeviceClaim::~DeviceClaim() {
    for (const std::string& path : locks_) {
        unlink(path.c_str());
    }
    for (const int descriptor : descriptors_) {
        close(descriptor);
    }
}

}  // namespace sekisho::daemon
