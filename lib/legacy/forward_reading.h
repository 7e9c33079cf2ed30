// Hosts, ports and protocols of the forwarding tools.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "legacy/answer.h"
#include "legacy/names.h"
#include "legacy/numbers.h"

namespace sekisho::legacy {

// "tcp" or "udp", of which the first letter is enough.
inline std::optional<Protocol> read_transport(std::string_view text) {
    if (!text.empty() && std::string_view("tcp").starts_with(text)) {
        return Protocol::kTcp;
    }
    if (!text.empty() && std::string_view("udp").starts_with(text)) {
        return Protocol::kUdp;
    }
    return std::nullopt;
}

// 1 to 65535.
inline std::optional<uint16_t> read_real_port(std::string_view text) {
    const auto port = read_number(text, 65535);
    return port && *port != 0 ? std::optional(static_cast<uint16_t>(*port)) : std::nullopt;
}

inline std::optional<uint16_t> read_service(
    std::string_view text, Protocol protocol, const Names& names
) {
    const auto port = read_real_port(text);
    return port ? port : names.port_of(text, protocol);
}

inline std::optional<Ipv4Addr> read_host(std::string_view text, const Names& names) {
    if (const auto address = read_dotted(text)) {
        return address;
    }
    const std::vector<Ipv4Addr> found = names.host(text);
    return found.empty() ? std::nullopt : std::optional(found.front());
}

// Adds it, before all others, unless it is there; takes it away, if it is there.
template <class Entry>
bool add_first(std::vector<Entry>& entries, const Entry& entry) {
    if (std::ranges::find(entries, entry) != entries.end()) {
        return false;
    }
    entries.insert(entries.begin(), entry);
    return true;
}
template <class Entry, class Test>
bool erase_all(std::vector<Entry>& entries, Test test) {
    return std::erase_if(entries, test) != 0;
}

}  // namespace sekisho::legacy
