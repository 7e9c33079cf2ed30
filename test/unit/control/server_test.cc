// The server over a real socket, and clients of every kind of manners.
#include "control/server.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include <catch2/catch.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/client.h"
#include "fake_inspector.h"

using namespace sekisho;
using namespace std::chrono_literals;
using control::Json;

namespace {

// A folder of its own, removed at the end.
struct Folder {
    Folder() {
        char name[] = "/tmp/sekisho-control-XXXXXX";
        path = mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string path;
};

struct Rig {
    explicit Rig(unsigned max_clients = 64, std::chrono::milliseconds patience = 10000ms) {
        auto made = control::Server::create({path(), max_clients, patience}, methods);
        INFO((made ? "" : made.error().message));
        REQUIRE(made);
        server = std::move(*made);
        server->start();
    }
    std::string path() const { return folder.path + "/run/sekisho.sock"; }

    Folder folder;
    config::Config config = test::small_config();
    test::FakeInspector inspector{config};
    control::Methods methods{inspector, config};
    std::unique_ptr<control::Server> server;
};

// A client that does just what it is told.
class RawClient {
  public:
    explicit RawClient(const std::string& path) : socket_(socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::copy(path.begin(), path.end(), address.sun_path);
        REQUIRE(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
        const timeval patience{10, 0};
        setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    }
    ~RawClient() { close(socket_); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    // False: the other side has closed, or takes no more.
    bool send(std::string_view text) {
        while (!text.empty()) {
            const ssize_t count = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
            if (count <= 0) {
                return false;
            }
            text.remove_prefix(static_cast<size_t>(count));
        }
        return true;
    }
    // The next line without its newline; empty at the end.
    std::string line() {
        while (input_.find('\n') == std::string::npos) {
            char buffer[65536];
            const ssize_t count = recv(socket_, buffer, sizeof(buffer), 0);
            if (count <= 0) {
                return "";
            }
            input_.append(buffer, static_cast<size_t>(count));
        }
        const size_t end = input_.find('\n');
        const std::string out = input_.substr(0, end);
        input_.erase(0, end + 1);
        return out;
    }
    bool is_closed_by_peer() {
        char byte;
        return recv(socket_, &byte, 1, 0) <= 0;
    }
    void end_sending() { shutdown(socket_, SHUT_WR); }
    // How many bytes have come and were not read.
    size_t waiting() const {
        pollfd polled{socket_, POLLIN, 0};
        return poll(&polled, 1, 0) > 0 ? 1 : 0;
    }

  private:
    int socket_;
    std::string input_;
};

std::string request(int id, const std::string& method, const std::string& params = "{}") {
    return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":")" + method +
           R"(","params":)" + params + "}\n";
}

constexpr const char* kLongPage = R"({"limit":10000})";

template <class Condition>
bool eventually(Condition condition) {
    for (int i = 0; i < 6000; ++i) {  // a minute: a busy machine under a sanitizer takes its time
        if (condition()) {
            return true;
        }
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

}  // namespace

TEST_CASE("the socket stands in a folder made for it, with mode 0660", "[control][server]") {
    Rig rig;
    struct stat info {};
    REQUIRE(stat(rig.path().c_str(), &info) == 0);
    REQUIRE(S_ISSOCK(info.st_mode));
    REQUIRE((info.st_mode & 0777) == 0660);
    REQUIRE(stat((rig.folder.path + "/run").c_str(), &info) == 0);
    REQUIRE((info.st_mode & 0777) == 0755);
    rig.server.reset();
    REQUIRE_FALSE(std::filesystem::exists(rig.path()));
}

TEST_CASE("a second server at the same path is refused with a sentence", "[control][server]") {
    Rig rig;
    const auto second = control::Server::create({rig.path()}, rig.methods);
    REQUIRE_FALSE(second);
    REQUIRE(second.error().message.find("another sekishod holds the control socket") == 0);
    RawClient client(rig.path());  // the first goes on
    client.send(request(1, "show.status"));
    REQUIRE(Json::parse(client.line()).at("id") == 1);
}

TEST_CASE("a stale socket is replaced, anything else is left alone", "[control][server]") {
    Folder folder;
    config::Config config = test::small_config();
    test::FakeInspector inspector{config};
    control::Methods methods{inspector, config};
    const std::string path = folder.path + "/s.sock";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    const int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(bind(dead, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    close(dead);
    REQUIRE(control::Server::create({path}, methods));

    std::ofstream(path) << "precious";
    const auto refused = control::Server::create({path}, methods);
    REQUIRE_FALSE(refused);
    REQUIRE(refused.error().message.find("is not a socket") != std::string::npos);
    REQUIRE(std::filesystem::file_size(path) == 8);

    REQUIRE_FALSE(control::Server::create({std::string(200, 'x')}, methods));
    REQUIRE_FALSE(control::Server::create({path + "/below/a/file"}, methods));
}

TEST_CASE(
    "the control socket is claimed once, whatever happens to its files", "[control][server]"
) {
    Folder folder;
    const std::string path = folder.path + "/s.sock";
    {
        auto claim = control::SocketClaim::take(path);
        REQUIRE(claim);
        REQUIRE(std::filesystem::exists(path + ".lock"));
        SECTION("with both files in place") {}
        SECTION("with the socket file deleted") {
            std::filesystem::remove(path);
        }
        const auto second = control::SocketClaim::take(path);
        REQUIRE_FALSE(second);
        REQUIRE(second.error().message.find("another sekishod holds the control socket") == 0);
        REQUIRE(std::filesystem::exists(path + ".lock"));
    }
    REQUIRE(std::filesystem::is_empty(folder.path));
    std::ofstream(path + ".lock") << "";  // left behind by one that was killed
    REQUIRE(control::SocketClaim::take(path));
    REQUIRE(std::filesystem::is_empty(folder.path));
}

TEST_CASE("a failed claim gives the lock back and leaves what it found", "[control][server]") {
    Folder folder;
    const std::string path = folder.path + "/s.sock";
    std::ofstream(path) << "precious";
    REQUIRE_FALSE(control::SocketClaim::take(path));
    REQUIRE(std::filesystem::file_size(path) == 8);
    std::filesystem::remove(path);
    REQUIRE(control::SocketClaim::take(path));
    std::filesystem::create_symlink(folder.path + "/elsewhere", path + ".lock");
    const auto refused = control::SocketClaim::take(path);
    REQUIRE_FALSE(refused);
    REQUIRE(refused.error().message.find("lock file") != std::string::npos);
    REQUIRE_FALSE(std::filesystem::exists(folder.path + "/elsewhere"));
}

TEST_CASE("a client that came before the server is answered by it", "[control][server]") {
    Rig rig;
    auto claim = control::SocketClaim::take(rig.folder.path + "/early.sock");
    REQUIRE(claim);
    RawClient client(claim->path());
    client.send(request(1, "show.status"));
    auto server = control::Server::create(std::move(*claim), {}, rig.methods);
    REQUIRE(server);
    (*server)->start();
    REQUIRE(Json::parse(client.line()).at("id") == 1);
}

TEST_CASE("a client says when its server is silent, and gives up in the end", "[control][client]") {
    Folder folder;
    const auto claim = control::SocketClaim::take(folder.path + "/s.sock");  // none answers on it
    REQUIRE(claim);
    auto client = control::Client::connect(claim->path(), {20ms, 60ms});
    REQUIRE(client);
    int told = 0;
    client->on_silence([&] { ++told; });
    const auto result = client->call("show.status", Json::object());
    REQUIRE_FALSE(result);
    REQUIRE(result.error().kind == control::CallError::kUnreachable);
    REQUIRE(result.error().message.find("sekishod has been silent for 0.06 s") == 0);
    REQUIRE(told == 1);
}

TEST_CASE("a client whose server answers in time hears of no silence", "[control][client]") {
    Rig rig;
    auto client = control::Client::connect(rig.path());
    REQUIRE(client);
    bool told = false;
    client->on_silence([&] { told = true; });
    REQUIRE(client->call("show.status", Json::object()));
    REQUIRE_FALSE(told);
}

TEST_CASE("requests in pieces, several at once and without a last newline", "[control][server]") {
    Rig rig;
    SECTION("byte by byte") {
        RawClient client(rig.path());
        for (const char c : request(7, "show.counters")) {
            REQUIRE(client.send({&c, 1}));
        }
        REQUIRE(Json::parse(client.line()).at("id") == 7);
    }
    SECTION("many lines in one write, answered in order, blank ones passed over") {
        RawClient client(rig.path());
        std::string text = "\n  \r\n";
        for (int i = 0; i < 300; ++i) {
            text += request(i, "show.counters") + "\n";
        }
        REQUIRE(client.send(text));
        for (int i = 0; i < 300; ++i) {
            REQUIRE(Json::parse(client.line()).at("id") == i);
        }
    }
    SECTION("the end of file ends the last line") {
        RawClient client(rig.path());
        std::string text = request(1, "show.counters") + request(2, "show.status");
        text.pop_back();
        REQUIRE(client.send(text));
        client.end_sending();
        REQUIRE(Json::parse(client.line()).at("id") == 1);
        REQUIRE(Json::parse(client.line()).at("id") == 2);
        REQUIRE(client.is_closed_by_peer());
    }
    SECTION("what is no JSON costs its sender an error, not the connection") {
        RawClient client(rig.path());
        client.send("{nonsense\n" + request(2, "no.method") + request(3, "show.status"));
        REQUIRE(Json::parse(client.line()).at("error").at("code") == control::kParseError);
        REQUIRE(Json::parse(client.line()).at("error").at("code") == control::kMethodNotFound);
        REQUIRE(Json::parse(client.line()).at("id") == 3);
    }
}

TEST_CASE(
    "a megabyte without a newline is refused and closed; others notice nothing", "[control][server]"
) {
    Rig rig;
    RawClient other(rig.path());
    RawClient client(rig.path());
    const std::string noise(control::kMaxLine + 70000, 'x');
    client.send(noise);
    const Json reply = Json::parse(client.line());
    REQUIRE(reply.at("error").at("code") == control::kInvalidRequest);
    REQUIRE(
        reply.at("error").at("message").get<std::string>().find("1048576 bytes") !=
        std::string::npos
    );
    REQUIRE(client.is_closed_by_peer());
    client.end_sending();
    REQUIRE(eventually([&] { return rig.server->clients() == 1; }));
    other.send(request(1, "show.status"));
    REQUIRE(Json::parse(other.line()).at("id") == 1);

    SECTION("a request just below the bound is read") {
        const std::string blanks(control::kMaxLine - 200, ' ');
        other.send(blanks + request(2, "show.status"));
        REQUIRE(Json::parse(other.line()).at("id") == 2);
    }
    SECTION("one that never stops sending is cut off") {
        Rig strict(64, 300ms);
        RawClient flood(strict.path());
        const auto start = std::chrono::steady_clock::now();
        while (flood.send(std::string(65536, 'x'))) {
            REQUIRE(std::chrono::steady_clock::now() - start < 10s);
        }
    }
}

TEST_CASE(
    "a client that does not read stops only itself, and is closed", "[control][server][pitfall-31]"
) {
    Rig rig(64, 1500ms);
    rig.inspector.generated_sessions = 1'000'000;
    RawClient hanging(rig.path());
    for (int i = 0; i < 50; ++i) {  // each answer is about 3 MB: never more than one is made ahead
        hanging.send(request(i, "show.sessions", kLongPage));
    }
    REQUIRE(eventually([&] { return hanging.waiting() > 0; }));

    RawClient other(rig.path());
    for (int i = 0; i < 200; ++i) {
        other.send(request(i, "show.counters"));
        REQUIRE(Json::parse(other.line()).at("id") == i);
    }
    REQUIRE(eventually([&] { return rig.server->clients() == 1; }));
    other.send(request(1, "show.counters"));
    REQUIRE(Json::parse(other.line()).at("id") == 1);
    rig.server->stop();
    REQUIRE(
        rig.inspector.entries_looked_at <= 3 * control::kMaxRows
    );  // backpressure: not 50 pages
}

TEST_CASE(
    "a batch of long listings is made as fast as it is read, no faster", "[control][server]"
) {
    Rig rig(64, 10000ms);
    rig.inspector.generated_sessions = 1'000'000;
    RawClient client(rig.path());
    std::string batch = "[";
    for (int i = 0; i < 20; ++i) {
        std::string one = request(i, "show.sessions", kLongPage);
        one.pop_back();
        batch += (i == 0 ? "" : ",") + one;
    }
    client.send(batch + "]\n");
    REQUIRE(eventually([&] { return client.waiting() > 0; }));
    std::this_thread::sleep_for(200ms);
    RawClient other(rig.path());
    other.send(request(1, "show.counters"));
    REQUIRE(Json::parse(other.line()).at("id") == 1);
    const Json reply = Json::parse(client.line());
    REQUIRE(reply.size() == 20);
    REQUIRE(reply[19].at("id") == 19);
    REQUIRE_FALSE(reply[19].at("result").at("sessions").empty());
}

TEST_CASE("more clients than there is room for are told so", "[control][server]") {
    Rig rig(8);
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 8; ++i) {
        clients.push_back(std::make_unique<RawClient>(rig.path()));
    }
    REQUIRE(eventually([&] { return rig.server->clients() == 8; }));
    RawClient late(rig.path());
    const Json refusal = Json::parse(late.line());
    REQUIRE(refusal.at("error").at("code") == control::kServerBusy);
    REQUIRE(
        refusal.at("error").at("message") == "8 clients are connected already; try again later"
    );
    REQUIRE(late.is_closed_by_peer());
    for (int i = 0; i < 8; ++i) {
        clients[static_cast<size_t>(i)]->send(request(i, "show.status"));
    }
    for (int i = 0; i < 8; ++i) {
        REQUIRE(Json::parse(clients[static_cast<size_t>(i)]->line()).at("id") == i);
    }
    clients.pop_back();
    REQUIRE(eventually([&] { return rig.server->clients() == 7; }));
    RawClient again(rig.path());
    again.send(request(5, "show.status"));
    REQUIRE(Json::parse(again.line()).at("id") == 5);
}

TEST_CASE("clients that have left make room before anybody is refused", "[control][server]") {
    Folder folder;
    auto claim = control::SocketClaim::take(folder.path + "/sekisho.sock");
    REQUIRE(claim);
    const std::string path = claim->path();
    for (int i = 0; i < 8; ++i) {
        RawClient leaver(path);
        leaver.send(request(i, "show.status").substr(0, static_cast<size_t>(i)));
    }
    RawClient client(path);
    client.send(request(7, "show.status"));
    config::Config config = test::small_config();
    test::FakeInspector inspector{config};
    control::Methods methods{inspector, config};
    auto server = control::Server::create(std::move(*claim), {path, 8, 10000ms}, methods);
    REQUIRE(server);
    (*server)->start();
    CHECK(Json::parse(client.line()).at("id") == 7);
    CHECK(eventually([&] { return (*server)->clients() == 1; }));
}

TEST_CASE("clients that hang give way to one more, the idlest first", "[control][server]") {
    Rig rig(4, 50ms);
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 4; ++i) {
        clients.push_back(std::make_unique<RawClient>(rig.path()));
        clients.back()->send("{\"half");
        REQUIRE(eventually([&] { return rig.server->clients() == clients.size(); }));
        std::this_thread::sleep_for(5ms);
    }
    clients[0]->send("\n");
    CHECK(Json::parse(clients[0]->line()).contains("error"));
    std::this_thread::sleep_for(100ms);
    RawClient client(rig.path());
    client.send(request(9, "show.status"));
    CHECK(Json::parse(client.line()).at("id") == 9);
    const Json farewell = Json::parse(clients[1]->line());
    CHECK(farewell.at("error").at("code") == control::kServerBusy);
    CHECK(clients[1]->is_closed_by_peer());
    clients[2]->send("\n");
    CHECK(Json::parse(clients[2]->line()).contains("error"));
    CHECK(rig.server->clients() == 4);
}

TEST_CASE("a client that vanishes leaves nothing behind", "[control][server]") {
    Rig rig;
    rig.inspector.generated_sessions = 100'000;
    for (int i = 0; i < 50; ++i) {
        RawClient client(rig.path());
        client.send(request(i, "show.sessions") + "{\"half");
    }
    REQUIRE(eventually([&] { return rig.server->clients() == 0; }));
}

TEST_CASE("the client library calls, pages and reports refusals", "[control][server]") {
    Rig rig;
    rig.inspector.generated_sessions = 25'000;
    auto client = control::Client::connect(rig.path());
    REQUIRE(client);
    Json params = {{"limit", 10000}};
    size_t rows = 0;
    while (true) {
        const auto page = client->call("show.sessions", params);
        REQUIRE(page);
        rows += page->at("sessions").size();
        if (page->at("next").is_null()) {
            break;
        }
        params["cursor"] = page->at("next").get<std::string>();
    }
    REQUIRE(rows == 25'000);
    const auto refused = client->call("show.nothing", Json::object());
    REQUIRE_FALSE(refused);
    REQUIRE(refused.error().kind == control::CallError::kRefused);
    REQUIRE(refused.error().message == "there is no method \"show.nothing\"");

    rig.server.reset();
    const auto gone = client->call("show.status", Json::object());
    REQUIRE_FALSE(gone);
    REQUIRE(gone.error().kind == control::CallError::kUnreachable);
    const auto nobody = control::Client::connect(rig.path());
    REQUIRE_FALSE(nobody);
    REQUIRE(
        nobody.error().message.find("start it with 'sekishod --config FILE'") != std::string::npos
    );
}

TEST_CASE("stopping does not wait for clients", "[control][server]") {
    Rig rig;
    rig.inspector.generated_sessions = 1'000'000;
    RawClient idle(rig.path());
    RawClient hanging(rig.path());
    hanging.send(request(1, "show.sessions", kLongPage));
    const auto start = std::chrono::steady_clock::now();
    rig.server->stop();
    rig.server->stop();
    REQUIRE(std::chrono::steady_clock::now() - start < 2s);
    REQUIRE(idle.is_closed_by_peer());
}
