#include "rules/box.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "rules/condition.h"

namespace sekisho::rules {
namespace {

using Span = Range<uint32_t>;

constexpr uint32_t low(uint32_t ports) {
    return ports & 0xffff;
}
constexpr uint32_t high(uint32_t ports) {
    return ports >> 16;
}
constexpr uint32_t both(uint32_t l, uint32_t h) {
    return l | h << 16;
}

Box of_source(Span span) {
    Box box;
    box.first.source = span.first;
    box.span.source = span.last - span.first;
    return box;
}
Box of_destination(Span span) {
    Box box;
    box.first.destination = span.first;
    box.span.destination = span.last - span.first;
    return box;
}
Box of_ports(Span source, Span destination) {
    Box box;
    box.first.ports = both(source.first, destination.first);
    box.span.ports = both(source.last - source.first, destination.last - destination.first);
    return box;
}
Box of_word(uint32_t value, uint32_t bits) {
    Box box;
    box.first.word = value;
    box.span.word = bits;
    return box;
}
constexpr Span kAnyPort{0, 0xffff};

// nullopt: nothing is in both.
std::optional<Span> meet(Span a, Span b) {
    const Span both_of{std::max(a.first, b.first), std::min(a.last, b.last)};
    return both_of.first <= both_of.last ? std::optional(both_of) : std::nullopt;
}

Span source_of(const Box& b) {
    return {b.first.source, b.first.source + b.span.source};
}
Span destination_of(const Box& b) {
    return {b.first.destination, b.first.destination + b.span.destination};
}
Span source_ports_of(const Box& b) {
    return {low(b.first.ports), low(b.first.ports) + low(b.span.ports)};
}
Span destination_ports_of(const Box& b) {
    return {high(b.first.ports), high(b.first.ports) + high(b.span.ports)};
}

std::optional<Box> meet(const Box& a, const Box& b) {
    const auto source = meet(source_of(a), source_of(b));
    const auto destination = meet(destination_of(a), destination_of(b));
    const auto source_ports = meet(source_ports_of(a), source_ports_of(b));
    const auto destination_ports = meet(destination_ports_of(a), destination_ports_of(b));
    const bool word_meets = ((a.first.word ^ b.first.word) & a.span.word & b.span.word) == 0;
    if (!source || !destination || !source_ports || !destination_ports || !word_meets) {
        return {};
    }
    Box box = of_ports(*source_ports, *destination_ports);
    box.first.source = source->first;
    box.span.source = source->last - source->first;
    box.first.destination = destination->first;
    box.span.destination = destination->last - destination->first;
    box.first.word = (a.first.word & a.span.word) | (b.first.word & b.span.word);
    box.span.word = a.span.word | b.span.word;
    return box;
}

// What is in none of the ranges.
std::vector<Span> outside(std::vector<Span> ranges, uint32_t last) {
    std::ranges::sort(ranges, {}, &Span::first);
    std::vector<Span> gaps;
    uint64_t next = 0;
    for (const Span& range : ranges) {
        if (range.first > next) {
            gaps.push_back({static_cast<uint32_t>(next), range.first - 1});
        }
        next = std::max<uint64_t>(next, uint64_t{range.last} + 1);
    }
    if (next <= last) {
        gaps.push_back({static_cast<uint32_t>(next), last});
    }
    return gaps;
}

// Boxes that hold together what agrees with a condition; none of them is exact if it may hold more.
struct Cover {
    std::vector<Box> boxes;
    bool is_exact = true;
};
Cover anything() {
    return {{Box{}}, false};
}

class CoverOf {
  public:
    CoverOf(bool negated, bool exchanged) : negated_(negated), exchanged_(exchanged) {}

    Cover operator()(const ProtocolTest& test) const { return names(test.protocols, 0); }

