// Numbers, addresses and masks as the old tools read and show them.
//
//   Read      decimal, leading zeros allowed, no signs and no spaces; nothing: not one, or out of its range.
//   Cost      control code. Thread: pure.
//   Source    LEGACY S24, S29, C18.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/types.h"

namespace sekisho::legacy {

std::optional<uint32_t> read_number(std::string_view text, uint32_t most);
// "0x1f" or "1f".
std::optional<uint8_t> read_hex_byte(std::string_view text);
// Four parts with dots between them.
std::optional<Ipv4Addr> read_dotted(std::string_view text);
// A number of bits, or dotted; it need not be contiguous.
std::optional<Ipv4Addr> read_mask(std::string_view text);

// How many leading bits a mask has; nothing if it is not contiguous.
std::optional<unsigned> bits_of(Ipv4Addr mask);

// An address and what its mask leaves of it: "10.0.0.0/8", "10.0.0.1" for 32 bits, "10.0.0.1/255.0.0.255".
struct HostMask {
    Ipv4Addr address;
    Ipv4Addr mask;
    bool is_any() const { return mask == Ipv4Addr{}; }
    friend bool operator==(const HostMask&, const HostMask&) = default;
};
std::string to_text(const HostMask& host);

// A counter: 99999 at most as it is, then thousands up to 9999K, then millions (LEGACY S24).
std::string rounded_to_millions(uint64_t count);
// The same, with thousands of millions above 9999M (C18).
std::string rounded_to_billions(uint64_t count);

}  // namespace sekisho::legacy
