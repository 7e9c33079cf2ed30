// From the configuration's device strings to what DPDK calls them.
//
//   Errors    check_device() looks at the machine and says in one sentence what is missing and how
//             to get it.
//   Thread    start-up.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "config/config.h"

namespace sekisho::dpdk {

struct DeviceArguments {
    std::string name;   // of the ethdev: net_af_packet0, 0000:03:00.0
    std::string probe;  // for rte_dev_probe: name,key=value,...
    bool pci = false;
};

// `index` makes the names of virtual devices distinct; `queues` is how many queue pairs to ask for;
// `mac` is asked for where the driver lets one choose, as when a device is made anew. Pure.
DeviceArguments device_arguments(
    const config::DeviceSettings& device,
    unsigned index,
    unsigned queues,
    const std::optional<MacAddr>& mac = std::nullopt
);

// Whether another process is the other end, which must have as many queues.
bool has_far_end(config::DeviceKind kind);

// How many frames a device keeps in buffers for as long as it runs: those of a loop, 0 of the others.
uint64_t looped_frames(const config::DeviceSettings& device);

// How many queue pairs a device of this kind can have, 0 for as many as are asked for.
unsigned queue_limit(config::DeviceKind kind);

// The kernel's interface behind an AF_PACKET, AF_XDP or tap device. DPDK's drivers do not follow its
// state.
struct KernelInterface {
    std::string name;
    unsigned index = 0;  // one of the same name that is made anew is another
    // Up, with a carrier, and still the same one.
    bool is_running() const;
    // Still the same one, whatever its state.
    bool is_there() const;
};
std::optional<KernelInterface> kernel_interface(const config::DeviceSettings& device);

// Whether the machine has what the device needs: the interface, the file, the privilege, the driver
// binding.
Result<void> check_device(const config::DeviceSettings& device, uint16_t mtu);

// Removes the socket that a killed process has left where the device is to make its own. Fails if
// somebody listens on it, or if it is none.
Result<void> clear_stale_socket(const config::DeviceSettings& device);

}  // namespace sekisho::dpdk
