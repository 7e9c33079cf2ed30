// The sections groups and patterns, what rules call subscribers and payloads by, and payload-search.
#include <map>

#include <fmt/format.h>

#include "config/parts.h"

namespace sekisho::config {
namespace {

// Each prefix of a realm is one group's.
class KnownPrefixes {
  public:
    void note(RealmId realm, Ipv4Prefix prefix, Place place, Mistakes& mistakes) {
        const std::tuple key(realm, prefix.address.host(), prefix.length);
        const auto [at, is_new] = lines_.emplace(key, place.line);
        if (!is_new) {
            mistakes.add(
                place,
                fmt::format(
                    "the prefix {} a second time (first on line {})", format(prefix), at->second
                ),
                "one group for a prefix of a realm"
            );
        }
    }

  private:
    std::map<std::tuple<RealmId, uint32_t, uint8_t>, int> lines_;
};

void read_group(
    const Map& map,
    const Draft& draft,
    GroupSettings& group,
    KnownPrefixes& known,
    Mistakes& mistakes
) {
    bool realm_read = true;
    if (const Node* node = map.find("realm")) {
        const auto realm = read_internal_realm(*node, draft, mistakes);
        group.realm = realm.value_or(group.realm);
        realm_read = realm.has_value();
    }
    const Node* const prefixes = map.find("prefixes");
    if (prefixes == nullptr) {
        return;  // said already
    }
    std::vector<Place> places;
    (void)read_prefixes(
        *prefixes,
        group.prefixes,
        "a list of the subscribers' prefixes, such as [100.64.0.0/16]",
        mistakes,
        &places
    );
    for (size_t i = 0; realm_read && i < places.size(); ++i) {
        known.note(group.realm, group.prefixes[i], places[i], mistakes);
    }
}

void read_pattern(const Map& map, PatternSettings& pattern, Mistakes& mistakes) {
    const Node* const literal = map.find("literal");
    const Node* const regex = map.find("regex");
    if ((literal == nullptr) == (regex == nullptr)) {
        mistakes.add(
            map.place(),
            literal == nullptr ? "a pattern without literal or regex"
                               : "a pattern with both literal and regex",
            "one of them"
        );
        return;
    }
    const Node& text = literal != nullptr ? *literal : *regex;
    const std::string wanted = fmt::format("a text of 1 to {} bytes", kMaxPatternBytes);
    pattern.is_regex = literal == nullptr;
    if (read_text(text, wanted, mistakes) == nullptr) {
        return;
    }
    if (text.text.size() > kMaxPatternBytes) {
        mistakes.add(text.place, fmt::format("a text of {} bytes", text.text.size()), wanted);
        return;
    }
    pattern.text = text.text;
    pattern.line = text.place.line;
    pattern.column = text.place.column;
    read_number(map, "first-bytes", kFirstBytes, pattern.first_bytes, mistakes);
}

}  // namespace

void read_groups(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto* items =
        read_list(node, kMaxGroups, "a list of groups, each with name and prefixes", mistakes);
    if (items == nullptr) {
        return;
    }
    KnownPrefixes known;
    auto& groups = draft.config.rules.groups;
    for (const Node& item : *items) {
        GroupSettings group;
        if (const auto map = Map::open(item, kGroup, mistakes)) {
            read_entry_name(*map, group.name, draft.group_names, groups.size(), mistakes);
            read_group(*map, draft, group, known, mistakes);
        }
        groups.push_back(std::move(group));
    }
}

void read_payload_search(const Node& node, Draft& draft, Mistakes& mistakes) {
    constexpr Choice<bool> kWhenFull[] = {{"drop", true}, {"pass", false}};
    if (const auto map = Map::open(node, kPayloadSearch, mistakes)) {
        PayloadSearchSettings& search = draft.config.payload_search;
        read_number(*map, "streams", kScannedStreams, search.streams, mistakes);
        read_choice(*map, "when-full", kWhenFull, search.drops_when_full, mistakes);
    }
}

void read_patterns(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto* items = read_list(
        node, kMaxPatterns, "a list of patterns, each with name and literal or regex", mistakes
    );
    if (items == nullptr) {
        return;
    }
    auto& patterns = draft.config.rules.patterns;
    for (const Node& item : *items) {
        PatternSettings pattern;
        if (const auto map = Map::open(item, kPattern, mistakes)) {
            read_entry_name(*map, pattern.name, draft.pattern_names, patterns.size(), mistakes);
            read_pattern(*map, pattern, mistakes);
        }
        patterns.push_back(std::move(pattern));
    }
}

}  // namespace sekisho::config
