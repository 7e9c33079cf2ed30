// Port overloading: one external port for several remote endpoints (RFC 7857 3), where mapping and
// filtering depend on address and port, so that the session alone says whose an inbound packet is.
#include "nat/nat_shard.h"

namespace sekisho::nat {
namespace {

constexpr unsigned kLookedABlock = 32;  // ports in use, from a random one on

uint32_t endpoint_word(uint8_t protocol, uint16_t port) {
    return uint32_t{protocol} << 16 | port;
}

}  // namespace

bool NatShard::overloads(uint32_t subscriber, Protocol protocol) const {
    const PolicySettings& policy = numbers_.at(subscribers_[subscriber].policy);
    return policy.port_overloading &&
           policy.mapping[protocol] == MappingBehaviour::kAddressAndPortDependent;
}

// A port of the subscriber's that nobody uses towards this remote endpoint.
NatShard::Outcome NatShard::share_port(uint32_t subscriber, const FlowKey& key, Tick now) {
    settle();
    const Subscriber& s = subscribers_[subscriber];
    for (uint32_t block = s.first_block; block != kNoIndex; block = blocks_[block].next) {
        const ExternalAddress& external = (*directory_)[{blocks_[block].external}];
        const uint32_t bit =
            is_aged(block, now) ? kNoPort : find_sharable(block, external.address, key);
        if (bit != kNoPort) {
            const uint32_t first = uint32_t{blocks_[block].number} << external.block_shift;
            return Outcome::of_port(block, first + bit, true);
        }
    }
    return Outcome::refused(DropReason::kPoolExhausted);
}

// A static mapping's, or one that was: then nobody has it, though it counts as taken until its block goes home.
bool NatShard::is_withheld(Ipv4Addr external, Port port, const FlowKey& key) const {
    const auto protocol = static_cast<uint8_t>(key.protocol());
    return directory_->statics().has_followed() &&
           (directory_->is_fixed(external, port, key.protocol()) ||
            (port_uses_.count(external.raw, endpoint_word(protocol, port.raw)) == 0 &&
             find_mapping_by_external(external, port, key.protocol()).value == kNoIndex));
}

uint32_t NatShard::find_sharable(uint32_t block, Ipv4Addr external, const FlowKey& key) {
    const uint32_t size = 1U << (*directory_)[{blocks_[block].external}].block_shift;
    const uint32_t first = uint32_t{blocks_[block].number} * size;
    const Pool& pool = pools_[(*directory_)[{blocks_[block].external}].pool.value];
    unsigned looked = 0;
    bool is_found = false;
    const auto ends_search = [&](uint32_t bit) {
        const Port port = Port::from_host(static_cast<uint16_t>(first + bit));
        if (is_reserved(pool.reserved, first + bit) || is_withheld(external, port, key)) {
            return false;
        }
        const FlowKey inbound = FlowKey::of(
            key.destination(),
            external,
            key.destination_port(),
            port,
            key.protocol(),
            kExternalRealm
        );
        is_found = find_session(inbound, hash_of(inbound), Direction::kInbound) == kNoIndex;
        return is_found || ++looked == kLookedABlock;
    };
    const uint32_t bit =
        blocks_.find_in_use(block, protocol_slot(key.protocol()), random_below(size), ends_search);
    return is_found ? bit : kNoPort;
}

// There is room for a record of each mapping.
void NatShard::count_use(const Mapping& m) {
    const uint32_t endpoint = endpoint_word(m.protocol, m.external_port);
    const uint32_t users = port_uses_.count(m.external_address, endpoint);
    (void)port_uses_.add(m.external_address, endpoint, users == 0 ? 2 : 1);
}

// True if others go on using the port. Who was never shared with has no record.
bool NatShard::end_use(const Mapping& m) {
    const uint32_t endpoint = endpoint_word(m.protocol, m.external_port);
    const uint32_t users = port_uses_.count(m.external_address, endpoint);
    port_uses_.remove(m.external_address, endpoint);
    return users >= 2;
}

// Whether somebody has an external endpoint, though no mapping is found by it alone.
bool NatShard::is_shared(const FlowKey& inbound) const {
    const uint32_t endpoint =
        endpoint_word(static_cast<uint8_t>(inbound.protocol()), inbound.destination_port().raw);
    return port_uses_.count(inbound.destination().raw, endpoint) != 0;
}

}  // namespace sekisho::nat
