// Numbers of the options that -m and -j of iptables bring along, and what several of them are read with.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "rules/condition.h"

namespace sekisho::legacy {

enum IptablesOption : int {
    kSourcePort = 1001,
    kDestinationPort,
    kTcpFlags,
    kSyn,
    kIcmpType,
    kState,
    kConntrackState,
    kLimit,
    kLimitBurst,
    kSourcePorts,
    kDestinationPorts,
    kEitherPorts,
    kMark,
    kComment,
    kSourceRange,
    kDestinationRange,
    kLength,
    kTtlEqual,
    kTtlMore,
    kTtlLess,
    kTos,
    kString,
    kHexString,
    kAlgorithm,
    kStringFrom,
    kStringTo,
    kIgnoreCase,
    kLogLevel,
    kLogPrefix,
    kRejectWith,
    kToSource,
    kToDestination,
    kToPorts,
    kSetMark,
    kSetXmark,
    kSetTos,
    kSetDscp,
};

// The parts of a list between commas.
std::vector<std::string_view> parts_of(std::string_view text);
// Decimal, or hexadecimal behind 0x.
std::optional<uint32_t> read_any_base(std::string_view text);
// "VALUE" or "VALUE/MASK".
std::optional<rules::MarkTest> read_mark(std::string_view text);
// "ADDRESS" or "ADDRESS-ADDRESS", the lower one first.
std::optional<rules::AddressRange> read_range(std::string_view text);
bool is_printable(std::string_view text);

}  // namespace sekisho::legacy
