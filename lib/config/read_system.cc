// The sections system, realms, timeouts, limits, pcp and control.
#include <algorithm>

#include <fmt/format.h>

#include "config/draft.h"
#include "config/parts.h"
#include "config/scalars.h"

namespace sekisho::config {
namespace {

constexpr Choice<HugePages> kHugePages[] = {
    {"auto", HugePages::kAuto}, {"required", HugePages::kRequired}, {"never", HugePages::kNever}};
constexpr Choice<IdleMode> kIdleModes[] = {
    {"adaptive", IdleMode::kAdaptive}, {"busy", IdleMode::kBusy}};
constexpr Choice<Side> kSides[] = {{"internal", Side::kInternal}, {"external", Side::kExternal}};

std::string list_cpus(const MachineFacts& machine) {
    constexpr size_t kMost = 32;
    std::string out;
    for (size_t i = 0; i < std::min(machine.cpus.size(), kMost); ++i) {
        out += fmt::format("{}{}", i == 0 ? "" : ", ", machine.cpus[i]);
    }
    return machine.cpus.size() > kMost ? out + ", ..." : out;
}

void read_worker_count(
    const Node& node, const MachineFacts& machine, SystemSettings& system, Mistakes& mistakes
) {
    const size_t most = std::min<size_t>(machine.cpus.size(), kMaxShards);
    const auto count = !node.quoted ? parse_number(node.text, Unit::kNone) : std::nullopt;
    if (!count || *count < 1 || *count > most) {
        mistakes.add(
            node.place,
            describe(node),
            fmt::format(
                "a number of workers from 1 to {}, or a list of CPU numbers: this machine has {} "
                "usable CPUs",
                most,
                machine.cpus.size()
            )
        );
        return;
    }
    choose_workers(static_cast<size_t>(*count), machine, system);
}

void read_worker_list(
    const Node& node, const MachineFacts& machine, SystemSettings& system, Mistakes& mistakes
) {
    const auto* items =
        read_list(node, kMaxShards, "a number of workers or a list of CPU numbers", mistakes);
    if (items == nullptr) {
        return;
    }
    std::vector<unsigned> cpus;
    for (const Node& item : *items) {
        const auto number = read_number(item, kCpuNumber, mistakes);
        if (!number) {
            continue;
        }
        const auto cpu = static_cast<unsigned>(*number);
        if (std::find(machine.cpus.begin(), machine.cpus.end(), cpu) == machine.cpus.end()) {
            mistakes.add(
                item.place,
                fmt::format("CPU {}", cpu),
                fmt::format("a usable CPU of this machine: {}", list_cpus(machine))
            );
        } else if (std::find(cpus.begin(), cpus.end(), cpu) != cpus.end()) {
            mistakes.add(
                item.place,
                fmt::format("CPU {} a second time", cpu),
                "a CPU of its own for each worker"
            );
        } else {
            cpus.push_back(cpu);
        }
    }
    if (cpus.size() == items->size()) {
        system.worker_cpus = cpus;
        system.worker_cpus_given = true;
    }
}

void read_shards(const Node& node, SystemSettings& system, Mistakes& mistakes) {
    const size_t workers = std::max<size_t>(system.worker_cpus.size(), 1);
    const auto shards = !node.quoted ? parse_number(node.text, Unit::kNone) : std::nullopt;
    if (!shards || *shards < workers || *shards > kMaxShards) {
        mistakes.add(
            node.place,
            describe(node),
            fmt::format("a number of shards from {} (one a worker) to {}", workers, kMaxShards)
        );
        return;
    }
    system.shards = static_cast<unsigned>(*shards);
}

}  // namespace

// The last CPUs: the first ones serve interrupts and the rest of the system when there is a choice.
void choose_workers(size_t count, const MachineFacts& machine, SystemSettings& system) {
    std::vector<unsigned> cpus = machine.cpus;
    std::sort(cpus.begin(), cpus.end());
    cpus.erase(
        cpus.begin(), cpus.end() - static_cast<std::ptrdiff_t>(std::min(count, cpus.size()))
    );
    system.worker_cpus = cpus;
    system.worker_cpus_given = false;
}

void read_system(const Node& node, const MachineFacts& machine, Draft& draft, Mistakes& mistakes) {
    const auto map = Map::open(node, kSystem, mistakes);
    if (!map) {
        return;
    }
    SystemSettings& system = draft.config.system;
    if (const Node* name = map->find("name")) {
        if (const std::string* text = read_name(*name, mistakes)) {
            system.name = *text;
        }
    }
    if (const Node* workers = map->find("workers")) {
        if (workers->kind == Node::Kind::kList) {
            read_worker_list(*workers, machine, system, mistakes);
        } else {
            read_worker_count(*workers, machine, system, mistakes);
        }
    }
    if (const Node* shards = map->find("shards")) {
        read_shards(*shards, system, mistakes);
    }
    read_choice(*map, "huge-pages", kHugePages, system.huge_pages, mistakes);
    read_choice(*map, "idle", kIdleModes, system.idle, mistakes);
    if (const Node* host = map->find("local-host")) {
        draft.local_host = host->place;
        (void)read_host(*host, draft.config.nat.local_host, mistakes);
    }
}

void read_realms(const Node& node, Draft& draft, Mistakes& mistakes) {
    const size_t most = kMaxRealms - draft.config.realms.size();
    const auto* items =
        read_list(node, most, "a list of realms, each with name and side", mistakes);
    if (items == nullptr) {
        return;
    }
    for (const Node& item : *items) {
        const auto map = Map::open(item, kRealm, mistakes);
        if (!map) {
            continue;
        }
        RealmSettings realm;
        realm.id = RealmId{static_cast<uint8_t>(draft.config.realms.size())};
        read_choice(*map, "side", kSides, realm.side, mistakes);
        const Node* name = map->find("name");
        if (name != nullptr && read_name(*name, mistakes) != nullptr) {
            realm.name = name->text;
            draft.realm_names.declare(*name, realm.id.value, mistakes);
        }
        draft.config.realms.push_back(realm);
    }
}

void read_timeouts(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto map = Map::open(node, kTimeouts, mistakes);
    if (!map) {
        return;
    }
    nat::TimeoutSettings& timeouts = draft.config.nat.timeouts;
    read_number(*map, "tcp-established", kTcpEstablished, timeouts.tcp_established, mistakes);
    read_number(*map, "tcp-transitory", kTcpTransitory, timeouts.tcp_transitory, mistakes);
    read_number(*map, "tcp-closing", kTcpClosing, timeouts.tcp_closing, mistakes);
    read_number(*map, "udp", kUdp, timeouts.udp, mistakes);
    read_number(*map, "icmp", kIcmp, timeouts.icmp, mistakes);
    read_number(*map, "association", kAssociation, timeouts.association, mistakes);
    read_number(*map, "tunnel", kTunnel, timeouts.tunnel, mistakes);
    read_number(*map, "fragment", kFragment, timeouts.fragment, mistakes);
    if (const Node* by_port = map->find("by-remote-port")) {
        read_port_timeouts(*by_port, timeouts.by_remote_port, mistakes);
    }
}

void read_table_limits(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto map = Map::open(node, kTableLimits, mistakes);
    if (!map) {
        return;
    }
    nat::TableLimits& limits = draft.config.nat.limits;
    read_number(*map, "sessions", kSessions, limits.sessions, mistakes);
    read_number(*map, "mappings", kMappings, limits.mappings, mistakes);
    read_number(*map, "subscribers", kSubscribers, limits.subscribers, mistakes);
    read_number(*map, "fragments", kFragments, limits.fragments, mistakes);
    read_number(
        *map, "address-only-sessions", kAddressOnlySessions, limits.address_only_sessions, mistakes
    );
    if (const Node* make_room = map->find("unreplied-make-room")) {
        limits.unreplied_make_room = read_boolean(*make_room, mistakes).value_or(false);
    }
}

void read_pcp(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto map = Map::open(node, kPcp, mistakes);
    if (!map) {
        return;
    }
    nat::PcpSettings& pcp = draft.config.nat.pcp;
    if (const Node* enabled = map->find("enabled")) {
        pcp.enabled = read_boolean(*enabled, mistakes).value_or(true);
    }
    read_number(*map, "min-lifetime", kPcpLifetime, pcp.min_lifetime, mistakes);
    read_number(*map, "max-lifetime", kPcpLifetime, pcp.max_lifetime, mistakes);
    read_number(
        *map, "mappings-per-subscriber", kPcpOfSubscriber, pcp.mappings_per_subscriber, mistakes
    );
    read_number(*map, "mappings", kPcpMappings, pcp.mappings, mistakes);
    if (pcp.min_lifetime > pcp.max_lifetime) {
        const Node* const least = map->find("min-lifetime");
        const Node* const named = least != nullptr ? least : map->find("max-lifetime");
        mistakes.add(
            named->place,
            fmt::format(
                "a min-lifetime of {} s with a max-lifetime of {} s",
                pcp.min_lifetime.value,
                pcp.max_lifetime.value
            ),
            "a min-lifetime that is no more than the max-lifetime"
        );
    }
}

void read_control(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto map = Map::open(node, kControl, mistakes);
    const Node* socket = map ? map->find("socket") : nullptr;
    if (socket == nullptr) {
        return;
    }
    if (const std::string* path =
            read_absolute_path(*socket, "a socket", kMaxSocketPath, mistakes)) {
        draft.config.control.socket = *path;
    }
}

}  // namespace sekisho::config
