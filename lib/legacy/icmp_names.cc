#include "legacy/icmp_names.h"

#include <algorithm>
#include <cctype>

namespace sekisho::legacy {
namespace {

constexpr rules::Range<uint8_t> kAllCodes{0, 255};
constexpr rules::Range<uint8_t> only(uint8_t code) {
    return {code, code};
}

constexpr IcmpName kNames[] = {
    {"echo-reply", 0, kAllCodes},
    {"pong", 0, kAllCodes},
    {"destination-unreachable", 3, kAllCodes, true},
    {"network-unreachable", 3, only(0)},
    {"host-unreachable", 3, only(1)},
    {"protocol-unreachable", 3, only(2)},
    {"port-unreachable", 3, only(3)},
    {"fragmentation-needed", 3, only(4)},
    {"source-route-failed", 3, only(5)},
    {"network-unknown", 3, only(6)},
    {"host-unknown", 3, only(7)},
    {"network-prohibited", 3, only(9)},
    {"host-prohibited", 3, only(10)},
    {"TOS-network-unreachable", 3, only(11)},
    {"TOS-host-unreachable", 3, only(12)},
    {"communication-prohibited", 3, only(13)},
    {"host-precedence-violation", 3, only(14)},
    {"precedence-cutoff", 3, only(15)},
    {"source-quench", 4, kAllCodes},
    {"redirect", 5, kAllCodes, true},
    {"network-redirect", 5, only(0)},
    {"host-redirect", 5, only(1)},
    {"TOS-network-redirect", 5, only(2)},
    {"TOS-host-redirect", 5, only(3)},
    {"echo-request", 8, kAllCodes},
    {"ping", 8, kAllCodes},
    {"router-advertisement", 9, kAllCodes},
    {"router-solicitation", 10, kAllCodes},
    {"time-exceeded", 11, kAllCodes, true},
    {"ttl-exceeded", 11, kAllCodes, true},
    {"ttl-zero-during-transit", 11, only(0)},
    {"ttl-zero-during-reassembly", 11, only(1)},
    {"parameter-problem", 12, kAllCodes, true},
    {"ip-header-bad", 12, only(0)},
    {"required-option-missing", 12, only(1)},
    {"timestamp-request", 13, kAllCodes},
    {"timestamp-reply", 14, kAllCodes},
    {"address-mask-request", 17, kAllCodes},
    {"address-mask-reply", 18, kAllCodes},
};

bool begins_with(std::string_view name, std::string_view text) {
    const auto is_same = [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) ==
               std::tolower(static_cast<unsigned char>(b));
    };
    return text.size() <= name.size() &&
           std::ranges::equal(text, name.substr(0, text.size()), is_same);
}

}  // namespace

std::span<const IcmpName> icmp_names() {
    return kNames;
}

std::vector<const IcmpName*> icmp_names_like(std::string_view text) {
    std::vector<const IcmpName*> found;
    for (const IcmpName& name : kNames) {
        if (!text.empty() && begins_with(name.name, text)) {
            found.push_back(&name);
        }
    }
    return found;
}

const IcmpName* icmp_name_of(rules::Range<uint16_t> types, rules::Range<uint16_t> codes) {
    for (const IcmpName& name : kNames) {
        // A tool may say "all codes" by a whole port's range.
        const bool has_codes = codes.first == name.codes.first &&
                               std::min<uint16_t>(codes.last, 255) == name.codes.last;
        if (types.first == name.type && types.last == name.type && has_codes) {
            return &name;
        }
    }
    return nullptr;
}

}  // namespace sekisho::legacy
