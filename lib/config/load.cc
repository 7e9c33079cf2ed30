#include <memory>
#include <numeric>

#include <fmt/format.h>
#include <sched.h>

#include "config/draft.h"
#include "config/read_file.h"
#include "config/values.h"
#include "config/yaml_tree.h"

namespace sekisho::config {
namespace {

void declare_built_in_realms(Draft& draft) {
    draft.config.realms = {
        {"external", Side::kExternal, kExternalRealm},
        {"internal", Side::kInternal, kInternalRealm}};
    for (const RealmSettings& realm : draft.config.realms) {
        Node name;
        name.text = realm.name;
        name.place.line = 0;  // in no file
        Mistakes none({});
        draft.realm_names.declare(name, realm.id.value, none);
    }
}

// Realms and pools come first: others name them, wherever they stand in the file.
void read_sections(const Map& top, const MachineFacts& machine, Draft& draft, Mistakes& mistakes) {
    if (const Node* node = top.find("system")) {
        read_system(*node, machine, draft, mistakes);
    }
    if (const Node* node = top.find("sets")) {
        read_sets(*node, machine, draft, mistakes);
    }
    using Read = void (*)(const Node&, Draft&, Mistakes&);
    static constexpr std::pair<std::string_view, Read> kReaders[] = {
        {"realms", read_realms},
        {"links", read_links},
        {"routes", read_routes},
        {"neighbours", read_neighbours},
        {"multicast", read_multicast},
        {"pools", read_pools},
        {"policies", read_policies},
        {"static-mappings", read_static_mappings},
        {"destination-nat", read_destination_nat},
        {"trigger-forwards", read_trigger_forwards},
        {"groups", read_groups},
        {"patterns", read_patterns},
        {"payload-search", read_payload_search},
        {"rules", read_rules},
        {"rules-change", read_rules_change},
        {"timeouts", read_timeouts},
        {"limits", read_table_limits},
        {"pcp", read_pcp},
        {"log", read_log},
        {"syslog", read_syslog},
        {"control", read_control},
    };
    for (const auto& [name, read] : kReaders) {
        if (const Node* node = top.find(name)) {
            read(*node, draft, mistakes);
        }
    }
}

// One worker, and one shard a worker, unless the file says otherwise.
void settle_workers(const MachineFacts& machine, Draft& draft, Mistakes& mistakes) {
    SystemSettings& system = draft.config.system;
    if (system.worker_cpus.empty()) {
        choose_workers(1, machine, system);
    }
    if (system.worker_cpus.empty()) {
        mistakes.add(draft.whole, "a machine without a usable CPU", "at least one for a worker");
    }
    if (system.shards == 0) {
        system.shards = static_cast<unsigned>(system.worker_cpus.size());
    }
}

void check_whole(Draft& draft, Mistakes& mistakes) {
    check_links(draft, mistakes);
    check_routes(draft, mistakes);
    check_neighbours(draft, mistakes);
    check_pools(draft, mistakes);
    resolve_overflow(draft, mistakes);
    check_ports(draft, mistakes);
    check_deterministic(draft, mistakes);
    check_room(draft, mistakes);
    check_policies(draft, mistakes);
    check_exemptions(draft, mistakes);
    check_static_mappings(draft, mistakes);
    check_destination_nat(draft, mistakes);
    check_trigger_forwards(draft, mistakes);
    check_translations(draft, mistakes);
}

Checked refuse(std::string file, std::string found) {
    return {
        std::nullopt,
        {Mistake{std::move(file), 1, 1, std::move(found), "a readable configuration file"}},
        {}};
}

// The CPUs of the process's affinity below `count`; none if the kernel wants a larger set.
std::vector<unsigned> usable_cpus(size_t count) {
    using CpuSet = std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)>;
    const CpuSet set(CPU_ALLOC(count), [](cpu_set_t* s) { CPU_FREE(s); });
    const size_t bytes = CPU_ALLOC_SIZE(count);
    std::vector<unsigned> cpus;
    if (set == nullptr || sched_getaffinity(0, bytes, set.get()) != 0) {
        return cpus;
    }
    for (size_t cpu = 0; cpu < count; ++cpu) {
        if (CPU_ISSET_S(cpu, bytes, set.get())) {
            cpus.push_back(static_cast<unsigned>(cpu));
        }
    }
    return cpus;
}

}  // namespace

MachineFacts MachineFacts::of_this_machine() {
    // A kernel with more possible CPUs than the set has refuses it with EINVAL: then a larger one is tried.
    MachineFacts facts;
    for (size_t count = CPU_SETSIZE; facts.cpus.empty() && count <= size_t{1} << 16; count *= 2) {
        facts.cpus = usable_cpus(count);
    }
    return facts;
}

MachineFacts MachineFacts::of_any_machine() {
    MachineFacts facts;
    facts.cpus.resize(kCpuNumber.high + 1);
    std::iota(facts.cpus.begin(), facts.cpus.end(), 0U);
    return facts;
}

Checked parse(const std::string& text, const std::string& file_name, const MachineFacts& machine) {
    const auto tree = read_tree(text, file_name);
    if (!tree) {
        return {std::nullopt, {tree.error()}, {}};
    }
    Mistakes mistakes(file_name);
    Draft draft;
    draft.whole = tree->place;
    declare_built_in_realms(draft);
    if (const auto top = Map::open(*tree, kTop, mistakes)) {
        read_sections(*top, machine, draft, mistakes);
        settle_workers(machine, draft, mistakes);
        check_whole(draft, mistakes);
    }
    Checked checked;
    if (mistakes.empty()) {
        draft.config.source_text = text;
        checked.config = std::move(draft.config);
    }
    checked.warnings = mistakes.warnings();
    checked.mistakes = std::move(mistakes).in_file_order();
    return checked;
}

Checked load(const std::string& path, const MachineFacts& machine) {
    const auto text = read_regular_file(path, kMaxTextBytes);
    return text ? parse(*text, path, machine) : refuse(path, text.error().message);
}

}  // namespace sekisho::config
