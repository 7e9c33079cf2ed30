#include "dpdk/capture.h"

#include <fstream>
#include <string>

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "dpdk/device_arguments.h"
#include "packet/packet.h"
#include "temporary_folder.h"

using namespace sekisho;
using namespace sekisho::dpdk;

namespace {

class Capture {
  public:
    explicit Capture(uint32_t magic = 0xa1b2c3d4, uint32_t link_type = 1, bool swapped = false)
        : swapped_(swapped) {
        word(magic);
        word(0x00040002);
        for (const uint32_t each : {0U, 0U, 65535U, link_type}) {
            word(each);
        }
    }
    void frame(uint32_t length) {
        for (const uint32_t each : {1U, 0U, length, length}) {
            word(each);
        }
        bytes_.resize(bytes_.size() + length);
    }
    void word(uint32_t value) {
        const uint32_t written = swapped_ ? __builtin_bswap32(value) : value;
        bytes_.append(reinterpret_cast<const char*>(&written), sizeof written);
    }
    void cut(size_t bytes) { bytes_.resize(bytes_.size() - bytes); }
    const std::string& write(const std::string& path) {
        std::ofstream(path, std::ios::binary)
            .write(bytes_.data(), static_cast<std::streamsize>(bytes_.size()));
        return path_ = path;
    }

  private:
    bool swapped_;
    std::string bytes_;
    std::string path_;
};

}  // namespace

TEST_CASE("a capture is counted in either byte order and resolution", "[dpdk]") {
    const test::TemporaryFolder folder;
    struct Row {
        uint32_t magic;
        bool swapped;
    };
    for (const Row& row :
         {Row{0xa1b2c3d4, false}, {0xa1b23c4d, false}, {0xa1b2c3d4, true}, {0xa1b23c4d, true}}) {
        Capture capture(row.magic, 1, row.swapped);
        for (const uint32_t length : {60U, 1514U, 64U}) {
            capture.frame(length);
        }
        const auto facts = scan_capture(capture.write(folder / "c"));
        REQUIRE(facts);
        CHECK(facts->frames == 3);
        CHECK(facts->longest == 1514);
        CHECK(is_capture(folder / "c"));
    }
}

TEST_CASE("a pipe is refused as a capture, and not waited for", "[dpdk]") {
    const test::TemporaryFolder folder;
    const std::string pipe = folder / "pipe";
    REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
    const auto facts = scan_capture(pipe);
    REQUIRE_FALSE(facts);
    CHECK(facts.error().message.find("no plain file") != std::string::npos);
    config::DeviceSettings device;
    device.kind = config::DeviceKind::kPcap;
    device.arguments = {pipe, folder / "out.pcap"};
    CHECK_FALSE(check_device(device, 1500));
}

TEST_CASE("what is wrong with a capture is one sentence", "[dpdk]") {
    const test::TemporaryFolder folder;
    const std::string path = folder / "c";
    const auto complaint = [&](Capture& capture) {
        const auto facts = scan_capture(capture.write(path));
        return facts ? std::string("nothing") : facts.error().message;
    };
    SECTION("no frame") {
        Capture capture;
        CHECK(complaint(capture) == path + " holds no frame");
    }
    SECTION("the longest that fits a buffer passes, one byte more does not") {
        Capture capture;
        capture.frame(packet::kBufferRoom);
        CHECK(complaint(capture) == "nothing");
        capture.frame(packet::kBufferRoom + 1);
        CHECK(
            complaint(capture) ==
            "frame 2 of " + path + " is 2049 bytes long; at most 2048 fit a buffer"
        );
    }
    SECTION("cut short in a frame") {
        Capture capture;
        capture.frame(60);
        capture.frame(60);
        capture.cut(1);
        CHECK(complaint(capture) == path + " is cut short in frame 2");
    }
    SECTION("cut short in a frame's header") {
        Capture capture;
        capture.frame(60);
        capture.word(0);
        CHECK(complaint(capture) == path + " is cut short after frame 1");
    }
    SECTION("not Ethernet") {
        Capture capture(0xa1b2c3d4, 101);
        capture.frame(60);
        CHECK(complaint(capture) == path + " holds no Ethernet frames");
    }
    SECTION("pcapng") {
        Capture capture(0x0a0d0d0a);
        CHECK(
            complaint(capture) ==
            path + " is a pcapng file; a pcap file is wanted: `editcap -F pcap " + path + " NEW`"
        );
        CHECK(is_capture(path));
    }
    SECTION("no capture at all") {
        Capture capture(0);
        CHECK(complaint(capture) == path + " is no capture; a pcap file is wanted");
        CHECK_FALSE(is_capture(path));
    }
}
