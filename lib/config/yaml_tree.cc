#include "config/yaml_tree.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace sekisho::config {
namespace {

// Leaves the YAML parser from inside an event; caught in read_tree, never seen outside.
struct Refused {
    Place place;
    std::string found;
    std::string wanted;
};

Place place_of(const YAML::Mark& mark) {
    return Place{std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1};
}

// Length of the UTF-8 character at `at`, 0 if there is none (RFC 3629, section 4).
size_t utf8_length(std::string_view text, size_t at) {
    const auto byte = [&](size_t i) -> unsigned {
        return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u;
    };
    const auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
    const unsigned first = byte(0);
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xc2 && first <= 0xdf) {
        return follows(1) ? 2 : 0;
    }
    // Not overlong, no surrogate, nothing beyond U+10FFFF: bounds of the second byte.
    const unsigned least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned limit = first == 0xed ? 0xa0 : first == 0xf4 ? 0x90 : 0xc0;
    if (first < 0xe0 || first > 0xf4 || byte(1) < least || byte(1) >= limit || !follows(2)) {
        return 0;
    }
    if (first <= 0xef) {
        return 3;
    }
    return follows(3) ? 4 : 0;
}

// The first byte that is part of no character; of most texts, which are ASCII, it looks at each byte once.
std::optional<unsigned char> find_bad_byte(std::string_view text) {
    const auto is_ascii = [](char c) { return (c & 0x80) == 0; };
    if (std::all_of(text.begin(), text.end(), is_ascii)) {
        return std::nullopt;
    }
    for (size_t i = 0; i < text.size();) {
        const size_t length = utf8_length(text, i);
        if (length == 0) {
            return static_cast<unsigned char>(text[i]);
        }
        i += length;
    }
    return std::nullopt;
}

class TreeBuilder : public YAML::EventHandler {
  public:
    explicit TreeBuilder(std::string_view source) : source_(source) {}
    void OnDocumentStart(const YAML::Mark& mark) override {
        if (++documents_ > 1) {
            throw Refused{place_of(mark), "a second document", "one document in a file"};
        }
    }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
        Node& node = add(Node::Kind::kNothing, mark, "?");
        const size_t at = static_cast<size_t>(std::max(mark.pos, 0));
        if (at < source_.size() && source_.substr(at, kNullWord.size()) == kNullWord) {
            node.text = kNullWord;
        }
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        throw Refused{place_of(mark), "an alias", "the value itself"};
    }
    void OnScalar(
        const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& value
    ) override {
        // The parser makes single bytes of the escapes \N and \_.
        if (const auto bad = find_bad_byte(value)) {
            throw Refused{
                place_of(mark), fmt::format("text with the byte 0x{:02x}", *bad), "text in UTF-8"};
        }
        Node& node = add(Node::Kind::kScalar, mark, tag);
        node.text = value;
        node.quoted = tag == "!";
    }
    void OnSequenceStart(
        const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, YAML::EmitterStyle::value
    ) override {
        open(add(Node::Kind::kList, mark, tag));
    }
    void OnSequenceEnd() override { open_.pop_back(); }
    void OnMapStart(
        const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, YAML::EmitterStyle::value
    ) override {
        open(add(Node::Kind::kMap, mark, tag));
    }
    void OnMapEnd() override { open_.pop_back(); }

    Node take_root() { return std::move(root_); }

  private:
    Node& add(Node::Kind kind, const YAML::Mark& mark, const std::string& tag) {
        const Place place = place_of(mark);
        if (tag != "?" && tag != "!" && !tag.empty()) {
            throw Refused{place, "the tag " + quote(tag), "a value without a tag"};
        }
        if (++nodes_ > kMaxNodes) {
            throw Refused{place, fmt::format("more than {} values", kMaxNodes), "fewer"};
        }
        Node& slot = next_slot();
        slot.kind = kind;
        slot.place = kind == Node::Kind::kNothing ? place_of_nothing(place) : place;
        return slot;
    }

    // A missing value is where its key is: the parser would name the next line.
    Place place_of_nothing(Place place) const {
        const bool is_value = !open_.empty() && open_.back()->kind == Node::Kind::kMap &&
                              open_.back()->keys.size() == open_.back()->items.size();
        return is_value ? open_.back()->keys.back().place : place;
    }

    Node& next_slot() {
        if (open_.empty()) {
            return root_;
        }
        Node& parent = *open_.back();
        const bool is_key =
            parent.kind == Node::Kind::kMap && parent.keys.size() == parent.items.size();
        return is_key ? parent.keys.emplace_back() : parent.items.emplace_back();
    }

    // Pointers stay valid: a node's siblings are added only after it is closed.
    void open(Node& node) {
        if (open_.size() >= kMaxDepth) {
            throw Refused{
                node.place,
                fmt::format("values nested more than {} deep", kMaxDepth),
                "flatter ones"};
        }
        open_.push_back(&node);
    }

    static constexpr std::string_view kNullWord = "null";
    std::string_view source_;
    Node root_;
    std::vector<Node*> open_;
    size_t nodes_ = 0;
    int documents_ = 0;
};

