// `device:` strings: which kind of device, with which arguments.
//
//   Errors    what was found in words, and what was wanted; kinds that the language knows and this
//             version cannot open say so by name.
//   Thread    pure.
#pragma once

#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "config/config.h"

namespace sekisho::config {

struct DeviceMistake {
    std::string found;
    std::string wanted;
};

tl::expected<DeviceSettings, DeviceMistake> parse_device(std::string_view text);

// A capture file that one of two devices writes and the other writes or reads; empty if none.
std::string shared_file(const DeviceSettings& a, const DeviceSettings& b);

// Whether two devices of one identity are opened the same way: by one driver, in one role.
bool opened_alike(const DeviceSettings& a, const DeviceSettings& b);

// What two links must not share untagged: the interface, the PCI function or the socket, whichever
// driver opens it.
std::string device_identity(const DeviceSettings& device);

}  // namespace sekisho::config
