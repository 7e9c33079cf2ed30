#include "control/server.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace sekisho::control {

namespace {

constexpr mode_t kFolderMode = 0755;
constexpr mode_t kSocketMode = 0660;
constexpr int kBacklog = 64;

std::string reason() {
    return std::strerror(errno);
}

Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
        return failure(fmt::format(
            "the control socket's path '{}' has {} characters, wanted 1 to {}",
            path,
            path.size(),
            sizeof(address.sun_path) - 1
        ));
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

// The folder of the socket; its parents are made too.
Result<void> make_folder(const std::string& path) {
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    std::error_code error;
    if (folder.empty() || std::filesystem::is_directory(folder, error)) {
        return {};
    }
    if (!std::filesystem::create_directories(folder, error) && error) {
        return failure(fmt::format(
            "cannot make the folder {} of the control socket: {}; make it, or set "
            "control: {{socket: PATH}}",
            folder.string(),
            error.message()
        ));
    }
    chmod(folder.c_str(), kFolderMode);
    return {};
}

// Makes way for a new socket: fails if something lives at the path.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
    struct stat found {};
    if (lstat(path.c_str(), &found) != 0) {
        return {};
    }
    if (!S_ISSOCK(found.st_mode)) {
        return failure(fmt::format("{} exists and is not a socket; remove it or name another", path)
        );
    }
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int connected =
        connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    const bool refused = connected != 0 && errno == ECONNREFUSED;
    const std::string why = connected == 0 || errno == EAGAIN ? "" : ": " + reason();
    close(probe);
    if (!refused) {
        return failure(fmt::format(
            "another sekishod holds the control socket {}{}; stop it, or set control: {{socket: "
            "PATH}} "
            "to another path",
            path,
            why
        ));
    }
    if (unlink(path.c_str()) != 0) {
        return failure(fmt::format("cannot remove the stale socket {}: {}", path, reason()));
    }
    return {};
}

Result<int> listen_at(const std::string& path, const sockaddr_un& address) {
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    // On Linux the mode of the descriptor is the mode that bind() gives the file: it never stands
    // open wider.
    if (listener < 0 || fchmod(listener, kSocketMode) != 0 ||
        bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        chmod(path.c_str(), kSocketMode) != 0 || listen(listener, kBacklog) != 0) {
        const std::string why = reason();
        if (listener >= 0) {
            close(listener);
        }
        return failure(fmt::format(
            "cannot listen on the control socket {}: {}; run as a user that may write there, or "
            "set "
            "control: {{socket: PATH}}",
            path,
            why
        ));
    }
    return listener;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::create(ServerSettings settings, Methods& methods) {
    const auto address = address_of(settings.path);
    if (!address) {
        return tl::unexpected<Error>(address.error());
    }
    if (const auto made = make_folder(settings.path); !made) {
        return tl::unexpected<Error>(made.error());
    }
    if (const auto removed = remove_stale(settings.path, *address); !removed) {
        return tl::unexpected<Error>(removed.error());
    }
    const auto listener = listen_at(settings.path, *address);
    if (!listener) {
        return tl::unexpected<Error>(listener.error());
    }
    const int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake < 0) {
        const std::string why = reason();
        close(*listener);
        unlink(settings.path.c_str());
        return failure("cannot make the control thread's event descriptor: " + why);
    }
    return std::unique_ptr<Server>(new Server(std::move(settings), methods, *listener, wake));
}

Server::Server(ServerSettings settings, Methods& methods, int listener, int wake)
    : settings_(std::move(settings)), methods_(methods), listener_(listener), wake_(wake) {
    struct stat made {};
    if (lstat(settings_.path.c_str(), &made) == 0) {
        device_ = made.st_dev;
        inode_ = made.st_ino;
    }
}

Server::~Server() {
    stop();
    struct stat now {};
    if (lstat(settings_.path.c_str(), &now) == 0 && now.st_dev == device_ && now.st_ino == inode_) {
        unlink(settings_.path.c_str());
    }
    close(listener_);
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
    polled.push_back({listener_, static_cast<short>(accept_later_ ? 0 : POLLIN), 0});
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

void Server::accept_clients(SteadyTime now) {
    for (int accepted = 0; accepted < kBacklog; ++accepted) {
        const int descriptor = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0) {
            accept_later_ = errno != EAGAIN && errno != EINTR && errno != ECONNABORTED;
            return;
        }
        if (clients_.size() < settings_.max_clients) {
            clients_.push_back(std::make_unique<Connection>(descriptor, now));
            continue;
        }
        const std::string line = error_line(
            {kServerBusy,
             fmt::format("{} clients are connected already; try again later", clients_.size())}
        );
        [[maybe_unused]] const ssize_t sent =
            send(descriptor, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        close(descriptor);
    }
}

}  // namespace sekisho::control
