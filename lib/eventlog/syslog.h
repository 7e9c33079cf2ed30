// Syslog messages (RFC 5424): text of one, whole.
//
//   Shape     <PRI>1 TIME HOST APP PROCID MSGID DATA MSG, MSG in UTF-8 with a byte order mark only where it is not plain ASCII
//             (6.4). What is no printable ASCII in a header field becomes '?'; control characters of MSG become spaces.
//   Bounds    at most kLongest bytes (RFC 5426 3.2: receivers should take 2048); MSG is cut.
//   Thread    pure. Allocates.
//   Source    RFC 5424, RFC 5426, RFC 6587 3.4.1 (octet counting).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sekisho::eventlog {

inline constexpr size_t kLongestSyslog = 2048;

struct SyslogHeader {
    uint8_t facility = 3;  // 0 to 23; 3: daemon
    uint8_t severity = 6;
    int64_t utc_ms = 0;
    std::string_view host;     // empty: "-"
    std::string_view app;      // the same
    std::string_view process;  // the same
    std::string_view kind;     // MSGID; the same
};

// `data`: structured data elements; empty: none.
std::string syslog_message(
    const SyslogHeader& header, std::string_view data, std::string_view text
);
// For a PARAM-VALUE (6.3.3).
std::string escape_value(std::string_view value);
// "2026-11-23T09:05:07.123Z"
std::string rfc3339(int64_t utc_ms);

}  // namespace sekisho::eventlog
