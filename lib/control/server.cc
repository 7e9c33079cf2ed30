#include "control/server.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <tuple>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sekisho::control {

namespace {

constexpr int kAcceptsPerRound = 64;
constexpr int kFullRounds = 3;  // until the last word and the end of who has left are read

// To one who is closed for want of room.
void tell_busy(int descriptor, const std::string& sentence) {
    const std::string line = error_line({kServerBusy, sentence});
    [[maybe_unused]] const ssize_t sent =
        send(descriptor, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

Result<std::unique_ptr<Server>> Server::create(ServerSettings settings, Methods& methods) {
    auto claim = SocketClaim::take(settings.path);
    if (!claim) {
        return tl::unexpected<Error>(claim.error());
    }
    return create(std::move(*claim), std::move(settings), methods);
}

Result<std::unique_ptr<Server>> Server::create(
    SocketClaim claim, ServerSettings settings, Methods& methods
) {
    const int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake < 0) {
        return failure(fmt::format(
            "cannot make the control thread's event descriptor: {}", std::strerror(errno)
        ));
    }
    settings.path = claim.path();
    return std::unique_ptr<Server>(new Server(std::move(claim), std::move(settings), methods, wake)
    );
}

Server::Server(SocketClaim claim, ServerSettings settings, Methods& methods, int wake)
    : claim_(std::move(claim)), settings_(std::move(settings)), methods_(methods), wake_(wake) {}

Server::~Server() {
    stop();
    close(wake_);
}

void Server::start() {
    thread_ = std::thread([this] { run(); });
}

void Server::request_stop() {
    stopping_.store(true, std::memory_order_relaxed);
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
}

void Server::stop() {
    request_stop();
    if (thread_.joinable()) {
        thread_.join();
    }
    clients_.clear();
}

void Server::run() {
    while (!stopping_.load(std::memory_order_relaxed)) {
        round();
    }
}

// Milliseconds that poll may sleep.
int Server::wait_time() const {
    constexpr int kLookAgain = 200;
    bool waits = accept_later_;
    for (const auto& client : clients_) {
        if (client->has_work()) {
            return 0;
        }
        waits = waits || client->is_waiting_for_client();
    }
    return waits ? kLookAgain : -1;
}

void Server::round() {
    std::vector<pollfd> polled;
    polled.push_back({wake_, POLLIN, 0});
    polled.push_back({claim_.listener(), static_cast<short>(accept_later_ ? 0 : POLLIN), 0});
    for (const auto& client : clients_) {
        const int events =
            (client->wants_to_read() ? POLLIN : 0) | (client->wants_to_write() ? POLLOUT : 0);
        polled.push_back({client->descriptor(), static_cast<short>(events), 0});
    }
    poll(polled.data(), polled.size(), wait_time());
    const SteadyTime now = std::chrono::steady_clock::now();
    for (size_t i = 0; i < clients_.size(); ++i) {
        serve(*clients_[i], polled[i + 2].revents, now);
    }
    std::erase_if(clients_, [&](const auto& client) {
        return client->is_over(now, settings_.patience);
    });
    accept_later_ = false;
    if ((polled[1].revents & POLLIN) != 0) {
        accept_clients(now);
    }
    client_count_.store(clients_.size(), std::memory_order_relaxed);
}

void Server::serve(Connection& client, short events, SteadyTime now) {
    const bool gone = (events & (POLLHUP | POLLERR)) != 0;
    if ((events & POLLIN) != 0 || (gone && client.wants_to_read())) {
        client.read_some(now);
    }
    if (client.has_work()) {
        client.answer_one(methods_);
    }
    if (client.wants_to_write()) {
        client.write_some(now);
    }
}

void Server::end_idle_client(SteadyTime now) {
    const auto waits_longer = [](const auto& a, const auto& b) {
        return std::tuple(!a->is_idle(), a->idle_since()) <
               std::tuple(!b->is_idle(), b->idle_since());
    };
    const auto idlest = std::ranges::min_element(clients_, waits_longer);
    if ((*idlest)->is_idle() && now - (*idlest)->idle_since() > settings_.patience) {
        tell_busy(
            (*idlest)->descriptor(), "closed: another client needed the place of an idle one"
        );
        clients_.erase(idlest);
    }
}

void Server::accept_clients(SteadyTime now) {
    for (int accepted = 0; accepted < kAcceptsPerRound; ++accepted) {
        full_rounds_ = is_full() ? full_rounds_ + 1 : 0;
        if (is_full() && full_rounds_ < kFullRounds) {
            return;
        }
        const int descriptor =
            accept4(claim_.listener(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0) {
            full_rounds_ = 0;
            accept_later_ = errno != EAGAIN && errno != EINTR && errno != ECONNABORTED;
            return;
        }
        if (is_full()) {
            end_idle_client(now);
        }
        if (!is_full()) {
            clients_.push_back(std::make_unique<Connection>(descriptor, now));
            continue;
        }
        tell_busy(
            descriptor,
            fmt::format("{} clients are connected already; try again later", clients_.size())
        );
        close(descriptor);
    }
}

}  // namespace sekisho::control
