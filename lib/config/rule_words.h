// Single values of rules as they are written, both ways.
//
//   Parsers   take the whole text or nothing; what fails says what was wanted instead.
//   Order     as in lib/rules: addresses in network order, numbers in host order.
//   Thread    pure. Cost: linear in the text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/scalars.h"
#include "rules/rule_set.h"

namespace sekisho::config {

// A range of any addresses: A, A/LENGTH or A-B.
Parsed<rules::AddressRange> parse_any_addresses(std::string_view text);
std::string format(const rules::AddressRange& range);
// A/MASK, both dotted; the mask need not be contiguous.
Parsed<rules::MaskedAddress> parse_masked(std::string_view text);
std::string format(const rules::MaskedAddress& address);

// A number or two, the lower one first: 80 or 8000-8999.
Parsed<rules::Range<uint32_t>> parse_span(std::string_view text, uint32_t most);
std::string format_span(uint32_t first, uint32_t last);

// A priority.
std::optional<int16_t> parse_signed(std::string_view text);

// A number, decimal or 0x...; and one under a mask, VALUE or VALUE/MASK.
struct Bits {
    uint32_t value = 0;
    uint32_t mask = 0;
};
std::optional<uint32_t> parse_bits_number(std::string_view text, uint32_t most);
Parsed<Bits> parse_bits(std::string_view text, uint32_t most);
std::string format_bits(Bits bits, uint32_t most);

// A name, TYPE or TYPE/CODE, both numbers or ranges.
Parsed<rules::IcmpKind> parse_icmp(std::string_view text);
std::string format(const rules::IcmpKind& kind);

// 08:30 or 08:30:15, up to 24:00, in seconds.
std::optional<uint32_t> parse_time_of_day(std::string_view text);
std::string format_time_of_day(uint32_t second);

struct Word {
    std::string_view name;
    uint8_t value;
};
inline constexpr Word kTcpFlagWords[] = {
    {"fin", 0x01},
    {"syn", 0x02},
    {"rst", 0x04},
    {"psh", 0x08},
    {"ack", 0x10},
    {"urg", 0x20},
    {"ece", 0x40},
    {"cwr", 0x80},
};
inline constexpr Word kFragmentWords[] = {{"whole", 0}, {"first", 1}, {"later", 2}};
inline constexpr Word kStateWords[] = {
    {"new", 0}, {"established", 1}, {"related", 2}, {"invalid", 3}, {"untracked", 4}};
inline constexpr Word kDayWords[] = {
    {"monday", 0},
    {"tuesday", 1},
    {"wednesday", 2},
    {"thursday", 3},
    {"friday", 4},
    {"saturday", 5},
    {"sunday", 6},
};
inline constexpr Word kLevelWords[] = {
    // RFC 5424 6.2.1
    {"emergency", 0},
    {"alert", 1},
    {"critical", 2},
    {"error", 3},
    {"warning", 4},
    {"notice", 5},
    {"informational", 6},
    {"debug", 7},
};
// RFC 5424, table 1.
inline constexpr Word kFacilityWords[] = {
    {"kern", 0},      {"user", 1},    {"mail", 2},    {"daemon", 3},  {"auth", 4},
    {"syslog", 5},    {"lpr", 6},     {"news", 7},    {"uucp", 8},    {"cron", 9},
    {"authpriv", 10}, {"ftp", 11},    {"ntp", 12},    {"audit", 13},  {"alert", 14},
    {"clock", 15},    {"local0", 16}, {"local1", 17}, {"local2", 18}, {"local3", 19},
    {"local4", 20},   {"local5", 21}, {"local6", 22}, {"local7", 23},
};
// How a line of the log looks; in the order of rules::LogStyle.
inline constexpr Word kLogStyleWords[] = {
    {"structured", 0}, {"ipfwadm", 1}, {"ipchains", 2}, {"iptables", 3}};
// Codes of destination unreachable: RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1.
inline constexpr Word kRejectWords[] = {
    {"network-unreachable", 0},
    {"host-unreachable", 1},
    {"protocol-unreachable", 2},
    {"port-unreachable", 3},
    {"network-prohibited", 9},
    {"host-prohibited", 10},
    {"administratively-prohibited", 13},
};
inline constexpr Word kDscpWords[] = {  // RFC 2474, RFC 2597, RFC 3246, RFC 5865, RFC 8622
    {"default", 0}, {"le", 1},    {"cs1", 8},   {"af11", 10}, {"af12", 12}, {"af13", 14},
    {"cs2", 16},    {"af21", 18}, {"af22", 20}, {"af23", 22}, {"cs3", 24},  {"af31", 26},
    {"af32", 28},   {"af33", 30}, {"cs4", 32},  {"af41", 34}, {"af42", 36}, {"af43", 38},
    {"cs5", 40},    {"va", 44},   {"ef", 46},   {"cs6", 48},  {"cs7", 56}};
std::optional<uint8_t> find_word(std::span<const Word> words, std::string_view text);
// Empty: it has none.
std::string_view word_of(std::span<const Word> words, unsigned value);
// "a, b or c"
std::string list_words(std::span<const Word> words);

}  // namespace sekisho::config
