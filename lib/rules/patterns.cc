#include "rules/patterns.h"

#include <algorithm>

#include <fmt/format.h>

namespace sekisho::rules {
namespace {

constexpr size_t kShownBytes = 60;

Result<void> check(const Pattern& pattern) {
    if (pattern.text.empty()) {
        return failure("a payload pattern is empty");
    }
    if (pattern.text.size() > PatternSet::kLongest) {
        return failure(fmt::format(
            "the payload pattern {} has {} bytes, more than {}",
            quoted(pattern),
            pattern.text.size(),
            PatternSet::kLongest
        ));
    }
    const size_t zero = pattern.text.find('\0');
    if (pattern.kind == Pattern::Kind::kRegex && zero != std::string::npos) {
        return failure(fmt::format(
            "the expression {} has a zero byte at {}: it is written \\x00", quoted(pattern), zero
        ));
    }
    if (pattern.kind == Pattern::Kind::kLiteral && pattern.is_multiline) {
        return failure(fmt::format("the literal {} has no lines", quoted(pattern)));
    }
    if (pattern.kind == Pattern::Kind::kLiteral && pattern.within != 0 &&
        pattern.within < pattern.text.size()) {
        return failure(fmt::format(
            "the literal {} has {} bytes and cannot lie within the first {}",
            quoted(pattern),
            pattern.text.size(),
            pattern.within
        ));
    }
    return {};
}

// From `[` on, behind the class; a `]` that stands first belongs to it.
size_t behind_class(const std::string& text, size_t at) {
    ++at;
    at += at < text.size() && text[at] == '^' ? 1 : 0;
    at += at < text.size() && text[at] == ']' ? 1 : 0;
    while (at < text.size() && text[at] != ']') {
        at += text[at] == '\\' ? 2 : 1;
    }
    return at + 1;
}

// From a byte on, behind what it stands for: a quotation, an escape, a class, or itself.
size_t behind_item(const std::string& text, size_t at) {
    if (text.compare(at, 2, "\\Q") == 0) {
        const size_t end = text.find("\\E", at + 2);
        return end == std::string::npos ? text.size() : end + 2;
    }
    if (text[at] == '[') {
        return behind_class(text, at);
    }
    return at + (text[at] == '\\' ? 2 : 1);
}

// Whether options set within the expression, from `(?` on, make ^ stand at lines.
bool makes_multiline(const std::string& text, size_t at) {
    for (at += 2; at < text.size() && text[at] != '-'; ++at) {
        if (text[at] == 'm') {
            return true;
        }
        if (text[at] < 'a' || text[at] > 'z') {
            return false;
        }
    }
    return false;
}

}  // namespace

std::string quoted(const Pattern& pattern) {
    std::string out = "\"";
    for (const char c : pattern.text.substr(0, kShownBytes)) {
        const auto byte = static_cast<uint8_t>(c);
        const bool is_plain = byte >= 0x20 && byte < 0x7f && c != '"';
        out += is_plain ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
    }
    return out + (pattern.text.size() > kShownBytes ? "...\"" : "\"");
}

bool has_start_anchor(const Pattern& pattern) {
    const std::string& text = pattern.text;
    if (pattern.kind == Pattern::Kind::kLiteral) {
        return false;
    }
    bool is_multiline = pattern.is_multiline;
    for (size_t at = 0; at < text.size(); at = behind_item(text, at)) {
        is_multiline |= text.compare(at, 2, "(?") == 0 && makes_multiline(text, at);
        const bool is_anchor =
            text.compare(at, 2, "\\A") == 0 || (text[at] == '^' && !is_multiline);
        if (is_anchor) {
            return true;
        }
    }
    return false;
}

Result<PatternId> PatternSet::add(Pattern pattern) {
    if (auto checked = check(pattern); !checked) {
        return tl::unexpected(checked.error());
    }
    const auto same = std::find(patterns_.begin(), patterns_.end(), pattern);
    if (same == patterns_.end() && patterns_.size() == kMost) {
        return failure(fmt::format(
            "no room for the payload pattern {}: there have been {}", quoted(pattern), kMost
        ));
    }
    const auto id = static_cast<uint16_t>(same - patterns_.begin());
    if (same == patterns_.end()) {
        patterns_.emplace_back(std::move(pattern));
    }
    return PatternId{id};
}

void PatternSet::retire(PatternId id) {
    if (id.value < patterns_.size()) {
        patterns_[id.value].reset();
    }
}

const Pattern* PatternSet::find(PatternId id) const {
    return id.value < patterns_.size() && patterns_[id.value] ? &*patterns_[id.value] : nullptr;
}

size_t PatternSet::size() const {
    return static_cast<size_t>(std::ranges::count_if(patterns_, [](const auto& pattern) {
        return pattern.has_value();
    }));
}

}  // namespace sekisho::rules
