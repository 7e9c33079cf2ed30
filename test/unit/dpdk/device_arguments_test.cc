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
        {{DeviceKind::kMemif, {"/run/m", "server"}, ""},
         "net_memif3",
         "net_memif3,role=server,socket=/run/m,socket-abstract=no,id=0,bsize=2048,rsize=10",
         false},
        {{DeviceKind::kMemif, {"/run/m", "client"}, ""},
         "net_memif3",
         "net_memif3,role=client,socket=/run/m,socket-abstract=no,id=0,bsize=2048,rsize=10",
         false},
        {{DeviceKind::kVhost, {"/run/v"}, ""},
         "net_vhost3",
         "net_vhost3,iface=/run/v,queues=2",
         false},
        {{DeviceKind::kVirtioUser, {"/run/v"}, ""},
         "net_virtio_user3",
         "net_virtio_user3,path=/run/v,queues=2,queue_size=1024",
         false},
        {{DeviceKind::kPcapLoop, {"a.pcap"}, ""},
         "net_pcap3",
         "net_pcap3,rx_pcap=a.pcap,infinite_rx=1",
         false},
        {{DeviceKind::kNull, {}, ""}, "net_null3", "net_null3,no-rx=1", false},
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
    CHECK(junk.error().message == "/dev/null is no plain file; a pcap file is wanted");
    const auto vhost = check_device({DeviceKind::kVhost, {"/no/such/v"}, "vhost:/no/such/v"}, 1500);
    REQUIRE_FALSE(vhost);
    CHECK(
        vhost.error().message ==
        "the socket /no/such/v cannot be made; a name in an existing, writable folder is wanted"
    );
    const auto memif = check_device({DeviceKind::kMemif, {"/no/such/m", "server"}, ""}, 1500);
    REQUIRE_FALSE(memif);
    CHECK(memif.error().message.find("/no/such/m cannot be made") != std::string::npos);
    CHECK(check_device({DeviceKind::kMemif, {"/no/such/m", "client"}, ""}, 1500));  // it may come
    const auto frontend = check_device({DeviceKind::kVirtioUser, {"/no/such/v"}, ""}, 1500);
    REQUIRE_FALSE(frontend);
    CHECK(
        frontend.error().message ==
        "no vhost listens on /no/such/v; start the far end first, or use vhost:/no/such/v to be "
        "the "
        "one that listens"
    );
    const auto loop = check_device({DeviceKind::kPcapLoop, {"/no/such.pcap"}, ""}, 1500);
    REQUIRE_FALSE(loop);
    CHECK(loop.error().message.find("/no/such.pcap cannot be read") != std::string::npos);
    CHECK(check_device({DeviceKind::kNull, {}, "null"}, 1500));
}

TEST_CASE("a device that is made anew asks for the link address that it had", "[dpdk]") {
    const MacAddr mac{{2, 0, 0, 0, 0, 9}};
    const auto probe = [&](DeviceKind kind, std::vector<std::string> arguments) {
        return device_arguments({kind, std::move(arguments), ""}, 0, 1, mac).probe;
    };
    const std::string wanted = ",mac=02:00:00:00:00:09";
    CHECK(probe(DeviceKind::kTap, {"t"}).ends_with(wanted));
    CHECK(probe(DeviceKind::kVirtioUser, {"/v"}).ends_with(wanted));
    CHECK(probe(DeviceKind::kMemif, {"/m", "client"}).ends_with(wanted));
    CHECK(probe(DeviceKind::kAfPacket, {"e"}).find("mac=") == std::string::npos);
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
    SECTION("memory that a far end maps comes in few pieces") {
        plan.huge_pages = true;
        CHECK_FALSE(has(eal_arguments(plan), "--single-file-segments"));
        plan.shares_memory = true;
        CHECK(has(eal_arguments(plan), "--single-file-segments"));
    }
    SECTION("PCI devices are claimed by address and by no other") {
        plan.pci = {"0000:03:00.0"};
        const auto arguments = eal_arguments(plan);
        CHECK(has(arguments, "-a"));
        CHECK(has(arguments, "0000:03:00.0"));
        CHECK_FALSE(has(arguments, "--no-pci"));
    }
}

TEST_CASE("memory that the machine does not have is not promised", "[dpdk]") {
    CHECK(check_memory(100, 100));
    CHECK(check_memory(100, 0));  // a kernel that does not say
    const auto refused = check_memory(101, 100);
    REQUIRE_FALSE(refused);
    CHECK(
        refused.error().message ==
        "101 MiB of memory are wanted for packet buffers and 100 MiB are free; loop over a shorter "
        "capture, or configure fewer links or shards"
    );
    CHECK(memory_available_mb() > 0);
}
