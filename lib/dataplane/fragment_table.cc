#include "dataplane/fragment_table.h"

#include <algorithm>
#include <bit>

#include "base/mutation.h"

namespace sekisho::dataplane {

using packet::Extent;

namespace {

constexpr unsigned kMostPerSource = FragmentTable::kWays / 2;
constexpr unsigned kLooked = 64;  // datagrams, for one whose packets make room

uint32_t source_of(uint64_t addresses) {
    return static_cast<uint32_t>(addresses);
}

}  // namespace

void follow(PacketRef& packet, uint16_t l3_offset, const FragmentBinding& binding) {
    packet.fragment =
        static_cast<uint8_t>(packet.fragment | packet::kFragmentNoted | packet::kFragmentBound);
    packet.fragment_ports = binding.ports;
    if (binding.has_new_id) {
        packet::rewrite_id(packet.data + l3_offset, binding.new_id);
    }
}

FragmentTable::FragmentTable(const Sizes& sizes, const HashSecret& secret)
    : secret_(secret),
      lifetime_ms_(static_cast<int32_t>(sizes.lifetime.ms())),
      set_mask_(std::bit_ceil(std::max(sizes.datagrams / kWays, 1U)) - 1),
      most_held_(sizes.held),
      most_held_in_set_(std::max(kHeldPerDatagram, sizes.held / 8)),
      entries_(size_t{set_mask_ + 1} * kWays),
      tags_(entries_.size()),
      sources_(entries_.size()),
      held_in_set_(set_mask_ + 1),
      nodes_(most_held(sizes)) {
    for (uint32_t n = 0; n < nodes_.size(); ++n) {
        nodes_[n].next = free_node_;
        free_node_ = n;
    }
}

// Every fourth datagram may have one that waits; however small the table, one datagram in pieces of any size fits.
FragmentTable::Sizes FragmentTable::Sizes::of(const nat::NatSettings& settings, unsigned shards) {
    Sizes sizes;
    sizes.datagrams = std::max(settings.limits.fragments / shards, kWays);
    sizes.held = std::max(sizes.datagrams / 4, 2 * kHeldPerDatagram);
    sizes.lifetime = settings.timeouts.fragment;
    return sizes;
}

// A burst's own come on top: what it pushes out is freed behind it.
uint32_t FragmentTable::most_held(const Sizes& sizes) {
    return sizes.held + packet::kBurst;
}

// ---- datagrams

FragmentTable::Place FragmentTable::place_of(const FragmentFacts& facts) const {
    const uint64_t hash = keyed_hash(secret_, source_of(facts.addresses), facts.realm.value);
    return {static_cast<uint32_t>(hash >> 32) & set_mask_, static_cast<uint16_t>(hash | 1)};
}

uint16_t FragmentTable::tag_of(const FragmentFacts& facts) const {
    const uint64_t rest = uint64_t{facts.id} | uint64_t{facts.protocol} << 16 |
                          uint64_t{facts.realm.value} << 24 | uint64_t{1} << 32;
    return static_cast<uint16_t>(keyed_hash(secret_, facts.addresses, rest) >> 48 | 1);
}

uint32_t FragmentTable::find(const FragmentFacts& facts, uint32_t set, Tick now) {
    const uint16_t tag = tag_of(facts);
    for (uint32_t i = set * kWays; i < (set + 1) * kWays; ++i) {
        const Entry& entry = entries_[i];
        if (tags_[i] != tag || entry.addresses != facts.addresses || entry.id != facts.id ||
            entry.protocol != facts.protocol || entry.realm != facts.realm) {
            continue;
        }
        if (!is_over(entry, now)) {
            return i;
        }
        forget(i, DropReason::kFragmentTimeout);
        return kNoIndex;
    }
    return kNoIndex;
}

// Who goes, of one source or, with 0, of all: the oldest of those whose first fragment is missing, if they are the more, else
// the oldest of the others.
uint32_t FragmentTable::oldest_in(uint32_t set, uint16_t source) const {
    struct Kind {
        uint32_t oldest = kNoIndex;
        unsigned count = 0;
    };
    Kind kinds[2];  // has its first one or not
    for (uint32_t i = set * kWays; i < (set + 1) * kWays; ++i) {
        if (tags_[i] == 0 || (source != 0 && sources_[i] != source)) {
            continue;
        }
        Kind& kind = kinds[entries_[i].state == State::kWaiting ? 1 : 0];
        ++kind.count;
        const bool older =
            kind.oldest == kNoIndex || is_before(entries_[i].since, entries_[kind.oldest].since);
        kind.oldest = older ? i : kind.oldest;
    }
    return kinds[kinds[1].count > kinds[0].count ? 1 : 0].oldest;
}

// A free place for a datagram, if need be that of another one.
uint32_t FragmentTable::free_way(const Place& place) {
    const auto ways = std::span(sources_).subspan(size_t{place.set} * kWays, kWays);
    const auto own = is_mutated(Mutation::kRfc4787Req14a) ? std::ptrdiff_t{0}
                                                          : std::ranges::count(ways, place.source);
    const auto empty = std::ranges::find(ways, 0);
    if (own < kMostPerSource && empty != ways.end()) {
        return place.set * kWays + static_cast<uint32_t>(empty - ways.begin());
    }
    const uint32_t victim = oldest_in(place.set, own < kMostPerSource ? uint16_t{0} : place.source);
    forget(victim, DropReason::kFragmentOverflow);
    return victim;
}

uint32_t FragmentTable::find_or_make(const FragmentFacts& facts, Tick now) {
    const Place place = place_of(facts);
    const uint32_t found = find(facts, place.set, now);
    if (found != kNoIndex) {
        return found;
    }
    const uint32_t made = free_way(place);
    Entry& entry = entries_[made];
    entry = Entry{};
    entry.addresses = facts.addresses;
    entry.id = facts.id;
    entry.protocol = facts.protocol;
    entry.realm = facts.realm;
    entry.state = State::kWaiting;
    entry.since = now;
    tags_[made] = tag_of(facts);
    sources_[made] = place.source;
    append(waiting_, made);
    return made;
}

void FragmentTable::forget(uint32_t index, DropReason reason) {
    Entry& entry = entries_[index];
    end_held(index, reason);
    remove(list_of(entry.state), index);
    entry.state = State::kFree;
    tags_[index] = 0;
    sources_[index] = 0;
}

void FragmentTable::settle(uint32_t index, State state, Tick now) {
    Entry& entry = entries_[index];
    remove(list_of(entry.state), index);
    entry.state = state;
    entry.since = now;
    append(settled_, index);
}

void FragmentTable::refuse_entry(uint32_t index, DropReason reason, Tick now) {
    end_held(index, reason);
    settle(index, State::kRefused, now);
    entries_[index].reason = reason;
}

unsigned FragmentTable::advance(Tick now, unsigned budget) {
    unsigned forgotten = 0;
    for (List* list : {&waiting_, &settled_}) {
        while (forgotten < budget && list->head != kNoIndex && is_over(entries_[list->head], now)) {
            forget(list->head, DropReason::kFragmentTimeout);
            ++forgotten;
        }
    }
    return forgotten;
}

void FragmentTable::end_all(DropReason reason) {
    for (List* list : {&waiting_, &settled_}) {
        while (list->head != kNoIndex) {
            forget(list->head, reason);
        }
    }
    while (ready_.head != kNoIndex) {
        const uint32_t node = ready_.head;
        ready_.head = nodes_[node].next;
        nodes_[node].reason = reason;
        append(ended_, node);
    }
}

// ---- what has come of a datagram

bool FragmentTable::has_come(const Entry& entry, const Extent& extent) {
    return std::any_of(entry.span, entry.span + entry.spans, [&](const Span& span) {
        return span.begin <= extent.begin && extent.end <= span.end;
    });
}

// Whether both cannot be of one datagram.
bool FragmentTable::contradicts(const Entry& entry, const Extent& extent) {
    const uint16_t last = entry.spans == 0 ? 0 : entry.span[entry.spans - 1].end;
    const bool wrong_end = extent.more
                               ? entry.has_end && extent.end >= entry.end
                               : (entry.has_end && extent.end != entry.end) || last > extent.end;
    return wrong_end || (!has_come(entry, extent) &&
                         std::any_of(entry.span, entry.span + entry.spans, [&](const Span& span) {
                             return extent.begin < span.end && span.begin < extent.end;
                         }));
}

// Whether the first has come twice, to different ports: one of them is somebody else's.
bool FragmentTable::is_of_another_flow(const Entry& entry, const FragmentFacts& facts) {
    const bool first_has_come = entry.spans > 0 && entry.span[0].begin == 0;
    return facts.is_first() && first_has_come && entry.first_ports != facts.ports;
}

// False: it would lie in too many parts.
bool FragmentTable::add(Entry& entry, const Extent& extent) {
    Span* const end = entry.span + entry.spans;
    Span* const behind =
        std::find_if(entry.span, end, [&](const Span& span) { return span.begin >= extent.end; });
    const bool joins_before = behind != entry.span && (behind - 1)->end == extent.begin;
    const bool joins_behind = behind != end && behind->begin == extent.end;
    if (joins_before && joins_behind) {
        (behind - 1)->end = behind->end;
        std::copy(behind + 1, end, behind);
        --entry.spans;
    } else if (joins_before) {
        (behind - 1)->end = extent.end;
    } else if (joins_behind) {
        behind->begin = extent.begin;
    } else if (entry.spans == kSpans) {
        return false;
    } else {
        std::copy_backward(behind, end, end + 1);
        *behind = {extent.begin, extent.end};
        ++entry.spans;
    }
    if (!extent.more) {
        entry.has_end = true;
        entry.end = extent.end;
    }
    return true;
}

bool FragmentTable::is_complete(const Entry& entry) {
    return entry.has_end && entry.spans == 1 && entry.span[0].begin == 0 &&
           entry.span[0].end == entry.end;
}

// Adds a fragment to what has come, or says why it must not pass.
std::optional<DropReason> FragmentTable::note(
    uint32_t index, const FragmentFacts& facts, Tick now
) {
    Entry& entry = entries_[index];
    const Extent& extent = facts.extent;
    if (entry.state == State::kRefused) {
        return entry.reason;
    }
    if (contradicts(entry, extent) || is_of_another_flow(entry, facts)) {
        refuse_entry(index, DropReason::kOverlappingFragment, now);
        return DropReason::kOverlappingFragment;
    }
    if (has_come(entry, extent)) {
        return DropReason::kDuplicateFragment;
    }
    if (!add(entry, extent)) {
        refuse_entry(index, DropReason::kFragmentOverflow, now);
        return DropReason::kFragmentOverflow;
    }
    return std::nullopt;
}

// ---- fragments

FragmentTable::Outcome FragmentTable::take(
    const FragmentFacts& facts, PacketRef& packet, uint16_t l3_offset, Tick now
) {
    const uint32_t index = find_or_make(facts, now);
    Entry& entry = entries_[index];
    if (const auto reason = note(index, facts, now)) {
        return {Outcome::kDropped, *reason, {}};
    }
    if (facts.is_first()) {
        entry.state = State::kNoted;
        entry.first_ports = facts.ports;
        return {Outcome::kNoted, {}, {}};
    }
    if (entry.state == State::kBound) {
        const Outcome follow{Outcome::kFollow, {}, entry.binding};
        if (is_complete(entry)) {
            forget(index, DropReason::kBug);
        }
        return follow;
    }
    return hold(index, packet, l3_offset)
               ? Outcome{Outcome::kHeld, {}, {}}
               : Outcome{Outcome::kDropped, DropReason::kFragmentOverflow, {}};
}

bool FragmentTable::bind(const FragmentFacts& first, const FragmentBinding& binding, Tick now) {
    const uint32_t index = find_or_make(first, now);
    Entry& entry = entries_[index];
    if (entry.state == State::kRefused) {
        return false;
    }
    if (!has_come(entry, first.extent)) {
        (void)add(entry, first.extent);
    }
    if (entry.state == State::kBound) {
        return true;
    }
    entry.binding = binding;
    entry.first_ports = first.ports;
    settle(index, State::kBound, now);
    release_held(index);
    if (is_complete(entry)) {
        forget(index, DropReason::kBug);
    }
    return true;
}

void FragmentTable::refuse(const FragmentFacts& first, DropReason reason, Tick now) {
    const uint32_t index = find(first, place_of(first).set, now);
    if (index != kNoIndex && entries_[index].state == State::kNoted) {
        refuse_entry(index, reason, now);
    }
}

// ---- packets

bool FragmentTable::hold(uint32_t index, PacketRef& packet, uint16_t l3_offset) {
    Entry& entry = entries_[index];
    if (is_mutated(Mutation::kRfc4787Req14) || entry.held >= kHeldPerDatagram ||
        !has_room_in_set(index) || !has_room_in_all(index) || free_node_ == kNoIndex) {
        return false;
    }
    const uint32_t node = free_node_;
    free_node_ = nodes_[node].next;
    packet.flags = static_cast<uint8_t>(packet.flags | packet::kCounted);
    nodes_[node].packet = packet;
    nodes_[node].l3_offset = l3_offset;
    append(entry.chain, node);
    ++entry.held;
    ++held_in_set_[index / kWays];
    ++waiting_packets_;
    held_.add(1);
    return true;
}

// If need be, at the cost of the oldest other datagram of the set that waits.
bool FragmentTable::has_room_in_set(uint32_t index) {
    const uint32_t set = index / kWays;
    if (held_in_set_[set] < most_held_in_set_) {
        return true;
    }
    uint32_t oldest = kNoIndex;
    for (uint32_t i = set * kWays; i < (set + 1) * kWays; ++i) {
        const bool gives = i != index && tags_[i] != 0 && entries_[i].held > 0;
        if (gives && (oldest == kNoIndex || is_before(entries_[i].since, entries_[oldest].since))) {
            oldest = i;
        }
    }
    if (oldest == kNoIndex) {
        return false;
    }
    forget(oldest, DropReason::kFragmentOverflow);
    return true;
}

// The same for the whole table. Those that wait and hold nothing are few: firsts that are being judged.
bool FragmentTable::has_room_in_all(uint32_t index) {
    if (waiting_packets_ < most_held_) {
        return true;
    }
    uint32_t oldest = waiting_.head;
    for (unsigned looked = 0; oldest != kNoIndex && looked < kLooked; ++looked) {
        if (oldest != index && entries_[oldest].held > 0) {
            forget(oldest, DropReason::kFragmentOverflow);
            return true;
        }
        oldest = entries_[oldest].next;
    }
    return false;
}

void FragmentTable::count_none_held(uint32_t index) {
    Entry& entry = entries_[index];
    held_in_set_[index / kWays] = static_cast<uint16_t>(held_in_set_[index / kWays] - entry.held);
    waiting_packets_ -= entry.held;
    entry.held = 0;
}

void FragmentTable::end_held(uint32_t index, DropReason reason) {
    Entry& entry = entries_[index];
    count_none_held(index);
    while (entry.chain.head != kNoIndex) {
        const uint32_t node = entry.chain.head;
        entry.chain.head = nodes_[node].next;
        nodes_[node].reason = reason;
        append(ended_, node);
    }
}

void FragmentTable::release_held(uint32_t index) {
    Entry& entry = entries_[index];
    count_none_held(index);
    while (entry.chain.head != kNoIndex) {
        const uint32_t node = entry.chain.head;
        entry.chain.head = nodes_[node].next;
        follow(nodes_[node].packet, nodes_[node].l3_offset, entry.binding);
        append(ready_, node);
    }
}

unsigned FragmentTable::take_ready(std::span<PacketRef> out) {
    unsigned taken = 0;
    for (; taken < out.size() && has_ready(); ++taken) {
        out[taken] = pop(ready_);
    }
    return taken;
}

FragmentTable::Ended FragmentTable::take_ended() {
    const DropReason reason = nodes_[ended_.head].reason;
    return {pop(ended_), reason};
}

// ---- lists

void FragmentTable::append(List& list, uint32_t index) {
    Entry& entry = entries_[index];
    entry.previous = list.tail;
    entry.next = kNoIndex;
    (list.tail == kNoIndex ? list.head : entries_[list.tail].next) = index;
    list.tail = index;
    ++list.size;
}

void FragmentTable::remove(List& list, uint32_t index) {
    const Entry& entry = entries_[index];
    (entry.previous == kNoIndex ? list.head : entries_[entry.previous].next) = entry.next;
    (entry.next == kNoIndex ? list.tail : entries_[entry.next].previous) = entry.previous;
    --list.size;
}

void FragmentTable::append(Chain& chain, uint32_t node) {
    nodes_[node].next = kNoIndex;
    (chain.head == kNoIndex ? chain.head : nodes_[chain.tail].next) = node;
    chain.tail = node;
}

PacketRef FragmentTable::pop(Chain& chain) {
    const uint32_t node = chain.head;
    chain.head = nodes_[node].next;
    nodes_[node].next = free_node_;
    free_node_ = node;
    held_.set(held_.read() - 1);
    return nodes_[node].packet;
}

}  // namespace sekisho::dataplane