    Cover operator()(const AddressTest& test) const {
        if (!test.sets.empty() || (negated_ && test.side == Side::kEither)) {
            return anything();
        }
        Cover cover;
        std::vector<Span> ranges;
        for (const AddressRange& range : test.ranges) {
            ranges.push_back({range.first.host(), range.last.host()});
        }
        for (const MaskedAddress& masked : test.masked) {
            const uint32_t mask = masked.mask.host();
            const auto ones = static_cast<unsigned>(std::countl_one(mask));
            const uint32_t rest = ones == 32 ? 0 : ~0U >> ones;
            cover.is_exact = cover.is_exact && (mask & rest) == 0;
            ranges.push_back({masked.address.host() & ~rest, masked.address.host() | rest});
        }
        if (negated_ && !cover.is_exact) {
            return anything();
        }
        ranges = negated_ ? outside(std::move(ranges), ~0U) : ranges;
        for (const Span& range : ranges) {
            if (reads(test.side, Side::kSource)) {
                cover.boxes.push_back(of_source(range));
            }
            if (reads(test.side, Side::kDestination)) {
                cover.boxes.push_back(of_destination(range));
            }
        }
        return cover;
    }

    // Exact where the protocol has ports, which finish() sees to.
    Cover operator()(const PortTest& test) const {
        Cover cover;
        std::vector<Span> ranges;
        for (const Range<uint16_t>& range : test.ranges) {
            ranges.push_back({range.first, range.last});
        }
        if (negated_ && test.side == Side::kEither) {
            cover.is_exact = false;
            ranges = {kAnyPort};
        } else if (negated_) {
            ranges = outside(std::move(ranges), 0xffff);
        }
        const Box shown = of_word(0, kLaterBit);
        for (const Span& range : ranges) {
            if (reads(test.side, Side::kSource)) {
                cover.boxes.push_back(*meet(of_ports(range, kAnyPort), shown));
            }
            if (reads(test.side, Side::kDestination)) {
                cover.boxes.push_back(*meet(of_ports(kAnyPort, range), shown));
            }
        }
        add_later(cover, test.takes_later_fragments);
        return cover;
    }

    Cover operator()(const IcmpTest& test) const {
        Cover cover;
        const Box shown =
            of_word(static_cast<uint32_t>(Protocol::kIcmp), kProtocolBits | kLaterBit);
        if (negated_) {
            cover = {{shown}, false};
        } else {
            for (const IcmpKind& kind : test.kinds) {
                const Box box =
                    of_ports({kind.type.first, kind.type.last}, {kind.code.first, kind.code.last});
                cover.boxes.push_back(*meet(box, shown));
            }
        }
        add_later(cover, test.takes_later_fragments);
        return cover;
    }

    Cover operator()(const LinkTest& test) const {
        const ByteSet& links = test.links;
        Cover cover;
        if (test.way != Way::kOut) {
            cover = names(links, kInLinkShift);
        }
        if (test.way != Way::kIn) {
            const Cover out = names(links, kOutLinkShift);
            cover.boxes.insert(cover.boxes.end(), out.boxes.begin(), out.boxes.end());
            cover.is_exact = cover.is_exact && out.is_exact;
        }
        // A link's number may stand for none.
        cover.is_exact = cover.is_exact && !links.has(kNoLink.value);
        return cover;
    }

    Cover operator()(const StateTest& test) const {
        uint32_t wanted = 0xe0;  // codes that no state has come along
        for (unsigned i = 0; i < 5; ++i) {
            if (test.states.has(static_cast<uint8_t>(i)) != negated_) {
                wanted |= 1U << code_of(static_cast<ConnectionState>(i));
            }
        }
        return states(wanted);
    }

    Cover operator()(const RealmTest& test) const { return names(test.realms, kRealmShift); }

    // What varies is not for boxes; what is left is asked of the rule itself.
    template <class Other>
    Cover operator()(const Other& /*test*/) const {
        return anything();
    }

  private:
    // Names beyond so many are asked of the rule.
    static constexpr size_t kMostNames = 16;

    bool reads(Side side, Side end) const {
        return side == Side::kEither || (side == end) != exchanged_;
    }

    static void add_later(Cover& cover, bool takes) {
        if (takes) {
            cover.boxes.push_back(of_word(kLaterBit, kLaterBit));
        }
    }

