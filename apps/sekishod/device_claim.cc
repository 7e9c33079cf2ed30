#include "sekishod/device_claim.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <set>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/device.h"

namespace sekisho::daemon {
namespace {

using config::DeviceKind;

// A descriptor that holds the name; -1 with errno EADDRINUSE if another process does.
int hold_interface(const std::string& name) {
    const std::string text = "sekishod/interface/" + name;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (text.size() >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    // An abstract name: behind a zero byte, and as long as the address is said to be.
    std::memcpy(address.sun_path + 1, text.data(), text.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
    const int holder = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (holder >= 0 && bind(holder, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
        const int error = errno;
        close(holder);
        errno = error;
        return -1;
    }
    return holder;
}

// A descriptor that holds the file; -1 with errno EWOULDBLOCK if another process does. A new file is made empty, as the
// driver would; a pipe is not waited for.
int hold_file(const std::string& path) {
    constexpr mode_t kMode = 0644;
    const int holder = open(path.c_str(), O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, kMode);
    if (holder >= 0 && flock(holder, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        close(holder);
        errno = error;
        return -1;
    }
    return holder;
}

}  // namespace

Result<DeviceClaim> DeviceClaim::take(const config::Config& config) {
    DeviceClaim taken;
    std::set<std::string> seen;  // a device may carry several links
    for (const auto& link : config.links) {
        if (seen.insert(config::device_identity(link.device)).second && !taken.claim(link.device)) {
            return failure(fmt::format(
                "link {}: another sekishod has the device {}; stop it, or name another device",
                link.name,
                link.device.text
            ));
        }
    }
    return taken;
}

// False: another process has it. What fails otherwise is told better by who opens the device.
bool DeviceClaim::claim(const config::DeviceSettings& device) {
    int holder = -1;
    switch (device.kind) {
        case DeviceKind::kAfPacket:
        case DeviceKind::kAfXdp:
        case DeviceKind::kTap:
            holder = hold_interface(device.arguments[0]);
            break;
        case DeviceKind::kPcap:
            holder = hold_file(device.arguments[1]);
            break;
        default:
            return true;
    }
    if (holder >= 0) {
        descriptors_.push_back(holder);
        return true;
    }
    return errno != EADDRINUSE && errno != EWOULDBLOCK;
}

DeviceClaim::DeviceClaim(DeviceClaim&& other) noexcept
    : descriptors_(std::move(other.descriptors_)) {
    other.descriptors_.clear();
}

DeviceClaim::~DeviceClaim() {
    for (const int descriptor : descriptors_) {
        close(descriptor);
    }
}

}  // namespace sekisho::daemon
