// SyslogSink: where syslog messages go: a Unix socket of datagrams, or UDP (RFC 5426), one message a datagram.
//
//   Waits     never: what the other end does not take at once is lost, and send() says so. A local daemon that was restarted is
//             connected to again, kRetryMs after the last attempt at the earliest.
//   Errors    trouble() says what was wrong last; `say` is told a line when it begins, and one when kQuietMs have passed without.
//             By UDP a message counts as sent when it has left; that nobody listens is told where the other host says so.
//   Thread    send() by one thread; trouble() by anybody.
//   Source    RFC 5424, RFC 5426.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "base/types.h"

namespace sekisho::eventlog {

class SyslogSink {
  public:
    static constexpr std::chrono::milliseconds kRetryMs{200};
    static constexpr std::chrono::milliseconds kQuietMs{10'000};
    using Clock = std::chrono::steady_clock;

    struct Target {
        std::string socket{};  // empty: by UDP
        Ipv4Addr address{};
        uint16_t port = 0;
    };
    SyslogSink(Target target, std::function<void(const std::string&)> say);
    ~SyslogSink();
    SyslogSink(const SyslogSink&) = delete;
    SyslogSink& operator=(const SyslogSink&) = delete;

    // Whether it was taken.
    bool send(const std::string& message);
    // As an operator reads it: "/dev/log", "192.0.2.1:514".
    std::string name() const;
    // Empty: there was none.
    std::string trouble() const;

  private:
    bool is_ready();
    bool open();
    void close_now();
    bool try_send(const std::string& message);
    void note_trouble(int number);
    void note_success();

    Target target_;
    std::function<void(const std::string&)> say_;
    int socket_ = -1;
    bool has_tried_ = false;
    bool is_troubled_ = false;
    Clock::time_point tried_{};     // to connect
    Clock::time_point troubled_{};  // last
    mutable std::mutex mutex_;
    std::string trouble_;
};

}  // namespace sekisho::eventlog
