#include "config/yaml_text.h"

#include <algorithm>

#include <fmt/format.h>

namespace sekisho::config {
namespace {

bool is_plain(std::string_view text) {
    const auto alnum = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    const auto fits = [&](char c) {
        return alnum(c) || c == '.' || c == '_' || c == '-' || c == '/' || c == ':';
    };
    return !text.empty() && (alnum(text.front()) || text.front() == '/') && text.back() != ':' &&
           std::all_of(text.begin(), text.end(), fits) && text != "null" && text != "Null" &&
           text != "NULL";
}

}  // namespace

std::string scalar(std::string_view text) {
    if (is_plain(text)) {
        return std::string(text);
    }
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            out += fmt::format("\\x{:02x}", byte);
            continue;
        }
        if (c == '"' || c == '\\') {
            out += '\\';
        }
        out += c;
    }
    return out + '"';
}

}  // namespace sekisho::config
