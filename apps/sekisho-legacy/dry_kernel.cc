#include "sekisho-legacy/dry_kernel.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/pool_with.h"
#include "config/read_file.h"
#include "control/connection.h"
#include "control/json_text.h"

namespace sekisho::old {
namespace {

using control::Document;
using control::Json;

constexpr int kAWhile = 50;  // milliseconds

legacy::Links links_of(const config::Config& config) {
    legacy::Links links;
    for (const config::LinkSettings& settings : config.links) {
        legacy::Link link{settings.name, LinkId{static_cast<uint8_t>(links.size())}, {}};
        for (const config::InterfaceAddress& own : settings.addresses) {
            link.addresses.push_back(own.address);
        }
        links.push_back(std::move(link));
    }
    return links;
}

std::string text_of(const char* path) {
    return config::read_regular_file(path, size_t{1} << 20).value_or("");
}

Document reply_of(
    const Json& id, const legacy::Answer& answer, const std::vector<std::string>& unknown
) {
    Document result = {{"out", answer.out}, {"err", answer.err}, {"status", answer.status}};
    result["unknown-hosts"] = unknown;
    return {{"jsonrpc", "2.0"}, {"id", Document(id)}, {"result", std::move(result)}};
}

}  // namespace

DryKernel::DryKernel(const config::Config& config)
    : machine_{
          names_, links_of(config), {}, {}, [&config](const auto& addresses, const auto& ports) {
              return config::pool_with(config, addresses, ports);
          }} {
    names_.read_services(text_of("/etc/services"));
    names_.read_protocols(text_of("/etc/protocols"));
    names_.read_networks(text_of("/etc/networks"));
    names_.read_hosts(text_of("/etc/hosts"));
    const nat::TimeoutSettings& timeouts = config.nat.timeouts;
    kernel_.set_tracking(
        {config.nat.limits.sessions, {timeouts.tcp_established, timeouts.tcp_closing, timeouts.udp}}
    );
}

DryKernel::~DryKernel() {
    if (listener_ >= 0) {
        close(listener_);
    }
}

std::string DryKernel::settings() {
    return kernel_.run({std::string(legacy::kOwnTool), {"settings"}, ""}, machine_).out;
}

void DryKernel::write_settings(const std::map<std::string, std::string>& settings) {
    const std::string known = "\n" + this->settings();
    for (const auto& [path, value] : settings) {
        if (known.find(fmt::format("\n{}\t{}\n", path, value)) != std::string::npos) {
            continue;
        }
        DryCall call{"", {std::string(legacy::kOwnTool), {"set", path, value}, ""}, {}};
        call.answer = kernel_.run(call.call, machine_);
        calls_.push_back(std::move(call));
    }
}

Result<void> DryKernel::listen(const std::string& path) {
    constexpr int kBacklog = 64;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool is_open =
        listener_ >= 0 &&
        bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
        ::listen(listener_, kBacklog) == 0;
    return is_open ? Result<void>{} : failure(fmt::format("{}: {}", path, std::strerror(errno)));
}

void DryKernel::serve_for_a_while() {
    pollfd polled{listener_, POLLIN, 0};
    if (poll(&polled, 1, kAWhile) <= 0) {
        return;
    }
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client >= 0) {
        serve_client(client);
        close(client);
    }
}

// One client at a time: a tool asks, is answered, and ends.
void DryKernel::serve_client(int client) {
    std::string input;
    char buffer[65536];
    for (ssize_t count = 0; (count = read(client, buffer, sizeof buffer)) > 0;) {
        input.append(buffer, static_cast<size_t>(count));
        if (input.size() > control::kMaxLine || !answer_lines(input, client)) {
            return;
        }
    }
}

// Takes the whole lines from what has come. False: nobody reads the answers.
bool DryKernel::answer_lines(std::string& input, int client) {
    for (size_t end = 0; (end = input.find('\n')) != std::string::npos;) {
        const std::string line = answer_line(input.substr(0, end));
        input.erase(0, end + 1);
        if (send(client, line.data(), line.size(), MSG_NOSIGNAL) < 0) {
            return false;
        }
    }
    return true;
}

std::string DryKernel::answer_line(const std::string& line) {
    const auto request = control::parse_json(line);
    if (!request || !request->is_object() || !request->contains("params")) {
        return "\n";
    }
    const Json& params = request->at("params");
    DryCall asked;
    asked.place = params.value("place", "");
    asked.call.tool = params.value("tool", "");
    asked.call.words = params.value("words", legacy::Words{});
    asked.call.input = params.value("input", "");
    const legacy::AskedNames names(names_, params.value("hosts", ""));
    legacy::Machine machine{names, machine_.links, {}, {}, machine_.pool_of};
    asked.answer = kernel_.run(asked.call, machine);
    const Json id = request->value("id", Json());
    std::string reply = control::to_line(reply_of(id, asked.answer, names.unknown())) + "\n";
    // Who did not know a name asks again.
    if (params.contains("hosts") && !calls_.empty()) {
        calls_.pop_back();
    }
    calls_.push_back(std::move(asked));
    return reply;
}

}  // namespace sekisho::old
