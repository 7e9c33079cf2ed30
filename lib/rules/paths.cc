#include "rules/paths.h"

#include <algorithm>
#include <bit>

namespace sekisho::rules {

Paths::Paths(uint32_t paths, uint32_t rules, const HashSecret& secret)
    : secret_(secret),
      rules_(rules),
      entries_(paths),
      counts_(paths),
      slots_(std::bit_ceil(size_t{paths} * 2 + 1)) {}

uint64_t Paths::hash_of(std::span<const RuleId> rules) const {
    uint64_t hash = rules.size();
    for (const RuleId rule : rules) {
        hash = keyed_hash(secret_, hash, rule.value);
    }
    return hash;
}

PathId Paths::find_or_make(std::span<const RuleId> rules) {
    const size_t mask = slots_.size() - 1;
    size_t at = hash_of(rules) & mask;
    for (; slots_[at] != 0; at = (at + 1) & mask) {
        const PathId path{slots_[at] - 1};
        if (std::ranges::equal(rules_of(path), rules)) {
            return path;
        }
    }
    const PathId path{size_.load(std::memory_order_relaxed)};
    if (path.value == entries_.size() || rules.size() > rules_.size() - rules_taken_) {
        return kNoPath;
    }
    std::ranges::copy(rules, rules_.begin() + rules_taken_);
    entries_[path.value] = {rules_taken_, static_cast<uint32_t>(rules.size())};
    rules_taken_ += static_cast<uint32_t>(rules.size());
    slots_[at] = path.value + 1;
    size_.store(path.value + 1, std::memory_order_release);
    return path;
}

std::vector<RuleTotal> total_by_rule(const Paths& paths, const RuleCounts& counts) {
    std::vector<RuleTotal> totals(counts.id_bound());
    for (uint32_t id = 0; id < counts.id_bound(); ++id) {
        const PacketCount& count = counts.of(RuleId{id});
        totals[id] = {count.packets.read(), count.bytes.read()};
    }
    for (uint32_t path = 0; path < paths.size(); ++path) {
        const PacketCount& count = paths.count_of(PathId{path});
        const RuleTotal read{count.packets.read(), count.bytes.read()};
        for (const RuleId rule : paths.rules_of(PathId{path})) {
            totals[rule.value].packets += read.packets;
            totals[rule.value].bytes += read.bytes;
        }
    }
    return totals;
}

}  // namespace sekisho::rules
