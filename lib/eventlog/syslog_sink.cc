#include "eventlog/syslog_sink.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"

namespace sekisho::eventlog {
namespace {

bool connect_to(int socket, const SyslogSink::Target& target) {
    if (target.socket.empty()) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(target.port);
        address.sin_addr.s_addr = target.address.raw;
        return connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const size_t length = std::min(target.socket.size(), sizeof address.sun_path - 1);
    std::copy_n(target.socket.begin(), length, address.sun_path);
    return connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// The other end has gone, or has said that nobody listens: another attempt may fare better.
bool is_broken(int number) {
    return number == ECONNREFUSED || number == ECONNRESET || number == ENOTCONN || number == EPIPE;
}

}  // namespace

SyslogSink::SyslogSink(Target target, std::function<void(const std::string&)> say)
    : target_(std::move(target)), say_(std::move(say)) {}

SyslogSink::~SyslogSink() {
    close_now();
}

void SyslogSink::close_now() {
    if (socket_ >= 0) {
        close(socket_);
        socket_ = -1;
    }
}

std::string SyslogSink::name() const {
    return target_.socket.empty()
               ? fmt::format("{}:{}", base::to_text(target_.address), target_.port)
               : target_.socket;
}

std::string SyslogSink::trouble() const {
    const std::lock_guard guard(mutex_);
    return trouble_;
}

bool SyslogSink::open() {
    const int family = target_.socket.empty() ? AF_INET : AF_UNIX;
    socket_ = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) {
        return false;
    }
    if (!connect_to(socket_, target_)) {
        const int number = errno;
        close_now();
        errno = number;
        return false;
    }
    return true;
}

bool SyslogSink::is_ready() {
    if (socket_ >= 0) {
        return true;
    }
    const auto now = Clock::now();
    if (has_tried_ && now - tried_ < kRetryMs) {
        return false;
    }
    has_tried_ = true;
    tried_ = now;
    if (!open()) {
        note_trouble(errno);
        return false;
    }
    return true;
}

bool SyslogSink::try_send(const std::string& message) {
    return ::send(socket_, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

bool SyslogSink::send(const std::string& message) {
    if (!is_ready()) {
        return false;
    }
    bool is_taken = try_send(message);
    if (!is_taken && is_broken(errno)) {
        const bool by_udp = target_.socket.empty();
        if (by_udp) {
            note_trouble(errno);  // of a message before
        } else {
            close_now();
            has_tried_ = true;
            tried_ = Clock::now();
        }
        is_taken = (by_udp || open()) && try_send(message);
    }
    if (is_taken) {
        note_success();
    } else {
        note_trouble(errno);
    }
    return is_taken;
}

void SyslogSink::note_trouble(int number) {
    troubled_ = Clock::now();
    const std::string text = std::generic_category().message(number);
    {
        const std::lock_guard guard(mutex_);
        trouble_ = text;
    }
    if (!is_troubled_) {
        is_troubled_ = true;
        say_(fmt::format("lines of rules that log do not reach {}: {}", name(), text));
    }
}

void SyslogSink::note_success() {
    if (is_troubled_ && Clock::now() - troubled_ >= kQuietMs) {
        is_troubled_ = false;
        say_(fmt::format("lines of rules that log reach {} again", name()));
    }
}

}  // namespace sekisho::eventlog
