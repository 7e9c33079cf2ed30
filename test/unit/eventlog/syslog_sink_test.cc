#include "eventlog/syslog_sink.h"

#include <array>
#include <thread>

#include <catch2/catch.hpp>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "folder.h"

using namespace sekisho;
using namespace sekisho::test;
using eventlog::SyslogSink;

namespace {

// Who listens: a socket of datagrams.
class Listener {
  public:
    explicit Listener(const std::string& path) : socket_(socket(AF_UNIX, SOCK_DGRAM, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::copy(path.begin(), path.end(), address.sun_path);
        unlink(path.c_str());
        REQUIRE(bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    Listener() : socket_(socket(AF_INET, SOCK_DGRAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    ~Listener() { close(socket_); }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    uint16_t port() const {
        sockaddr_in address{};
        socklen_t length = sizeof address;
        getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length);
        return ntohs(address.sin_port);
    }
    std::string take() const {
        std::array<char, 4096> text;
        const ssize_t length = recv(socket_, text.data(), text.size(), MSG_DONTWAIT);
        return length < 0 ? "nothing" : std::string(text.data(), static_cast<size_t>(length));
    }

  private:
    int socket_;
};

struct Desk {
    std::vector<std::string> said;
    SyslogSink sink;
    explicit Desk(SyslogSink::Target target)
        : sink(std::move(target), [this](const std::string& text) { said.push_back(text); }) {}
};

SyslogSink::Target by_udp(uint16_t port) {
    return {.address = base::parse_ipv4("127.0.0.1").value(), .port = port};
}

}  // namespace

TEST_CASE("a message is one datagram, over a Unix socket or UDP", "[eventlog]") {
    const Folder folder;
    const Listener local(folder / "log");
    Desk unix_desk({.socket = folder / "log"});
    REQUIRE(unix_desk.sink.send("<30>1 one"));
    REQUIRE(unix_desk.sink.send("<30>1 two"));
    CHECK(local.take() == "<30>1 one");
    CHECK(local.take() == "<30>1 two");
    CHECK(unix_desk.sink.name() == folder / "log");

    const Listener remote;
    Desk udp_desk(by_udp(remote.port()));
    REQUIRE(udp_desk.sink.send("<30>1 one"));
    CHECK(remote.take() == "<30>1 one");
    CHECK(udp_desk.said.empty());
    CHECK(udp_desk.sink.trouble().empty());
}

TEST_CASE("a daemon that is not there is told of once, and found when it comes", "[eventlog]") {
    const Folder folder;
    Desk desk({.socket = folder / "log"});
    for (int i = 0; i < 10; ++i) {
        CHECK_FALSE(desk.sink.send("lost"));
    }
    REQUIRE(desk.said.size() == 1);
    CHECK(
        desk.said[0] ==
        "lines of rules that log do not reach " + (folder / "log") + ": No such file or directory"
    );
    CHECK(desk.sink.trouble() == "No such file or directory");
    const Listener comes(folder / "log");
    CHECK_FALSE(desk.sink.send("too early"));
    std::this_thread::sleep_for(SyslogSink::kRetryMs);
    CHECK(desk.sink.send("here"));
    CHECK(comes.take() == "here");
    CHECK(desk.said.size() == 1);  // that it works again is told when it has for a while
}

TEST_CASE("a daemon that was started anew gets the next message", "[eventlog]") {
    const Folder folder;
    Desk desk({.socket = folder / "log"});
    {
        const Listener first(folder / "log");
        REQUIRE(desk.sink.send("one"));
        CHECK(first.take() == "one");
    }
    const Listener second(folder / "log");
    CHECK(desk.sink.send("two"));
    CHECK(second.take() == "two");
    CHECK(desk.said.empty());
}

TEST_CASE("a daemon that takes nothing is not waited for", "[eventlog]") {
    const Folder folder;
    const Listener busy(folder / "log");
    Desk desk({.socket = folder / "log"});
    int taken = 0;
    while (taken < 1'000'000 && desk.sink.send(std::string(2000, 'x'))) {
        ++taken;
    }
    CHECK(taken < 1'000'000);
    REQUIRE(desk.said.size() == 1);
    while (busy.take() != "nothing") {
    }
    CHECK(desk.sink.send("on"));
    CHECK(busy.take() == "on");
}

TEST_CASE("that nobody listens on a UDP port is told once the host says so", "[eventlog]") {
    uint16_t port = 0;
    {
        const Listener gone;
        port = gone.port();
    }
    Desk desk(by_udp(port));
    CHECK(desk.sink.send("one"));  // nobody can know yet
    CHECK(desk.sink.send("two"));  // sent again behind the error that the first has caused
    REQUIRE(desk.said.size() == 1);
    CHECK(desk.said[0].ends_with("Connection refused"));
}
