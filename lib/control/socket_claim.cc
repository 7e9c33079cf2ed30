#include "control/socket_claim.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace sekisho::control {

namespace {

constexpr mode_t kFolderMode = 0755;
constexpr mode_t kSocketMode = 0660;
constexpr mode_t kLockMode = 0600;
constexpr int kBacklog = 64;

std::string reason() {
    return std::strerror(errno);
}

Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
        return failure(fmt::format(
            "the control socket's path '{}' has {} characters, wanted 1 to {}",
            path,
            path.size(),
            sizeof(address.sun_path) - 1
        ));
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

// The folder of the socket; its parents are made too.
Result<void> make_folder(const std::string& path) {
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    std::error_code error;
    if (folder.empty() || std::filesystem::is_directory(folder, error)) {
        return {};
    }
    if (!std::filesystem::create_directories(folder, error) && error) {
        return failure(fmt::format(
            "cannot make the folder {} of the control socket: {}; make it, or set "
            "control: {{socket: PATH}}",
            folder.string(),
            error.message()
        ));
    }
    chmod(folder.c_str(), kFolderMode);
    return {};
}

std::string lock_path_of(const std::string& path) {
    return path + ".lock";
}

bool is_file_at(int descriptor, const std::string& path) {
    struct stat open_file {};
    struct stat named {};
    return fstat(descriptor, &open_file) == 0 && lstat(path.c_str(), &named) == 0 &&
           open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

Error in_use(const std::string& path) {
    return Error{fmt::format(
        "another sekishod holds the control socket {}; stop it, or set control: {{socket: PATH}} "
        "to another path",
        path
    )};
}

// Never O_CREAT on a file that may exist: in a sticky folder the kernel would refuse another
// user's (fs.protected_regular), even to root. -1 with errno; EEXIST: try again.
int open_lock(const std::string& path) {
    constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
    const int found = open(path.c_str(), kFlags);
    if (found >= 0 || errno != ENOENT) {
        return found;
    }
    return open(path.c_str(), kFlags | O_CREAT | O_EXCL, kLockMode);
}

// A descriptor that holds the lock on the file at PATH.lock.
Result<int> lock_beside(const std::string& path) {
    constexpr int kAttempts = 16;  // others may come and go meanwhile
    const std::string lock_path = lock_path_of(path);
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const int lock = open_lock(lock_path);
        if (lock < 0 && errno == EEXIST) {
            continue;
        }
        if (lock < 0) {
            return failure(fmt::format(
                "cannot open the control socket's lock file {}: {}; run as a user that may write "
                "there, or set control: {{socket: PATH}}",
                lock_path,
                reason()
            ));
        }
        if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
            close(lock);
            break;
        }
        // If the owner before removed the file between our open and our lock, ours is worth nothing.
        if (is_file_at(lock, lock_path)) {
            return lock;
        }
        close(lock);
    }
    return tl::unexpected<Error>(in_use(path));
}

// Makes way for a new socket: fails if something lives at the path.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
    struct stat found {};
    if (lstat(path.c_str(), &found) != 0) {
        return {};
    }
    if (!S_ISSOCK(found.st_mode)) {
        return failure(fmt::format("{} exists and is not a socket; remove it or name another", path)
        );
    }
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int connected =
        connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    const int error = connected == 0 ? 0 : errno;
    close(probe);
    if (error == 0 || error == EAGAIN) {  // EAGAIN: alive, with a full backlog
        return tl::unexpected<Error>(in_use(path));
    }
    if (error == ENOENT) {
        return {};
    }
    if (error != ECONNREFUSED) {
        return failure(fmt::format(
            "cannot tell whether another sekishod holds the control socket {}: {}; run as the user "
            "that owns it, or set control: {{socket: PATH}}",
            path,
            std::strerror(error)
        ));
    }
    if (unlink(path.c_str()) != 0) {
        return failure(fmt::format(
            "cannot remove the stale control socket {}: {}; remove it as the user that owns it, or "
            "set control: {{socket: PATH}}",
            path,
            reason()
        ));
    }
    return {};
}

Result<int> listen_at(const std::string& path, const sockaddr_un& address) {
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    // On Linux the mode of the descriptor is the mode that bind() gives the file: it never stands
    // open wider.
    if (listener < 0 || fchmod(listener, kSocketMode) != 0 ||
        bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        chmod(path.c_str(), kSocketMode) != 0 || listen(listener, kBacklog) != 0) {
        const std::string why = reason();
        if (listener >= 0) {
            close(listener);
        }
        return failure(fmt::format(
            "cannot listen on the control socket {}: {}; run as a user that may write there, or "
            "set "
            "control: {{socket: PATH}}",
            path,
            why
        ));
    }
    return listener;
}

}  // namespace

Result<SocketClaim> SocketClaim::take(const std::string& path) {
    const auto address = address_of(path);
    if (!address) {
        return tl::unexpected<Error>(address.error());
    }
    if (const auto made = make_folder(path); !made) {
        return tl::unexpected<Error>(made.error());
    }
    const auto lock = lock_beside(path);
    if (!lock) {
        return tl::unexpected<Error>(lock.error());
    }
    SocketClaim claim(path, *lock);  // from here on every way out gives the lock back
    if (const auto removed = remove_stale(path, *address); !removed) {
        return tl::unexpected<Error>(removed.error());
    }
    const auto listener = listen_at(path, *address);
    if (!listener) {
        return tl::unexpected<Error>(listener.error());
    }
    claim.listener_ = *listener;
    struct stat made {};
    if (lstat(path.c_str(), &made) == 0) {
        claim.device_ = made.st_dev;
        claim.inode_ = made.st_ino;
    }
    return claim;
}

SocketClaim::SocketClaim(SocketClaim&& other) noexcept
    : path_(std::move(other.path_)),
      lock_(std::exchange(other.lock_, -1)),
      listener_(std::exchange(other.listener_, -1)),
      device_(other.device_),
      inode_(other.inode_) {}

SocketClaim::~SocketClaim() {
    if (lock_ < 0) {
        return;
    }
    if (listener_ >= 0) {
        struct stat now {};
        if (lstat(path_.c_str(), &now) == 0 && now.st_dev == device_ && now.st_ino == inode_) {
            unlink(path_.c_str());
        }
        close(listener_);
    }
    const std::string lock_path = lock_path_of(path_);
    if (is_file_at(lock_, lock_path)) {
        unlink(lock_path.c_str());
    }
    close(lock_);
}

}  // namespace sekisho::control
