// From the configuration's device strings to what DPDK calls them. Pure: nothing is opened here.
//
//   Errors    check_device() looks at the machine and says in one sentence what is missing and how
//             to get it.
//   Thread    start-up.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace sekisho::dpdk {

struct DeviceArguments {
    std::string name;   // of the ethdev: net_af_packet0, 0000:03:00.0
    std::string probe;  // for rte_dev_probe: name,key=value,...
    bool pci = false;
};

// `index` makes the names of virtual devices distinct; `queues` is how many queue pairs to ask for.
DeviceArguments device_arguments(
    const config::DeviceSettings& device, unsigned index, unsigned queues
);

// How many queue pairs a device of this kind can have, 0 for as many as are asked for.
unsigned queue_limit(config::DeviceKind kind);

// The kernel's interface behind an AF_PACKET or AF_XDP device. DPDK's drivers do not follow its state.
struct KernelInterface {
    std::string name;
    unsigned index = 0;  // one of the same name that is made anew is another
    // Up, with a carrier, and still the same one.
    bool is_running() const;
};
std::optional<KernelInterface> kernel_interface(const config::DeviceSettings& device);

// Whether the machine has what the device needs: the interface, the file, the privilege, the driver
// binding.
Result<void> check_device(const config::DeviceSettings& device, uint16_t mtu);

}  // namespace sekisho::dpdk