    Cover names(const ByteSet& set, unsigned shift) const {
        Cover cover;
        for (unsigned value = 0; value < 256; ++value) {
            if (!set.has(static_cast<uint8_t>(value))) {
                continue;
            }
            if (shift == kRealmShift && value >= kHighRealm) {
                return anything();
            }
            cover.boxes.push_back(of_word(value << shift, 0xffU << shift));
        }
        return negated_ || cover.boxes.size() > kMostNames ? anything() : cover;
    }

    // The codes that have this value in these bits, a bit for each.
    static uint32_t codes_with(uint32_t value, uint32_t bits) {
        uint32_t held = 0;
        for (uint32_t code = 0; code < 8; ++code) {
            held |= ((code ^ value) & bits) == 0 ? 1U << code : 0;
        }
        return held;
    }

    // `wanted`: a bit for each code. Few patterns, greedily.
    static Cover states(uint32_t wanted) {
        Cover cover;
        uint32_t left = wanted & 0x1f;
        for (const uint32_t bits : {0U, 1U, 2U, 4U, 3U, 5U, 6U, 7U}) {
            for (uint32_t value = 0; value < 8 && left != 0; ++value) {
                const uint32_t held = codes_with(value, bits);
                const bool fits = (held & ~wanted) == 0 && (held & left) != 0;
                const Box box = of_word((value & bits) << kStateShift, bits << kStateShift);
                cover.boxes.insert(cover.boxes.end(), fits ? 1 : 0, box);
                left &= fits ? ~held : ~0U;
            }
        }
        return cover;
    }

    bool negated_;
    bool exchanged_;
};

bool shows_ports(const Box& box) {
    if ((box.span.word & kProtocolBits) != kProtocolBits) {
        return false;
    }
    RulePacket packet;
    packet.protocol = static_cast<uint8_t>(box.first.word & kProtocolBits);
    return packet.has_ports();
}

// What is in one of the boxes and in the cover.
std::vector<Box> narrowed(const std::vector<Box>& boxes, const Cover& cover) {
    std::vector<Box> narrower;
    for (const Box& box : boxes) {
        for (const Box& other : cover.boxes) {
            const auto met = meet(box, other);
            narrower.insert(narrower.end(), met ? 1 : 0, met.value_or(Box{}));
        }
    }
    return narrower;
}

// All that one direction of the rule holds.
std::vector<RuleBox> boxes_one_way(const Rule& rule, bool exchanged) {
    std::vector<Cover> covers;
    bool asks_ports = false;
    for (const Condition& condition : rule.conditions) {
        if (!is_varying(condition)) {
            asks_ports = asks_ports || std::holds_alternative<PortTest>(condition.test);
            covers.push_back(std::visit(CoverOf(condition.negated, exchanged), condition.test));
        }
    }
    const auto count = [](const Cover& cover) { return cover.boxes.size(); };
    std::ranges::stable_sort(covers, {}, count);
    std::vector<Box> boxes = {Box{}};
    bool is_exact = true;
    for (const Cover& cover : covers) {
        const bool is_too_much = boxes.size() * cover.boxes.size() > kMostBoxes / 2;
        is_exact = is_exact && cover.is_exact && !is_too_much;
        boxes = is_too_much ? boxes : narrowed(boxes, cover);
    }
    std::vector<RuleBox> result(boxes.size());
    for (size_t i = 0; i < boxes.size(); ++i) {
        result[i] = {boxes[i], is_exact && (!asks_ports || shows_ports(boxes[i]))};
    }
    return result;
}

}  // namespace

std::vector<RuleBox> boxes_of(const Rule& rule) {
    std::vector<RuleBox> boxes = boxes_one_way(rule, false);
    if (rule.either_way) {
        const std::vector<RuleBox> back = boxes_one_way(rule, true);
        boxes.insert(boxes.end(), back.begin(), back.end());
    }
    return boxes;
}

}  // namespace sekisho::rules
