// Connection: one client of the server: its bytes in, its requests one at a time, its bytes out.
//
//   Bounds    a line of kMaxLine bytes; about kHighWater and one reply of output: while more is
//             waiting nothing is read and nothing answered, so a client that does not read stops
//             only itself.
//   Time      a client that lets output wait without taking a byte for the server's patience is
//             closed. One that is only silent may stay.
//   End       after the client's end of file all complete requests are still answered. After a line
//             that is too long the error is sent, and what the client goes on to send is thrown
//             away until it stops or patience ends, so that it is not cut off before it has read
//             the error.
//   Thread    the server's. The descriptor is non-blocking and owned.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "control/exchange.h"
#include "control/listing.h"

namespace sekisho::control {

inline constexpr size_t kMaxLine = 1 << 20;
inline constexpr size_t kHighWater = 256 * 1024;

class Connection {
  public:
    Connection(int descriptor, SteadyTime now) : descriptor_(descriptor), last_progress_(now) {}
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    int descriptor() const { return descriptor_; }
    bool wants_to_read() const;
    bool wants_to_write() const { return !output_.empty(); }
    // A request or a part of a batch can be answered now.
    bool has_work() const;

    // Each does a bounded amount; `now` notes progress.
    void read_some(SteadyTime now);
    void answer_one(Methods& methods);
    void write_some(SteadyTime now);

    // Over, for good or ill: close it.
    bool is_over(SteadyTime now, std::chrono::milliseconds patience) const;
    // Open, with nothing asked and nothing to be told, and since when.
    bool is_idle() const { return state_ == kOpen && output_.empty() && !has_work(); }
    SteadyTime idle_since() const { return last_progress_; }
    bool is_waiting_for_client() const { return !output_.empty() || state_ == kDiscarding; }

  private:
    enum State : uint8_t { kOpen, kEnded, kDiscarding, kBroken };
    bool has_line() const { return line_end_ != std::string::npos; }
    void find_line();
    void refuse_long_line();

    int descriptor_;
    State state_ = kOpen;
    std::string input_;
    size_t scanned_ = 0;                   // no newline before it
    size_t line_end_ = std::string::npos;  // of the first line in input_
    std::unique_ptr<Exchange> exchange_;
    std::string output_;
    size_t sent_ = 0;  // of output_
    bool half_closed_ = false;
    SteadyTime last_progress_;
};

}  // namespace sekisho::control
