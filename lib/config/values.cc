#include "config/values.h"

#include <algorithm>
#include <cctype>
#include <unordered_map>

#include <fmt/format.h>

#include "config/scalars.h"

namespace sekisho::config {
namespace {

constexpr size_t kLongestName = 32;

bool is_name(std::string_view text) {
    const auto is_plain = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 && (c & 0x80) == 0;
    };
    return !text.empty() && text.size() <= kLongestName && is_plain(text[0]) &&
           std::all_of(text.begin(), text.end(), [&](char c) {
               return is_plain(c) || c == '.' || c == '_' || c == '-';
           });
}

void check_keys(const Node& node, const Section& section, Mistakes& mistakes) {
    std::unordered_map<std::string_view, int> first_line;
    for (const Node& key : node.keys) {
        if (key.kind != Node::Kind::kScalar) {
            mistakes.add(key.place, describe(key) + " as a key", "one of " + list_keys(section));
            continue;
        }
        const bool known = std::any_of(section.keys.begin(), section.keys.end(), [&](const Key& k) {
            return k.name == key.text;
        });
        if (!known) {
            mistakes.add(
                key.place,
                fmt::format("unknown key {} in {}", quote(key.text), section.name),
                nearest_key(section, key.text)
            );
            continue;
        }
        const auto [at, fresh] = first_line.emplace(key.text, key.place.line);
        if (!fresh) {
            mistakes.add(
                key.place,
                fmt::format(
                    "the key {} a second time (first on line {})", quote(key.text), at->second
                ),
                "each key once"
            );
        }
    }
    for (const Key& key : section.keys) {
        if (key.required && !first_line.contains(key.name)) {
            mistakes.add(
                node.place,
                fmt::format("{} without {}", section.name, key.name),
                fmt::format("the key {}", key.name)
            );
        }
    }
}

// "random", "random or sequential", "a, b or c": the choices that may be taken.
std::string list_available(std::span<const ChoiceName> choices) {
    std::vector<std::string_view> names;
    for (const ChoiceName& choice : choices) {
        if (choice.available) {
            names.push_back(choice.name);
        }
    }
    std::string out;
    for (size_t i = 0; i < names.size(); ++i) {
        out += i == 0 ? "" : i + 1 == names.size() ? " or " : ", ";
        out += names[i];
    }
    return out;
}

}  // namespace

std::optional<Map> Map::open(const Node& node, const Section& section, Mistakes& mistakes) {
    if (node.kind != Node::Kind::kMap) {
        mistakes.add(node.place, describe(node), fmt::format("a map with {}", list_keys(section)));
        return std::nullopt;
    }
    check_keys(node, section, mistakes);
    return Map(node);
}

const Node* Map::find(std::string_view key) const {
    for (size_t i = 0; i < node_->items.size(); ++i) {
        if (node_->keys[i].kind == Node::Kind::kScalar && node_->keys[i].text == key) {
            return &node_->items[i];
        }
    }
    return nullptr;
}

void Names::declare(const Node& node, size_t index, Mistakes& mistakes) {
    const auto [at, fresh] = known_.emplace(node.text, Known{index, node.place.line});
    if (fresh) {
        order_.push_back(node.text);
        return;
    }
    const std::string where =
        at->second.line > 0 ? fmt::format("first on line {}", at->second.line) : "it always exists";
    mistakes.add(
        node.place,
        fmt::format("the name {} for a second {} ({})", quote(node.text), kind_, where),
        fmt::format("a name of its own for each {}", kind_)
    );
}

std::optional<size_t> Names::find(const std::string& name) const {
    const auto at = known_.find(name);
    return at == known_.end() ? std::nullopt : std::optional<size_t>(at->second.index);
}

std::string Names::list() const {
    constexpr size_t kMost = 8;
    std::string out;
    for (size_t i = 0; i < std::min(order_.size(), kMost); ++i) {
        out += (i == 0 ? "" : i + 1 == order_.size() ? " or " : ", ") + order_[i];
    }
    return order_.size() > kMost ? out + ", ..." : out;
}

std::optional<uint64_t> read_number(const Node& node, const NumberRule& rule, Mistakes& mistakes) {
    const auto value = node.kind == Node::Kind::kScalar && !node.quoted
                           ? parse_number(node.text, rule.unit)
                           : std::nullopt;
    if (!value || *value < rule.low || *value > rule.high) {
        mistakes.add(
            node.place, describe(node) + (node.quoted ? " in quotes" : ""), describe(rule)
        );
        return std::nullopt;
    }
    return value;
}

const std::string* read_absolute_path(
    const Node& node, std::string_view what, size_t most, Mistakes& mistakes
) {
    const std::string wanted = fmt::format("the absolute path of {}, at most {} bytes", what, most);
    const std::string* path = read_text(node, wanted, mistakes);
    if (path == nullptr) {
        return nullptr;
    }
    const bool is_printable = std::none_of(path->begin(), path->end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f;
    });
    const std::string_view name = std::string_view(*path).substr(path->rfind('/') + 1);
    const bool is_folder = name.empty() || name == "." || name == "..";
    if (!is_printable || path->front() != '/' || is_folder || path->size() > most) {
        mistakes.add(node.place, describe(node), wanted);
        return nullptr;
    }
    return path;
}

std::optional<bool> read_boolean(const Node& node, Mistakes& mistakes) {
    const bool plain = node.kind == Node::Kind::kScalar && !node.quoted;
    if (plain && (node.text == "true" || node.text == "false")) {
        return node.text == "true";
    }
    mistakes.add(node.place, describe(node) + (node.quoted ? " in quotes" : ""), "true or false");
    return std::nullopt;
}

const std::string* read_text(const Node& node, std::string_view wanted, Mistakes& mistakes) {
    if (node.kind != Node::Kind::kScalar || node.text.empty()) {
        mistakes.add(node.place, describe(node), std::string(wanted));
        return nullptr;
    }
    return &node.text;
}

const std::string* read_name(const Node& node, Mistakes& mistakes) {
    if (node.kind != Node::Kind::kScalar || !is_name(node.text)) {
        mistakes.add(
            node.place,
            describe(node),
            fmt::format(
                "a name of 1 to {} letters, digits, '.', '_' and '-', a letter or digit first",
                kLongestName
            )
        );
        return nullptr;
    }
    return &node.text;
}

const std::vector<Node>* read_list(
    const Node& node, size_t most, std::string_view wanted, Mistakes& mistakes
) {
    if (node.kind != Node::Kind::kList) {
        mistakes.add(node.place, describe(node), std::string(wanted));
        return nullptr;
    }
    if (node.items.empty()) {
        mistakes.add(node.place, "an empty list", std::string(wanted));
        return nullptr;
    }
    if (node.items.size() > most) {
        mistakes.add(
            node.items[most].place,
            fmt::format("a list of {}", node.items.size()),
            fmt::format("at most {}", most)
        );
        return nullptr;
    }
    return &node.items;
}

std::optional<size_t> read_choice_name(
    const Node& node, std::span<const ChoiceName> choices, Mistakes& mistakes
) {
    const auto at = std::find_if(choices.begin(), choices.end(), [&](const ChoiceName& c) {
        return node.kind == Node::Kind::kScalar && c.name == node.text;
    });
    if (at == choices.end()) {
        mistakes.add(node.place, describe(node), list_available(choices));
        return std::nullopt;
    }
    if (!at->available) {
        mistakes.add(
            node.place,
            fmt::format("{}, which is not available yet", quote(node.text)),
            list_available(choices)
        );
        return std::nullopt;
    }
    return static_cast<size_t>(at - choices.begin());
}

}  // namespace sekisho::config
