// From the specification's packets and settings to the pipeline's frames and settings.
#pragma once

#include "packet/test_bed.h"
#include "spec/settings.h"

namespace sekisho::test {

inline Ipv4Addr address_of(spec::Address a) {
    return Ipv4Addr::from_host(static_cast<uint32_t>(a));
}
inline RealmId realm_id_of(spec::Address a) {
    return {static_cast<uint8_t>(kInternalRealm.value + spec::realm_of(a))};
}
Protocol protocol_of(spec::Proto p);
spec::Proto proto_of(uint8_t protocol);
FlowKey key_of(spec::Proto p, const spec::Endpoint& from, const spec::Endpoint& to, RealmId realm);

// The packet's bytes from the IPv4 header on.
ByteVector datagram_of(const spec::Packet& packet);
// The same as a frame.
ByteVector frame_of(const spec::Packet& packet, const MacAddr& to);
// Whether they are alike to the last byte, but that 0 and 0xffff are the same ICMP checksum
// (packet/checksum.h).
bool is_same_datagram(Bytes a, Bytes b);
std::string describe(const spec::Packet& packet);

nat::NatSettings nat_settings_of(const spec::Settings& settings);

}  // namespace sekisho::test
