// What REJECT may answer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace sekisho::legacy {

struct RejectName {
    std::string_view name;
    std::string_view other;  // for short
    uint8_t code;            // of destination unreachable
    bool is_reset = false;
};
inline constexpr RejectName kRejectNames[] = {
    {"icmp-net-unreachable", "net-unreach", 0},
    {"icmp-host-unreachable", "host-unreach", 1},
    {"icmp-proto-unreachable", "proto-unreach", 2},
    {"icmp-port-unreachable", "port-unreach", 3},
    {"icmp-net-prohibited", "net-prohib", 9},
    {"icmp-host-prohibited", "host-prohib", 10},
    {"icmp-admin-prohibited", "admin-prohib", 13},
    {"tcp-reset", "tcp-rst", 3, true},
};

// nullptr: there is none.
inline const RejectName* reject_named(std::string_view text) {
    const auto found = std::ranges::find_if(kRejectNames, [text](const RejectName& one) {
        return one.name == text || one.other == text;
    });
    return found == std::end(kRejectNames) ? nullptr : found;
}

}  // namespace sekisho::legacy
