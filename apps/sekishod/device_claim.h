// DeviceClaim: the devices of a configuration, taken for this process alone. The kernel and DPDK's drivers let a second
// process take frames off the first one's interface, or write into its capture; so it is refused before it touches one.
//
//   Scope     interfaces: flock(2) on a file for each, by network namespace, in a folder where only root can make one; so no
//             other user can hold a sekishod up. Whoever may not write there takes an abstract Unix socket instead, which any
//             local user could have taken. Captures that are written: flock(2) on the file. All end with the process in
//             whatever way; a killed one leaves empty files behind, which the next one takes up.
//   Others    a PCI device is refused to a second process by its kernel driver; capture files that are only read may be
//             shared.
//   Errors    one sentence that names the link and the device.
//   Thread    start-up.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace sekisho::daemon {

class DeviceClaim {
  public:
    static constexpr const char* kFolder = "/run/sekisho";

    static Result<DeviceClaim> take(
        const config::Config& config, const std::string& folder = kFolder
    );
    ~DeviceClaim();
    DeviceClaim(DeviceClaim&& other) noexcept;
    DeviceClaim& operator=(DeviceClaim&&) = delete;

  private:
    DeviceClaim() = default;
    bool claim(const config::DeviceSettings& device);
    int hold_interface(const std::string& interface);

    std::string folder_;              // of locks; empty: not to be trusted
    std::vector<std::string> locks_;  // files to remove
    std::vector<int> descriptors_;
};

}  // namespace sekisho::daemon
