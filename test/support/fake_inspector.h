// FakeInspector: a dataplane of plain vectors, for tests of what asks it. Entries are listed in the order in which they were
// added, shard by shard; a generated table of any size stands behind the listings where `generated_sessions` is set.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/text.h"
#include "dataplane/inspector.h"

namespace sekisho::test {

using dataplane::ListCursor;

// 100.64.0.10, two links, one pool and one policy: what the rows take their names from.
inline config::Config small_config() {
    config::Config config;
    config.system.name = "lab";
    config.system.worker_cpus = {0};
    config.realms = {
        {"external", config::Side::kExternal, kExternalRealm},
        {"internal", config::Side::kInternal, kInternalRealm},
        {"lab", config::Side::kInternal, RealmId{2}}};
    config::LinkSettings inside;
    inside.name = "int0";
    inside.device = {config::DeviceKind::kAfPacket, {"veth-int"}, "af_packet:veth-int"};
    inside.realm = kInternalRealm;
    inside.addresses = {{Ipv4Addr::of(100, 64, 0, 1), 10}};
    config::LinkSettings outside;
    outside.name = "ext0";
    outside.device = {config::DeviceKind::kAfPacket, {"veth-ext"}, "af_packet:veth-ext"};
    outside.realm = kExternalRealm;
    outside.side = config::Side::kExternal;
    outside.addresses = {{Ipv4Addr::of(198, 51, 100, 2), 24}};
    outside.vlans = {100};
    config.links = {inside, outside};
    config.routes = {{Ipv4Prefix{}, Ipv4Addr::of(198, 51, 100, 1), LinkId{1}}};
    nat::PoolSettings pool;
    pool.name = "main";
    pool.addresses = {{Ipv4Addr::of(203, 0, 113, 0), Ipv4Addr::of(203, 0, 113, 15)}};
    config.nat.pools = {pool};
    nat::PolicySettings policy;
    policy.name = "everyone";
    policy.source = {Ipv4Prefix{Ipv4Addr::of(100, 64, 0, 0), 10}};
    config.nat.policies = {policy};
    config.source_text = "system: {name: lab}\n";
    return config;
}

inline nat::SessionView session_of(uint32_t number) {
    nat::SessionView view{};
    Session& s = view.session;
    s.internal_address = Ipv4Addr::from_host(0x64400000 + 10 + number / 4).raw;
    s.internal_port = Port::from_host(static_cast<uint16_t>(40000 + number % 4)).raw;
    s.external_address = Ipv4Addr::of(203, 0, 113, 5).raw;
    s.external_port = Port::from_host(static_cast<uint16_t>(1024 + number % 60000)).raw;
    s.remote_address = Ipv4Addr::of(192, 0, 2, 1).raw;
    s.remote_port = Port::from_host(53).raw;
    s.protocol = static_cast<uint8_t>(Protocol::kUdp);
    s.realm = kInternalRealm.value;
    s.mapping = number;
    s.packets[0] = 7;
    s.packets[1] = 6;
    s.state = SessionState::kUdp;
    view.index = number;
    view.idle_ms = 2500;
    view.lifetime_ms = 297500;
    return view;
}

class FakeInspector : public dataplane::Inspector {
  public:
    explicit FakeInspector(const config::Config& config)
        : network_(config, {0, 1}, {MacAddr{{2, 0, 0, 0, 0, 1}}, MacAddr{{2, 0, 0, 0, 0, 2}}}) {}

    // What it answers; tests fill it.
    dataplane::StatusView status_view;
    std::vector<dataplane::WorkerView> worker_views;
    std::vector<dataplane::LinkView> link_views;
    std::vector<dataplane::NeighbourView> neighbour_views;
    std::vector<nat::PoolView> pool_views;
    dataplane::CounterTotals totals;
    dataplane::LogView log_view;
    std::vector<std::vector<nat::SessionView>> session_shards{{}};
    std::vector<std::vector<nat::MappingView>> mapping_shards{{}};
    std::vector<std::vector<nat::SubscriberView>> subscriber_shards{{}};
    uint32_t generated_sessions = 0;  // instead of session_shards
    std::string trouble;              // every Result is this error, if it is not empty

