// Single values as they are written: numbers with units, addresses, prefixes, ranges. Strict: the
// whole text or nothing.
//
//   Order     addresses in network order inside Ipv4Addr; ports as host-order numbers.
//   Errors    std::nullopt or a sentence's part; nothing throws.
//   Cost      linear in the text. Thread: pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "base/types.h"
#include "config/config.h"
#include "config/schema.h"
#include "nat/settings.h"

namespace sekisho::config {

// Decimal digits without sign or leading zero, then a unit that `unit` allows: 300, 5m, 64Ki.
std::optional<uint64_t> parse_number(std::string_view text, Unit unit);

// What a number under `rule` looks like, for "wanted".
std::string describe(const NumberRule& rule);

// A dotted quad, four decimal parts without leading zeros.
std::optional<Ipv4Addr> parse_address(std::string_view text);

// Each fails with what was wanted instead.
template <class T>
using Parsed = tl::expected<T, std::string>;
Parsed<Ipv4Prefix> parse_prefix(std::string_view text);  // 10.0.0.0/8, host bits zero
Parsed<InterfaceAddress> parse_interface_address(std::string_view text
);  // 192.0.2.1/24, a host's address
Parsed<nat::AddressRange> parse_address_range(std::string_view text);  // A, A/len or A-B
Parsed<nat::PortRange> parse_port_range(std::string_view text);        // 1024-65535
Parsed<nat::PortRange> parse_ports(std::string_view text);             // 80 or 8000-8015

// An address that a host may have: not of 0/8, 127/8, multicast or class E (RFC 1812 5.3.7).
bool is_unicast(Ipv4Addr address);
bool is_without_unicast(Ipv4Prefix prefix);  // no address in it is a unicast one

std::string format(Ipv4Addr address);
std::string format(Ipv4Prefix prefix);
std::string format(nat::AddressRange range);  // as one address, a prefix if it is one, or A-B

}  // namespace sekisho::config
