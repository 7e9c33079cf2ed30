#include "control/client.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/json_text.h"

namespace sekisho::control {

namespace {

tl::unexpected<CallError> unreachable(std::string message) {
    return tl::unexpected<CallError>(CallError{CallError::kUnreachable, std::move(message)});
}

std::string advice(const std::string& path, int error) {
    switch (error) {
        case ENOENT:
        case ECONNREFUSED:
            return fmt::format(
                "no sekishod answers at {}; start it with 'sekishod --config FILE', or name its "
                "socket with --socket PATH or SEKISHO_SOCKET",
                path
            );
        case EACCES:
            return fmt::format(
                "{} may not be opened by this user; use sudo, or join the group that owns it", path
            );
        case EAGAIN:
            return fmt::format(
                "the sekishod at {} takes no more connections; is its process stopped?", path
            );
        default:
            return fmt::format(
                "cannot connect to {}: {}; is sekishod running?", path, std::strerror(error)
            );
    }
}

}  // namespace

Result<Client> Client::connect(const std::string& path, Patience patience) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
        return failure(fmt::format(
            "the socket path '{}' has {} characters, wanted 1 to {}",
            printable(path),
            path.size(),
            sizeof(address.sun_path) - 1
        ));
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    Client client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), patience);
    const auto limit = patience.limit.count();
    const timeval longest{limit / 1000, limit % 1000 * 1000};  // to connect and to send
    setsockopt(client.descriptor_, SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof(longest));
    if (::connect(
            client.descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)
        ) != 0) {
        return failure(advice(printable(path), errno));
    }
    return client;
}

Client::~Client() {
    if (descriptor_ >= 0) {
        close(descriptor_);
    }
}

Client::Client(Client&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      patience_(other.patience_),
      on_silence_(std::move(other.on_silence_)),
      told_(other.told_),
      input_(std::move(other.input_)),
      last_id_(other.last_id_) {}

Client& Client::operator=(Client&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(patience_, other.patience_);
    std::swap(on_silence_, other.on_silence_);
    std::swap(told_, other.told_);
    std::swap(input_, other.input_);
    std::swap(last_id_, other.last_id_);
    return *this;
}

bool Client::send_line(const std::string& line) {
    for (size_t sent = 0; sent < line.size();) {
        const ssize_t count =
            send(descriptor_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR) {
            return false;
        }
        sent += count > 0 ? static_cast<size_t>(count) : 0;
    }
    return true;
}

// False, with errno: ETIMEDOUT if the server has been silent for too long, EINTR after Ctrl-C.
bool Client::wait_for_input() {
    pollfd polled{descriptor_, POLLIN, 0};
    auto left = patience_.limit;
    if (!told_ && on_silence_ && patience_.notice < left) {
        const int ready = poll(&polled, 1, static_cast<int>(patience_.notice.count()));
        if (ready != 0) {
            return ready > 0;
        }
        told_ = true;
        on_silence_();
        left -= patience_.notice;
    }
    const int ready = poll(&polled, 1, static_cast<int>(left.count()));
    if (ready == 0) {
        errno = ETIMEDOUT;
    }
    return ready > 0;
}

tl::expected<std::string, CallError> Client::receive_line() {
    size_t scanned = 0;
    while (true) {
        const size_t end = input_.find('\n', scanned);
        if (end != std::string::npos) {
            std::string line = input_.substr(0, end);
            input_.erase(0, end + 1);
            return line;
        }
        scanned = input_.size();
        if (scanned > kMaxReply) {
            return unreachable("the appliance's answer is too long; ask for a smaller page");
        }
        char buffer[65536];
        const ssize_t count =
            wait_for_input() ? recv(descriptor_, buffer, sizeof(buffer), 0) : ssize_t{-1};
        if (count == 0 || (count < 0 && errno == ECONNRESET)) {
            return unreachable("the appliance closed the connection before it had answered");
        }
        if (count < 0 && errno == EINTR) {
            return unreachable("interrupted");
        }
        if (count < 0) {
            return unreachable(fmt::format(
                "sekishod has been silent for {} s; is its process stopped, or its machine short "
                "of processor time?",
                std::chrono::duration<double>(patience_.limit).count()
            ));
        }
        input_.append(buffer, static_cast<size_t>(count));
    }
}

tl::expected<Document, CallError> Client::call(const std::string& method, const Json& params) {
    Document request = {{"jsonrpc", "2.0"}, {"id", ++last_id_}, {"method", method}};
    if (!params.empty()) {
        request["params"] = Document(params);
    }
    // A server that is full says so and closes before it reads: then sending fails, but its
    // sentence is there.
    told_ = false;
    send_line(to_line(request) + "\n");
    const auto line = receive_line();
    if (!line) {
        return tl::unexpected<CallError>(line.error());
    }
    Document reply = Document::parse(*line, nullptr, false);
    if (!reply.is_object()) {
        return unreachable("what answers on the socket does not speak JSON-RPC");
    }
    if (const auto error = reply.find("error"); error != reply.end()) {
        const bool told =
            error->is_object() && error->contains("message") && error->at("message").is_string();
        std::string message = told ? error->at("message").get<std::string>() : "an unknown error";
        return tl::unexpected<CallError>(CallError{CallError::kRefused, std::move(message)});
    }
    const auto id = reply.find("id");
    const auto result = reply.find("result");
    if (result == reply.end() || id == reply.end() || *id != last_id_) {
        return unreachable("what answers on the socket does not answer the request");
    }
    return std::move(*result);
}

}  // namespace sekisho::control
