#include "nat/target_choice.h"

#include <cmath>

namespace sekisho::nat {
namespace {

// A number in (0, 1) that is a slot's for a target, whatever the other targets are (splitmix64's last steps: no stranger
// chooses a slot or a target, so it needs no key).
double draw(uint64_t slot, const TargetSettings& target) {
    uint64_t x = (uint64_t{target.address.raw} << 32 | uint64_t{target.ports.first} << 16 |
                  target.ports.last) +
                 (slot + 1) * 0x9e3779b97f4a7c15ULL;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    x ^= x >> 31;
    return (static_cast<double>(x >> 11) + 0.5) / 9007199254740992.0;  // 2^53
}

uint8_t winner(uint64_t slot, std::span<const TargetSettings> targets) {
    uint8_t best = 0;
    double most = -1;
    for (size_t i = 0; i < targets.size(); ++i) {
        const double score =
            -static_cast<double>(targets[i].weight) / std::log(draw(slot, targets[i]));
        if (targets[i].weight != 0 && score > most) {
            most = score;
            best = static_cast<uint8_t>(i);
        }
    }
    return best;
}

}  // namespace

TargetChoice::TargetChoice(std::span<const TargetSettings> targets) : slots_(kSlots) {
    for (size_t slot = 0; slot < kSlots; ++slot) {
        slots_[slot] = winner(slot, targets);
    }
}

}  // namespace sekisho::nat
