#include <fstream>

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dpdk/device_arguments.h"
#include "temporary_folder.h"

using namespace sekisho;
using namespace sekisho::dpdk;
using config::DeviceKind;

namespace {

// A listening socket; closed without being unlinked, as a killed process leaves it.
class Listener {
  public:
    Listener(const std::string& path, int type) : socket_(socket(AF_UNIX, type | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof(address.sun_path) - 1);
        REQUIRE(bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(listen(socket_, 1) == 0);
    }
    ~Listener() { close(socket_); }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

  private:
    int socket_;
};

}  // namespace

TEST_CASE("a socket that a killed process has left is removed, a living one is not", "[dpdk]") {
    const test::TemporaryFolder folder;
    const std::string path = folder / "s";
    const config::DeviceSettings rows[] = {
        {DeviceKind::kMemif, {path, "server"}, ""}, {DeviceKind::kVhost, {path}, ""}};
    for (const auto& device : rows) {
        const int type = device.kind == DeviceKind::kMemif ? SOCK_SEQPACKET : SOCK_STREAM;
        CHECK(clear_stale_socket(device));  // there is none
        {
            const Listener alive(path, type);
            const auto cleared = clear_stale_socket(device);
            REQUIRE_FALSE(cleared);
            CHECK(
                cleared.error().message == "another process listens on " + path +
                                               "; end it first, or give the link another socket"
            );
        }
        CHECK(access(path.c_str(), F_OK) == 0);
        CHECK(clear_stale_socket(device));
        CHECK(access(path.c_str(), F_OK) != 0);
    }
}

TEST_CASE("what is no socket is never removed, nor a socket that others make", "[dpdk]") {
    const test::TemporaryFolder folder;
    const std::string path = folder / "f";
    std::ofstream(path) << "precious";
    const auto cleared = clear_stale_socket({DeviceKind::kVhost, {path}, ""});
    REQUIRE_FALSE(cleared);
    CHECK(cleared.error().message == path + " exists and is no socket; remove it first");
    CHECK(clear_stale_socket({DeviceKind::kMemif, {path, "client"}, ""}));
    CHECK(clear_stale_socket({DeviceKind::kVirtioUser, {path}, ""}));
    CHECK(access(path.c_str(), F_OK) == 0);
}
