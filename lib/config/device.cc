#include "config/device.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>

#include <fmt/format.h>

#include "config/flowgen_profile.h"
#include "config/mistakes.h"
#include "config/schema.h"

namespace sekisho::config {
namespace {

enum class ArgumentKind {
    kPciAddress,
    kInterface,
    kPaths,
    kPath,
    kSocket,
    kSocketRole,
    kNone,
    kProfile
};

struct KnownDevice {
    std::string_view name;
    DeviceKind kind;
    ArgumentKind arguments;
    std::string_view wanted;
};

constexpr std::string_view kAvailable =
    "pci:ADDRESS, af_xdp:IF, af_packet:IF, tap:NAME, memif:SOCKET,server or client, vhost:SOCKET, "
    "virtio_user:SOCKET, pcap:IN,OUT, pcap-loop:IN, null or flowgen:PROFILE";
constexpr std::array kDevices = {
    KnownDevice{
        "pci",
        DeviceKind::kPci,
        ArgumentKind::kPciAddress,
        "a PCI address DDDD:BB:DD.F, such as pci:0000:03:00.0"},
    KnownDevice{
        "af_xdp",
        DeviceKind::kAfXdp,
        ArgumentKind::kInterface,
        "an interface name of 1 to 15 characters, such as af_xdp:eth0"},
    KnownDevice{
        "af_packet",
        DeviceKind::kAfPacket,
        ArgumentKind::kInterface,
        "an interface name of 1 to 15 characters, such as af_packet:eth0"},
    KnownDevice{
        "tap",
        DeviceKind::kTap,
        ArgumentKind::kInterface,
        "an interface name of 1 to 15 characters, such as tap:cgn0"},
    KnownDevice{
        "pcap",
        DeviceKind::kPcap,
        ArgumentKind::kPaths,
        "a file to read and another to write, such as pcap:in.pcap,out.pcap"},
    KnownDevice{
        "memif",
        DeviceKind::kMemif,
        ArgumentKind::kSocketRole,
        "an absolute path of at most 107 bytes and server or client, such as "
        "memif:/run/cgn.sock,server"},
    KnownDevice{
        "vhost",
        DeviceKind::kVhost,
        ArgumentKind::kSocket,
        "an absolute path of at most 107 bytes, such as vhost:/run/cgn.sock"},
    KnownDevice{
        "virtio_user",
        DeviceKind::kVirtioUser,
        ArgumentKind::kSocket,
        "an absolute path of at most 107 bytes, such as virtio_user:/run/cgn.sock"},
    KnownDevice{
        "pcap-loop",
        DeviceKind::kPcapLoop,
        ArgumentKind::kPath,
        "a file to read over and over, such as pcap-loop:in.pcap"},
    KnownDevice{"null", DeviceKind::kNull, ArgumentKind::kNone, "null alone: it has no argument"},
    KnownDevice{
        "flowgen", DeviceKind::kFlowgen, ArgumentKind::kProfile, {}},  // says itself what it wants
};

std::vector<std::string> split_at_commas(std::string_view text) {
    std::vector<std::string> parts;
    size_t from = 0;
    for (size_t comma = text.find(','); comma != std::string_view::npos;
         comma = text.find(',', from)) {
        parts.emplace_back(text.substr(from, comma - from));
        from = comma + 1;
    }
    parts.emplace_back(text.substr(from));
    return parts;
}

bool is_pci_address(std::string_view text) {
    constexpr std::string_view kPattern = "xxxx:xx:xx.x";
    if (text.size() != kPattern.size() || text.back() > '7') {  // a device has eight functions
        return false;
    }
    for (size_t i = 0; i < text.size(); ++i) {
        const bool fits = kPattern[i] == 'x'
                              ? std::isxdigit(static_cast<unsigned char>(text[i])) != 0
                              : text[i] == kPattern[i];
        if (!fits) {
            return false;
        }
    }
    return text[8] <= '1';  // and a bus 32 devices: 00 to 1f
}

// What the kernel accepts (dev_valid_name), without the colon, which names an alias there.
bool is_interface_name(std::string_view text) {
    return !text.empty() && text.size() <= 15 && text != "." && text != ".." &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return c > ' ' && c < 0x7f && c != '/' && c != ':';
           });
}

bool is_path(std::string_view text) {
    return !text.empty() && std::none_of(text.begin(), text.end(), [](char c) {
        return std::iscntrl(static_cast<unsigned char>(c)) != 0;
    });
}

// Absolute: the far end may run in another folder.
bool is_socket_path(std::string_view text) {
    return is_path(text) && text.front() == '/' && text.back() != '/' &&
           text.size() <= kMaxSocketPath;
}

std::string plain_path(std::string_view path) {
    return std::filesystem::path(path).lexically_normal().string();
}

