// Values that several sections have alike.
//
//   Errors    reported; false or nothing then. Thread: one checker.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/draft.h"
#include "config/scalars.h"

namespace sekisho::config {

// The name of a realm.
std::optional<RealmId> read_any_realm(const Node& node, const Draft& draft, Mistakes& mistakes);
// The name of a realm on the internal side.
std::optional<RealmId> read_internal_realm(
    const Node& node, const Draft& draft, Mistakes& mistakes
);
// A host's address.
bool read_host(const Node& node, Ipv4Addr& address, Mistakes& mistakes);
// tcp, udp, or a list of them.
bool read_transports(const Node& node, bool& tcp, bool& udp, Mistakes& mistakes);
// 80 or 8000-8015.
bool read_ports(const Node& node, nat::PortRange& ports, Mistakes& mistakes);
// `places`, if it is there: in step with the prefixes.
bool read_prefixes(
    const Node& node,
    std::vector<Ipv4Prefix>& prefixes,
    std::string_view wanted,
    Mistakes& mistakes,
    std::vector<Place>* places = nullptr
);

// An entry's name, which gives it its place among the names.
void read_entry_name(
    const Map& map, std::string& name, Names& names, size_t index, Mistakes& mistakes
);

}  // namespace sekisho::config
