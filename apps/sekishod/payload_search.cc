#include "sekishod/payload_search.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "rules/residue.h"
#include "sekishod/log.h"

namespace sekisho::daemon {
namespace {

using hyperscan::CompiledPatterns;
using rules::PatternId;

// Beside the stream's own memory (lib/stream), less than 4 KiB together.
constexpr uint32_t kStateBytes = 1536;

rules::Pattern pattern_of(const config::PatternSettings& settings) {
    rules::Pattern pattern;
    pattern.kind =
        settings.is_regex ? rules::Pattern::Kind::kRegex : rules::Pattern::Kind::kLiteral;
    pattern.text = settings.text;
    pattern.within = settings.first_bytes;
    return pattern;
}

// The patterns that are asked for, in a set that has grown out of another one; nullopt: it cannot grow that far.
struct Grown {
    rules::PatternSet set;
    rules::PatternNames names;
};
std::optional<Grown> grow(const rules::PatternSet& from, const config::RulesSettings& settings) {
    const std::vector<bool> asked = rules::patterns_asked_for(settings.set);
    Grown grown{from, {}};
    bool is_bounded = true;
    for (size_t i = 0; i < asked.size(); ++i) {
        if (!asked[i]) {
            continue;
        }
        const rules::Pattern pattern = pattern_of(settings.patterns[i]);
        const auto id = grown.set.add(pattern);
        if (!id) {
            return std::nullopt;
        }
        grown.names.of.resize(std::max(grown.names.of.size(), size_t{id->value} + 1));
        grown.names.of[id->value].push_back(PatternId{static_cast<uint16_t>(i)});
        grown.names.first_bytes = std::max(grown.names.first_bytes, pattern.within);
        is_bounded = is_bounded && pattern.within != 0;
    }
    grown.names.first_bytes = is_bounded ? grown.names.first_bytes : 0;
    grown.names.of.resize(grown.set.id_bound());
    for (size_t id = 0; id < grown.set.id_bound(); ++id) {
        if (grown.names.of[id].empty()) {
            grown.set.retire(PatternId{static_cast<uint16_t>(id)});
        }
    }
    return grown;
}

bool asks_for_none(const rules::PatternNames& names) {
    return std::ranges::all_of(names.of, [](const auto& each) { return each.empty(); });
}

}  // namespace

std::vector<config::Mistake> find_pattern_mistakes(
    const std::vector<config::PatternSettings>& patterns, const std::string& file
) {
    std::vector<config::Mistake> mistakes;
    rules::PatternSet set;
    std::vector<const config::PatternSettings*> first;  // by PatternId
    const auto add = [&](const config::PatternSettings& at, std::string found, std::string wanted) {
        mistakes.push_back({file, at.line, at.column, std::move(found), std::move(wanted)});
    };
    for (const config::PatternSettings& pattern : patterns) {
        const auto id = set.add(pattern_of(pattern));
        if (!id) {
            add(pattern, id.error().message, "another pattern");
            return mistakes;
        }
        first.resize(std::max(first.size(), size_t{id->value} + 1), &pattern);
    }
    const auto compiled = CompiledPatterns::compile(set, kStateBytes);
    if (compiled || patterns.empty()) {
        return mistakes;
    }
    for (const CompiledPatterns::Fault& fault : CompiledPatterns::faults(set, kStateBytes)) {
        const config::PatternSettings& pattern = *first[fault.pattern.value];
        add(pattern,
            fmt::format(
                "the pattern {}, which cannot be searched for ({})", pattern.name, fault.reason
            ),
            "one that can");
    }
    if (mistakes.empty()) {
        add(patterns.front(), compiled.error().message, "patterns that need less");
    }
    return mistakes;
}

void refuse_patterns(config::Checked& checked, const std::string& file) {
    if (!checked.config) {
        return;
    }
    checked.mistakes = find_pattern_mistakes(checked.config->rules.patterns, file);
    if (!checked.mistakes.empty()) {
        checked.config.reset();
    }
}

PayloadSearch::PayloadSearch(unsigned shards, const config::PayloadSearchSettings& settings)
    : shards_(shards) {
    // An even share, with room for uneven hashing.
    const uint32_t even = settings.streams / shards;
    sizes_.streams = shards == 1 ? settings.streams : even + even / 4 + 16;
    sizes_.drops_when_full = settings.drops_when_full;
}

Result<PayloadSearch::Next> PayloadSearch::prepare(const config::RulesSettings& rules) const {
    auto next = prepare_from(patterns_, rules);
    // What the set has retired takes room, too: without it there may be enough.
    if (!next && patterns_.id_bound() > 0) {
        next = prepare_from({}, rules);
        if (next) {
            next->begins_anew = true;
        }
    }
    return next;
}

Result<PayloadSearch::Next> PayloadSearch::prepare_from(
    const rules::PatternSet& patterns, const config::RulesSettings& rules
) const {
    Next next;
    auto grown = grow(patterns, rules);
    if (!grown) {
        return failure("there are too many payload patterns");
    }
    if (asks_for_none(grown->names)) {
        return next;
    }
    next.names = std::make_shared<const rules::PatternNames>(std::move(grown->names));
    next.patterns = std::move(grown->set);
    next.compiled = compiled_;
    if (compiled_ == nullptr || !(next.patterns == patterns_)) {
        auto compiled = CompiledPatterns::compile(next.patterns, kStateBytes);
        if (!compiled) {
            return tl::unexpected(compiled.error());
        }
        next.compiled = *compiled;
    }
    for (unsigned shard = 0; scanners_.empty() && shard < shards_; ++shard) {
        auto scanner = hyperscan::Scanner::create({sizes_.streams, kStateBytes}, next.compiled);
        if (!scanner) {
            return tl::unexpected(scanner.error());
        }
        next.scanners.push_back(std::move(*scanner));
    }
    return next;
}

void PayloadSearch::put(Next& next, std::span<const std::unique_ptr<dataplane::Shard>> shards) {
    if (next.names == nullptr) {
        return;
    }
    for (size_t i = 0; i < next.scanners.size(); ++i) {
        scanners_.push_back(next.scanners[i].get());
        shards[i]->begin_scanning(sizes_, std::move(next.scanners[i]));
    }
    for (size_t i = 0; i < scanners_.size() && next.compiled != compiled_; ++i) {
        if (next.begins_anew) {
            shards[i]->end_scanned();
        }
        if (auto followed = scanners_[i]->follow(next.compiled); !followed) {
            log("shard {} goes on with the patterns that it had: {}", i, followed.error().message);
        }
    }
    patterns_ = next.patterns;
    compiled_ = next.compiled;
}

}  // namespace sekisho::daemon
