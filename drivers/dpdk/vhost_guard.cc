#include "dpdk/vhost_guard.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>
#include <mutex>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace sekisho::dpdk {
namespace {

struct Guard {
    std::mutex lock;
    std::map<std::string, bool> silent;  // by path
};

Guard& guard() {
    static Guard made;
    return made;
}

// Of the other end; empty if it is no Unix socket.
std::string path_in(const sockaddr* address, socklen_t size) {
    sockaddr_un other{};
    if (address == nullptr || size <= offsetof(sockaddr_un, sun_path)) {
        return {};
    }
    std::memcpy(&other, address, std::min<size_t>(size, sizeof(other)));
    return other.sun_family == AF_UNIX
               ? std::string(other.sun_path, strnlen(other.sun_path, sizeof(other.sun_path)))
               : "";
}

std::string path_of_other_end(int socket) {
    sockaddr_un address{};
    socklen_t size = sizeof(address);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    return getpeername(socket, any, &size) == 0 ? path_in(any, size) : "";
}

bool is_seqpacket(int socket) {
    int type = 0;
    socklen_t size = sizeof(type);
    return getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

// False: it is not guarded.
bool set_silent(const std::string& path, bool silent) {
    const std::lock_guard hold(guard().lock);
    const auto found = guard().silent.find(path);
    if (found == guard().silent.end()) {
        return false;
    }
    found->second = silent;
    return true;
}

}  // namespace

void guard_vhost(const std::string& path) {
    const std::lock_guard hold(guard().lock);
    guard().silent.emplace(path, false);
}

bool is_vhost_silent(const std::string& path) {
    const std::lock_guard hold(guard().lock);
    const auto found = guard().silent.find(path);
    return found != guard().silent.end() && found->second;
}

}  // namespace sekisho::dpdk

// These stand before the C library's, for every library of the process.

using namespace sekisho::dpdk;

extern "C" int connect(int socket, const sockaddr* address, socklen_t size) {
    const std::string path = path_in(address, size);
    if (!path.empty() &&
        is_seqpacket(socket)) {  // a memif's: it is taken at once, or it is not taken soon
        const timeval moment{0, 100'000};
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof(moment));
    }
    const bool guarded = !path.empty() && set_silent(path, false);
    if (guarded) {
        const timeval patience{kVhostPatience, 0};
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    }
    const auto status = static_cast<int>(syscall(SYS_connect, socket, address, size));
    if (guarded && status != 0 && errno == EAGAIN) {
        set_silent(path, true);
        errno = EAGAIN;
    }
    return status;
}

extern "C" ssize_t recv(int socket, void* buffer, size_t size, int flags) {
    const ssize_t length = syscall(SYS_recvfrom, socket, buffer, size, flags, nullptr, nullptr);
    if (length < 0 && errno == EAGAIN && (flags & MSG_DONTWAIT) == 0 &&
        set_silent(path_of_other_end(socket), true)) {
        shutdown(socket, SHUT_RDWR);
        errno = EAGAIN;
    }
    return length;
}
