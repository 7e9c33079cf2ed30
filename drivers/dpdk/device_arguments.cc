#include "dpdk/device_arguments.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <fmt/format.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "dpdk/capture.h"

namespace sekisho::dpdk {

using config::DeviceKind;

DeviceArguments device_arguments(
    const config::DeviceSettings& device,
    unsigned index,
    unsigned queues,
    const std::optional<MacAddr>& mac
) {
    const auto& argument = device.arguments;
    const auto virtual_device = [&](const char* driver, const std::string& rest) {
        const std::string name = fmt::format("{}{}", driver, index);
        return DeviceArguments{name, name + "," + rest, false};
    };
    const std::string with_mac = mac ? ",mac=" + base::to_text(*mac) : "";
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
            return virtual_device("net_tap", fmt::format("iface={}{}", argument[0], with_mac));
        case DeviceKind::kMemif:
            // 2^10 descriptors each way and queue; the path is a name in the file system for both ends.
            return virtual_device(
                "net_memif",
                fmt::format(
                    "role={},socket={},socket-abstract=no,id=0,bsize=2048,rsize=10{}",
                    argument[1],
                    argument[0],
                    with_mac
                )
            );
        case DeviceKind::kVhost:
            return virtual_device(
                "net_vhost", fmt::format("iface={},queues={}", argument[0], queues)
            );
        case DeviceKind::kVirtioUser:
            return virtual_device(
                "net_virtio_user",
                fmt::format("path={},queues={},queue_size=1024{}", argument[0], queues, with_mac)
            );
        case DeviceKind::kPcap:
            return virtual_device(
                "net_pcap", fmt::format("rx_pcap={},tx_pcap={}", argument[0], argument[1])
            );
        case DeviceKind::kPcapLoop:
            return virtual_device("net_pcap", fmt::format("rx_pcap={},infinite_rx=1", argument[0]));
        case DeviceKind::kNull:
            return virtual_device("net_null", "no-rx=1");
        case DeviceKind::kFlowgen:
            break;
    }
    return {};
}

bool has_far_end(DeviceKind kind) {
    return kind == DeviceKind::kMemif || kind == DeviceKind::kVhost ||
           kind == DeviceKind::kVirtioUser;
}

uint64_t looped_frames(const config::DeviceSettings& device) {
    if (device.kind != DeviceKind::kPcapLoop) {
        return 0;
    }
    const auto facts = scan_capture(device.arguments[0]);
    return facts ? facts->frames : 0;
}

unsigned queue_limit(DeviceKind kind) {
    switch (kind) {
        case DeviceKind::kPcap:
        case DeviceKind::kPcapLoop:
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

Result<void> check_pcap(const std::string& in, const std::string& out) {
    if (access(in.c_str(), R_OK) != 0) {
        return failure(
            fmt::format("the capture {} cannot be read; it must exist and be readable", in)
        );
    }
    if (is_waited_for(in)) {
        return failure(fmt::format("{} is no plain file; a pcap file is wanted", in));
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

Result<void> check_socket_folder(const std::string& path) {
    const auto folder = std::filesystem::path(path).parent_path();
    if (!std::filesystem::is_directory(folder) || access(folder.c_str(), W_OK) != 0) {
        return failure(fmt::format(
            "the socket {} cannot be made; a name in an existing, writable folder is wanted", path
        ));
    }
    return {};
}

// The vhost end of a virtio_user device, which makes the socket.
Result<void> check_far_end(const std::string& path) {
    struct stat facts {};
    if (stat(path.c_str(), &facts) != 0 || !S_ISSOCK(facts.st_mode)) {
        return failure(fmt::format(
            "no vhost listens on {}; start the far end first, or use vhost:{} to be the one that "
            "listens",
            path,
            path
        ));
    }
    return {};
}

bool someone_listens(const std::string& path, int type) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    const int asking = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (asking < 0) {
        return true;
    }
    const int status =
        connect(asking, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    const bool refused = status != 0 && errno == ECONNREFUSED;
    close(asking);
    return !refused;
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
    if (device.kind != DeviceKind::kAfPacket && device.kind != DeviceKind::kAfXdp &&
        device.kind != DeviceKind::kTap) {
        return std::nullopt;
    }
    return KernelInterface{device.arguments[0], if_nametoindex(device.arguments[0].c_str())};
}

bool KernelInterface::is_there() const {
    return index != 0 && if_nametoindex(name.c_str()) == index;
}

Result<void> clear_stale_socket(const config::DeviceSettings& device) {
    const bool memif = device.kind == DeviceKind::kMemif && device.arguments[1] == "server";
    if (!memif && device.kind != DeviceKind::kVhost) {
        return {};
    }
    const std::string& path = device.arguments[0];
    struct stat facts {};
    if (lstat(path.c_str(), &facts) != 0) {
        return {};
    }
    if (!S_ISSOCK(facts.st_mode)) {
        return failure(fmt::format("{} exists and is no socket; remove it first", path));
    }
    if (someone_listens(path, memif ? SOCK_SEQPACKET : SOCK_STREAM)) {
        return failure(fmt::format(
            "another process listens on {}; end it first, or give the link another socket", path
        ));
    }
    unlink(path.c_str());
    return {};
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
        case DeviceKind::kMemif:
            return device.arguments[1] == "server" ? check_socket_folder(device.arguments[0])
                                                   : Result<void>{};
        case DeviceKind::kVhost:
            return check_socket_folder(device.arguments[0]);
        case DeviceKind::kVirtioUser:
            return check_far_end(device.arguments[0]);
        case DeviceKind::kPcapLoop:
            return scan_capture(device.arguments[0]).map([](const CaptureFacts&) {});
        case DeviceKind::kNull:
        case DeviceKind::kFlowgen:
            return {};
    }
    return failure(fmt::format("device {} is not available yet", device.text));
}

}  // namespace sekisho::dpdk