bool arguments_fit(ArgumentKind kind, const std::vector<std::string>& arguments) {
    switch (kind) {
        case ArgumentKind::kPciAddress:
            return arguments.size() == 1 && is_pci_address(arguments[0]);
        case ArgumentKind::kInterface:
            return arguments.size() == 1 && is_interface_name(arguments[0]);
        case ArgumentKind::kPaths:
            return arguments.size() == 2 && is_path(arguments[0]) && is_path(arguments[1]) &&
                   plain_path(arguments[0]) != plain_path(arguments[1]);
        case ArgumentKind::kPath:
            return arguments.size() == 1 && is_path(arguments[0]);
        case ArgumentKind::kSocket:
            return arguments.size() == 1 && is_socket_path(arguments[0]);
        case ArgumentKind::kSocketRole:
            return arguments.size() == 2 && is_socket_path(arguments[0]) &&
                   (arguments[1] == "server" || arguments[1] == "client");
        case ArgumentKind::kNone:
            return arguments.empty();
        case ArgumentKind::kProfile:
            return parse_flowgen_profile(arguments).has_value();
    }
    return false;
}

// The first sign in a name for a driver that DPDK's argument language has another meaning for; empty if there is none.
std::string special_sign(ArgumentKind kind, const std::vector<std::string>& arguments) {
    if (kind == ArgumentKind::kPciAddress || kind == ArgumentKind::kProfile) {
        return {};
    }
    for (const std::string& argument : arguments) {
        if (const size_t at = argument.find_first_of("[]=\""); at != std::string::npos) {
            return argument.substr(at, 1);
        }
    }
    return {};
}

}  // namespace

tl::expected<DeviceSettings, DeviceMistake> parse_device(std::string_view text) {
    const size_t colon = text.find(':');
    const std::string_view name = text.substr(0, colon);
    const auto* known = std::find_if(kDevices.begin(), kDevices.end(), [&](const KnownDevice& d) {
        return d.name == name;
    });
    if (known == kDevices.end()) {
        return tl::unexpected(DeviceMistake{quote(text), std::string(kAvailable)});
    }
    DeviceSettings device{known->kind, {}, std::string(text)};
    if (colon != std::string_view::npos) {
        device.arguments = split_at_commas(text.substr(colon + 1));
    }
    if (!arguments_fit(known->arguments, device.arguments)) {
        if (known->arguments == ArgumentKind::kProfile) {
            return tl::unexpected(parse_flowgen_profile(device.arguments).error());
        }
        return tl::unexpected(DeviceMistake{quote(text), std::string(known->wanted)});
    }
    if (const std::string sign = special_sign(known->arguments, device.arguments); !sign.empty()) {
        return tl::unexpected(DeviceMistake{
            quote(text), fmt::format("a name without {}, which means something else to DPDK", sign)}
        );
    }
    return device;
}

std::string shared_file(const DeviceSettings& a, const DeviceSettings& b) {
    const auto is_capture = [](const DeviceSettings& d) {
        return d.kind == DeviceKind::kPcap || d.kind == DeviceKind::kPcapLoop;
    };
    if (!is_capture(a) || !is_capture(b)) {
        return {};
    }
    const auto read_by = [](const DeviceSettings& d) { return plain_path(d.arguments[0]); };
    const auto written_by = [](const DeviceSettings& d) {
        return d.kind == DeviceKind::kPcap ? plain_path(d.arguments[1]) : "/dev/null";
    };
    const auto clashes = [&](const std::string& file, const DeviceSettings& other) {
        return file != "/dev/null" && (file == written_by(other) || file == read_by(other));
    };
    if (clashes(written_by(a), b)) {
        return written_by(a);
    }
    return clashes(written_by(b), a) ? written_by(b) : "";
}

bool opened_alike(const DeviceSettings& a, const DeviceSettings& b) {
    return a.kind == b.kind && (a.kind != DeviceKind::kMemif || a.arguments[1] == b.arguments[1]);
}

std::string device_identity(const DeviceSettings& device) {
    const bool interface = device.kind == DeviceKind::kAfXdp ||
                           device.kind == DeviceKind::kAfPacket || device.kind == DeviceKind::kTap;
    if (interface) {
        return "interface " + device.arguments.front();
    }
    const bool socket = device.kind == DeviceKind::kMemif || device.kind == DeviceKind::kVhost ||
                        device.kind == DeviceKind::kVirtioUser;
    if (socket) {
        return "socket " + plain_path(device.arguments.front());
    }
    std::string identity = device.text;
    if (device.kind == DeviceKind::kPci) {  // its hex digits may be written either way
        std::transform(identity.begin(), identity.end(), identity.begin(), [](unsigned char c) {
            return static_cast<char>(std::tolower(c));
        });
    }
    return identity;
}

}  // namespace sekisho::config
