#include "rules/quick_test.h"

#include <algorithm>

namespace sekisho::rules {
namespace {

struct QuickOf {
    using Quick = std::optional<QuickTest>;

    Quick operator()(const TcpFlagsTest& test) const {
        QuickTest quick{VaryingFields::kTcpFlags, false, true, test.takes_others};
        quick.mask = test.mask;
        quick.first = test.set;
        return quick;
    }
    Quick operator()(const TosTest& test) const {
        QuickTest quick{VaryingFields::kTos};
        quick.mask = test.mask;
        quick.first = test.value;
        return quick;
    }
    Quick operator()(const TtlTest& test) const {
        return range(VaryingFields::kTtl, test.range.first, test.range.last);
    }
    Quick operator()(const LengthTest& test) const {
        return test.ranges.size() != 1
                   ? std::nullopt
                   : range(
                         VaryingFields::kLength, test.ranges.front().first, test.ranges.front().last
                     );
    }
    // Kinds that stand beside each other.
    Quick operator()(const FragmentTest& test) const {
        const bool is_run = test.first || !(test.whole && test.later);
        if (!is_run || !(test.whole || test.first || test.later)) {
            return {};
        }
        const auto kind = [](FragmentKind k) { return static_cast<uint16_t>(k); };
        using enum FragmentKind;
        const uint16_t first = kind(test.whole ? kWhole : test.first ? kFirst : kLater);
        const uint16_t last = kind(test.later ? kLater : test.first ? kFirst : kWhole);
        return range(VaryingFields::kFragment, first, last);
    }
    template <class Other>
    Quick operator()(const Other& /*test*/) const {
        return {};
    }

  private:
    static Quick range(uint8_t shift, uint16_t first, uint16_t last) {
        QuickTest quick{shift};
        quick.mask = shift == VaryingFields::kLength ? 0xffff : 0xff;
        quick.first = first;
        quick.span = static_cast<uint16_t>(last - first);
        return quick;
    }
};

}  // namespace

QuickTests::QuickTests() {
    bytes_.fill(0x8080);  // zeroes
    mask_.fill(0);
    flip_.fill(0);
    first_.fill(1);
    span_.fill(0);
}

// TCP flags have the bit that there are any above them: what is not as wanted is then 1 to 255, and what is no TCP beyond.
void QuickTests::add(const QuickTest& test) {
    constexpr uint16_t kNoByte = 0x8000;
    constexpr uint16_t kHasTcp = 0x100;
    const uint32_t k = size_++;
    const uint16_t low = test.shift / 8;
    bool negated = test.negated;
    mask_[k] = test.mask;
    first_[k] = test.first;
    span_[k] = test.span;
    if (test.wants_tcp) {
        const bool wants_others = test.negated != test.otherwise;
        bytes_[k] = static_cast<uint16_t>(VaryingFields::kHasTcp / 8 << 8 | low);
        mask_[k] = test.mask | kHasTcp;
        flip_[k] = test.first | kHasTcp;
        first_[k] = wants_others ? 1 : 0;
        span_[k] = wants_others ? 0xfe : 0;
        negated = test.otherwise;
    } else if (test.shift == VaryingFields::kLength) {
        bytes_[k] = static_cast<uint16_t>((low + 1) << 8 | low);
    } else {
        bytes_[k] = kNoByte | low;
    }
    negated_ |= negated ? uint32_t{1} << k : 0;
}

std::optional<QuickTest> quick_test_of(const Rule& rule) {
    const auto varying = std::ranges::find_if(rule.conditions, is_varying);
    if (varying == rule.conditions.end() ||
        std::ranges::count_if(rule.conditions, is_varying) != 1) {
        return {};
    }
    auto quick = std::visit(QuickOf{}, varying->test);
    if (quick) {
        quick->negated = varying->negated;
    }
    return quick;
}

}  // namespace sekisho::rules
