#include "dpdk/device_arguments.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "dpdk/eal.h"

using namespace sekisho;
using namespace sekisho::dpdk;
using config::DeviceKind;
using config::DeviceSettings;

TEST_CASE("each device string becomes the DPDK device that it names", "[dpdk]") {
    struct Row {
        DeviceSettings device;
        const char* name;
        const char* probe;
        bool pci;
    };
    const Row rows[] = {
        {{DeviceKind::kAfPacket, {"veth0"}, ""},
         "net_af_packet3",
         "net_af_packet3,iface=veth0,qpairs=2,blocksz=4096,framesz=2048,framecnt=512",
         false},
        {{DeviceKind::kAfXdp, {"veth0"}, ""},
         "net_af_xdp3",
         "net_af_xdp3,iface=veth0,start_queue=0,queue_count=2",
         false},
        {{DeviceKind::kTap, {"tap7"}, ""}, "net_tap3", "net_tap3,iface=tap7", false},
        {{DeviceKind::kPcap, {"a.pcap", "b.pcap"}, ""},
         "net_pcap3",
         "net_pcap3,rx_pcap=a.pcap,tx_pcap=b.pcap",
         false},
        {{DeviceKind::kPci, {"0000:03:00.0"}, ""}, "0000:03:00.0", "0000:03:00.0", true},
    };
    for (const Row& row : rows) {
        const DeviceArguments made = device_arguments(row.device, 3, 2);
        CHECK(made.name == row.name);
        CHECK(made.probe == row.probe);
        CHECK(made.pci == row.pci);
    }
}

TEST_CASE("what a device lacks is one sentence that says how to get it", "[dpdk]") {
    const auto interface =
        check_device({DeviceKind::kAfPacket, {"no-such-if"}, "af_packet:no-such-if"}, 1500);
    REQUIRE_FALSE(interface);
    CHECK(
        interface.error().message ==
        "there is no network interface no-such-if; make it first, or correct the link's device"
    );
    const auto pci = check_device({DeviceKind::kPci, {"ffff:ff:1f.7"}, "pci:ffff:ff:1f.7"}, 1500);
    REQUIRE_FALSE(pci);
    CHECK(pci.error().message.find("`lspci -D`") != std::string::npos);
    const auto capture =
        check_device({DeviceKind::kPcap, {"/no/such.pcap", "/tmp/out.pcap"}, ""}, 1500);
    REQUIRE_FALSE(capture);
    CHECK(capture.error().message.find("/no/such.pcap cannot be read") != std::string::npos);
    const auto junk = check_device({DeviceKind::kPcap, {"/dev/null", "/tmp/out.pcap"}, ""}, 1500);
    REQUIRE_FALSE(junk);
    CHECK(junk.error().message == "/dev/null is no capture; a pcap file is wanted");
    const auto later =
        check_device({DeviceKind::kMemif, {"/tmp/m", "server"}, "memif:/tmp/m,server"}, 1500);
    REQUIRE_FALSE(later);
    CHECK(later.error().message.find("not available yet") != std::string::npos);
}

TEST_CASE("EAL's arguments follow from the configuration", "[dpdk]") {
    EalPlan plan;
    plan.worker_cpus = {2, 5};
    plan.other_cpus = {0, 1};
    plan.memory_mb = 100;
    plan.prefix = "sekisho-7";
    const auto has = [](const std::vector<std::string>& all, const std::string& one) {
        return std::ranges::find(all, one) != all.end();
    };
    SECTION("without huge pages memory is taken from the heap, and nothing is shared") {
        const auto arguments = eal_arguments(plan);
        CHECK(has(arguments, "0@(0,1),1@2,2@5"));
        CHECK(has(arguments, "--no-huge"));
        CHECK(has(arguments, "--no-shconf"));
        CHECK(has(arguments, "--no-pci"));
        CHECK_FALSE(has(arguments, "--in-memory"));  // EAL 22.11 refuses it beside --no-huge
    }
    SECTION("with huge pages nothing is left in a file system") {
        plan.huge_pages = true;
        CHECK(has(eal_arguments(plan), "--in-memory"));
        CHECK_FALSE(has(eal_arguments(plan), "--no-huge"));
    }
    SECTION("PCI devices are claimed by address and by no other") {
        plan.pci = {"0000:03:00.0"};
        const auto arguments = eal_arguments(plan);
        CHECK(has(arguments, "-a"));
        CHECK(has(arguments, "0000:03:00.0"));
        CHECK_FALSE(has(arguments, "--no-pci"));
    }
}
