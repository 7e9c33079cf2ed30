// Which of several targets a flow gets.
#include "nat/target_choice.h"

#include <array>
#include <vector>

#include <catch2/catch.hpp>

namespace sekisho::nat {
namespace {

TargetSettings target(unsigned last, uint32_t weight) {
    TargetSettings t;
    t.address = Ipv4Addr::of(192, 0, 2, static_cast<uint8_t>(last));
    t.weight = weight;
    return t;
}

uint64_t hash_of_slot(size_t slot) {
    return uint64_t{slot} << (64 - TargetChoice::kSlotBits);
}

std::vector<double> shares(const std::vector<TargetSettings>& targets) {
    const TargetChoice choice(targets);
    std::vector<double> shares(targets.size());
    for (size_t slot = 0; slot < TargetChoice::kSlots; ++slot) {
        shares[choice.of(hash_of_slot(slot))] += 1.0 / static_cast<double>(TargetChoice::kSlots);
    }
    return shares;
}

}  // namespace

TEST_CASE("a target's share is its weight's", "[nat][redirect]") {
    const std::vector<std::vector<uint32_t>> table = {
        {1}, {1, 1}, {3, 1}, {1, 0}, {0, 5, 5}, {65535, 65535}, {100, 200, 300, 400}};
    for (const auto& weights : table) {
        std::vector<TargetSettings> targets;
        double sum = 0;
        for (size_t i = 0; i < weights.size(); ++i) {
            targets.push_back(target(static_cast<unsigned>(i + 1), weights[i]));
            sum += weights[i];
        }
        const std::vector<double> found = shares(targets);
        for (size_t i = 0; i < weights.size(); ++i) {
            INFO("target " << i << " of " << weights.size());
            CHECK(found[i] == Approx(weights[i] / sum).margin(weights[i] == 0 ? 0 : 0.03));
        }
    }
}

TEST_CASE("a target that comes or goes moves nothing between the others", "[nat][redirect]") {
    const TargetChoice three(std::array{target(1, 2), target(2, 1), target(3, 1)});
    const TargetChoice two(std::array{target(1, 2), target(3, 1)});
    for (size_t slot = 0; slot < TargetChoice::kSlots; ++slot) {
        const size_t before = three.of(hash_of_slot(slot));
        const size_t after = two.of(hash_of_slot(slot));
        if (before != 1) {
            CHECK(after == (before == 0 ? 0U : 1U));
        }
    }
}

}  // namespace sekisho::nat