// yaml-cpp takes the byte 0x04 for the end of the file and guesses at other encodings: neither may
// reach it.
std::optional<Refused> refuse_bytes(std::string_view text) {
    Place place;
    for (size_t i = 0; i < text.size();) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const bool control =
            (byte < 0x20 && byte != '\n' && byte != '\t' && byte != '\r') || byte == 0x7f;
        const size_t length = utf8_length(text, i);
        if (control || length == 0) {
            return Refused{place, fmt::format("the byte 0x{:02x}", byte), "text in UTF-8"};
        }
        i += length;
        if (byte == '\n') {
            ++place.line;
            place.column = 1;
        } else {
            place.column += static_cast<int>(length);
        }
    }
    return std::nullopt;
}

// A tab before the text of a line (none, or a remark, too) breaks block YAML in many ways, most of
// which the parser reports as something else.
std::optional<Refused> find_tab(std::string_view text, int last_line) {
    int line = 1;
    for (size_t from = 0; from < text.size() && line <= last_line; ++line) {
        const size_t end = std::min(text.find('\n', from), text.size());
        const std::string_view whole = text.substr(from, end - from);
        const size_t begin = std::min(whole.find_first_not_of(" \t\r"), whole.size());
        const size_t tab = whole.substr(0, begin).find('\t');
        if (tab != std::string_view::npos) {
            return Refused{{line, static_cast<int>(tab) + 1}, "a tab in the indentation", "blanks"};
        }
        from = end + 1;
    }
    return std::nullopt;
}

// YAML keeps it for itself, and sets are named by it.
bool is_at_sign(std::string_view text, const YAML::Mark& mark) {
    const auto at = static_cast<size_t>(std::max(mark.pos, 0));
    return at < text.size() && text[at] == '@';
}

}  // namespace

std::string describe(const Node& node) {
    switch (node.kind) {
        case Node::Kind::kNothing:
            return "nothing";
        case Node::Kind::kScalar:
            return quote(node.text);
        case Node::Kind::kList:
            return "a list";
        case Node::Kind::kMap:
            return "a map";
    }
    return "nothing";
}

tl::expected<Node, Mistake> read_tree(const std::string& text, const std::string& file_name) {
    const auto refuse = [&](const Refused& r) {
        return tl::make_unexpected(Mistake{
            file_name, r.place.line, r.place.column, r.found, r.wanted});
    };
    if (text.size() > kMaxTextBytes) {
        return refuse({{}, "a file larger than 64 MiB", "a configuration of at most 64 MiB"});
    }
    if (const auto bad = refuse_bytes(text)) {
        return refuse(*bad);
    }
    try {
        std::istringstream stream(text);
        YAML::Parser parser(stream);
        TreeBuilder builder(text);
        bool any = false;
        while (parser.HandleNextDocument(builder)) {
            any = true;
        }
        if (!any) {
            return refuse({{}, "an empty file", "a map of links, pools and policies"});
        }
        return builder.take_root();
    } catch (const Refused& r) {
        return refuse(r);
    } catch (const YAML::Exception& e) {
        if (const auto tab = find_tab(text, place_of(e.mark).line + 1)) {
            return refuse(*tab);
        }
        if (is_at_sign(text, e.mark)) {
            return refuse({place_of(e.mark), "@ outside of quotes", "a set as \"@name\", in quotes"}
            );
        }
        return refuse({place_of(e.mark), "broken YAML (" + e.msg + ")", "well-formed YAML"});
    } catch (const std::exception& e) {
        return refuse({{}, fmt::format("unreadable YAML ({})", e.what()), "well-formed YAML"});
    }
}

}  // namespace sekisho::config
