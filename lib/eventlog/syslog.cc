#include "eventlog/syslog.h"

#include <algorithm>
#include <ctime>
#include <iterator>

#include <fmt/format.h>

namespace sekisho::eventlog {
namespace {

constexpr size_t kLongestHost = 255, kLongestApp = 48, kLongestProcess = 128, kLongestKind = 32;

std::string field(std::string_view text, size_t longest) {
    if (text.empty()) {
        return "-";
    }
    std::string out(text.substr(0, longest));
    std::ranges::replace_if(
        out, [](char c) { return c < '!' || c > '~'; }, '?'
    );
    return out;
}

bool is_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Not in the middle of a character.
std::string_view cut(std::string_view text, size_t most) {
    if (text.size() <= most) {
        return text;
    }
    const auto continues = [&](size_t at) {
        return (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
    };
    while (most > 0 && continues(most)) {
        --most;
    }
    return text.substr(0, most);
}

}  // namespace

std::string rfc3339(int64_t utc_ms) {
    const int64_t ms = (utc_ms % 1000 + 1000) % 1000;
    const std::time_t seconds = (utc_ms - ms) / 1000;
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    return fmt::format(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        utc.tm_year + 1900,
        utc.tm_mon + 1,
        utc.tm_mday,
        utc.tm_hour,
        utc.tm_min,
        utc.tm_sec,
        ms
    );
}

std::string escape_value(std::string_view value) {
    std::string out;
    for (const char c : value) {
        if (c == '"' || c == '\\' || c == ']') {
            out += '\\';
        }
        out += c;
    }
    return out;
}

std::string syslog_message(
    const SyslogHeader& header, std::string_view data, std::string_view text
) {
    std::string message = fmt::format(
        "<{}>1 {} {} {} {} {} {}",
        header.facility * 8 + header.severity,
        rfc3339(header.utc_ms),
        field(header.host, kLongestHost),
        field(header.app, kLongestApp),
        field(header.process, kLongestProcess),
        field(header.kind, kLongestKind),
        data.empty() ? "-" : data
    );
    if (text.empty() || message.size() + 1 >= kLongestSyslog) {
        return message;
    }
    message += is_ascii(text) ? " " : " \xef\xbb\xbf";
    const size_t begun = message.size();
    message += cut(text, kLongestSyslog - std::min(begun, kLongestSyslog));
    const auto from = message.begin() + static_cast<std::ptrdiff_t>(begun);
    std::replace_if(
        from,
        message.end(),
        [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; },
        ' '
    );
    return message;
}

}  // namespace sekisho::eventlog
