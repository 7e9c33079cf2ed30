// DeviceClaim: the devices of a configuration, taken for this process alone. The kernel and DPDK's drivers let a second
// process take frames off the first one's interface, or write into its capture; so it is refused before it touches one.
//
//   Scope     interfaces: an abstract Unix socket for each, which the kernel keeps by network namespace. Captures that are
//             written: flock(2) on the file. Both end with the process in whatever way, and leave nothing behind.
//   Others    a PCI device is refused to a second process by its kernel driver; capture files that are only read may be
//             shared.
//   Errors    one sentence that names the link and the device.
//   Thread    start-up.
#pragma once

#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace sekisho::daemon {

class DeviceClaim {
  public:
    static Result<DeviceClaim> take(const config::Config& config);
    ~DeviceClaim();
    DeviceClaim(DeviceClaim&& other) noexcept;
    DeviceClaim& operator=(DeviceClaim&&) = delete;

  private:
    DeviceClaim() = default;
    bool claim(const config::DeviceSettings& device);

    std::vector<int> descriptors_;
};

}  // namespace sekisho::daemon
