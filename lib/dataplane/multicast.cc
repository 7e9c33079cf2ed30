// Packets to groups that the configuration lets pass (RFC 1112): from one link to another, as they are. They make no session,
// so they fill no table and no log. All others are dropped and counted, wherever they come from.
#include "dataplane/shard.h"
#include "nat/rewrite.h"
#include "packet/build.h"

namespace sekisho::dataplane {
namespace {

// RFC 1112 6.4: the last 23 bits of the group.
MacAddr mac_of(Ipv4Addr group) {
    const uint32_t host = group.host();
    return {
        {0x01,
         0x00,
         0x5e,
         static_cast<uint8_t>(host >> 16 & 0x7f),
         static_cast<uint8_t>(host >> 8),
         static_cast<uint8_t>(host)}};
}

}  // namespace

// No error is owed for a packet to a group (RFC 1122 3.2.2).
std::optional<DropReason> Shard::why_no_multicast(
    const PacketRef& ref, const PacketMeta& meta, const Link& to
) const {
    const RealmId realm = plan_.network->view_of(ref.in_link);
    if (is_forged(realm, source_of(ref, meta), meta.direction, tables_)) {
        return DropReason::kSpoofedSource;
    }
    if (ref.data[meta.l3_offset + packet::offset::kIpTtl] <= 1) {
        return DropReason::kTtlExceeded;
    }
    if (meta.l3_length > to.mtu) {
        return DropReason::kTooBig;
    }
    const bool has_room =
        size_t{ref.headroom} + meta.l3_offset >= packet::l2_length(to.vlans.size());
    return has_room ? std::nullopt : std::optional(DropReason::kBug);
}

// False: nothing lets it pass.
bool Shard::pass_multicast(PacketRef& ref, const PacketMeta& meta) {
    const Ipv4Addr group = destination_of(ref, meta);
    const auto out = plan_.network->find_multicast(ref.in_link, group);
    if (!out) {
        return false;
    }
    const Link& link = plan_.network->link(*out);
    if (const auto reason = why_no_multicast(ref, meta, link)) {
        counters_.drop(*reason);
        free_later(ref);
        return true;
    }
    nat::step_ttl(ref, meta);
    const int header = static_cast<int>(packet::l2_length(link.vlans.size()));
    const int by = int{meta.l3_offset} - header;
    ref.data += by;
    ref.length = static_cast<uint16_t>(ref.length - by);
    ref.frame_length = static_cast<uint16_t>(ref.frame_length - by);
    ref.headroom = static_cast<uint16_t>(ref.headroom + by);
    packet::write_l2_header(ref.data, mac_of(group), link.mac, link.vlans, packet::kEtherIpv4);
    counters_.multicast.add(1);
    plan_.transmitter->transmit(links_[out->value].device, ref);
    return true;
}

}  // namespace sekisho::dataplane
