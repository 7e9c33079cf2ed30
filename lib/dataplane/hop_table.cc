#include "dataplane/hop_table.h"

#include <cstring>

#include "packet/build.h"

namespace sekisho::dataplane {
namespace {

constexpr uint32_t kSlots = 131072;  // twice the capacity
constexpr uint32_t kMask = kSlots - 1;

void build_header(NeighbourEntry& entry, const MacAddr& source) {
    std::memset(entry.header, 0, sizeof entry.header);
    std::memcpy(entry.header, entry.mac.bytes, 6);
    std::memcpy(entry.header + 6, source.bytes, 6);
    packet::store<uint16_t>(entry.header + 12, base::swap16(packet::kEtherIpv4));
}

}  // namespace

HopTable::HopTable(const Network& network, const HashSecret& secret)
    : network_(network), secret_(secret), entries_(kNeighbourCapacity), slots_(kSlots) {}

uint32_t HopTable::slot_of(Ipv4Addr address, LinkId link) const {
    return static_cast<uint32_t>(keyed_hash(secret_, address.raw, link.value)) & kMask;
}

NeighbourId HopTable::find(Ipv4Addr address, LinkId link) const {
    for (uint32_t slot = slot_of(address, link); slots_[slot] != 0; slot = (slot + 1) & kMask) {
        const NeighbourEntry& entry = entries_[slots_[slot]];
        if (entry.address == address && entry.link == link) {
            return NeighbourId{slots_[slot]};
        }
    }
    return NeighbourId{};
}

void HopTable::put(const NeighbourUpdate& update) {
    const uint16_t id = update.id.value;
    if (id == 0 || id >= entries_.size() || update.entry.link.value >= network_.links().size()) {
        return;
    }
    erase(update.id);
    entries_[id] = update.entry;
    const Link& link = network_.link(update.entry.link);
    entries_[id].header_length = static_cast<uint8_t>(packet::l2_length(link.vlans.size()));
    entries_[id].mtu = link.mtu;
    entries_[id].realm = link.view();
    build_header(entries_[id], link.mac);
    insert(update.id);
}

void HopTable::insert(NeighbourId id) {
    const NeighbourEntry& entry = entries_[id.value];
    uint32_t slot = slot_of(entry.address, entry.link);
    while (slots_[slot] != 0) {
        slot = (slot + 1) & kMask;
    }
    slots_[slot] = id.value;
}

// Closes the gap behind the erased id, so that probing never needs tombstones.
void HopTable::erase(NeighbourId id) {
    const NeighbourEntry& old = entries_[id.value];
    uint32_t gap = slot_of(old.address, old.link);
    while (slots_[gap] != id.value) {
        if (slots_[gap] == 0) {
            return;
        }
        gap = (gap + 1) & kMask;
    }
    for (uint32_t next = (gap + 1) & kMask; slots_[next] != 0; next = (next + 1) & kMask) {
        const NeighbourEntry& entry = entries_[slots_[next]];
        const uint32_t wanted = slot_of(entry.address, entry.link);
        if (((next - wanted) & kMask) >= ((next - gap) & kMask)) {
            slots_[gap] = slots_[next];
            gap = next;
        }
    }
    slots_[gap] = 0;
}

}  // namespace sekisho::dataplane
