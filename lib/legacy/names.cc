#include "legacy/names.h"

#include <algorithm>

#include "base/text.h"
#include "legacy/numbers.h"

namespace sekisho::legacy {
namespace {

constexpr std::string_view kSpaces = " \t\r";

// The words of a line up to a '#'.
std::vector<std::string> words_of(std::string_view line) {
    line = line.substr(0, line.find('#'));
    std::vector<std::string> words;
    for (size_t at = line.find_first_not_of(kSpaces); at != std::string_view::npos;) {
        const size_t end = line.find_first_of(kSpaces, at);
        words.emplace_back(line.substr(at, end - at));
        at = line.find_first_not_of(kSpaces, end);
    }
    return words;
}

// Calls `use` with the words of each line that has at least two.
template <class Use>
void for_each_line(std::string_view text, Use use) {
    while (!text.empty()) {
        const size_t end = text.find('\n');
        const std::vector<std::string> words = words_of(text.substr(0, end));
        if (words.size() >= 2) {
            use(words);
        }
        text = end == std::string_view::npos ? "" : text.substr(end + 1);
    }
}

// Enters a value under each of a line's names: all its words but the second.
template <class Map, class Value>
void enter(Map& map, const std::vector<std::string>& words, const Value& value) {
    map.try_emplace(words[0], value);
    for (size_t i = 2; i < words.size(); ++i) {
        map.try_emplace(words[i], value);
    }
}

// "10.1" is a network's 10.1.0.0.
std::optional<Ipv4Addr> read_network(std::string text) {
    for (int parts = 0; parts < 3; ++parts) {
        if (const auto address = read_dotted(text)) {
            return address;
        }
        text += ".0";
    }
    return read_dotted(text);
}

template <class Map, class Key>
auto find_in(const Map& map, const Key& key) -> std::optional<typename Map::mapped_type> {
    const auto found = map.find(key);
    return found == map.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

void NameTables::read_services(std::string_view text) {
    for_each_line(text, [this](const std::vector<std::string>& words) {
        const std::string_view number = words[1];
        const size_t slash = number.find('/');
        const auto port = read_number(number.substr(0, slash), 65535);
        const std::string_view kind = slash == std::string_view::npos ? "" : number.substr(slash);
        if (!port || (kind != "/tcp" && kind != "/udp")) {
            return;
        }
        const Protocol protocol = kind == "/tcp" ? Protocol::kTcp : Protocol::kUdp;
        services_[protocol].try_emplace(static_cast<uint16_t>(*port), words[0]);
        enter(ports_[protocol], words, static_cast<uint16_t>(*port));
    });
}

void NameTables::read_protocols(std::string_view text) {
    for_each_line(text, [this](const std::vector<std::string>& words) {
        const auto number = read_number(words[1], 255);
        if (!number) {
            return;
        }
        protocol_names_.try_emplace(static_cast<uint8_t>(*number), words[0]);
        enter(protocols_, words, static_cast<uint8_t>(*number));
    });
}

void NameTables::read_networks(std::string_view text) {
    for_each_line(text, [this](const std::vector<std::string>& words) {
        if (const auto address = read_network(words[1])) {
            enter(networks_, words, *address);
        }
    });
}

void NameTables::read_hosts(std::string_view text) {
    for_each_line(text, [this](const std::vector<std::string>& words) {
        const auto address = base::parse_ipv4(words[0]);
        for (size_t i = 1; address && i < words.size(); ++i) {
            hosts_[words[i]].push_back(*address);
        }
    });
}

std::optional<Ipv4Addr> NameTables::network(std::string_view name) const {
    return find_in(networks_, name);
}

std::vector<Ipv4Addr> NameTables::host(std::string_view name) const {
    if (const auto known = find_in(hosts_, name)) {
        return *known;
    }
    return resolver_ ? resolver_(name) : std::vector<Ipv4Addr>{};
}

std::optional<uint16_t> NameTables::port_of(std::string_view service, Protocol protocol) const {
    const auto of_protocol = ports_.find(protocol);
    return of_protocol == ports_.end() ? std::nullopt : find_in(of_protocol->second, service);
}

std::optional<std::string> NameTables::service_at(uint16_t port, Protocol protocol) const {
    const auto of_protocol = services_.find(protocol);
    return of_protocol == services_.end() ? std::nullopt : find_in(of_protocol->second, port);
}

std::optional<uint8_t> NameTables::protocol_of(std::string_view name) const {
    return find_in(protocols_, name);
}

std::optional<std::string> NameTables::protocol_name(uint8_t protocol) const {
    return find_in(protocol_names_, protocol);
}

AskedNames::AskedNames(const Names& machine, std::string_view hosts) : machine_(machine) {
    for_each_line(hosts, [this](const std::vector<std::string>& words) {
        const auto address = read_dotted(words[0]);
        for (size_t i = 1; address && i < words.size(); ++i) {
            given_[words[i]].push_back(*address);
        }
    });
}

std::optional<Ipv4Addr> AskedNames::network(std::string_view name) const {
    return machine_.network(name);
}

std::vector<Ipv4Addr> AskedNames::host(std::string_view name) const {
    if (const auto given = given_.find(name); given != given_.end()) {
        return given->second;
    }
    auto found = machine_.host(name);
    if (found.empty() && std::ranges::find(unknown_, name) == unknown_.end()) {
        unknown_.emplace_back(name);
    }
    return found;
}

std::optional<uint16_t> AskedNames::port_of(std::string_view service, Protocol protocol) const {
    return machine_.port_of(service, protocol);
}

std::optional<std::string> AskedNames::service_at(uint16_t port, Protocol protocol) const {
    return machine_.service_at(port, protocol);
}

std::optional<uint8_t> AskedNames::protocol_of(std::string_view name) const {
    return machine_.protocol_of(name);
}

std::optional<std::string> AskedNames::protocol_name(uint8_t protocol) const {
    return machine_.protocol_name(protocol);
}

}  // namespace sekisho::legacy
