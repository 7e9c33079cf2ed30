#include "control/rows.h"

#include <algorithm>

#include "base/drop_reason.h"
#include "base/protocol_name.h"
#include "base/text.h"
#include "control/filter.h"
#include "nat/shard_pool.h"

namespace sekisho::control {

namespace {

std::string realm_name(uint8_t id, const config::Config& config) {
    const auto it = std::find_if(config.realms.begin(), config.realms.end(), [id](const auto& r) {
        return r.id.value == id;
    });
    return it == config.realms.end() ? std::to_string(id) : it->name;
}

// The name of the thing with a number in one of the configuration's lists.
template <class List>
std::string name_in(const List& list, size_t id) {
    return id < list.size() ? list[id].name : std::to_string(id);
}

std::string address(uint32_t raw) {
    return base::to_text(Ipv4Addr{raw});
}
uint16_t port(uint16_t raw) {
    return Port{raw}.host();
}

Document occupancy(const dataplane::Occupancy& o) {
    return {{"used", o.used}, {"capacity", o.capacity}};
}

std::string_view pairing_name(nat::Pairing pairing) {
    constexpr std::string_view kNames[] = {"hard", "soft", "none"};
    return kNames[static_cast<size_t>(pairing)];
}

std::string_view selection_name(nat::PortSelection selection) {
    constexpr std::string_view kNames[] = {"random", "sequential", "preserve", "deterministic"};
    return kNames[static_cast<size_t>(selection)];
}

std::string text_of(nat::PortRange ports) {
    return std::to_string(ports.first) + "-" + std::to_string(ports.last);
}

}  // namespace

std::string state_name(SessionState state) {
    switch (state) {
        case SessionState::kIcmp:
            return "icmp";
        case SessionState::kUdp:
            return "udp";
        case SessionState::kTcpOpenOutbound:
            return "tcp-open-outbound";
        case SessionState::kTcpOpenInbound:
            return "tcp-open-inbound";
        case SessionState::kTcpHalfOpen:
            return "tcp-half-open";
        case SessionState::kTcpEstablished:
            return "tcp-established";
        case SessionState::kTcpFinOutbound:
            return "tcp-fin-outbound";
        case SessionState::kTcpFinInbound:
            return "tcp-fin-inbound";
        case SessionState::kTcpClosing:
            return "tcp-closing";
        case SessionState::kTcpReset:
            return "tcp-reset";
        case SessionState::kTcpPickedUp:
            return "tcp-picked-up";
        case SessionState::kUnanswered:
            return "unanswered";
        case SessionState::kAssociation:
            return "association";
        case SessionState::kTunnel:
            return "tunnel";
        case SessionState::kFree:
        case SessionState::kCount:
            break;
    }
    return "free";
}

Document status_object(const dataplane::StatusView& s) {
    return {
        {"name", s.name},
        {"version", s.version},
        {"uptime", s.uptime_seconds},
        {"workers", s.workers},
        {"shards", s.shards},
        {"huge-pages", s.huge_pages},
        {"arena-bytes", s.arena_bytes},
        {"sessions", occupancy(s.sessions)},
        {"mappings", occupancy(s.mappings)},
        {"subscribers", occupancy(s.subscribers)},
        {"address-only-sessions", occupancy(s.address_only)},
        {"buffers", {{"capacity", s.buffers.capacity}, {"in-use", s.buffers.used}}},
    };
}

Document counters_object(const dataplane::CounterTotals& c) {
    Document dropped = Document::object();
    for (size_t i = 0; i < base::kDropReasonCount; ++i) {
        if (c.dropped[i] != 0) {
            dropped[std::string(base::kDropReasons[i].text)] = c.dropped[i];
        }
    }
    Document pcp = Document::object();
    for (size_t i = 0; i < nat::kPcpResults; ++i) {
        if (c.pcp[i] != 0) {
            pcp[std::string(nat::kPcpResultNames[i])] = c.pcp[i];
        }
    }
    return {
        {"received", c.received},
        {"generated", c.generated},
        {"forwarded", c.forwarded},
        {"consumed", c.consumed},
        {"held", c.held},
        {"dropped", std::move(dropped)},
        {"handed-off", c.handed_off},
        {"punted", c.punted},
        {"untranslated", c.untranslated},
        {"multicast", c.multicast},
        {"syns-waiting", c.syns_waiting},
        {"syns-answered", c.syns_answered},
        {"pings-answered", c.pings_answered},
        {"pcp-answers", std::move(pcp)},
    };
}

Document drops_object(const dataplane::CounterTotals& c) {
    Document drops = Document::array();
    uint64_t total = 0;
    for (size_t i = 0; i < base::kDropReasonCount; ++i) {
        const base::DropReasonInfo& reason = base::kDropReasons[i];
        total += c.dropped[i];
        drops.push_back(
            {{"reason", reason.text},
             {"count", c.dropped[i]},
             {"sentence", reason.sentence},
             {"source", reason.source}}
        );
    }
    return {{"drops", std::move(drops)}, {"total", total}};
}

Document log_object(const dataplane::LogView& log, const config::Config& config) {
    Document rings = Document::array();
    dataplane::LogRingView sum;
    for (const dataplane::LogRingView& ring : log.rings) {
        sum.events += ring.events;
        sum.lost += ring.lost;
        sum.pending += ring.pending;
        rings.push_back(
            {{"shard", rings.size()},
             {"events", ring.events},
             {"lost", ring.lost},
             {"pending", ring.pending},
             {"used", ring.used},
             {"capacity", ring.capacity}}
        );
    }
    const bool refuses = config.nat.events.on_loss == nat::OnLogLoss::kRefuse;
    return {
        {"state", name_of(log.state)},
        {"file", log.file.empty() ? Document() : Document(log.file)},
        {"on-log-loss", refuses ? "refuse" : "count"},
        {"events", sum.events},
        {"written", log.written},
        {"written-bytes", log.bytes},
        {"lost", sum.lost},
        {"pending", sum.pending},
        {"failures", log.failures},
        {"opened", log.opened},
        {"last-error", log.error.empty() ? Document() : Document(log.error)},
        {"clock-synchronised", log.clock_synchronised},
        {"rings", std::move(rings)},
        {"rules",
         {{"to", log.rules.to},
          {"sent", log.rules.sent},
          {"failed", log.rules.failed},
          {"suppressed", log.rules.suppressed},
          {"lost", log.rules.lost},
          {"last-error", log.rules.error.empty() ? Document() : Document(log.rules.error)}}},
    };
}

Document link_row(const dataplane::LinkView& view, const config::Config& config) {
    Document row = {{"name", name_in(config.links, view.id.value)}};
    if (view.id.value < config.links.size()) {
        const config::LinkSettings& link = config.links[view.id.value];
        Document addresses = Document::array();
        for (const auto& a : link.addresses) {
            addresses.push_back(base::to_text(a.address) + "/" + std::to_string(a.prefix_length));
        }
        row["device"] = link.device.text;
        row["realm"] = realm_name(link.realm.value, config);
        row["addresses"] = std::move(addresses);
        row["mtu"] = link.mtu;
        row["vlans"] = link.vlans;
    }
    row["up"] = view.up;
    row["mac"] = base::to_text(view.mac);
    row["driver"] = view.driver;
    row["steering"] = view.steering;
    row["queues"] = view.queues;
    row["received-packets"] = view.stats.rx_packets;
    row["received-bytes"] = view.stats.rx_bytes;
    row["received-missed"] = view.stats.rx_missed;
    row["received-errors"] = view.stats.rx_errors;
    row["sent-packets"] = view.stats.tx_packets;
    row["sent-bytes"] = view.stats.tx_bytes;
    row["sent-errors"] = view.stats.tx_errors;
    row["no-buffer"] = view.stats.no_buffer;
    row["downs"] = view.stats.downs;
    return row;
}

Document worker_row(const dataplane::WorkerView& view) {
    return {
        {"worker", view.id.value},
        {"cpu", view.cpu},
        {"alive", view.alive},
        {"shards", view.shards},
        {"queues", view.queues},
        {"heartbeat", view.heartbeat},
        {"busy", view.busy},
        {"packets", view.packets},
        {"pauses", view.pauses},
        {"sent-for-others", view.tx_handed},
    };
}

namespace {

Document realm_of_link(LinkId link, const config::Config& config) {
    return link.value < config.links.size()
               ? Document(realm_name(config.links[link.value].realm.value, config))
               : Document();
}

}  // namespace

Document neighbour_row(const dataplane::NeighbourView& view, const config::Config& config) {
    return {
        {"address", base::to_text(view.address)},
        {"link", name_in(config.links, view.link.value)},
        {"realm", realm_of_link(view.link, config)},
        {"mac", base::to_text(view.mac)},
        {"state", view.state},
        {"gateway", view.gateway},
        {"age", view.age_seconds},
        {"held", view.held},
    };
}

Document route_row(const dataplane::RouteEntry& route, const config::Config& config) {
    Document row = {{"prefix", base::to_text(route.prefix)}};
    // A connected route's next hop is whatever the packet is for.
    row["next-hop"] = route.hop.on_link ? Document() : Document(base::to_text(route.hop.next_hop));
    row["link"] = name_in(config.links, route.hop.link.value);
    row["realm"] = realm_of_link(route.hop.link, config);
    row["on-link"] = route.hop.on_link;
    return row;
}

Document pool_row(
    const nat::PoolSettings& settings, const nat::PoolView& view, const config::Config& config
) {
    Document addresses = Document::array();
    for (const auto& range : settings.addresses) {
        const std::string first = base::to_text(range.first);
        addresses.push_back(
            range.first == range.last ? first : first + "-" + base::to_text(range.last)
        );
    }
    Document reserved = Document::array();
    for (const nat::PortRange& ports : settings.reserved_ports) {
        reserved.push_back(text_of(ports));
    }
    const bool has_overflow = settings.overflow != nat::kNoPool;
    return {
        {"name", settings.name},
        {"addresses", std::move(addresses)},
        {"ports", text_of(settings.ports)},
        {"reserved-ports", std::move(reserved)},
        {"port-block-size", settings.port_block_size},
        {"blocks-per-subscriber", settings.blocks_per_subscriber},
        {"port-selection", selection_name(settings.port_selection)},
        {"port-ranges", settings.port_ranges == nat::PortRanges::kPreserve ? "preserve" : "any"},
        {"port-parity", settings.port_parity},
        {"port-contiguity", settings.port_contiguity},
        {"pairing", pairing_name(settings.pairing)},
        {"overflow-pool",
         has_overflow ? Document(name_in(config.nat.pools, settings.overflow.value)) : Document()},
        {"port-quarantine", settings.port_quarantine.value},
        {"port-quarantine-ports", settings.port_quarantine_ports},
        {"block-release-delay", settings.block_release_delay.value},
        {"block-max-age", settings.block_max_age.value},
        {"keep-first-block", settings.keeps_first_block},
        {"blocks", {{"free", view.free_blocks}, {"granted", view.granted_blocks}}},
        {"ports-in-use", view.ports_in_use},
        {"ports-resting", view.ports_resting},
        {"addresses-draining", view.draining},
        {"sessions-withdrawn", view.withdrawn},
        {"ports-total", nat::most_ports(settings)},
        {"refused", view.refused},
    };
}

Document subscriber_row(const nat::SubscriberView& view, const config::Config& config) {
    Document row = {{"address", base::to_text(view.address)}};
    row["realm"] = realm_name(view.realm.value, config);
    const bool is_paired = view.external_address != Ipv4Addr{};
    row["external-address"] =
        is_paired ? Document(base::to_text(view.external_address)) : Document();
    row["policy"] = name_in(config.nat.policies, view.policy);
    row["sessions"] = view.sessions;
    row["ports"] = view.ports;
    row["blocks"] = view.blocks;
    row["waiting"] = view.waiting;
    row["shard"] = view.shard.value;
    return row;
}

Document session_row(const nat::SessionView& view, const config::Config& config) {
    const Session& s = view.session;
    Document row = {
        {"transport-protocol", base::protocol_name(s.protocol)},
        {"internal-src-address", address(s.internal_address)},
        {"internal-src-port", port(s.internal_port)},
        {"external-src-address", address(s.external_address)},
        {"external-src-port", port(s.external_port)},
        {"remote-address", address(s.remote_address)},
        {"remote-port", port(s.remote_port)},
        {"realm", realm_name(flow::realm_of(s).value, config)},
        {"pool", name_in(config.nat.pools, view.pool)},
        {"policy", name_in(config.nat.policies, view.policy)},
        {"state", state_name(s.state)},
        {"packets-outbound", s.packets[static_cast<size_t>(Direction::kOutbound)]},
        {"packets-inbound", s.packets[static_cast<size_t>(Direction::kInbound)]},
        {"idle", view.idle_ms / 1000},
        {"lifetime", view.lifetime_ms / 1000},
        {"shard", view.shard.value},
    };
    if ((s.realm & flow::kRedirectedRealm) != 0) {
        row["internal-dst-address"] = address(view.original.address.raw);
        row["internal-dst-port"] = port(view.original.port.raw);
    }
    return row;
}

// Of a static mapping the run of ports; it has no lifetime, since it never ends.
Document static_mapping_row(const nat::MappingView& view, const config::Config& config) {
    Document row = mapping_row(view, 0, config);
    row["lifetime"] = Document();
    if (view.more_ports != 0) {
        const nat::Mapping& m = view.mapping;
        row["internal-last-port"] = Port{m.internal_port}.host() + uint32_t{view.more_ports};
        row["external-last-port"] = Port{m.external_port}.host() + uint32_t{view.more_ports};
    }
    return row;
}

Document mapping_row(
    const nat::MappingView& view, uint32_t lifetime, const config::Config& config
) {
    const nat::Mapping& m = view.mapping;
    Document row = {
        {"transport-protocol", base::protocol_name(m.protocol)},
        {"internal-src-address", address(m.internal_address)},
        {"internal-src-port", port(m.internal_port)},
        {"external-src-address", address(m.external_address)},
        {"external-src-port", port(m.external_port)},
        {"realm", realm_name(m.realm, config)},
        {"pool", name_in(config.nat.pools, view.pool)},
        {"policy", name_in(config.nat.policies, m.policy)},
        {"type", view.kind == nat::MappingView::kDynamic ? "dynamic" : "static"},
        {"sessions", m.sessions},
        {"lifetime", view.is_leased ? std::max(lifetime, view.lease_ms / 1000) : lifetime},
        {"shard", view.shard.value},
    };
    if (view.is_leased) {
        row["type"] = "dynamic-explicit";
        row["lease"] = view.lease_ms / 1000;
    }
    // Of a redirected flow's own mapping it is not the target but whom the subscriber has sent to.
    const char* const far_end = view.remote.exclusive != 0 ? "internal-dst" : "remote";
    if (view.remote.address != 0) {
        row[std::string(far_end) + "-address"] = address(view.remote.address);
    }
    if (view.remote.port != 0) {
        row[std::string(far_end) + "-port"] = port(view.remote.port);
    }
    return row;
}

}  // namespace sekisho::control
