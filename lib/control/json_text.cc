#include "control/json_text.h"

#include <fmt/format.h>

namespace sekisho::control {

namespace {

struct Shape {
    unsigned nesting = 0;
    unsigned values = 1;
};

// What the brackets and commas outside strings say; exact for valid JSON, an upper bound of what
// the parser would build for all else.
Shape shape_of(std::string_view text) {
    Shape shape;
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            i += c == '\\' ? 1 : 0;
            in_string = c != '"';
            continue;
        }
        in_string = c == '"';
        if (c == '[' || c == '{') {
            shape.nesting = std::max(shape.nesting, ++depth);
            ++shape.values;
        } else if (c == ']' || c == '}') {
            depth -= depth > 0 ? 1 : 0;
        } else if (c == ',') {
            ++shape.values;
        }
    }
    return shape;
}

constexpr auto kReplace = nlohmann::detail::error_handler_t::replace;

}  // namespace

tl::expected<Json, RpcError> parse_json(std::string_view text) {
    const Shape shape = shape_of(text);
    if (shape.nesting > kMaxNesting) {
        return refuse(
            kInvalidRequest,
            fmt::format(
                "found values nested {} deep, wanted at most {}", shape.nesting, kMaxNesting
            )
        );
    }
    if (shape.values > kMaxValues) {
        return refuse(
            kInvalidRequest,
            fmt::format("found {} values, wanted at most {}", shape.values, kMaxValues)
        );
    }
    Json value = Json::parse(text.begin(), text.end(), nullptr, false);
    if (value.is_discarded()) {
        return refuse(kParseError, "the line is not valid JSON");
    }
    return value;
}

std::string to_line(const Document& document, bool ascii) {
    return document.dump(-1, ' ', ascii, kReplace);
}

std::string to_lines(const Document& document) {
    return document.dump(2, ' ', true, kReplace);
}

std::string quoted(const Json& value) {
    constexpr size_t kLongest = 60;
    std::string text = value.dump(-1, ' ', true, kReplace);
    if (text.size() > kLongest) {
        text.resize(kLongest);
        text += "...";
    }
    return text;
}

std::string printable(std::string_view text, bool keep_newlines) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const bool is_control = byte < 0x20 || byte == 0x7f;
        // U+0080 to U+009F are C2 80 to C2 9F: some terminals obey them like escape sequences.
        const auto following = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
        const bool is_c1 = byte == 0xc2 && following >= 0x80 && following <= 0x9f;
        if (byte == '\n' && keep_newlines) {
            out += '\n';
        } else if (is_control || is_c1) {
            out += fmt::format("\\x{:02x}", is_c1 ? following : byte);
            i += is_c1 ? 1 : 0;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string printable_start(std::string_view text, size_t most_bytes) {
    if (text.size() <= most_bytes) {
        return printable(text);
    }
    size_t end = most_bytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
        --end;  // inside of a character
    }
    return printable(text.substr(0, end)) + "...";
}

}  // namespace sekisho::control
