#include "flowgen/checker.h"

#include <algorithm>

namespace sekisho::flowgen {
namespace {

constexpr uint16_t kLeast = config::kFlowgenLeastSize;

bool is_known(Protocol protocol) {
    return protocol == Protocol::kUdp || protocol == Protocol::kTcp || protocol == Protocol::kIcmp;
}

Protocol protocol_at(const uint8_t* l3) {
    return static_cast<Protocol>(l3[packet::offset::kIpProtocol]);
}

Ipv4Addr address_at(const uint8_t* at) {
    return {packet::load<uint32_t>(at)};
}

Port port_at(const uint8_t* at) {
    return {packet::load<uint16_t>(at)};
}

// Whether it is one piece of Ethernet and IPv4 without options, long enough for the tag.
bool is_frame(const PacketRef& packet) {
    if (packet.length != packet.frame_length || packet.length < kLeast) {
        return false;
    }
    const uint8_t* l3 = packet.data + kL3;
    const uint16_t total = Be16{packet::load<uint16_t>(l3 + packet::offset::kIpLength)}.host();
    return packet::load<uint16_t>(packet.data + 12) == base::swap16(packet::kEtherIpv4) &&
           l3[0] == 0x45 && is_known(protocol_at(l3)) && total + kL3 <= packet.length &&
           total + kL3 >= kLeast;
}

bool transport_verifies(const uint8_t* l3) {
    const Protocol protocol = protocol_at(l3);
    const uint16_t total = Be16{packet::load<uint16_t>(l3 + packet::offset::kIpLength)}.host();
    const auto length = static_cast<uint16_t>(total - packet::kIpv4Header);
    const uint8_t* l4 = l3 + packet::kIpv4Header;
    const bool is_udp = protocol == Protocol::kUdp;
    if (is_udp && packet::load<uint16_t>(l4 + packet::offset::kUdpChecksum) == 0) {
        return false;  // every frame is sent with one
    }
    const uint64_t pseudo = protocol == Protocol::kIcmp
                                ? 0
                                : packet::pseudo_header_sum(
                                      address_at(l3 + packet::offset::kIpSource),
                                      address_at(l3 + packet::offset::kIpDestination),
                                      protocol,
                                      length
                                  );
    return packet::verifies({l4, length}, pseudo);
}

// A sum is zero only if every byte is.
bool is_zero(const uint8_t* from, const uint8_t* end) {
    return from >= end || packet::sum_of({from, end}) == 0;
}

}  // namespace

void Checker::expect_pass(uint32_t pass) {
    passes_ = true;
    pass_ = pass & 0x7fffffff;
    received_ = 0;
    receipts_.assign(plan_.flows->flows(), false);
}

void Checker::finish_pass(uint64_t sent) {
    passes_ = false;
    if (sent > received_) {
        faults_.add(Fault::kLoss, sent - received_);
    }
}

void Checker::prefetch(const PacketRef& packet) const {
    Tag tag;
    if (plan_.role == FlowgenRole::kInternet && is_frame(packet) &&
        read_tag(packet.data + payload_offset(protocol_at(packet.data + kL3)), tag) &&
        tag.session < plan_.flows->flows()) {
        plan_.endpoints->prefetch(tag.session);
    }
}

Fault Checker::check(const PacketRef& packet) {
    const Fault fault = find_fault(packet);
    if (fault != Fault::kNone) {
        faults_.add(fault);
    }
    return fault;
}

Fault Checker::find_fault(const PacketRef& packet) {
    if (!is_frame(packet)) {
        return Fault::kForeign;
    }
    const uint8_t* l3 = packet.data + kL3;
    const uint8_t* payload = packet.data + payload_offset(protocol_at(l3));
    Tag tag;
    const bool is_ours = read_tag(payload, tag) && comes_from_other_end(tag);
    const Fault receipt = is_ours && passes_ ? take_receipt(tag) : Fault::kNone;
    if (!packet::verifies({l3, packet::kIpv4Header})) {
        return Fault::kIpChecksum;
    }
    if (!transport_verifies(l3)) {
        return Fault::kL4Checksum;
    }
    if (!is_ours || !is_zero(payload + kTagLength, packet.data + packet.length)) {
        return Fault::kPayload;
    }
    if (const Fault fault = find_wrong_header(packet, tag); fault != Fault::kNone) {
        return fault;
    }
    if (!translated_) {
        return receipt;
    }
    const Fault fault = find_wrong_end(l3, tag);
    return fault != Fault::kNone ? fault : receipt;
}

Fault Checker::find_wrong_header(const PacketRef& packet, const Tag& tag) const {
    const uint8_t* l3 = packet.data + kL3;
    const auto total = Be16{packet::load<uint16_t>(l3 + packet::offset::kIpLength)}.host();
    const uint8_t ttl = translated_ ? kFirstTtl - 1 : kFirstTtl;
    if (translated_ && (packet::load_mac(packet.data) != plan_.station ||
                        packet::load_mac(packet.data + 6) != plan_.appliance)) {
        return Fault::kLinkAddress;
    }
    if (l3[packet::offset::kIpTtl] != ttl || total + kL3 != packet.length ||
        protocol_at(l3) != plan_.flows->protocol_of(tag.session)) {
        return Fault::kHeader;
    }
    return Fault::kNone;
}

// Both ends, and what can be learnt from the one that the appliance has chosen.
Fault Checker::find_wrong_end(const uint8_t* l3, const Tag& tag) {
    const Ends ends = plan_.flows->ends_of(tag.session);
    const uint8_t* l4 = l3 + packet::kIpv4Header;
    const bool is_icmp = protocol_at(l3) == Protocol::kIcmp;
    const Ipv4Addr source = address_at(l3 + packet::offset::kIpSource);
    const Ipv4Addr destination = address_at(l3 + packet::offset::kIpDestination);
    const Port identifier = port_at(l4 + packet::offset::kIcmpIdentifier);
    const Port from = is_icmp ? identifier : port_at(l4 + packet::offset::kSourcePort);
    const Port to = is_icmp ? identifier : port_at(l4 + packet::offset::kDestinationPort);
    if (plan_.role == FlowgenRole::kSubscribers) {
        if (plan_.answered != nullptr) {
            (*plan_.answered)[tag.session] = true;
        }
        if (source != ends.remote || destination != ends.internal) {
            return Fault::kAddress;
        }
        const bool fits = to == ends.internal_port && (is_icmp || from == ends.remote_port);
        return fits ? Fault::kNone : Fault::kPort;
    }
    if (destination != ends.remote) {
        return Fault::kAddress;
    }
    if (!is_icmp && to != ends.remote_port) {
        return Fault::kPort;
    }
    if (source == ends.internal) {
        return Fault::kAddress;  // nobody has translated it
    }
    return compare_endpoint(tag.session, source, from);
}

Fault Checker::compare_endpoint(uint32_t session, Ipv4Addr address, Port port) {
    Endpoint& known = (*plan_.endpoints)[session];
    const bool same_address = known.address == address;
    const bool same = same_address && known.port == port;
    const bool learnt = known.learnt != 0;
    if (!same) {
        known = Endpoint{address, port, 1, 0};
    }
    if (!learnt || same) {
        return Fault::kNone;
    }
    return same_address ? Fault::kPort : Fault::kAddress;
}

Fault Checker::take_receipt(const Tag& tag) {
    if (tag.pass != pass_) {
        return Fault::kLate;
    }
    if (receipts_[tag.session]) {
        return Fault::kDuplicate;
    }
    receipts_[tag.session] = true;
    ++received_;
    return Fault::kNone;
}

}  // namespace sekisho::flowgen
