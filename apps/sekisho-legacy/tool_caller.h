// ToolCaller: asks sekishod what a tool does, and has a tool print and end as it says.
//
//   Input     of the tools that read it; at most kMaxInput bytes.
//   Names     of hosts that sekishod does not know are looked up here, and it is asked again: it waits for no name server.
//   Errors    a sentence: nobody answers, or what was asked cannot be said.
//   Thread    the main thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/client.h"
#include "legacy/kernel.h"

namespace sekisho::old {

inline constexpr size_t kMaxInput =
    size_t{900} << 10;  // with its ends of lines escaped it fits in a line of the control socket

class ToolCaller {
  public:
    explicit ToolCaller(std::string socket) : socket_(std::move(socket)) {}
    const std::string& socket() const { return socket_; }
    // Where in a script it is called; of nothing but a dry kernel's interest.
    void set_place(std::string place) { place_ = std::move(place); }

    Result<legacy::Answer> ask(const legacy::ToolCall& call);
    // Of our own tool.
    Result<legacy::Answer> ask_own(const legacy::Words& words);
    // Reads the input that the tool reads, and prints. Returns the status to end with.
    int call(const std::string& tool, const std::vector<std::string>& words);

  private:
    Result<control::Client*> client();

    std::string socket_;
    std::string place_;
    std::unique_ptr<control::Client> client_;  // empty: not connected yet
};

}  // namespace sekisho::old
