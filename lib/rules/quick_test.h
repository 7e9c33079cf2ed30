// QuickTest: the one condition of a rule that varies, where it is on a header field, as a comparison without a branch.
//
//   Fields    VaryingFields has the header fields that vary inside a flow in one word. What a rule sets on the way (TOS) is
//             put in again by who sets it.
//   Cost      holds: some six operations. quick_test_of: control code. Thread: values.
#pragma once

#include <cstdint>
#include <optional>

#include "rules/packet.h"
#include "rules/rule_set.h"

namespace sekisho::rules {

// From the low bits: TCP flags 8, TOS 8, TTL 8, kind of fragment 8, length 16, whether there is a TCP header 1.
struct VaryingFields {
    static constexpr uint8_t kTcpFlags = 0, kTos = 8, kTtl = 16, kFragment = 24, kLength = 32;
    static constexpr unsigned kHasTcp = 48;
    uint64_t word = 0;
    struct Parts {
        uint8_t tcp_flags = 0;
        uint8_t tos = 0;
        uint8_t ttl = 0;
        FragmentKind fragment = FragmentKind::kWhole;
        uint16_t length = 0;
        bool has_tcp = false;
    };
    explicit VaryingFields(const Parts& parts)
        : word(
              parts.tcp_flags | uint64_t{parts.tos} << kTos | uint64_t{parts.ttl} << kTtl |
              static_cast<uint64_t>(parts.fragment) << kFragment |
              uint64_t{parts.length} << kLength | uint64_t{parts.has_tcp} << kHasTcp
          ) {}
    explicit VaryingFields(const RulePacket& packet)
        : word(
              packet.tcp_flags | uint64_t{packet.tos} << kTos | uint64_t{packet.ttl} << kTtl |
              static_cast<uint64_t>(packet.fragment) << kFragment |
              uint64_t{packet.length} << kLength | uint64_t{packet.has_tcp()} << kHasTcp
          ) {}
};

struct QuickTest {
    uint8_t shift = 0;  // to the field
    bool negated = false;
    bool wants_tcp = false;  // else it is `otherwise`
    bool otherwise = false;
    uint16_t mask = 0;
    uint16_t first = 0;
    uint16_t span = 0;
    friend bool operator==(const QuickTest&, const QuickTest&) = default;

    bool holds(VaryingFields fields) const {
        const uint64_t value = (fields.word >> shift & mask) - first;
        const bool has_it = !wants_tcp || (fields.word >> VaryingFields::kHasTcp & 1) != 0;
        return has_it ? (value <= span) != negated : otherwise;
    }
};

// nullopt: the rule has none or several that vary, or one of another kind.
std::optional<QuickTest> quick_test_of(const Rule& rule);

}  // namespace sekisho::rules
