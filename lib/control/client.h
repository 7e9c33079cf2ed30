// Client: the other end of the control socket, for the CLI and whatever else asks the appliance.
// Blocking.
//
//   Errors    CallError: the appliance's own refusal, or that it cannot be reached or does not
//   answer; a sentence either way. Bounds    waits kAnswerPatience for a reply; a reply has at most
//   kMaxReply bytes. Thread    one at a time.
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "control/rpc_error.h"

namespace sekisho::control {

inline constexpr std::chrono::seconds kAnswerPatience{60};
inline constexpr size_t kMaxReply = size_t{64} << 20;

struct CallError {
    enum Kind : uint8_t { kRefused, kUnreachable } kind = kUnreachable;
    std::string message;
};

class Client {
  public:
    // The error says what is wrong with the socket and how to start what should answer there.
    static Result<Client> connect(const std::string& path);
    ~Client();
    Client(Client&& other) noexcept;
    Client& operator=(Client&& other) noexcept;

    // One request, one reply: its result.
    tl::expected<Document, CallError> call(const std::string& method, const Json& params);

  private:
    explicit Client(int descriptor) : descriptor_(descriptor) {}
    bool send_line(const std::string& line);
    tl::expected<std::string, CallError> receive_line();

    int descriptor_;
    std::string input_;
    uint64_t last_id_ = 0;
};

}  // namespace sekisho::control
