#include "sekisho-legacy/tool_caller.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <unistd.h>

#include "control/client.h"
#include "control/json_text.h"
#include "sekisho-legacy/output.h"

namespace sekisho::old {
namespace {

using control::Document;
using control::Json;

constexpr int kRefused = 1;
constexpr size_t kMostNames = 64;  // of hosts, in a command

bool is_utf8(const std::string& text) {
    const Document back = Document::parse(control::to_line(Document(text)), nullptr, false);
    return back.is_string() && back.get_ref<const std::string&>() == text;
}

// All of standard input; nothing: it is too long, or cannot be read.
std::optional<std::string> read_input() {
    std::string text;
    char buffer[65536];
    ssize_t count = 0;
    while ((count = read(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
        text.append(buffer, static_cast<size_t>(count));
        if (text.size() > kMaxInput) {
            return std::nullopt;
        }
    }
    return count == 0 ? std::optional(std::move(text)) : std::nullopt;
}

// A line of /etc/hosts for each of its addresses; empty: nobody knows it.
std::string look_up(const std::string& name) {
    addrinfo hints{};
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* first = nullptr;
    if (getaddrinfo(name.c_str(), nullptr, &hints, &first) != 0) {
        return "";
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(first, freeaddrinfo);
    std::string lines;
    for (const addrinfo* each = first; each != nullptr; each = each->ai_next) {
        sockaddr_in address{};
        std::copy_n(
            reinterpret_cast<const char*>(each->ai_addr),
            sizeof address,
            reinterpret_cast<char*>(&address)
        );
        char text[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
        lines += fmt::format("{} {}\n", text, name);
    }
    return lines;
}

// Asks, and again with what was looked up meanwhile.
class Conversation {
  public:
    Conversation(control::Client& client, Json params)
        : client_(client), params_(std::move(params)) {}

    tl::expected<Document, control::CallError> ask() {
        auto answer = client_.call("legacy.command", params_);
        while (answer && look_up_all(*answer)) {
            params_["hosts"] = hosts_;
            answer = client_.call("legacy.command", params_);
        }
        return answer;
    }

  private:
    // Whether anything is known now that was not.
    bool look_up_all(const Document& answer) {
        bool is_known = false;
        const auto unknown = answer.find("unknown-hosts");
        const bool has_some = unknown != answer.end() && unknown->is_array();
        for (const Document& name : has_some ? *unknown : Document::array()) {
            is_known |= name.is_string() && look_up_once(name.get<std::string>());
        }
        return is_known;
    }

    bool look_up_once(const std::string& name) {
        if (asked_.size() == kMostNames || !asked_.insert(name).second) {
            return false;
        }
        const std::string lines = look_up(name);
        hosts_ += lines;
        return !lines.empty();
    }

    control::Client& client_;
    Json params_;
    std::set<std::string> asked_;
    std::string hosts_;
};

int refuse(const std::string& tool, const std::string& sentence) {
    complain(tool, sentence);
    return kRefused;
}

std::string text_of(const Document& said, const char* key) {
    const auto found = said.find(key);
    return found != said.end() && found->is_string() ? found->get<std::string>() : "";
}

Result<legacy::Answer> answer_of(const Document& said) {
    const auto status = said.find("status");
    if (status == said.end() || !status->is_number_integer()) {
        return failure("what answers on the socket knows no tools of earlier packet filters");
    }
    return legacy::Answer{text_of(said, "out"), text_of(said, "err"), status->get<int>()};
}

}  // namespace

Result<control::Client*> ToolCaller::client() {
    if (client_ == nullptr) {
        auto connected = control::Client::connect(socket_);
        if (!connected) {
            return tl::unexpected(connected.error());
        }
        client_ = std::make_unique<control::Client>(std::move(*connected));
    }
    return client_.get();
}

Result<legacy::Answer> ToolCaller::ask(const legacy::ToolCall& call) {
    for (const std::string& word : call.words) {
        if (!is_utf8(word)) {
            return failure(fmt::format("the argument '{}' is not UTF-8", word));
        }
    }
    if (!is_utf8(call.input)) {
        return failure("standard input is not UTF-8");
    }
    Json params = {{"tool", call.tool}, {"words", call.words}};
    if (!call.input.empty()) {
        params["input"] = call.input;
    }
    if (!place_.empty()) {
        params["place"] = place_;
    }
    const auto connected = client();
    if (!connected) {
        return tl::unexpected(connected.error());
    }
    const auto said = Conversation(**connected, std::move(params)).ask();
    return said ? answer_of(*said) : failure(said.error().message);
}

Result<legacy::Answer> ToolCaller::ask_own(const legacy::Words& words) {
    auto answer = ask({std::string(legacy::kOwnTool), words, ""});
    if (answer && answer->status != 0) {
        answer->err.erase(answer->err.find_last_not_of('\n') + 1);
        return failure(answer->err);
    }
    return answer;
}

int ToolCaller::call(const std::string& tool, const std::vector<std::string>& words) {
    legacy::ToolCall call{tool, words, ""};
    if (legacy::reads_input(tool)) {
        auto input = read_input();
        if (!input) {
            return refuse(
                tool, fmt::format("standard input: wanted at most {} KiB", kMaxInput >> 10)
            );
        }
        call.input = std::move(*input);
    }
    const auto answer = ask(call);
    if (!answer) {
        return refuse(tool, answer.error().message);
    }
    const bool is_whole = print(answer->out);
    print_error(answer->err);
    return is_whole ? answer->status : refuse(tool, "the output could not be written");
}

}  // namespace sekisho::old
