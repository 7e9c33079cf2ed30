// Client: the other end of the control socket, for the CLI and whatever else asks the appliance.
// Blocking.
//
//   Errors    CallError: the appliance's own refusal, or that it cannot be reached or does not
//             answer; a sentence either way.
//   Bounds    gives up when nothing has come for Patience::limit; a reply has at most kMaxReply
//             bytes.
//   Thread    one at a time.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/result.h"
#include "control/rpc_error.h"

namespace sekisho::control {

struct Patience {  // with a server that is silent
    std::chrono::milliseconds notice{2000};
    std::chrono::milliseconds limit{10000};
};
inline constexpr size_t kMaxReply = size_t{64} << 20;

struct CallError {
    enum Kind : uint8_t { kRefused, kUnreachable } kind = kUnreachable;
    std::string message;
};

class Client {
  public:
    // The error says what is wrong with the socket and how to start what should answer there.
    static Result<Client> connect(const std::string& path, Patience patience = {});
    ~Client();
    Client(Client&& other) noexcept;
    Client& operator=(Client&& other) noexcept;

    // Called once a call, when it has heard nothing for Patience::notice.
    void on_silence(std::function<void()> told) { on_silence_ = std::move(told); }

    // One request, one reply: its result.
    tl::expected<Document, CallError> call(const std::string& method, const Json& params);

  private:
    Client(int descriptor, Patience patience) : descriptor_(descriptor), patience_(patience) {}
    bool send_line(const std::string& line);
    tl::expected<std::string, CallError> receive_line();
    bool wait_for_input();

    int descriptor_;
    Patience patience_;
    std::function<void()> on_silence_;
    bool told_ = false;
    std::string input_;
    uint64_t last_id_ = 0;
};

}  // namespace sekisho::control
