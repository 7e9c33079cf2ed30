#include <fmt/format.h>

#include "base/text.h"
#include "packet/checksum.h"
#include "support/packet_builder.h"

namespace sekisho::test {
namespace {

using packet::EthernetView;
using packet::IcmpView;
using packet::Ipv4View;
using packet::TcpView;
using packet::UdpView;

ByteVector copy(Bytes bytes) {
    return {bytes.begin(), bytes.end()};
}

// The VLAN tags go to `vlans`; returns the type and bytes behind them.
std::pair<uint16_t, Bytes> behind_tags(Bytes frame, std::vector<uint16_t>* vlans) {
    const auto ethernet = EthernetView::at(frame);
    if (!ethernet) {
        return {0, {}};
    }
    uint16_t type = ethernet->type();
    Bytes rest = ethernet->payload();
    while (type == packet::kEtherVlan || type == packet::kEtherQinq) {
        const auto tag = packet::VlanView::at(rest);
        if (!tag) {
            return {0, {}};
        }
        if (vlans != nullptr) {
            vlans->push_back(tag->id());
        }
        type = tag->type();
        rest = tag->payload();
    }
    return {type, rest};
}

void decode_arp(Bytes bytes, Decoded& out) {
    const auto arp = packet::ArpView::at(bytes);
    if (!arp) {
        return;
    }
    out.is_arp = true;
    out.arp_operation = arp->operation();
    out.arp_sender_mac = arp->sender_mac();
    out.arp_sender = arp->sender();
    out.arp_target = arp->target();
}

void decode_icmp(const IcmpView& icmp, Decoded& out) {
    out.icmp_type = icmp.type();
    out.icmp_code = icmp.code();
    out.icmp_id = icmp.identifier().host();
    out.icmp_sequence = icmp.sequence();
    out.payload = copy(icmp.payload());
    if (icmp.is_error() && Ipv4View::at(icmp.payload())) {
        out.quote.push_back(decode_l3(icmp.payload()));
    }
}

// A quoted TCP header may be cut behind its sequence number: ports are read from any 8 bytes.
void decode_tcp(Bytes bytes, Decoded& out) {
    const auto ports = UdpView::at(bytes);
    if (!ports) {
        return;
    }
    out.source_port = ports->source_port().host();
    out.destination_port = ports->destination_port().host();
    if (const auto tcp = TcpView::at(bytes)) {
        out.tcp_flags = tcp->flags();
        out.sequence = tcp->sequence();
        out.acknowledgement = tcp->acknowledgement();
        out.window = tcp->window();
        out.payload = copy(tcp->payload());
    }
}

void decode_udp(Bytes bytes, Decoded& out) {
    if (const auto udp = UdpView::at(bytes)) {
        out.source_port = udp->source_port().host();
        out.destination_port = udp->destination_port().host();
        out.payload = copy(udp->payload());
    }
}

std::string flags_text(uint8_t flags) {
    static constexpr char kLetters[] = "FSRPAUEC";
    std::string text;
    for (size_t i = 0; i < 8; ++i) {
        if ((flags >> i & 1) != 0) {
            text += kLetters[i];
        }
    }
    return text;
}

std::string describe_l3(const Decoded& d) {
    const auto from = base::to_text(d.source);
    const auto to = base::to_text(d.destination);
    const std::string payload = d.payload.empty() ? "" : fmt::format(" {} bytes", d.payload.size());
    switch (d.protocol) {
        case 6:
            return fmt::format(
                "{}:{} > {}:{} tcp {} ttl {}{}",
                from,
                d.source_port,
                to,
                d.destination_port,
                flags_text(d.tcp_flags),
                d.ttl,
                payload
            );
        case 17:
            return fmt::format(
                "{}:{} > {}:{} udp ttl {}{}",
                from,
                d.source_port,
                to,
                d.destination_port,
                d.ttl,
                payload
            );
        case 1:
            break;
        default:
            return fmt::format("{} > {} protocol {} ttl {}", from, to, d.protocol, d.ttl);
    }
    if (!d.quote.empty()) {
        return fmt::format(
            "{} > {} icmp {}/{} ttl {} [{}]",
            from,
            to,
            d.icmp_type,
            d.icmp_code,
            d.ttl,
            describe_l3(d.quote.front())
        );
    }
    return fmt::format(
        "{} > {} icmp {}/{} id {} seq {} ttl {}{}",
        from,
        to,
        d.icmp_type,
        d.icmp_code,
        d.icmp_id,
        d.icmp_sequence,
        d.ttl,
        payload
    );
}

bool l4_checksum_ok(const Ipv4View& ip) {
    const Bytes payload = ip.payload();
    const auto length = static_cast<uint16_t>(payload.size());
    const auto pseudo = [&](Protocol protocol) {
        return packet::pseudo_header_sum(ip.source(), ip.destination(), protocol, length);
    };
    switch (ip.protocol()) {
        case 6:
            return TcpView::at(payload) && packet::verifies(payload, pseudo(Protocol::kTcp));
        case 17: {
            const auto udp = UdpView::at(payload);
            return udp &&
                   (udp->checksum_raw() == 0 || packet::verifies(payload, pseudo(Protocol::kUdp)));
        }
        case 1: {
            const auto icmp = IcmpView::at(payload);
            if (!icmp || !packet::verifies(payload)) {
                return false;
            }
            const auto quote = icmp->is_error() ? Ipv4View::at(icmp->payload()) : std::nullopt;
            return !icmp->is_error() || (quote && packet::verifies(quote->header()));
        }
        default:
            return true;
    }
}

}  // namespace

Decoded decode_l3(Bytes bytes) {
    Decoded out;
    const auto ip = Ipv4View::at(bytes);
    if (!ip) {
        return out;
    }
    out.is_ipv4 = true;
    out.source = ip->source();
    out.destination = ip->destination();
    out.protocol = ip->protocol();
    out.tos = ip->tos();
    out.ttl = ip->ttl();
    out.ip_id = ip->id();
    out.fragment_word = ip->fragment_word();
    out.total_length = ip->total_length();
    if (ip->fragment_offset() != 0) {
        out.payload = copy(ip->payload());
    } else if (ip->protocol() == 6) {
        decode_tcp(ip->payload(), out);
    } else if (ip->protocol() == 17) {
        decode_udp(ip->payload(), out);
    } else if (ip->protocol() == 1) {
        if (const auto icmp = IcmpView::at(ip->payload())) {
            decode_icmp(*icmp, out);
        }
    }
    return out;
}

Decoded decode(Bytes frame) {
    std::vector<uint16_t> vlans;
    const auto [type, rest] = behind_tags(frame, &vlans);
    Decoded out = type == packet::kEtherIpv4 ? decode_l3(rest) : Decoded{};
    if (const auto ethernet = EthernetView::at(frame)) {
        out.from = ethernet->source();
        out.to = ethernet->destination();
    }
    out.vlans = vlans;
    out.ether_type = type;
    if (type == packet::kEtherArp) {
        decode_arp(rest, out);
    }
    return out;
}

std::string describe(Bytes frame) {
    const Decoded d = decode(frame);
    std::string tags;
    for (const uint16_t id : d.vlans) {
        tags += fmt::format("vlan {} ", id);
    }
    if (d.is_ipv4) {
        return tags + describe_l3(d);
    }
    if (d.is_arp && d.arp_operation == packet::ArpView::kRequest) {
        return tags + fmt::format("arp who has {} tell {}", d.arp_target, d.arp_sender);
    }
    if (d.is_arp) {
        return tags + fmt::format("arp {} is at {}", d.arp_sender, d.arp_sender_mac);
    }
    return tags + fmt::format("ethernet type {:#06x}, {} bytes", d.ether_type, frame.size());
}

bool checksums_ok(Bytes frame) {
    const auto [type, rest] = behind_tags(frame, nullptr);
    const auto ip = type == packet::kEtherIpv4 ? Ipv4View::at(rest) : std::nullopt;
    if (!ip || ip->total_length() > rest.size()) {
        return false;
    }
    return packet::verifies(ip->header()) && (ip->is_fragment() || l4_checksum_ok(*ip));
}

}  // namespace sekisho::test
