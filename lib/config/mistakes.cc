#include "config/mistakes.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

namespace sekisho::config {

std::string Mistake::text() const {
    return fmt::format("{}:{}:{}: found {}, wanted {}", file, line, column, found, wanted);
}

void Mistakes::add(Place place, std::string found, std::string wanted) {
    mistakes_.push_back(Mistake{
        file_, place.line, place.column, std::move(found), std::move(wanted)});
}

void Mistakes::add_in(const std::string& file, Place place, std::string found, std::string wanted) {
    mistakes_.push_back(Mistake{file, place.line, place.column, std::move(found), std::move(wanted)}
    );
}

void Mistakes::warn(Place place, std::string found, std::string wanted) {
    warnings_.push_back(Mistake{
        file_, place.line, place.column, std::move(found), std::move(wanted)});
}

std::vector<Mistake> Mistakes::in_file_order() && {
    const auto place = [this](const Mistake& m) {
        return std::tuple(m.file != file_, std::string_view(m.file), m.line, m.column);
    };
    std::stable_sort(mistakes_.begin(), mistakes_.end(), [&](const Mistake& a, const Mistake& b) {
        return place(a) < place(b);
    });
    return std::move(mistakes_);
}

std::string quote(std::string_view text) {
    constexpr size_t kLongest = 80;
    size_t end = std::min(text.size(), kLongest);
    const auto is_continuation = [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
    };
    while (end > 0 && end < text.size() && is_continuation(text[end])) {
        --end;  // never half a UTF-8 character
    }
    std::string out = "\"";
    for (const char c : text.substr(0, end)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            out += fmt::format("\\x{:02x}", byte);
        } else {
            out += c;
        }
    }
    return out + (end < text.size() ? "...\"" : "\"");
}

}  // namespace sekisho::config
