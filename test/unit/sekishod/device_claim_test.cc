#include "sekishod/device_claim.h"

#include <cstdlib>
#include <filesystem>

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "temporary_folder.h"

namespace sekisho::daemon {
namespace {

using config::DeviceKind;

config::Config links(const std::vector<config::DeviceSettings>& devices) {
    config::Config config;
    for (const auto& device : devices) {
        config::LinkSettings link;
        link.name = fmt::format("link{}", config.links.size());
        link.device = device;
        config.links.push_back(link);
    }
    return config;
}

// Names that no other test process uses at the same time.
std::string own_name(const char* stem) {
    return fmt::format("{}{}", stem, getpid());
}
config::DeviceSettings af_packet(const std::string& name) {
    return {DeviceKind::kAfPacket, {name}, "af_packet:" + name};
}
config::DeviceSettings af_xdp(const std::string& name) {
    return {DeviceKind::kAfXdp, {name}, "af_xdp:" + name};
}

}  // namespace

TEST_CASE("an interface is had by one at a time, whatever the driver", "[sekishod]") {
    const std::string first = own_name("a");
    const std::string second = own_name("b");
    {
        const auto held = DeviceClaim::take(links({af_packet(first), af_packet(second)}));
        REQUIRE(held);
        const auto again = DeviceClaim::take(links({af_packet(own_name("c")), af_xdp(second)}));
        REQUIRE_FALSE(again);
        CHECK(
            again.error().message == "link link1: another sekishod has the device af_xdp:" +
                                         second + "; stop it, or name another device"
        );
        CHECK(DeviceClaim::take(links({af_packet(own_name("c"))})));  // what failed kept nothing
    }
    CHECK(DeviceClaim::take(links({af_packet(first), af_packet(second)})));
}

// What any local user can take.
int bind_abstract(const std::string& text) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    text.copy(address.sun_path + 1, sizeof(address.sun_path) - 1);
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
    const int holder = socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(bind(holder, reinterpret_cast<const sockaddr*>(&address), length) == 0);
    return holder;
}

TEST_CASE("who holds the name of an interface holds nobody up", "[sekishod]") {
    const test::TemporaryFolder folder;
    const std::string name = own_name("n");
    const int stranger = bind_abstract("sekishod/interface/" + name);
    {
        const auto held = DeviceClaim::take(links({af_packet(name)}), folder / "");
        REQUIRE(held);
        CHECK_FALSE(DeviceClaim::take(links({af_packet(name)}), folder / ""));
        CHECK_FALSE(std::filesystem::is_empty(folder / ""));
    }
    CHECK(std::filesystem::is_empty(folder / ""));
    CHECK(DeviceClaim::take(links({af_packet(name)}), folder / ""));
    std::filesystem::permissions(
        folder / "", std::filesystem::perms::all
    );  // now others may write there
    CHECK_FALSE(DeviceClaim::take(links({af_packet(name)}), folder / ""));
    close(stranger);
    CHECK(DeviceClaim::take(links({af_packet(name)}), folder / ""));
    CHECK(std::filesystem::is_empty(folder / ""));
}

TEST_CASE("links of one device share its claim", "[sekishod]") {
    const auto device = af_packet(own_name("v"));
    CHECK(DeviceClaim::take(links({device, device})));
}

TEST_CASE("a capture that is written is had by one, a capture that is read by any", "[sekishod]") {
    const std::string in = "/tmp/" + own_name("claim-in-");
    const std::string out = "/tmp/" + own_name("claim-out-");
    const std::string other = "/tmp/" + own_name("claim-other-");
    const auto pcap = [&](const std::string& written) {
        return links({{DeviceKind::kPcap, {in, written}, "pcap:" + in + "," + written}});
    };
    {
        const auto held = DeviceClaim::take(pcap(out));
        REQUIRE(held);
        CHECK_FALSE(DeviceClaim::take(pcap(out)));
        CHECK(DeviceClaim::take(pcap(other)));
    }
    CHECK(DeviceClaim::take(pcap(out)));
    CHECK_FALSE(std::filesystem::exists(in));
    std::filesystem::remove(out);
    std::filesystem::remove(other);
}

TEST_CASE("what cannot be opened is left to who opens the device", "[sekishod]") {
    const std::string long_name(200, 'x');
    CHECK(DeviceClaim::take(links({af_packet(long_name)})));
    const std::string nowhere = "/nonexistent/out.pcap";
    CHECK(DeviceClaim::take(links({{DeviceKind::kPcap, {"in", nowhere}, "pcap:in," + nowhere}})));
    CHECK(DeviceClaim::take(links({{DeviceKind::kPcap, {"in", "/tmp"}, "pcap:in,/tmp"}})));
}

}  // namespace sekisho::daemon
