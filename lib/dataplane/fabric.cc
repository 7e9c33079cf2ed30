#include "dataplane/fabric.h"

namespace sekisho::dataplane {
namespace {

template <class T>
void fill(std::vector<std::unique_ptr<base::SpscRing<T>>>& rings, size_t count, size_t capacity) {
    rings.reserve(count);
    for (size_t i = 0; i < count; ++i) {
        rings.push_back(std::make_unique<base::SpscRing<T>>(capacity));
    }
}

// The control thread waits for an answer before it asks again; the rings hold a few that came too late.
constexpr size_t kControlRing = 16;

}  // namespace

Fabric::Fabric(unsigned shards, const Sizes& sizes) : shards_(shards) {
    const size_t pairs = size_t{shards} * shards;
    fill(hand_off_, pairs, sizes.hand_off);
    fill(message_, pairs, sizes.message);
    fill(punt_, size_t{shards} * kPuntClasses, sizes.punt);
    fill(back_, shards, sizes.back);
    fill(request_, shards, kControlRing);
    fill(reply_, shards, kControlRing);
}

}  // namespace sekisho::dataplane
