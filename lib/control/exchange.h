// Exchange: one line of a client and the reply to it, made request by request.
//
//   Why       a line may be a batch. A step answers one request of it, so that the server can serve
//             other clients between two steps and never holds more than one reply of a batch in
//             memory.
//   Framing   a reply is one line, ended by a newline; pieces of a batch's reply follow each other
//             on it. Notifications alone are answered by nothing.
//   Bounds    a batch has at most kMaxBatch requests. Source: JSON-RPC 2.0.
#pragma once

#include <string>
#include <string_view>

#include "control/methods.h"

namespace sekisho::control {

inline constexpr size_t kMaxBatch = 100;

class Exchange {
  public:
    explicit Exchange(std::string_view line);

    bool is_done() const { return done_; }
    // Answers the next request; returns the text to send, which may be empty. Call until is_done().
    std::string step(Methods& methods);

  private:
    Json requests_;  // always an array; of one unless batch_
    size_t next_ = 0;
    bool batch_ = false;
    bool replied_ = false;
    bool done_ = false;
    std::string refusal_;  // the whole reply, if the line itself was refused
};

// The whole reply to a line, with its newline; empty if none is due. For tests and the fuzzer.
std::string answer(std::string_view line, Methods& methods);

// A reply without request: {"jsonrpc":"2.0","id":null,"error":{...}} and a newline.
std::string error_line(const RpcError& error);

}  // namespace sekisho::control
