#include "spec_frames.h"

#include <algorithm>

namespace sekisho::test {

Protocol protocol_of(spec::Proto p) {
    return p == spec::Proto::kTcp   ? Protocol::kTcp
           : p == spec::Proto::kUdp ? Protocol::kUdp
                                    : Protocol::kIcmp;
}

spec::Proto proto_of(uint8_t protocol) {
    return protocol == 6    ? spec::Proto::kTcp
           : protocol == 17 ? spec::Proto::kUdp
                            : spec::Proto::kIcmp;
}

FlowKey key_of(spec::Proto p, const spec::Endpoint& from, const spec::Endpoint& to, RealmId realm) {
    return FlowKey::of(
        address_of(from.address),
        address_of(to.address),
        Port::from_host(from.port),
        Port::from_host(to.port),
        protocol_of(p),
        realm
    );
}

namespace {

void add_transport(PacketBuilder& b, const spec::Packet& p) {
    switch (p.protocol) {
        case spec::Proto::kTcp:
            b.tcp(p.from.port, p.to.port, p.tcp_flags)
                .sequence(p.sequence)
                .acknowledgement(p.acknowledgement)
                .window(p.window);
            if (p.scale >= 0) {
                b.tcp_options({1, 3, 3, static_cast<uint8_t>(p.scale)});
            }
            break;
        case spec::Proto::kUdp:
            b.udp(p.from.port, p.to.port);
            if (p.no_checksum) {
                b.l4_checksum(0);
            }
            break;
        case spec::Proto::kIcmp:
            if (p.icmp_type == spec::kEchoReply) {
                b.echo_reply(p.to.port, p.icmp_sequence);
            } else {
                b.echo_request(p.from.port, p.icmp_sequence);
            }
            break;
    }
    b.payload_size(p.payload);
}

void add_error(PacketBuilder& b, const spec::Packet& p) {
    ByteVector quote = datagram_of(p.quote[0]);
    quote.resize(std::min(quote.size(), p.quoted_bytes));
    if (p.quote_is_damaged) {
        quote[10] ^= 1;
    }
    b.icmp_error(p.icmp_type, p.icmp_code, quote, p.icmp_rest);
}

}  // namespace

ByteVector frame_of(const spec::Packet& p, const MacAddr& to) {
    PacketBuilder b = frame()
                          .mac(kHostMac, to)
                          .ipv4(address_of(p.from.address), address_of(p.to.address))
                          .ttl(p.ttl);
    if (p.is_error()) {
        add_error(b, p);
    } else {
        add_transport(b, p);
    }
    ByteVector bytes = b.bytes();
    if (p.wrong_checksum) {
        bytes[14 + 20 + 2] ^= 1;
    }
    return bytes;
}

ByteVector datagram_of(const spec::Packet& packet) {
    ByteVector bytes = frame_of(packet, kRouterMac);
    bytes.erase(bytes.begin(), bytes.begin() + 14);
    return bytes;
}

namespace {

// One zero for the other, in an ICMP message and in one that it quotes.
ByteVector with_one_zero(Bytes datagram) {
    ByteVector bytes(datagram.begin(), datagram.end());
    for (const size_t ip : {size_t{0}, size_t{28}}) {
        const size_t checksum = ip + 22;
        const bool is_icmp =
            bytes.size() >= checksum + 2 && bytes[ip] == 0x45 && bytes[ip + 9] == 1;
        if (is_icmp && bytes[checksum] == 0xff && bytes[checksum + 1] == 0xff) {
            bytes[checksum] = bytes[checksum + 1] = 0;
        }
    }
    return bytes;
}

}  // namespace

bool is_same_datagram(Bytes a, Bytes b) {
    return with_one_zero(a) == with_one_zero(b);
}

std::string describe(const spec::Packet& packet) {
    return describe(frame_of(packet, kRouterMac));
}

namespace {

nat::PoolSettings pool_of(const spec::Pool& pool) {
    nat::PoolSettings out;
    out.addresses = {{address_of(pool.first), address_of(pool.first + pool.addresses - 1)}};
    out.ports = {pool.first_port, pool.last_port};
    out.port_block_size = pool.block_size;
    out.blocks_per_subscriber = pool.blocks_per_subscriber;
    out.port_selection = pool.preserve     ? nat::PortSelection::kPreserve
                         : pool.sequential ? nat::PortSelection::kSequential
                                           : nat::PortSelection::kRandom;
    out.port_ranges = pool.keeps_ranges ? nat::PortRanges::kPreserve : nat::PortRanges::kAny;
    out.pairing = pool.is_paired ? nat::Pairing::kHard
                  : pool.is_soft ? nat::Pairing::kSoft
                                 : nat::Pairing::kNone;
    for (const uint16_t port : pool.reserved) {
        out.reserved_ports.push_back({port, port});
    }
    out.port_parity = pool.parity;
    out.port_contiguity = pool.contiguity;
    out.port_quarantine = Seconds{static_cast<uint32_t>(pool.quarantine / 1000)};
    out.block_release_delay = Seconds{static_cast<uint32_t>(pool.release_delay / 1000)};
    return out;
}

template <class To>
nat::PerProtocol<To> by_protocol(const spec::ByProto<spec::Dependence>& from) {
    const auto one = [&](spec::Proto p) { return static_cast<To>(static_cast<uint8_t>(from[p])); };
    return {one(spec::Proto::kTcp), one(spec::Proto::kUdp), one(spec::Proto::kIcmp)};
}

nat::PolicySettings policy_of(const spec::Policy& policy) {
    nat::PolicySettings out;
    out.realm = realm_id_of(policy.source);
    out.source = {{address_of(policy.source), static_cast<uint8_t>(policy.length)}};
    out.pool = PoolId{static_cast<uint16_t>(policy.pool)};
    out.mapping = by_protocol<nat::MappingBehaviour>(policy.mapping);
    out.filtering = by_protocol<nat::FilteringBehaviour>(policy.filtering);
    out.port_overloading = policy.overloading;
    out.refusal = static_cast<nat::Refusal>(policy.refusal_code);
    const spec::Limits& l = policy.limits;
    out.limits.sessions = l.sessions;
    out.limits.ports = l.ports;
    out.limits.sessions_per_second = l.sessions_per_second;
    out.limits.inbound_openings = l.inbound_openings;
    out.limits.mappings = l.mappings;
    out.limits.half_open = l.half_open;
    const auto one = [&](spec::Proto p) {
        return nat::ProtocolLimits{l.of[p].sessions, l.of[p].ports, l.of[p].reserve};
    };
    out.limits.tcp = one(spec::Proto::kTcp);
    out.limits.udp = one(spec::Proto::kUdp);
    out.limits.icmp = one(spec::Proto::kIcmp);
    return out;
}

Seconds seconds_of(spec::Time ms) {
    return Seconds{static_cast<uint32_t>(ms / 1000)};
}

}  // namespace

nat::NatSettings nat_settings_of(const spec::Settings& settings) {
    nat::NatSettings out;
    for (const spec::Pool& pool : settings.pools) {
        out.pools.push_back(pool_of(pool));
    }
    for (const spec::Policy& policy : settings.policies) {
        out.policies.push_back(policy_of(policy));
    }
    out.timeouts.tcp_established = seconds_of(settings.timeouts.established);
    out.timeouts.tcp_transitory = seconds_of(settings.timeouts.transitory);
    out.timeouts.tcp_closing = seconds_of(settings.timeouts.closing);
    out.timeouts.udp = seconds_of(settings.timeouts.udp);
    out.timeouts.icmp = seconds_of(settings.timeouts.icmp);
    return out;
}

}  // namespace sekisho::test
