#include "config/pattern_places.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "config/schema.h"
#include "rules/residue.h"

namespace sekisho::config {

Result<std::vector<rules::PatternId>> place_patterns(
    const rules::RuleSet& own,
    std::span<const rules::Pattern> patterns,
    const std::string& prefix,
    RulesSettings& settings
) {
    std::vector<PatternSettings>& all = settings.patterns;
    const size_t wanted = std::min(rules::patterns_asked_for(own).size(), patterns.size());
    std::unordered_map<std::string, size_t> places;
    for (size_t i = 0; i < all.size(); ++i) {
        places[all[i].name] = i;
    }
    std::vector<rules::PatternId> ids;
    for (size_t i = 0; i < wanted; ++i) {
        PatternSettings made;
        made.name = fmt::format("{}{}", prefix, i + 1);
        made.text = patterns[i].text;
        made.is_regex = patterns[i].kind == rules::Pattern::Kind::kRegex;
        const auto [place, is_new] = places.try_emplace(made.name, all.size());
        if (is_new) {
            all.emplace_back();
        }
        ids.push_back({static_cast<uint16_t>(place->second)});
        all[place->second] = std::move(made);
    }
    // They stand in the order of their numbers.
    const size_t theirs = static_cast<size_t>(std::ranges::count_if(all, [&](const auto& each) {
        return each.name.starts_with(prefix);
    }));
    all.resize(all.size() - (theirs - wanted));
    return all.size() <= kMaxPatterns ? Result<std::vector<rules::PatternId>>(std::move(ids))
                                      : failure("there are too many payload patterns");
}

}  // namespace sekisho::config
