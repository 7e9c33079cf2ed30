#include "spec_traffic.h"

#include <algorithm>

namespace sekisho::test {

using spec::Packet;
using spec::Proto;
using spec::SessionName;
using spec::Side;

namespace {

constexpr uint16_t kFirstOutsidePort = 53;

Side other(Side side) {
    return side == Side::kInside ? Side::kOutside : Side::kInside;
}

}  // namespace

Proto SpecTraffic::any_proto() {
    return spec::kProtos[draw(5) % 3];  // TCP and UDP twice as often
}

spec::Endpoint SpecTraffic::any_inside(Proto /*of*/) {
    const auto host = world_.inside[draw(static_cast<uint32_t>(world_.inside.size()))];
    return {host, static_cast<uint16_t>(world_.first_port_inside + draw(world_.ports_inside))};
}

spec::Endpoint SpecTraffic::any_outside(Proto p) {
    const auto host = world_.outside[draw(static_cast<uint32_t>(world_.outside.size()))];
    const auto port = static_cast<uint16_t>(kFirstOutsidePort + draw(world_.ports_outside));
    return {host, p == Proto::kIcmp ? uint16_t{0} : port};
}

// Of a mapping that is there, mostly.
spec::Endpoint SpecTraffic::any_external(Proto p) {
    const auto& mappings = bed_.spec().mappings();
    const auto first = mappings.lower_bound({p, {}, {}});
    if (first != mappings.end() && first->first.protocol == p && chance(85)) {
        const auto at = mappings.lower_bound({p, any_inside(p), {}});
        return at != mappings.end() && at->first.protocol == p ? at->second.external
                                                               : first->second.external;
    }
    const auto& pools = bed_.settings().pools;
    const spec::Pool& pool = pools[draw(static_cast<uint32_t>(pools.size()))];
    const auto port = pool.first_port + draw(pool.last_port - pool.first_port + 1U);
    return {pool.first + draw(pool.addresses), static_cast<uint16_t>(port)};
}

void SpecTraffic::step() {
    if (draw(world_.pause) == 0) {
        return pass_time();
    }
    if (draw(400) == 0 && !bed_.spec().sessions().empty()) {
        return bed_.clear(any_of(bed_.spec().sessions())->first);
    }
    const auto [from, packet] = any_packet();
    bed_.step(from, packet);
}

SpecTraffic::From SpecTraffic::any_packet() {
    const uint32_t kind = draw(100);
    From drawn = kind < 45   ? of_session()
                 : kind < 75 ? newcomer_from_inside()
                 : kind < 90 ? newcomer_from_outside()
                             : error();
    auto& [from, packet] = drawn;
    packet.ttl = static_cast<uint8_t>(draw(60) == 0 ? 1 + draw(2) : 2 + draw(200));
    if (draw(200) == 0) {  // in the name of one of ours
        const auto& own = bed_.settings().own;
        const spec::Address ours = chance(50) ? any_external(packet.protocol).address
                                              : (draw(2) == 0 ? own.front() : own.back());
        packet.from.address =
            from == Side::kInside ? spec::beside(packet.from.address, ours) : spec::bare(ours);
    }
    if (draw(300) == 0 && !packet.is_error() && packet.protocol != Proto::kIcmp) {
        packet.to.port = 0;
    }
    return drawn;
}

SpecTraffic::From SpecTraffic::of_session() {
    const auto& sessions = bed_.spec().sessions();
    if (sessions.empty()) {
        return newcomer_from_inside();
    }
    const auto& [name, session] = *any_of(sessions);
    const auto& mapping =
        bed_.spec().mappings().at({name.protocol, name.internal, session.mapping_remote});
    const Side from = chance(50) ? Side::kInside : Side::kOutside;
    Packet packet;
    packet.protocol = name.protocol;
    packet.from = from == Side::kInside ? name.internal : name.remote;
    packet.to = from == Side::kInside ? name.remote : mapping.external;
    fill(packet, &session, from);
    return {from, packet};
}

SpecTraffic::From SpecTraffic::newcomer_from_inside() {
    Packet packet;
    packet.protocol = any_proto();
    packet.from = any_inside(packet.protocol);
    packet.to = any_outside(packet.protocol);
    if (chance(12)) {  // to another subscriber, or to itself
        packet.to = any_external(packet.protocol);
        packet.to.port = packet.protocol == Proto::kIcmp ? uint16_t{0} : packet.to.port;
    } else if (draw(100) == 0) {
        packet.to.address = spec::bare(any_inside(packet.protocol).address);
    } else if (draw(100) == 0) {
        packet.from.address = spec::beside(packet.from.address, world_.uncovered + draw(3));
    }
    fill(packet, nullptr, Side::kInside);
    return {Side::kInside, packet};
}

SpecTraffic::From SpecTraffic::newcomer_from_outside() {
    Packet packet;
    packet.protocol = any_proto();
    packet.from = any_outside(packet.protocol);
    packet.to = any_external(packet.protocol);
    if (draw(50) == 0) {
        packet.to.address = 0xcb0071c8;  // 203.0.113.200: nobody's
    }
    fill(packet, nullptr, Side::kOutside);
    if (packet.protocol == Proto::kIcmp && packet.icmp_type == spec::kEchoRequest) {
        packet.from.port = packet.to.port;
        packet.to.port = 0;
    }
    return {Side::kOutside, packet};
}

void SpecTraffic::fill(Packet& packet, const spec::Session* session, Side from) {
    packet.payload = draw(4) == 0 ? draw(40) : 0;
    switch (packet.protocol) {
        case Proto::kTcp:
            return fill_tcp(packet, session, from);
        case Proto::kUdp:
            packet.no_checksum = draw(10) == 0;
            return;
        case Proto::kIcmp:
            packet.icmp_sequence = static_cast<uint16_t>(draw(1000));
            const bool asks = from == Side::kInside ? draw(20) != 0 || session != nullptr
                                                    : session == nullptr && draw(4) == 0;
            packet.icmp_type = asks ? spec::kEchoRequest : spec::kEchoReply;
            if (from == Side::kInside && !asks) {  // what it answers has its identifier there
                packet.to.port = packet.from.port;
                packet.from.port = 0;
            }
            return;
    }
}

// Flags in every order; a RST often just where the window begins or ends.
void SpecTraffic::fill_tcp(Packet& packet, const spec::Session* session, Side from) {
    using namespace spec;
    static constexpr uint8_t kOfSession[] = {
        kSyn, kSyn | kAck, kAck, kAck, kAck | kPsh, kAck, kFin | kAck, kFin, kRst, kRst | kAck};
    static constexpr uint8_t kOfNewcomer[] = {
        kSyn, kSyn, kSyn, kSyn, kSyn, kAck, kRst, kSyn | kAck};
    packet.tcp_flags = session != nullptr ? kOfSession[draw(std::size(kOfSession))]
                                          : kOfNewcomer[draw(std::size(kOfNewcomer))];
    if (draw(200) == 0) {
        packet.tcp_flags = static_cast<uint8_t>(draw(64));
    }
    packet.sequence = static_cast<uint32_t>(random_());
    packet.acknowledgement = static_cast<uint32_t>(random_());
    packet.window = static_cast<uint16_t>(draw(65536));
    if ((packet.tcp_flags & kSyn) != 0 && chance(60)) {
        packet.scale = static_cast<int>(draw(16));
    }
    if (session == nullptr || (packet.tcp_flags & kRst) == 0) {
        return;
    }
    const Tcp& tcp = session->tcp;
    const uint32_t window = tcp.window(other(from));
    const uint32_t offsets[] = {0, 0, 1, window / 2, window, window + 1, ~uint32_t{0}};
    if (chance(70)) {
        packet.sequence = tcp.left_edge(other(from)) + offsets[draw(std::size(offsets))];
    }
    if (chance(70)) {
        packet.acknowledgement = tcp.left_edge(from);
    }
}

// ---- ICMP errors

SpecTraffic::From SpecTraffic::error() {
    const auto& sessions = bed_.spec().sessions();
    SessionName name;
    spec::Endpoint external;
    if (!sessions.empty() && chance(80)) {
        const auto& [known, session] = *any_of(sessions);
        name = known;
        const auto& mappings = bed_.spec().mappings();
        external = mappings.at({name.protocol, name.internal, session.mapping_remote}).external;
        if (draw(8) == 0) {
            name.remote = any_outside(name.protocol);
        }
    } else {
        name.protocol = any_proto();
        name.internal = any_inside(name.protocol);
        name.remote = any_outside(name.protocol);
        external = any_external(name.protocol);
    }
    return chance(50) ? error_from_outside(name, external) : error_from_inside(name);
}

void SpecTraffic::fill_error(Packet& packet) {
    static constexpr std::pair<uint8_t, uint8_t> kKinds[] = {
        {3, 0}, {3, 1}, {3, 3}, {3, 4}, {3, 13}, {11, 0}, {11, 1}, {12, 0}};
    const auto [type, code] = kKinds[draw(std::size(kKinds))];
    packet.protocol = Proto::kIcmp;
    packet.icmp_type = type;
    packet.icmp_code = code;
    packet.icmp_rest = type == 3 && code == 4 ? 1400 : 0;
    Packet& quote = packet.quote[0];
    quote.ttl = static_cast<uint8_t>(1 + draw(60));
    const size_t whole = 20 + (quote.protocol == Proto::kTcp ? 20 : 8) + quote.payload;
    packet.quoted_bytes = draw(40) == 0 ? 20 + draw(8)
                          : chance(30)  ? 28
                          : chance(30)  ? 28 + draw(static_cast<uint32_t>(whole) - 27)
                                        : 1000;
    if (packet.quoted_bytes == 37) {  // half of a TCP checksum can only stay as it is
        packet.quoted_bytes = 38;
    }
    packet.wrong_checksum = draw(60) == 0;
    packet.quote_is_damaged = draw(60) == 0;
}

SpecTraffic::From SpecTraffic::error_from_outside(
    const SessionName& name, const spec::Endpoint& external
) {
    Packet packet;
    packet.from.address = chance(50) ? name.remote.address : any_outside(Proto::kUdp).address;
    packet.to.address = external.address;
    Packet quote;
    quote.protocol = name.protocol;
    quote.from = external;
    quote.to = name.remote;
    fill(quote, nullptr, Side::kInside);
    if (quote.protocol == Proto::kIcmp) {  // only queries leave
        quote.icmp_type = spec::kEchoRequest;
        quote.from = external;
        quote.to = {name.remote.address, 0};
    }
    packet.quote = {quote};
    fill_error(packet);
    if (draw(40) == 0) {
        packet.to.address = any_external(name.protocol).address;
    }
    return {Side::kOutside, packet};
}

SpecTraffic::From SpecTraffic::error_from_inside(const SessionName& name) {
    Packet packet;
    packet.from.address =
        chance(60) ? name.internal.address : spec::beside(name.internal.address, world_.router);
    packet.to.address = name.remote.address;
    Packet quote;
    quote.protocol = name.protocol;
    quote.from = name.remote;
    quote.to = name.internal;
    fill(quote, nullptr, Side::kOutside);
    if (quote.protocol == Proto::kIcmp) {  // only replies come in
        quote.icmp_type = spec::kEchoReply;
        quote.from = {name.remote.address, 0};
        quote.to = name.internal;
    }
    packet.quote = {quote};
    fill_error(packet);
    return {Side::kInside, packet};
}

// ---- time

void SpecTraffic::pass_time() {
    const uint32_t kind = draw(1000);
    if (kind < 600) {
        return bed_.pass(1 + draw(3000));
    }
    if (kind < 850) {
        return bed_.pass(1 + draw(30'000));
    }
    bed_.pass(kind < 990 ? 1 + draw(300'000) : 1 + draw(8'000'000));
}

}  // namespace sekisho::test
