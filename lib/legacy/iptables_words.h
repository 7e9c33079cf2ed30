// Words of iptables that are both read and shown.
#pragma once

#include <cstdint>
#include <string_view>

#include "rules/packet.h"

namespace sekisho::legacy {

struct FlagName {
    std::string_view name;
    uint8_t flag;
};
inline constexpr FlagName kFlagNames[] = {
    {"FIN", rules::kFin},
    {"SYN", rules::kSyn},
    {"RST", rules::kRst},
    {"PSH", rules::kPsh},
    {"ACK", rules::kAck},
    {"URG", rules::kUrg}};

struct StateName {
    std::string_view name;
    rules::ConnectionState state;
};
inline constexpr StateName kStateNames[] = {
    {"INVALID", rules::ConnectionState::kInvalid},
    {"NEW", rules::ConnectionState::kNew},
    {"RELATED", rules::ConnectionState::kRelated},
    {"ESTABLISHED", rules::ConnectionState::kEstablished},
    {"UNTRACKED", rules::ConnectionState::kUntracked}};

// Of the TOS's bits without the two lowest, as -m tos shows them without -n.
struct TosName {
    std::string_view name;
    uint8_t value;
};
inline constexpr uint8_t kNamedTosMask = 0x3f;
inline constexpr TosName kTosNames[] = {
    {"Minimize-Delay", 0x10},
    {"Maximize-Throughput", 0x08},
    {"Maximize-Reliability", 0x04},
    {"Minimize-Cost", 0x02},
    {"Normal-Service", 0x00}};

struct Unit {
    std::string_view name;
    std::string_view shown;
    uint32_t seconds;
};
inline constexpr Unit kUnits[] = {
    {"second", "sec", 1}, {"minute", "min", 60}, {"hour", "hour", 3600}, {"day", "day", 86400}};

struct LevelName {
    std::string_view name;
    uint8_t level;
};
inline constexpr LevelName kLevelNames[] = {
    {"emerg", 0},
    {"alert", 1},
    {"crit", 2},
    {"error", 3},
    {"warning", 4},
    {"notice", 5},
    {"info", 6},
    {"debug", 7},
    {"panic", 0}};

}  // namespace sekisho::legacy