    // What was asked of it.
    uint32_t most_entries = 0;
    uint64_t entries_looked_at = 0;
    std::vector<uint32_t> cleared;         // indexes of sessions
    std::vector<uint32_t> cleared_leases;  // of mappings

    void add(const nat::SessionView& session) {
        nat::SessionView view = session;
        view.index = static_cast<uint32_t>(place(session_shards, view.shard).size());
        place(session_shards, view.shard).push_back(view);
    }
    void add(const nat::MappingView& view) { place(mapping_shards, view.shard).push_back(view); }
    void add(const nat::SubscriberView& view) {
        place(subscriber_shards, view.shard).push_back(view);
    }

    dataplane::StatusView status() override { return status_view; }
    std::vector<dataplane::WorkerView> workers() override { return worker_views; }
    std::vector<dataplane::LinkView> links() override { return link_views; }
    std::vector<dataplane::NeighbourView> neighbours() override { return neighbour_views; }
    const dataplane::Network& network() const override { return network_; }
    Result<std::vector<nat::PoolView>> pools() override {
        if (!trouble.empty()) {
            return failure(trouble);
        }
        return pool_views;
    }
    dataplane::CounterTotals counters() override { return totals; }
    void clear_counters() override { totals = {}; }
    dataplane::LogView log() override { return log_view; }

    Result<void> sessions(const std::function<bool(const nat::SessionView&)>&) override {
        return failure("not asked by control");
    }
    Result<void> mappings(const std::function<bool(const nat::MappingView&)>&) override {
        return failure("not asked by control");
    }
    Result<void> subscribers(const std::function<bool(const nat::SubscriberView&)>&) override {
        return failure("not asked by control");
    }

    Result<bool> list_sessions(
        ListCursor& cursor,
        uint32_t entries,
        const std::function<void(const nat::SessionView&)>& visit
    ) override {
        if (generated_sessions == 0) {
            return list(session_shards, cursor, entries, visit);
        }
        note(entries);
        for (uint32_t i = 0; i < entries && cursor.entry < generated_sessions; ++i) {
            visit(session_of(cursor.entry++));
        }
        return cursor.entry < generated_sessions;
    }
    Result<bool> list_mappings(
        ListCursor& cursor,
        uint32_t entries,
        const std::function<void(const nat::MappingView&)>& visit
    ) override {
        return list(mapping_shards, cursor, entries, visit);
    }
    Result<bool> list_subscribers(
        ListCursor& cursor,
        uint32_t entries,
        const std::function<void(const nat::SubscriberView&)>& visit
    ) override {
        return list(subscriber_shards, cursor, entries, visit);
    }
    Result<size_t> clear_sessions(std::span<const nat::SessionView> sessions) override {
        for (const nat::SessionView& session : sessions) {
            cleared.push_back(session.index);
        }
        return sessions.size();
    }
    Result<size_t> clear_leases(std::span<const nat::MappingView> mappings) override {
        for (const nat::MappingView& mapping : mappings) {
            cleared_leases.push_back(mapping.index);
        }
        return mappings.size();
    }

  private:
    template <class View>
    static std::vector<View>& place(std::vector<std::vector<View>>& shards, ShardId shard) {
        shards.resize(std::max<size_t>(shards.size(), size_t{shard.value} + 1));
        return shards[shard.value];
    }

    void note(uint32_t entries) {
        most_entries = std::max(most_entries, entries);
        entries_looked_at += entries;
    }

    template <class View>
    Result<bool> list(
        const std::vector<std::vector<View>>& shards,
        ListCursor& cursor,
        uint32_t entries,
        const std::function<void(const View&)>& visit
    ) {
        if (!trouble.empty()) {
            return failure(trouble);
        }
        note(entries);
        while (cursor.shard < shards.size()) {
            const auto& shard = shards[cursor.shard];
            for (; cursor.entry < shard.size() && entries > 0; --entries) {
                visit(shard[cursor.entry++]);
            }
            if (cursor.entry < shard.size()) {
                return true;
            }
            cursor = {cursor.shard + 1, 0};
        }
        return false;
    }

    dataplane::Network network_;
};

}  // namespace sekisho::test
