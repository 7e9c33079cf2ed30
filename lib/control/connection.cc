#include "control/connection.h"

#include <cerrno>

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sekisho::control {

namespace {

constexpr size_t kReadSize = 65536;

bool is_blank(std::string_view line) {
    return line.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

bool would_block() {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

}  // namespace

Connection::~Connection() {
    close(descriptor_);
}

bool Connection::wants_to_read() const {
    if (state_ == kDiscarding) {
        return true;
    }
    return state_ == kOpen && !has_line() && !exchange_ && output_.size() - sent_ < kHighWater;
}

bool Connection::has_work() const {
    const bool may_answer = state_ == kOpen || state_ == kEnded;
    return may_answer && output_.size() - sent_ < kHighWater && (exchange_ || has_line());
}

void Connection::find_line() {
    line_end_ = input_.find('\n', scanned_);
    scanned_ = has_line() ? line_end_ : input_.size();
    if (!has_line() && state_ == kEnded && !input_.empty()) {
        line_end_ = input_.size();  // the last line of a client that ends without a newline
    }
}

void Connection::refuse_long_line() {
    output_ += error_line(
        {kInvalidRequest,
         fmt::format("found a line of more than {} bytes, wanted a shorter request", kMaxLine)}
    );
    state_ = kDiscarding;
    input_.clear();
    input_.shrink_to_fit();
    line_end_ = std::string::npos;
}

void Connection::read_some(SteadyTime now) {
    char buffer[kReadSize];
    const ssize_t count = recv(descriptor_, buffer, sizeof(buffer), 0);
    if (count < 0) {
        state_ = would_block() ? state_ : kBroken;
        return;
    }
    if (state_ == kDiscarding) {
        state_ = count == 0 ? kEnded : state_;
        return;
    }
    if (count == 0) {
        state_ = kEnded;
    } else {
        if (output_.empty()) {
            last_progress_ = now;
        }
        input_.append(buffer, static_cast<size_t>(count));
    }
    find_line();
    if ((has_line() ? line_end_ : input_.size()) > kMaxLine) {
        refuse_long_line();
        last_progress_ = now;
    }
}

void Connection::answer_one(Methods& methods) {
    if (!exchange_) {
        const std::string_view line = std::string_view(input_).substr(0, line_end_);
        if (!is_blank(line)) {
            exchange_ = std::make_unique<Exchange>(line);
        }
        input_.erase(0, line_end_ + 1);
        scanned_ = 0;
        find_line();
    }
    if (exchange_) {
        output_ += exchange_->step(methods);
        if (exchange_->is_done()) {
            exchange_.reset();
        }
    }
}

void Connection::write_some(SteadyTime now) {
    const ssize_t count =
        send(descriptor_, output_.data() + sent_, output_.size() - sent_, MSG_NOSIGNAL);
    if (count < 0) {
        state_ = would_block() ? state_ : kBroken;
        return;
    }
    last_progress_ = now;
    sent_ += static_cast<size_t>(count);
    if (sent_ == output_.size()) {
        output_ = {};  // gives a long listing's memory back
        sent_ = 0;
    }
    if (state_ == kDiscarding && output_.empty() && !half_closed_) {
        shutdown(descriptor_, SHUT_WR);
        half_closed_ = true;
    }
}

bool Connection::is_over(SteadyTime now, std::chrono::milliseconds patience) const {
    if (state_ == kBroken || (is_waiting_for_client() && now - last_progress_ > patience)) {
        return true;
    }
    return state_ == kEnded && output_.empty() && !has_work();
}

}  // namespace sekisho::control
