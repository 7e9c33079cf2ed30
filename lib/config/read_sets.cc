// The section sets, and the files with addresses that it names.
#include <fmt/format.h>

#include "config/parts.h"
#include "config/read_file.h"
#include "config/rule_words.h"

namespace sekisho::config {
namespace {

constexpr size_t kMostMistakes = 20;  // of one file
constexpr std::string_view kBlanks = " \t\r";

// A file with addresses, line by line.
class AddressFile {
  public:
    AddressFile(const std::string& name, SetSettings& set, Mistakes& mistakes)
        : name_(name), set_(set), mistakes_(mistakes) {}

    void read(std::string_view text) {
        int line = 1;
        for (size_t from = 0; from < text.size() && goes_on_; ++line) {
            const size_t end = std::min(text.find('\n', from), text.size());
            read_line(text.substr(from, end - from), line);
            from = end + 1;
        }
    }

  private:
    void read_line(std::string_view whole, int line) {
        const std::string_view text = whole.substr(0, whole.find('#'));
        const size_t begin = text.find_first_not_of(kBlanks);
        if (begin == std::string_view::npos) {
            return;
        }
        const std::string_view entry =
            text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
        const Place place{line, static_cast<int>(begin) + 1};
        const auto range = parse_any_addresses(entry);
        if (!range) {
            refuse(place, quote(entry), range.error());
        } else if (set_.file_addresses.size() == kMaxSetAddresses) {
            mistakes_.add_in(
                name_,
                place,
                fmt::format("more than {} entries", kMaxSetAddresses),
                "fewer: prefixes or ranges, or several sets"
            );
            goes_on_ = false;
        } else {
            set_.file_addresses.push_back(*range);
        }
    }

    void refuse(Place place, std::string found, std::string wanted) {
        mistakes_.add_in(name_, place, std::move(found), std::move(wanted));
        if (++count_ == kMostMistakes) {
            goes_on_ = false;
            const Place behind{place.line + 1, 1};
            mistakes_.add_in(
                name_,
                behind,
                fmt::format("{} mistakes before it", kMostMistakes),
                "fewer, to read on"
            );
        }
    }

    const std::string& name_;
    SetSettings& set_;
    Mistakes& mistakes_;
    size_t count_ = 0;
    bool goes_on_ = true;
};

void read_set_file(
    const Node& node, const MachineFacts& machine, SetSettings& set, Mistakes& mistakes
) {
    const std::string* const path =
        read_absolute_path(node, "a file with addresses", kMaxSetPath, mistakes);
    if (path == nullptr) {
        return;
    }
    set.file = *path;
    const auto text = machine.read_file ? machine.read_file(*path, kMaxSetFile)
                                        : read_regular_file(*path, kMaxSetFile);
    if (!text) {
        mistakes.add(
            node.place,
            fmt::format("{}, {}", describe(node), text.error().message),
            "a readable file with addresses"
        );
        return;
    }
    if (text->size() > kMaxSetFile) {
        mistakes.add(
            node.place, describe(node) + ", a file larger than 64 MiB", "a file of at most 64 MiB"
        );
        return;
    }
    AddressFile(*path, set, mistakes).read(*text);
}

void read_set_addresses(const Node& node, SetSettings& set, Mistakes& mistakes) {
    const auto* items =
        read_list(node, kMaxSetAddresses, "a list of addresses, prefixes and ranges", mistakes);
    if (items == nullptr) {
        return;
    }
    for (const Node& item : *items) {
        const auto range = parse_any_addresses(item.kind == Node::Kind::kScalar ? item.text : "");
        if (range) {
            set.addresses.push_back(*range);
        } else {
            mistakes.add(item.place, describe(item), range.error());
        }
    }
}

void read_contents(
    const Map& map, const MachineFacts& machine, SetSettings& set, Mistakes& mistakes
) {
    if (const Node* addresses = map.find("addresses")) {
        read_set_addresses(*addresses, set, mistakes);
    }
    if (const Node* file = map.find("file")) {
        read_set_file(*file, machine, set, mistakes);
    }
}

}  // namespace

void read_sets(const Node& node, const MachineFacts& machine, Draft& draft, Mistakes& mistakes) {
    const auto* items =
        read_list(node, kMaxSets, "a list of sets, each with name and addresses or file", mistakes);
    if (items == nullptr) {
        return;
    }
    for (const Node& item : *items) {
        SetSettings set;
        if (const auto map = Map::open(item, kSet, mistakes)) {
            read_entry_name(*map, set.name, draft.set_names, draft.sets.size(), mistakes);
            read_contents(*map, machine, set, mistakes);
        }
        const auto id = draft.config.rules.set.add_set(set.name);
        draft.sets.push_back(id ? std::optional(*id) : std::nullopt);
        draft.config.rules.sets.push_back(std::move(set));
    }
}

}  // namespace sekisho::config
