#include "rules/mask_choice.h"

#include <algorithm>
#include <array>
#include <bit>

namespace sekisho::rules {
namespace {

constexpr uint32_t kMostInBucket = 24;
constexpr size_t kLeastInTable = 48;  // fewer are found faster in the list

// A mask that is tried: a prefix of each address and port, by the number of its length below, and names of the word.
constexpr std::array<unsigned, 13> kAddressLengths = {
    0, 8, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32};
constexpr std::array<unsigned, 5> kPortLengths = {0, 6, 10, 13, 16};
constexpr std::array<uint32_t, 3> kNames = {kProtocolBits, kInLinkBits, kOutLinkBits};
constexpr size_t kFields = 5;
using Shape = std::array<uint8_t, kFields>;  // source, destination, their ports, names
constexpr Shape kSizes = {
    kAddressLengths.size(),
    kAddressLengths.size(),
    kPortLengths.size(),
    kPortLengths.size(),
    1U << kNames.size()};
constexpr size_t kNameField = 4;
constexpr size_t kShapes = size_t{kSizes[0]} * kSizes[1] * kSizes[2] * kSizes[3] * kSizes[4];

constexpr size_t number_of(const Shape& shape) {
    size_t number = 0;
    for (size_t field = 0; field < kFields; ++field) {
        number = number * kSizes[field] + shape[field];
    }
    return number;
}
constexpr Shape shape_at(size_t number) {
    Shape shape{};
    for (size_t field = kFields; field-- > 0; number /= kSizes[field]) {
        shape[field] = static_cast<uint8_t>(number % kSizes[field]);
    }
    return shape;
}
// How far the next of a field is.
constexpr size_t stride_of(size_t field) {
    size_t stride = 1;
    for (size_t after = field + 1; after < kFields; ++after) {
        stride *= kSizes[after];
    }
    return stride;
}

constexpr uint32_t prefix_bits(unsigned length) {
    return length == 0 ? 0 : ~0U << (32 - length);
}
constexpr uint32_t port_bits(unsigned length) {
    return prefix_bits(length) >> 16;
}

Key mask_of(const Shape& shape) {
    Key mask{
        prefix_bits(kAddressLengths[shape[0]]),
        prefix_bits(kAddressLengths[shape[1]]),
        port_bits(kPortLengths[shape[2]]) | port_bits(kPortLengths[shape[3]]) << 16,
        0};
    for (size_t i = 0; i < kNames.size(); ++i) {
        mask.word |= (shape[kNameField] >> i & 1) != 0 ? kNames[i] : 0;
    }
    return mask;
}

// The longest of these that is no longer than so many bits.
template <class Lengths>
uint8_t number_of_length(const Lengths& lengths, int bits) {
    const auto longer = std::ranges::upper_bound(lengths, static_cast<unsigned>(bits));
    return static_cast<uint8_t>(longer - lengths.begin() - 1);
}

Shape shape_of(const Box& box) {
    const Key fixed = fixed_bits_of(box);
    Shape shape{
        number_of_length(kAddressLengths, std::popcount(fixed.source)),
        number_of_length(kAddressLengths, std::popcount(fixed.destination)),
        number_of_length(kPortLengths, std::popcount(fixed.ports & 0xffff)),
        number_of_length(kPortLengths, std::popcount(fixed.ports >> 16)),
        0};
    for (size_t i = 0; i < kNames.size(); ++i) {
        if ((fixed.word & kNames[i]) == kNames[i]) {
            shape[kNameField] |= static_cast<uint8_t>(1U << i);
        }
    }
    return shape;
}

bool is_eligible(const Shape& box, const Shape& mask) {
    return box[0] >= mask[0] && box[1] >= mask[1] && box[2] >= mask[2] && box[3] >= mask[3] &&
           (mask[kNameField] & ~box[kNameField]) == 0;
}

uint64_t mixed(const Key& key, const Key& mask) {
    const uint64_t a = (key.source & mask.source) | uint64_t{key.destination & mask.destination}
                                                        << 32;
    const uint64_t b = (key.ports & mask.ports) | uint64_t{key.word & mask.word} << 32;
    uint64_t h = a * 0x9e3779b97f4a7c15ULL + b * 0xc2b2ae3d27d4eb4fULL;
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9ULL;
    return h ^ h >> 32;
}

class Choice {
  public:
    explicit Choice(std::vector<OwnedBox>& boxes) : boxes_(boxes) {
        for (const OwnedBox& box : boxes) {
            shapes_.push_back(shape_of(box.box));
        }
        counts_.resize(std::bit_ceil(boxes.size() * 4 + 1));
        where_.resize(boxes.size());
    }

