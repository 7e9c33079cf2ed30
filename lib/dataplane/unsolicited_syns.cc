#include "dataplane/unsolicited_syns.h"

#include <algorithm>
#include <cstring>

namespace sekisho::dataplane {

UnsolicitedSyns::UnsolicitedSyns(const HashSecret& secret)
    : secret_(secret), syns_(kMost), place_(kPlaces, kNone), of_source_(kClasses, 0) {}

// From the youngest of its place on. One that has gone has left its place in the ring to a younger one.
uint16_t UnsolicitedSyns::find(const FlowKey& key, uint64_t hash) const {
    uint16_t at = place_[hash % kPlaces];
    while (at != kNone && syns_[at].key != key) {
        const uint16_t before = syns_[at].before;
        const bool is_older = before != kNone && age_order(before) < age_order(at);
        at = is_older ? before : kNone;
    }
    return at;
}

void UnsolicitedSyns::end_of_session(const FlowKey& inbound, uint64_t hash) {
    const uint16_t at = size_.read() > 0 ? find(inbound, hash) : kNone;
    if (at != kNone) {
        syns_[at].solicited = true;
    }
}

void UnsolicitedSyns::note(const PacketRef& packet, const PacketMeta& meta, Tick now) {
    const auto held = static_cast<uint32_t>(size_.read());
    if (held == kMost || find(meta.key, meta.hash) != kNone) {
        return;
    }
    const uint64_t source = keyed_hash(secret_, meta.key.source().raw, 0);
    const auto source_class = static_cast<uint16_t>(source % kClasses);
    if (of_source_[source_class] == kMostOfSource) {
        return;
    }
    const auto at = static_cast<uint16_t>((first_ + held) % kMost);
    Syn& syn = syns_[at];
    syn.key = meta.key;
    syn.hash = meta.hash;
    syn.at = now;
    syn.source_class = source_class;
    syn.before = place_[meta.hash % kPlaces];
    syn.solicited = false;
    syn.link = packet.in_link;
    const size_t there = std::min<size_t>(meta.l3_length, size_t{packet.length} - meta.l3_offset);
    syn.length = static_cast<uint8_t>(std::min(there, kQuoted));
    std::memcpy(syn.bytes.data(), packet.data + meta.l3_offset, syn.length);
    place_[meta.hash % kPlaces] = at;
    ++of_source_[source_class];
    size_.add(1);
}

void UnsolicitedSyns::end_oldest(bool answered) {
    const Syn& syn = syns_[first_];
    uint16_t& place = place_[syn.hash % kPlaces];
    if (place == first_) {
        place = kNone;
    }
    --of_source_[syn.source_class];
    first_ = (first_ + 1) % kMost;
    size_.set(size_.read() - 1);
    if (answered) {
        answered_.add(1);
    }
}

}  // namespace sekisho::dataplane
