#include "scenario.h"

#include <algorithm>
#include <set>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/text.h"

namespace sekisho::test {
namespace {

std::string payload_of(const Decoded& packet) {
    return std::string(packet.payload.begin(), packet.payload.end());
}

struct Setup {
    unsigned shards;
    unsigned workers;
    unsigned queues;
    bool spread;
};
constexpr Setup kSetups[] = {
    {1, 1, 1, false},
    {2, 1, 1, false},
    {3, 1, 1, false},
    {8, 1, 1, false},
    {2, 2, 1, false},
    {3, 3, 1, false},
    {8, 8, 8, true},
    {8, 3, 1, false},
};

}  // namespace

void Story::learn(const TestBed& bed) {
    std::map<std::tuple<Ipv4Addr, uint8_t, uint16_t>, Ipv4Addr> paired;  // by address, realm, pool
    std::set<External> externals;
    std::set<std::tuple<uint8_t, uint8_t, uint16_t, Endpoint, Endpoint>>
        internals;  // with the remote that counts
    for (const nat::MappingView& view : bed.mappings()) {
        const nat::Mapping& m = view.mapping;
        const Endpoint internal{{m.internal_address}, Port{m.internal_port}.host()};
        const External external{
            m.protocol, Ipv4Addr{m.external_address}, Port{m.external_port}.host()};
        const Endpoint remote{{view.remote.address}, Port{view.remote.port}.host()};
        names_[external] =
            (m.realm == kInternalRealm.value ? "ext(" : fmt::format("ext({} ", m.realm)) +
            text(internal) + (remote == Endpoint{} ? "" : text(remote)) + ")";
        if (nat::is_forwarded(m)) {
            continue;  // what rules lead inside: several hosts may stand behind one endpoint
        }
        CHECK(externals.insert(external).second);
        CHECK(internals.insert({m.realm, m.protocol, view.pool, internal, remote}).second);
        const auto [known, fresh] =
            paired.insert({{internal.address, m.realm, view.pool}, Ipv4Addr{m.external_address}});
        CHECK(known->second == Ipv4Addr{m.external_address});
    }
}

std::string Story::name(const TestBed& bed, uint8_t protocol, Ipv4Addr address, uint16_t port)
    const {
    const auto known = names_.find({protocol, address, port});
    if (known != names_.end()) {
        return known->second;
    }
    const bool pool = const_cast<TestBed&>(bed).directory().find(address).value != kNoIndex;
    return pool ? fmt::format("pool:{}", port == 0 ? "0" : "?") : text(Endpoint{address, port});
}

std::string Story::tell(const TestBed& bed, const Decoded& p) const {
    uint16_t source_port = p.source_port;
    uint16_t destination_port = p.destination_port;
    if (p.protocol == 1 && p.icmp_type == 8) {
        source_port = p.icmp_id;
    } else if (p.protocol == 1 && p.icmp_type == 0) {
        destination_port = p.icmp_id;
        if (names_.contains({p.protocol, p.source, p.icmp_id})) {
            source_port = p.icmp_id;
        }
    }
    std::string line = fmt::format(
        "{} > {} proto {} ttl {} length {} flags {:02x} seq {} icmp {}/{}/{} '{}'",
        name(bed, p.protocol, p.source, source_port),
        name(bed, p.protocol, p.destination, destination_port),
        p.protocol,
        p.ttl,
        p.total_length,
        p.tcp_flags,
        p.sequence,
        p.icmp_type,
        p.icmp_code,
        p.icmp_sequence,
        payload_of(p)
    );
    for (const Decoded& quote : p.quote) {
        line = fmt::format(
            "{} > {} ttl {} icmp {}/{}/{}",
            name(bed, 0, p.source, 0),
            name(bed, 0, p.destination, 0),
            p.ttl,
            p.icmp_type,
            p.icmp_code,
            p.icmp_sequence
        );
        line += " [" + tell(bed, quote) + "]";
    }
    return line;
}

void Story::step(TestBed& bed) {
    bed.run();
    learn(bed);
    std::vector<std::string> now;
    for (const auto& sent : bed.take()) {
        const Decoded decoded = decode(sent.bytes);
        now.push_back(
            fmt::format("  sent on {} to {}: {}", sent.device.value, decoded.to, tell(bed, decoded))
        );
    }
    std::sort(now.begin(), now.end());
    lines_.insert(lines_.end(), now.begin(), now.end());
    now.clear();
    for (const nat::SessionView& view : bed.sessions()) {
        const flow::Session& s = view.session;
        now.push_back(fmt::format(
            "  session {} {}:{} with {} state {} for {} ms, packets {}+{}",
            s.protocol,
            Ipv4Addr{s.internal_address},
            Port{s.internal_port},
            name(bed, s.protocol, {s.remote_address}, Port{s.remote_port}.host()),
            static_cast<int>(s.state),
            view.lifetime_ms,
            s.packets[0],
            s.packets[1]
        ));
    }
    for (const nat::MappingView& view : bed.mappings()) {
        const nat::Mapping& m = view.mapping;
        now.push_back(fmt::format(
            "  mapping {} {}:{} sessions {}",
            m.protocol,
            Ipv4Addr{m.internal_address},
            Port{m.internal_port},
            m.sessions
        ));
    }
    std::sort(now.begin(), now.end());
    lines_.insert(lines_.end(), now.begin(), now.end());
    const auto sum = bed.totals();
    std::string counters = fmt::format(
        "  received {} generated {} forwarded {} consumed {} held {}",
        sum.received,
        sum.generated,
        sum.forwarded,
        sum.consumed,
        sum.held
    );
    for (size_t reason = 0; reason < base::kDropReasonCount; ++reason) {
        if (sum.dropped[reason] > 0) {
            counters += fmt::format(" {} {}", base::kDropReasons[reason].text, sum.dropped[reason]);
        }
    }
    lines_.push_back(counters);
}

void run_everywhere(const BedOptions& options, const Scenario& scenario) {
    std::vector<std::string> first;
    for (const Setup& setup : kSetups) {
        BedOptions here = options;
        here.shards = setup.shards;
        here.workers = setup.workers;
        here.queues = setup.queues;
        here.spread_by_source = setup.spread;
        TestBed bed(here);
        Story story;
        INFO(fmt::format(
            "{} shards, {} workers, {} queues", setup.shards, setup.workers, setup.queues
        ));
        scenario(bed, story);
        CHECK(bed.imbalance() == "");
        bed.shut_down();
        CHECK(bed.store().in_use() == 0);
        if (first.empty()) {
            first = story.lines();
            CHECK(!first.empty());
            continue;
        }
        for (size_t line = 0; line < std::min(first.size(), story.lines().size()); ++line) {
            INFO("line " << line);
            REQUIRE(story.lines()[line] == first[line]);
        }
        REQUIRE(story.lines().size() == first.size());
    }
}

Ipv4Addr host(unsigned n) {
    return Ipv4Addr::of(100, 64, static_cast<uint8_t>(n / 256), static_cast<uint8_t>(n % 256));
}

PacketBuilder udp_out(
    const TestBed& bed, Ipv4Addr from, uint16_t port, std::string_view to, uint16_t to_port
) {
    return bed.from_internal().ipv4(from, ip(to)).udp(port, to_port);
}

PacketBuilder tcp_out(
    const TestBed& bed,
    Ipv4Addr from,
    uint16_t port,
    std::string_view to,
    uint16_t to_port,
    uint8_t flags
) {
    return bed.from_internal().ipv4(from, ip(to)).tcp(port, to_port, flags);
}

Endpoint external_of(const TestBed& bed, Protocol protocol, Ipv4Addr internal, uint16_t port) {
    const auto external = bed.external_of(protocol, internal, port);
    INFO(text(Endpoint{internal, port}) << " has no mapping");
    REQUIRE(external);
    return *external;
}

PacketBuilder udp_in(
    const TestBed& bed, std::string_view from, uint16_t from_port, Ipv4Addr internal, uint16_t port
) {
    const Endpoint to = external_of(bed, Protocol::kUdp, internal, port);
    return bed.from_external().ipv4(ip(from), to.address).udp(from_port, to.port);
}

PacketBuilder tcp_in(
    const TestBed& bed,
    std::string_view from,
    uint16_t from_port,
    Ipv4Addr internal,
    uint16_t port,
    uint8_t flags
) {
    const Endpoint to = external_of(bed, Protocol::kTcp, internal, port);
    return bed.from_external().ipv4(ip(from), to.address).tcp(from_port, to.port, flags);
}

Endpoint at(std::string_view address, unsigned port) {
    return {ip(address), static_cast<uint16_t>(port)};
}

Endpoint source_of(const Decoded& packet) {
    return {packet.source, packet.source_port};
}

Endpoint destination_of(const Decoded& packet) {
    return {packet.destination, packet.destination_port};
}

Decoded inward(TestBed& bed, const PacketBuilder& packet) {
    bed.push_external(packet);
    bed.run();
    return bed.take_one(kInternalLink);
}

Decoded outward(TestBed& bed, const PacketBuilder& packet) {
    bed.push_internal(packet);
    bed.run();
    return bed.take_one(kExternalLink);
}

Decoded turned(TestBed& bed, const PacketBuilder& packet) {
    bed.push_internal(packet);
    bed.run();
    return bed.take_one(kInternalLink);
}

void check_refused(TestBed& bed, LinkId link, const PacketBuilder& packet, DropReason reason) {
    const uint64_t before = bed.dropped(reason);
    bed.push(link, packet.bytes());
    bed.run();
    CHECK(bed.take().empty());
    CHECK(bed.dropped(reason) == before + 1);
}

}  // namespace sekisho::test
