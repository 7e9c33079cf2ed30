#include "legacy/hosts.h"

#include <algorithm>

#include <fmt/format.h>

namespace sekisho::legacy {
namespace {

std::string cited(std::string_view text, char quote) {
    return fmt::format("{}{}{}", quote, text, quote == '`' ? '\'' : quote);
}

std::vector<Ipv4Addr> look_up(std::string_view name, const Names& names) {
    if (const auto address = read_dotted(name)) {
        return {*address};
    }
    if (const auto network = names.network(name)) {
        return {*network};
    }
    return names.host(name);
}

}  // namespace

Result<std::vector<HostMask>> read_hosts(std::string_view text, const Names& names, char quote) {
    const size_t slash = text.rfind('/');
    const auto mask = slash == std::string_view::npos ? Ipv4Addr::from_host(0xffffffff)
                                                      : read_mask(text.substr(slash + 1));
    if (!mask) {
        return failure(
            fmt::format("invalid mask {} specified", cited(text.substr(slash + 1), quote))
        );
    }
    if (*mask == Ipv4Addr{}) {  // the name says nothing
        return std::vector{HostMask{}};
    }
    const std::string_view name = text.substr(0, slash);
    std::vector<HostMask> hosts;
    for (const Ipv4Addr address : look_up(name, names)) {
        const HostMask host{{address.raw & mask->raw}, *mask};
        if (std::ranges::find(hosts, host) == hosts.end()) {
            hosts.push_back(host);
        }
    }
    if (hosts.empty()) {
        return failure(fmt::format("host/network {} not found", cited(name, quote)));
    }
    return hosts;
}

}  // namespace sekisho::legacy
