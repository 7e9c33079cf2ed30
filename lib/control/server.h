// Server: JSON-RPC 2.0 over a Unix stream socket, one request or reply a line. The only way into
// the appliance.
//
//   Thread    one, its own (start, stop) or the caller's (run). Methods are called on it alone.
//   Fairness  in each round every client may read, answer one request and write, once, and never
//             waits; so a client that hangs, floods or lists a million sessions costs the others
//             one bounded step a round (connection.h).
//   Room      where max_clients are connected, one more takes the place of the client that has been idle longest, beyond
//             the server's patience; without one it is refused. Clients that hang lock nobody out.
//   Errors    one sentence each, to who is refused or has to make room, too; both are closed then.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "control/connection.h"
#include "control/socket_claim.h"

namespace sekisho::control {

struct ServerSettings {
    std::string path;
    unsigned max_clients = 64;
    // With a client that does not read; and with an idle one whose place another needs.
    std::chrono::milliseconds patience{10000};
};

class Server {
  public:
    // Serves on the socket of `claim`, whose path stands for that of `settings`. `methods` outlives
    // the server.
    static Result<std::unique_ptr<Server>> create(
        SocketClaim claim, ServerSettings settings, Methods& methods
    );
    // Claims settings.path (socket_claim.h) and serves on it.
    static Result<std::unique_ptr<Server>> create(ServerSettings settings, Methods& methods);
    ~Server();  // stop(), and gives the claim back
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    void start();  // a thread that runs until stop()
    void stop();   // ends it and closes all clients; may be called twice
    // The same on the caller's thread: returns after stop() is called from another thread or a
    // signal handler.
    void run();
    void request_stop();  // async-signal-safe
    size_t clients() const { return client_count_.load(std::memory_order_relaxed); }

  private:
    Server(SocketClaim claim, ServerSettings settings, Methods& methods, int wake);
    void round();
    int wait_time() const;
    void accept_clients(SteadyTime now);
    void end_idle_client(SteadyTime now);
    bool is_full() const { return clients_.size() >= settings_.max_clients; }
    void serve(Connection& client, short events, SteadyTime now);

    SocketClaim claim_;
    ServerSettings settings_;
    Methods& methods_;
    int wake_;  // an eventfd that says stop
    std::vector<std::unique_ptr<Connection>> clients_;
    std::atomic<size_t> client_count_{0};
    std::atomic<bool> stopping_{false};
    int full_rounds_ = 0;        // that newcomers have waited for those who have left
    bool accept_later_ = false;  // out of descriptors: the listener rests for a round
    std::thread thread_;
};

}  // namespace sekisho::control
