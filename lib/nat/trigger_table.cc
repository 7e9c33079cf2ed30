#include "nat/trigger_table.h"

#include <algorithm>

namespace sekisho::nat {
namespace {

bool has_protocol(const TriggerForwardSettings& rule, Protocol protocol) {
    return protocol == Protocol::kTcp ? rule.tcp : protocol == Protocol::kUdp && rule.udp;
}

bool holds(PortRange ports, Port port) {
    return ports.first <= port.host() && port.host() <= ports.last;
}

Ipv4Addr host_of(uint64_t who) {
    return {static_cast<uint32_t>(who)};
}

}  // namespace

TriggerTable::TriggerTable(const NatSettings& settings, const ShardOfSubscriber& shard_of)
    : settings_(&settings), count_(settings.trigger_forwards.size()), shard_of_(shard_of) {
    holders_ = std::make_unique<Holder[]>(count_);
}

std::optional<size_t> TriggerTable::find_forwarded(const FlowKey& inbound) const {
    for (size_t i = 0; i < count_; ++i) {
        const TriggerForwardSettings& rule = setting(i);
        if (rule.external == inbound.destination() && has_protocol(rule, inbound.protocol()) &&
            holds(rule.ports, inbound.destination_port())) {
            return i;
        }
    }
    return std::nullopt;
}

std::optional<size_t> TriggerTable::find_control(const FlowKey& outbound) const {
    for (size_t i = 0; i < count_; ++i) {
        const TriggerForwardSettings& rule = setting(i);
        const auto covers = [&](const Ipv4Prefix& prefix) {
            return prefix.contains(outbound.source());
        };
        if (rule.trigger_protocol == outbound.protocol() && rule.realm == outbound.realm() &&
            rule.trigger_port == outbound.destination_port().host() &&
            (rule.source.empty() || std::ranges::any_of(rule.source, covers))) {
            return i;
        }
    }
    return std::nullopt;
}

std::optional<size_t> TriggerTable::find_held(const FlowKey& outbound) const {
    for (size_t i = 0; i < count_; ++i) {
        const TriggerForwardSettings& rule = setting(i);
        if (rule.realm == outbound.realm() && has_protocol(rule, outbound.protocol()) &&
            holds(rule.ports, outbound.source_port()) && holder(i) == outbound.source()) {
            return i;
        }
    }
    return std::nullopt;
}

StaticEntry TriggerTable::entry(size_t rule) const {
    const TriggerForwardSettings& s = setting(rule);
    StaticEntry entry;
    entry.external = s.external;
    entry.internal_first = entry.external_first = s.ports.first;
    entry.more = static_cast<uint16_t>(s.ports.last - s.ports.first);
    entry.realm = s.realm;
    entry.setting = static_cast<uint32_t>(rule);
    entry.service = kTriggerService;
    return entry;
}

Ipv4Addr TriggerTable::holder(size_t rule) const {
    return host_of(holders_[rule].who.load(std::memory_order_acquire));
}

bool TriggerTable::admits(size_t rule, Ipv4Addr remote) const {
    const uint64_t who = holders_[rule].who.load(std::memory_order_acquire);
    return setting(rule).access == TriggerAccess::kAnyone ||
           remote == Ipv4Addr{static_cast<uint32_t>(who >> 32)};
}

void TriggerTable::take(size_t rule, Ipv4Addr host, Ipv4Addr remote, Tick now) {
    const uint64_t who = uint64_t{host.raw} | uint64_t{remote.raw} << 32;
    refresh(rule, now);
    if (holders_[rule].who.load(std::memory_order_relaxed) != who) {
        holders_[rule].who.store(who, std::memory_order_release);
    }
}

void TriggerTable::refresh(size_t rule, Tick now) {
    if (holders_[rule].since.load(std::memory_order_relaxed) != now.ms) {
        holders_[rule].since.store(now.ms, std::memory_order_relaxed);
    }
}

void TriggerTable::release_idle(ShardId shard, Tick now) {
    for (size_t i = 0; i < count_; ++i) {
        const Ipv4Addr host = holder(i);
        const Tick since{holders_[i].since.load(std::memory_order_relaxed)};
        const bool is_idle = elapsed_ms(since, now) >= static_cast<int32_t>(setting(i).idle.ms());
        if (host != Ipv4Addr{} && is_idle && shard_of(host) == shard) {
            holders_[i].who.store(0, std::memory_order_release);
        }
    }
}

}  // namespace sekisho::nat
