#include "dpdk/memif_guard.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <span>
#include <vector>

#include <rte_interrupts.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "dpdk/memif_talk.h"

namespace sekisho::dpdk {
namespace {

struct Channel {
    uint64_t cookie = 0;  // of the socket: the next one may get its number
    MemifTalk talk;
    std::vector<int>
        regions;  // files that the driver forgets to close if the channel ends before it has mapped them
};

struct Guard {
    std::mutex lock;
    std::map<int, Channel> channels;  // by descriptor, so never more than a process may have
    std::map<std::string, uint64_t> refusals;  // by path of the socket
    std::map<std::string, unsigned> queues;    // likewise
};

Guard& guard() {
    static Guard made;
    return made;
}

template <class T>
T option(int socket, int name) {
    T value{};
    socklen_t size = sizeof(value);
    getsockopt(socket, SOL_SOCKET, name, &value, &size);
    return value;
}

bool is_memif(int socket) {
    return option<int>(socket, SO_TYPE) == SOCK_SEQPACKET;
}

std::string path_of(int socket) {
    sockaddr_un address{};
    socklen_t size = sizeof(address);
    if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        return {};
    }
    return {address.sun_path, strnlen(address.sun_path, sizeof(address.sun_path))};
}

std::vector<int> files_with(msghdr& message) {
    std::vector<int> files;
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
            const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            files.resize(files.size() + count);
            std::memcpy(&files[files.size() - count], CMSG_DATA(part), count * sizeof(int));
        }
    }
    return files;
}

void close_all(std::span<const int> files) {
    std::ranges::for_each(files, close);
}

// The channel of a socket, which may be the second one of its number. The lock is held.
Channel& channel_of(int socket) {
    Channel& channel = guard().channels[socket];
    if (const auto cookie = option<uint64_t>(socket, SO_COOKIE); channel.cookie != cookie) {
        const auto queues = guard().queues.find(path_of(socket));
        const bool told = queues != guard().queues.end();
        channel = {cookie, MemifTalk(told ? queues->second : MemifTalk::kMostRings), {}};
    }
    return channel;
}

void end(int socket) {
    const std::lock_guard hold(guard().lock);
    close_all(channel_of(socket).regions);
    guard().channels.erase(socket);
}

// The length that the driver is told; 0: end of file.
ssize_t checked(int socket, msghdr& message, ssize_t length) {
    const std::vector<int> files = files_with(message);
    const auto* first = static_cast<const std::byte*>(message.msg_iov[0].iov_base);
    const std::span said(first, std::min(static_cast<size_t>(length), message.msg_iov[0].iov_len));
    const bool whole = (message.msg_flags & MSG_TRUNC) == 0;
    const std::lock_guard hold(guard().lock);
    Channel& channel = channel_of(socket);
    const bool good = whole && channel.talk.hear(said, files.empty() ? -1 : files[0]);
    if (!good || channel.talk.has_ended()) {
        close_all(channel.regions);
        channel.regions.clear();
    }
    if (!good) {
        close_all(files);
        message.msg_controllen = 0;
        ++guard().refusals[path_of(socket)];
        return 0;
    }
    const bool takes_file = MemifTalk::carries_region(said) || MemifTalk::carries_ring(said);
    close_all(std::span(files).subspan(takes_file ? 1 : 0));
    if (MemifTalk::carries_region(said)) {
        channel.regions.push_back(files[0]);
    }
    if (channel.talk.is_connected()) {
        channel.regions.clear();
    }
    return length;
}

bool half_of_all_descriptors(int highest) {
    rlimit most{};
    return getrlimit(RLIMIT_NOFILE, &most) == 0 &&
           static_cast<rlim_t>(highest) >= most.rlim_cur / 2;
}

}  // namespace

void guard_memif(const std::string& path, unsigned queues) {
    const std::lock_guard hold(guard().lock);
    guard().queues[path] = queues;
}

uint64_t memif_refusals(const std::string& path) {
    const std::lock_guard hold(guard().lock);
    const auto found = guard().refusals.find(path);
    return found == guard().refusals.end() ? 0 : found->second;
}

}  // namespace sekisho::dpdk

// These stand before the C library's, for every library of the process.

using namespace sekisho::dpdk;

extern "C" int accept(int listener, sockaddr* address, socklen_t* size) {
    const auto made = static_cast<int>(syscall(SYS_accept, listener, address, size));
    if (made >= 0 && is_memif(made) && half_of_all_descriptors(made)) {
        close(made);
        errno = EMFILE;
        return -1;
    }
    return made;
}

extern "C" ssize_t recvmsg(int socket, msghdr* message, int flags) {
    const ssize_t length = syscall(SYS_recvmsg, socket, message, flags);
    const int error = errno;
    if (!is_memif(socket)) {
        errno = error;
        return length;
    }
    if (length > 0) {
        return checked(socket, *message, length);
    }
    if (length == 0 || (error != EINTR && error != EAGAIN)) {
        end(socket);
    }
    errno = error;
    return length;
}

extern "C" ssize_t sendmsg(int socket, const msghdr* message, int flags) {
    if (!is_memif(socket)) {
        return syscall(SYS_sendmsg, socket, message, flags);
    }
    const ssize_t sent = syscall(SYS_sendmsg, socket, message, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
        return sent;
    }
    shutdown(socket, SHUT_RDWR);
    ssize_t length = 0;
    for (size_t i = 0; i < message->msg_iovlen; ++i) {
        length += static_cast<ssize_t>(message->msg_iov[i].iov_len);
    }
    return length;
}

// DPDK's interrupt thread ends the process if it cannot wait for a descriptor, though one that was closed meanwhile is none to
// wait for.
extern "C" int epoll_ctl(int waiting, int operation, int file, epoll_event* event) {
    const auto status = static_cast<int>(syscall(SYS_epoll_ctl, waiting, operation, file, event));
    const bool closed = status != 0 && errno == EBADF && operation == EPOLL_CTL_ADD;
    return closed && rte_thread_is_intr() != 0 ? 0 : status;
}
