// Reading the tree against the schema: every function reports what is wrong and leaves its target
// as it was then.
//
//   Errors    into Mistakes; the caller goes on with the next value, so that one run names all
//             mistakes.
//   Thread    one checker. Cost: start-up.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "config/mistakes.h"
#include "config/schema.h"
#include "config/yaml_tree.h"

namespace sekisho::config {

// A map whose keys have been checked: unknown, repeated and missing ones are reported when it is
// opened.
class Map {
  public:
    static std::optional<Map> open(const Node& node, const Section& section, Mistakes& mistakes);

    const Node* find(std::string_view key) const;  // nullptr if it is not there
    Place place() const { return node_->place; }
    // In the order of the file, in step; unknown and repeated keys are among them.
    const std::vector<Node>& keys() const { return node_->keys; }
    const std::vector<Node>& items() const { return node_->items; }

  private:
    explicit Map(const Node& node) : node_(&node) {}
    const Node* node_;
};

template <class E>
struct Choice {
    std::string_view name;
    E value;
    bool available = true;
};

// The things of one kind by name. The second of a name is reported, the first keeps it.
class Names {
  public:
    explicit Names(std::string_view kind) : kind_(kind) {}

    void declare(const Node& node, size_t index, Mistakes& mistakes);
    std::optional<size_t> find(const std::string& name) const;
    std::string list() const;  // for "wanted": the names, in the order of the file
    bool empty() const { return known_.empty(); }

  private:
    struct Known {
        size_t index;
        int line;
    };
    std::string_view kind_;
    std::unordered_map<std::string, Known> known_;
    std::vector<std::string> order_;
};

std::optional<uint64_t> read_number(const Node& node, const NumberRule& rule, Mistakes& mistakes);
// The absolute path of a file, `what` it is, in at most `most` bytes; nullptr after a mistake.
const std::string* read_absolute_path(
    const Node& node, std::string_view what, size_t most, Mistakes& mistakes
);
std::optional<bool> read_boolean(const Node& node, Mistakes& mistakes);
const std::string* read_text(const Node& node, std::string_view wanted, Mistakes& mistakes);
// A name: 1 to 32 letters, digits, '.', '_' and '-', a letter or digit first.
const std::string* read_name(const Node& node, Mistakes& mistakes);
// A list with 1 to `most` items; nullptr if it is none.
const std::vector<Node>* read_list(
    const Node& node, size_t most, std::string_view wanted, Mistakes& mistakes
);

// The index of the choice, or of none; names of choices that are known but not available are
// reported as such.
struct ChoiceName {
    std::string_view name;
    bool available;
};
std::optional<size_t> read_choice_name(
    const Node& node, std::span<const ChoiceName> choices, Mistakes& mistakes
);

template <class T>
void read_number(
    const Map& map, std::string_view key, const NumberRule& rule, T& target, Mistakes& mistakes
) {
    if (const Node* node = map.find(key)) {
        if (const auto value = read_number(*node, rule, mistakes)) {
            target = T{static_cast<decltype(T{}.value)>(*value)};
        }
    }
}
template <std::unsigned_integral T>
void read_number(
    const Map& map, std::string_view key, const NumberRule& rule, T& target, Mistakes& mistakes
) {
    if (const Node* node = map.find(key)) {
        if (const auto value = read_number(*node, rule, mistakes)) {
            target = static_cast<T>(*value);
        }
    }
}

template <class E, size_t N>
std::optional<E> read_choice(const Node& node, const Choice<E> (&choices)[N], Mistakes& mistakes) {
    ChoiceName names[N];
    for (size_t i = 0; i < N; ++i) {
        names[i] = {choices[i].name, choices[i].available};
    }
    const auto index = read_choice_name(node, names, mistakes);
    return index ? std::optional(choices[*index].value) : std::nullopt;
}

template <class E, size_t N>
void read_choice(
    const Map& map,
    std::string_view key,
    const Choice<E> (&choices)[N],
    E& target,
    Mistakes& mistakes
) {
    if (const Node* node = map.find(key)) {
        target = read_choice(*node, choices, mistakes).value_or(target);
    }
}

}  // namespace sekisho::config