    std::vector<Chosen> choose(size_t most_tables) {
        std::vector<Chosen> chosen;
        while (chosen.size() < most_tables && boxes_.size() >= kLeastInTable) {
            const Shape best = find_best();
            if (score(best) < kLeastInTable) {
                break;
            }
            chosen.push_back(take(best));
        }
        return chosen;
    }

  private:
    // How many boxes are eligible for each shape, by its number.
    std::vector<size_t> count_eligible() const {
        std::vector<size_t> eligible(kShapes);
        for (const Shape& box : shapes_) {
            ++eligible[number_of(box)];
        }
        for (size_t field = 0; field < kNameField; ++field) {
            for (size_t i = kShapes; i-- > 0;) {
                const bool is_last = shape_at(i)[field] + 1 == kSizes[field];
                eligible[i] += is_last ? 0 : eligible[i + stride_of(field)];
            }
        }
        for (size_t bit = 1; bit < kSizes[kNameField]; bit *= 2) {
            for (size_t i = 0; i < kShapes; ++i) {
                eligible[i] += (i & bit) == 0 ? eligible[i + bit] : 0;
            }
        }
        return eligible;
    }

    std::vector<std::pair<size_t, Shape>> shapes_by_eligible() const {
        const std::vector<size_t> eligible = count_eligible();
        std::vector<std::pair<size_t, Shape>> shapes;
        for (size_t i = kShapes; i-- > 0;) {  // those that fix more first
            if (eligible[i] >= kLeastInTable) {
                shapes.emplace_back(eligible[i], shape_at(i));
            }
        }
        const auto more = [](const auto& a, const auto& b) { return a.first > b.first; };
        std::ranges::stable_sort(shapes, more);
        return shapes;
    }

    Shape find_best() {
        Shape best{};
        double best_score = 0;
        for (const auto& [eligible, shape] : shapes_by_eligible()) {
            if (static_cast<double>(eligible) <= best_score) {
                break;
            }
            if (const double found = score(shape); found > best_score) {
                best_score = found;
                best = shape;
            }
        }
        return best;
    }

    void count(const Shape& shape) {
        std::ranges::fill(counts_, 0);
        const Key mask = mask_of(shape);
        for (size_t i = 0; i < boxes_.size(); ++i) {
            if (is_eligible(shapes_[i], shape)) {
                where_[i] = static_cast<uint32_t>(mixed(boxes_[i].box.first, mask)) &
                            static_cast<uint32_t>(counts_.size() - 1);
                ++counts_[where_[i]];
            }
        }
    }

    // Boxes that come into small buckets; what shares its bucket counts a little less.
    double score(const Shape& shape) {
        count(shape);
        double sum = 0;
        for (const uint32_t in_bucket : counts_) {
            if (in_bucket <= kMostInBucket) {
                sum += in_bucket * (1.0 - 0.025 * in_bucket);
            }
        }
        return sum;
    }

    Chosen take(const Shape& shape) {
        count(shape);
        Chosen chosen{mask_of(shape), {}};
        size_t left = 0;
        for (size_t i = 0; i < boxes_.size(); ++i) {
            if (is_eligible(shapes_[i], shape) && counts_[where_[i]] <= kMostInBucket) {
                chosen.boxes.push_back(boxes_[i]);
            } else {
                boxes_[left] = boxes_[i];
                shapes_[left++] = shapes_[i];
            }
        }
        boxes_.resize(left);
        shapes_.resize(left);
        return chosen;
    }

    std::vector<OwnedBox>& boxes_;
    std::vector<Shape> shapes_;
    std::vector<uint32_t> counts_;  // of buckets
    std::vector<uint32_t> where_;   // each eligible box's
};

}  // namespace

Key fixed_bits_of(const Box& box) {
    const auto prefix = [](uint32_t span, uint32_t first) {
        const uint32_t last = first + span;
        return prefix_bits(static_cast<unsigned>(std::countl_zero(first ^ last)));
    };
    const auto port = [&](unsigned shift) {
        const uint32_t first_port = box.first.ports >> shift & 0xffff;
        const uint32_t last_port = first_port + (box.span.ports >> shift & 0xffff);
        const int same = std::countl_zero(static_cast<uint16_t>(first_port ^ last_port));
        return port_bits(static_cast<unsigned>(same)) << shift;
    };
    return {
        prefix(box.span.source, box.first.source),
        prefix(box.span.destination, box.first.destination),
        port(0) | port(16),
        box.span.word};
}

std::vector<Chosen> choose_masks(std::vector<OwnedBox>& boxes, size_t most_tables) {
    return Choice(boxes).choose(most_tables);
}

}  // namespace sekisho::rules
