#include "dpdk/device_arguments.h"

#include <filesystem>

#include <fmt/format.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sekisho::dpdk {

using config::DeviceKind;

DeviceArguments device_arguments(
    const config::DeviceSettings& device, unsigned index, unsigned queues
) {
    const auto& argument = device.arguments;
    const auto virtual_device = [&](const char* driver, const std::string& rest) {
        const std::string name = fmt::format("{}{}", driver, index);
        return DeviceArguments{name, name + "," + rest, false};
    };
    switch (device.kind) {
        case DeviceKind::kPci:
            return {argument[0], argument[0], true};
        case DeviceKind::kAfPacket:
            // Frames of 2 KiB, so that one always fits a buffer; 512 of them each way and queue.
            return virtual_device(
                "net_af_packet",
                fmt::format(
                    "iface={},qpairs={},blocksz=4096,framesz=2048,framecnt=512", argument[0], queues
                )
            );
        case DeviceKind::kAfXdp:
            return virtual_device(
                "net_af_xdp",
                fmt::format("iface={},start_queue=0,queue_count={}", argument[0], queues)
            );
        case DeviceKind::kTap:
            return virtual_device("net_tap", fmt::format("iface={}", argument[0]));
        case DeviceKind::kPcap:
            return virtual_device(
                "net_pcap", fmt::format("rx_pcap={},tx_pcap={}", argument[0], argument[1])
            );
        default:
            return {};
    }
}

unsigned queue_limit(DeviceKind kind) {
    switch (kind) {
        case DeviceKind::kPcap:
            return 1;
        default:
            return 0;
    }
}

namespace {

Result<void> check_interface(const std::string& name) {
    if (if_nametoindex(name.c_str()) == 0) {
        return failure(fmt::format(
            "there is no network interface {}; make it first, or correct the link's device", name
        ));
    }
    const int probe = socket(AF_PACKET, SOCK_RAW, 0);
    if (probe < 0) {
        return failure(fmt::format(
            "no privilege to open a raw socket on {}; start sekishod as root or with CAP_NET_RAW "
            "and CAP_NET_ADMIN",
            name
        ));
    }
    close(probe);
    return {};
}

Result<void> check_pci(const std::string& address) {
    namespace fs = std::filesystem;
    const fs::path device = fs::path("/sys/bus/pci/devices") / address;
    std::error_code error;
    if (!fs::exists(device, error)) {
        return failure(
            fmt::format("there is no PCI device {}; `lspci -D` lists those there are", address)
        );
    }
    const fs::path driver = fs::read_symlink(device / "driver", error).filename();
    if (driver != "vfio-pci" && driver != "uio_pci_generic" && driver != "igb_uio" &&
        driver != "mlx5_core" && driver != "mlx4_core") {
        return failure(fmt::format(
            "PCI device {} is bound to {}; bind it with `dpdk-devbind.py -b vfio-pci {}`",
            address,
            driver.empty() ? "no driver" : driver.string(),
            address
        ));
    }
    return {};
}

Result<void> check_pcap(const config::DeviceSettings& device) {
    if (access(device.arguments[0].c_str(), R_OK) != 0) {
        return failure(fmt::format(
            "the capture {} cannot be read; it must exist and be readable", device.arguments[0]
        ));
    }
    const auto folder = std::filesystem::absolute(device.arguments[1]).parent_path();
    if (access(folder.c_str(), W_OK) != 0) {
        return failure(fmt::format(
            "{} cannot be written; its folder must exist and be writable", device.arguments[1]
        ));
    }
    return {};
}

}  // namespace

Result<void> check_device(const config::DeviceSettings& device) {
    switch (device.kind) {
        case DeviceKind::kPci:
            return check_pci(device.arguments[0]);
        case DeviceKind::kAfPacket:
            return check_interface(device.arguments[0]);
        case DeviceKind::kAfXdp:
            if (geteuid() != 0) {
                return failure(
                    "no privilege for AF_XDP; start sekishod as root or with CAP_NET_RAW, "
                    "CAP_NET_ADMIN and CAP_BPF"
                );
            }
            return check_interface(device.arguments[0]);
        case DeviceKind::kTap:
            if (access("/dev/net/tun", R_OK | W_OK) != 0) {
                return failure(
                    "/dev/net/tun cannot be opened; load the module tun and start sekishod as root"
                );
            }
            return {};
        case DeviceKind::kPcap:
            return check_pcap(device);
        default:
            return failure(fmt::format("device {} is not available yet", device.text));
    }
}

}  // namespace sekisho::dpdk
