#include "dpdk/device_arguments.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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

// One question about a kernel interface; false if there is none of that name.
bool ask_interface(const std::string& name, unsigned long question, ifreq& answer) {
    answer = {};
    name.copy(answer.ifr_name, IFNAMSIZ - 1);
    const int asking = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (asking < 0) {
        return false;
    }
    const bool answered = ioctl(asking, question, &answer) == 0;
    close(asking);
    return answered;
}

// Whether this process may do what `capability` (a number of linux/capability.h) allows.
bool has_capability(unsigned capability) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    return syscall(SYS_capget, &header, data) == 0 &&
           (data[capability / 32].effective >> (capability % 32) & 1) != 0;
}

Result<void> check_interface(const std::string& name, uint16_t mtu) {
    ifreq answer;
    if (!ask_interface(name, SIOCGIFMTU, answer)) {
        return failure(fmt::format(
            "there is no network interface {}; make it first, or correct the link's device", name
        ));
    }
    if (answer.ifr_mtu < mtu) {
        return failure(fmt::format(
            "network interface {} has MTU {}, the link {}; `ip link set {} mtu {}`, or lower the "
            "link's mtu",
            name,
            answer.ifr_mtu,
            mtu,
            name,
            mtu
        ));
    }
    if (!has_capability(CAP_NET_RAW) || !has_capability(CAP_NET_ADMIN)) {
        return failure(fmt::format(
            "no privilege to take frames from {}; start sekishod as root or with CAP_NET_RAW and "
            "CAP_NET_ADMIN",
            name
        ));
    }
    return {};
}

Result<void> check_tap(const std::string& name) {
    if (access("/dev/net/tun", R_OK | W_OK) != 0) {
        return failure(
            "/dev/net/tun cannot be opened; load the module tun and start sekishod as root"
        );
    }
    if (!has_capability(CAP_NET_ADMIN)) {
        return failure(fmt::format(
            "no privilege to make the tap interface {}; start sekishod as root or with "
            "CAP_NET_ADMIN",
            name
        ));
    }
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

// The first four bytes of a capture, in either byte order: microseconds, nanoseconds, pcapng.
bool is_capture(const std::string& path) {
    uint32_t magic = 0;
    std::ifstream file(path, std::ios::binary);
    file.read(reinterpret_cast<char*>(&magic), sizeof magic);
    constexpr uint32_t kKnown[] = {0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d, 0x4d3cb2a1, 0x0a0d0d0a};
    return file && std::ranges::find(kKnown, magic) != std::end(kKnown);
}

Result<void> check_pcap(const std::string& in, const std::string& out) {
    if (access(in.c_str(), R_OK) != 0) {
        return failure(
            fmt::format("the capture {} cannot be read; it must exist and be readable", in)
        );
    }
    if (!is_capture(in)) {
        return failure(fmt::format("{} is no capture; a pcap file is wanted", in));
    }
    const auto folder = std::filesystem::absolute(out).parent_path();
    if (std::filesystem::is_directory(out) || access(folder.c_str(), W_OK) != 0) {
        return failure(fmt::format(
            "{} cannot be written; a file in an existing, writable folder is wanted", out
        ));
    }
    return {};
}

}  // namespace

bool KernelInterface::is_running() const {
    ifreq answer;
    if (!ask_interface(name, SIOCGIFINDEX, answer) ||
        static_cast<unsigned>(answer.ifr_ifindex) != index) {
        return false;
    }
    return ask_interface(name, SIOCGIFFLAGS, answer) && (answer.ifr_flags & IFF_UP) != 0 &&
           (answer.ifr_flags & IFF_RUNNING) != 0;
}

std::optional<KernelInterface> kernel_interface(const config::DeviceSettings& device) {
    if (device.kind != DeviceKind::kAfPacket && device.kind != DeviceKind::kAfXdp) {
        return std::nullopt;
    }
    return KernelInterface{device.arguments[0], if_nametoindex(device.arguments[0].c_str())};
}

Result<void> check_device(const config::DeviceSettings& device, uint16_t mtu) {
    switch (device.kind) {
        case DeviceKind::kPci:
            return check_pci(device.arguments[0]);
        case DeviceKind::kAfPacket:
        case DeviceKind::kAfXdp:
            return check_interface(device.arguments[0], mtu);
        case DeviceKind::kTap:
            return check_tap(device.arguments[0]);
        case DeviceKind::kPcap:
            return check_pcap(device.arguments[0], device.arguments[1]);
        default:
            return failure(fmt::format("device {} is not available yet", device.text));
    }
}

}  // namespace sekisho::dpdk
