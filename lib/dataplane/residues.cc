#include "dataplane/residues.h"

#include <algorithm>

namespace sekisho::dataplane {

Residues::Residues(uint32_t room, uint32_t entries, const HashSecret& secret)
    : keys_(room, room * 16, secret), residues_(room), entries_(entries) {}

uint32_t Residues::find_or_make(
    std::span<const rules::RuleId> key, std::span<const rules::QuickTest> tests
) {
    const rules::PathId id = keys_.find_or_make(key);
    if (id == rules::kNoPath) {
        return kNone;
    }
    if (id.value < made_) {
        return residues_[id.value].first == kNone ? kNone : id.value;
    }
    Residue& residue = residues_[id.value];
    const uint32_t taken = taken_.load(std::memory_order_relaxed);
    const uint32_t wanted = uint32_t{1} << tests.size();
    made_ = id.value + 1;
    if (wanted > entries_.size() - taken) {
        residue.first = kNone;
        return kNone;
    }
    residue.first = taken;
    std::ranges::for_each(tests, [&](const rules::QuickTest& test) { residue.tests.add(test); });
    taken_.store(taken + wanted, std::memory_order_release);
    return id.value;
}

void ResidueGatherer::add_key(rules::RuleId rule) {
    if (key_count_ == key_.size()) {
        is_possible_ = false;
        return;
    }
    key_[key_count_++] = rule;
}

void ResidueGatherer::add_test(const rules::QuickTest& test) {
    const auto known = tests();
    if (std::ranges::find(known, test) != known.end()) {
        return;
    }
    if (test_count_ == tests_.size()) {
        is_possible_ = false;
        return;
    }
    tests_[test_count_++] = test;
}

void ResidueGatherer::add_path(std::span<const rules::RuleId> path) {
    for (const rules::RuleId rule : path) {
        add_key(rule);
    }
}

// What a rule does to the packet may change what those behind it see; and a log or a policer is asked for by every packet.
void ResidueGatherer::add_step(const rules::Step& step) {
    add_key(step.id);
    if (step.has_effects || (step.leaves_residue && !step.is_quick)) {
        is_possible_ = false;
    } else if (step.is_quick) {
        add_test(step.quick);
    }
}

}  // namespace sekisho::dataplane
