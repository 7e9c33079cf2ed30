// What of a changed file may be had at once, and that nothing of it is lost or invented.
#include "config/change.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "config/recheck.h"

using namespace sekisho;
using config::Change;
using config::Config;
using config::Difference;

namespace {

// A configuration with one line more or less.
Config with(const std::string& pool, const std::string& policy, const std::string& more) {
    const config::Checked checked = config::parse(
        "links:\n"
        "  - {name: int0, device: 'tap:int0', realm: internal, addresses: [100.64.0.1/10]}\n"
        "  - {name: ext0, device: 'tap:ext0', realm: external, addresses: [198.51.100.2/24]}\n"
        "pools:\n  - name: main\n    addresses: [203.0.113.0/28]\n" +
            pool +
            "policies:\n  - name: all\n    realm: internal\n    source: [100.64.0.0/10]\n    pool: "
            "main\n" +
            policy + more,
        "test.yaml",
        {{0, 1}}
    );
    for (const config::Mistake& mistake : checked.mistakes) {
        UNSCOPED_INFO(mistake.text());
    }
    REQUIRE(checked.config);
    return *checked.config;
}

// With other addresses of the pool.
Config test_pool(const std::string& addresses, const std::string& more) {
    Config config = with(more, "", "");
    std::string text = config::to_yaml(config);
    const size_t at = text.find("addresses: [203.0.113");
    REQUIRE(at != std::string::npos);
    text.replace(at, text.find(']', at) + 1 - at, "addresses: [" + addresses + "]");
    const config::Checked checked = config::parse(text, "test.yaml", {{0, 1}});
    REQUIRE(checked.config);
    return *checked.config;
}

Change change_to(const Config& wanted) {
    const Config running = with("", "", "");
    return config::compare(running, wanted, running);
}

}  // namespace

TEST_CASE("each setting that may change at once does, by its name", "[config][change]") {
    struct Row {
        const char* pool;
        const char* policy;
        const char* more;
        Difference told;
    };
    const Row rows[] = {
        {"", "", "timeouts: {udp: 600}\n", {"timeouts.udp", "300", "600"}},
        {"", "", "timeouts: {tcp-closing: 300}\n", {"timeouts.tcp-closing", "240", "300"}},
        {"", "", "limits: {sessions: 5000}\n", {"limits.sessions", "1048576", "5000"}},
        {"", "", "limits: {mappings: 5000}\n", {"limits.mappings", "1048576", "5000"}},
        {"", "", "limits: {subscribers: 5000}\n", {"limits.subscribers", "65536", "5000"}},
        {"",
         "",
         "limits: {unreplied-make-room: true}\n",
         {"limits.unreplied-make-room", "false", "true"}},
        {"    port-quarantine: 60\n", "", "", {"pools.main.port-quarantine", "120", "60"}},
        {"    block-release-delay: 10\n", "", "", {"pools.main.block-release-delay", "60", "10"}},
        {"    answer-pings: true\n", "", "", {"pools.main.answer-pings", "false", "true"}},
        {"    blocks-per-subscriber: 4\n", "", "", {"pools.main.blocks-per-subscriber", "8", "4"}},
        {"", "    limits: {sessions: 100}\n", "", {"policies.all.limits.sessions", "4096", "100"}},
    };
    for (const Row& row : rows) {
        const Config wanted = with(row.pool, row.policy, row.more);
        const Change change = change_to(wanted);
        INFO(row.told.setting);
        REQUIRE(change.at_once.size() == 1);
        CHECK(change.at_once[0] == row.told);
        CHECK(change.after_restart.empty());
        Config running = with("", "", "");
        const Config at_start = running;
        config::adopt(wanted, at_start, running);
        CHECK(running == wanted);
    }
}

TEST_CASE(
    "timeouts by remote port come, change and go at once, with their ports", "[config][change]"
) {
    const auto timeouts = [](const std::string& entries) {
        return with("", "", "timeouts: {by-remote-port: [" + entries + "]}\n");
    };
    const Config none = with("", "", "");
    const Config dns = timeouts("{protocol: udp, ports: 53, timeout: 10}");
    const Config slower = timeouts("{protocol: udp, ports: 53, timeout: 20}");
    const Config others = timeouts(
        "{protocol: tcp, ports: 22, timeout: 24h}, {protocol: udp, ports: 53-54, timeout: 10}"
    );
    const std::pair<Config, Config> rows[] = {
        {none, dns}, {dns, slower}, {slower, others}, {others, none}};
    for (const auto& [from, to] : rows) {
        const Change change = config::compare(from, to, none);
        CHECK_FALSE(change.at_once.empty());
        CHECK(change.after_restart.empty());
        Config running = from;
        config::adopt(to, none, running);
        CHECK(running == to);
    }
    const Change change = config::compare(dns, slower, none);
    REQUIRE(change.at_once.size() == 1);
    CHECK(change.at_once[0] == Difference{"timeouts.by-remote-port.1.timeout", "10", "20"});
}

TEST_CASE("what wants a restart is told and left alone", "[config][change]") {
    struct Row {
        const char* pool;
        const char* policy;
        const char* more;
        const char* setting;
    };
    const Row rows[] = {
        {"", "", "limits: {sessions: 2000000}\n", "limits.sessions"},
        {"", "", "timeouts: {fragment: 5}\n", "timeouts.fragment"},
        {"    blocks-per-subscriber: 16\n", "", "", "pools.main.blocks-per-subscriber"},
        {"    port-selection: sequential\n", "", "", "pools.main.port-selection"},
        {"", "    filtering: address-dependent\n", "", "policies.all.filtering"},
        {"", "", "system: {name: other}\n", "system.name"},
    };
    for (const Row& row : rows) {
        const Change change = change_to(with(row.pool, row.policy, row.more));
        INFO(row.setting);
        CHECK(change.at_once.empty());
        const auto named = [&](const Difference& d) { return d.setting == row.setting; };
        CHECK(std::any_of(change.after_restart.begin(), change.after_restart.end(), named));
    }
}

TEST_CASE(
    "addresses of a pool come and go at once, where it gives out blocks only", "[config][change]"
) {
    const auto pool = [](const std::string& addresses, const std::string& more) {
        return test_pool(addresses, more);
    };
    const Config running = pool("203.0.113.0/28", "");
    const Change change =
        config::compare(running, pool("203.0.113.8/29, 203.0.114.1", ""), running);
    REQUIRE(change.at_once.size() == 1);
    CHECK(change.at_once[0].setting == "pools.main.addresses");
    CHECK(change.after_restart.empty());
    for (const char* more :
         {"    port-selection: preserve\n", "    port-ranges: preserve\n    ports: 1-65535\n"}) {
        const Config single = pool("203.0.113.0/28", more);
        const Change refused = config::compare(single, pool("203.0.113.8/29", more), single);
        INFO(more);
        CHECK(refused.at_once.empty());
        CHECK(refused.after_restart.size() == 1);
    }
}

namespace {

// A link with a pool of its own address; `from` and `to` are texts of it.
Config masquerade(
    const std::string& from = "", const std::string& to = "", const std::string& more = ""
) {
    std::string text =
        "links:\n"
        "  - {name: int0, device: 'tap:int0', realm: internal, addresses: [100.64.0.1/10]}\n"
        "  - {name: ext0, device: 'tap:ext0', realm: external, addresses: [198.51.100.2/24]}\n"
        "routes:\n  - {prefix: 0.0.0.0/0, next-hop: 198.51.100.1}\n"
        "pools:\n"
        "  - {name: main, addresses: [{link: ext0}], port-selection: random, port-ranges: any}\n"
        "  - {name: other, addresses: [203.0.113.0/30]}\n"
        "policies:\n"
        "  - {name: all, realm: internal, source: [100.64.0.0/10], pool: main}\n";
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    const config::Checked checked = config::parse(text + more, "test.yaml", {{0, 1}});
    for (const config::Mistake& mistake : checked.mistakes) {
        UNSCOPED_INFO(mistake.text());
    }
    REQUIRE(checked.config);
    return *checked.config;
}

std::vector<std::string> settings_of(const std::vector<Difference>& differences) {
    std::vector<std::string> names;
    names.reserve(differences.size());
    for (const Difference& each : differences) {
        names.push_back(each.setting);
    }
    return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE(
    "a link has other addresses at once, and the pools that are its own", "[config][change]"
) {
    struct Row {
        const char* from;
        const char* to;
        Names at_once;
    };
    const Row rows[] = {
        {"198.51.100.2/24", "198.51.100.3/24", {"links.ext0.addresses"}},
        {"198.51.100.2/24", "198.51.100.3/24, 198.51.100.2/24", {"links.ext0.addresses"}},
        {"198.51.100.2/24", "198.51.100.2/25", {"links.ext0.addresses"}},
        {"100.64.0.1/10", "100.64.0.2/10", {"links.int0.addresses"}},
        {"next-hop: 198.51.100.1", "next-hop: 198.51.100.7", {"routes.1.next-hop"}},
        {"[203.0.113.0/30]", "[203.0.113.0/31]", {"pools.other.addresses"}},
    };
    for (const Row& row : rows) {
        Config running = masquerade();
        const Config at_start = running;
        const Config wanted = masquerade(row.from, row.to);
        const Change change = config::compare(running, wanted, at_start);
        INFO(row.to);
        CHECK(settings_of(change.at_once) == row.at_once);
        CHECK(change.after_restart.empty());
        config::adopt(wanted, at_start, running);
        CHECK(running == wanted);
    }
}

TEST_CASE("a link's addresses want a restart with what cannot follow them", "[config][change]") {
    struct Row {
        const char* what;
        const char* from;
        const char* to;
    };
    const Row rows[] = {
        {"a pool of single ports", "port-selection: random", "port-selection: preserve"},
        {"well-known ports", "port-ranges: any", "port-ranges: preserve, ports: 1-65535"},
    };
    for (const Row& row : rows) {
        Config running = masquerade(row.from, row.to);
        Config wanted = running;
        const Config other = masquerade("198.51.100.2/24", "198.51.100.3/24");
        wanted.links = other.links;
        wanted.nat.pools[0].addresses = other.nat.pools[0].addresses;
        const Change change = config::compare(running, wanted, running);
        INFO(row.what);
        CHECK(change.at_once.empty());
        CHECK(settings_of(change.after_restart) == Names{"links.ext0.addresses"});
        const Config before = running;
        config::adopt(wanted, before, running);
        CHECK(running == before);
    }
    Config wanted = masquerade("198.51.100.2/24", "198.51.100.3/24");
    wanted.links[0].mtu = 1400;
    const Config running = masquerade();
    const Change change = config::compare(running, wanted, running);
    CHECK(change.at_once.empty());
    CHECK(settings_of(change.after_restart) == Names{"links.ext0.addresses", "links.int0.mtu"});
}

TEST_CASE("an address with something static stays in its pool", "[config][change]") {
    const char* const things[] = {
        "static-mappings:\n  - {internal-src-address: 100.64.0.9, external-src-address: "
        "203.0.113.1, "
        "internal-src-port: 80}\n",
        "trigger-forwards:\n  - {name: t, external-src-address: 203.0.113.1, ports: 7000-7010, "
        "trigger-port: 7000}\n",
    };
    for (const char* more : things) {
        INFO(more);
        const Config running = masquerade("", "", more);
        Config wanted = running;
        wanted.nat.pools[1].addresses = {
            {Ipv4Addr::of(203, 0, 113, 2), Ipv4Addr::of(203, 0, 113, 3)}};
        wanted.nat.pools[0].addresses.insert(
            wanted.nat.pools[0].addresses.begin(),
            {Ipv4Addr::of(203, 0, 113, 0), Ipv4Addr::of(203, 0, 113, 1)}
        );
        const Change change = config::compare(running, wanted, running);
        CHECK(change.at_once.empty());
        const Names after = settings_of(change.after_restart);
        CHECK(std::ranges::count(after, "pools.other.addresses") == 1);
        CHECK(std::ranges::count(after, "pools.main.addresses") == 1);
        // Without it the others of the pool come and go.
        Config grown = running;
        grown.nat.pools[1].addresses = {
            {Ipv4Addr::of(203, 0, 113, 1), Ipv4Addr::of(203, 0, 113, 9)}};
        CHECK(config::compare(running, grown, running).after_restart.empty());
    }
}

TEST_CASE("what is static comes and goes at once", "[config][change]") {
    struct Row {
        const char* more;
        const char* setting;  // a part of what is told
    };
    const Row rows[] = {
        {"static-mappings:\n  - {internal-src-address: 100.64.0.9, external-src-address: "
         "203.0.113.1, "
         "internal-src-port: 80}\n",
         "static-mappings.1."},
        {"trigger-forwards:\n  - {name: t, external-src-address: 203.0.113.1, ports: 7000-7010, "
         "trigger-port: 7000}\n",
         "trigger-forwards.t."},
        {"destination-nat:\n  - {name: shop, realm: external, destination: [203.0.113.1/32], "
         "ports: "
         "80, targets: [100.64.0.9]}\n",
         "destination-nat.shop."},
    };
    for (const Row& row : rows) {
        INFO(row.more);
        const Config without = masquerade();
        const Config with_it = masquerade("", "", row.more);
        for (const bool comes : {true, false}) {
            Config running = comes ? without : with_it;
            const Config at_start = running;
            const Config& wanted = comes ? with_it : without;
            const Change change = config::compare(running, wanted, at_start);
            CHECK(change.after_restart.empty());
            REQUIRE_FALSE(change.at_once.empty());
            for (const Difference& each : change.at_once) {
                CHECK(each.setting.starts_with(row.setting));
            }
            config::adopt(wanted, at_start, running);
            CHECK(running == wanted);
        }
    }
    // What leads subscribers elsewhere does not.
    const Config inside = masquerade(
        "",
        "",
        "destination-nat:\n  - {name: dns, destination: [0.0.0.0/0], ports: 53, targets: "
        "[192.0.2.53]}\n"
    );
    const Change change = config::compare(masquerade(), inside, masquerade());
    CHECK(change.at_once.empty());
    CHECK_FALSE(change.after_restart.empty());
}

TEST_CASE("what is static where ports go by a formula wants a restart", "[config][change]") {
    Config before = masquerade();
    before.nat.pools[1].port_selection = nat::PortSelection::kDeterministic;
    Config wanted = before;
    nat::StaticMappingSettings mapping;
    mapping.internal = Ipv4Addr::of(100, 64, 0, 9);
    mapping.external = Ipv4Addr::of(203, 0, 113, 1);
    mapping.internal_ports = mapping.external_ports = {80, 80};
    wanted.nat.static_mappings = {mapping};
    const Change change = config::compare(before, wanted, before);
    CHECK(change.at_once.empty());
    CHECK_FALSE(change.after_restart.empty());
}

TEST_CASE("something static goes with a link's address", "[config][change]") {
    const auto forward = [](const std::string& address) {
        return masquerade(
            "198.51.100.2/24",
            address + "/24",
            "static-mappings:\n  - {internal-src-address: 100.64.0.9, external-src-address: " +
                address + ", internal-src-port: 80}\n"
        );
    };
    Config running = forward("198.51.100.2");
    const Config at_start = running;
    const Config wanted = forward("198.51.100.3");
    CHECK(config::compare(running, wanted, at_start).after_restart.empty());
    config::adopt(wanted, at_start, running);
    CHECK(running == wanted);
}

TEST_CASE("a configuration that was changed is checked as if it had been read", "[config]") {
    Config config = masquerade();
    CHECK_FALSE(config::find_mistake(config));
    CHECK(config::usual_external_address(config) == Ipv4Addr::of(198, 51, 100, 2));
    nat::StaticMappingSettings mapping;
    mapping.internal = Ipv4Addr::of(100, 64, 0, 9);
    mapping.external = Ipv4Addr::of(203, 0, 113, 1);
    mapping.internal_ports = mapping.external_ports = {80, 80};
    config.nat.static_mappings = {mapping};
    CHECK_FALSE(config::find_mistake(config));
    config.nat.static_mappings.push_back(mapping);
    const auto mistake = config::find_mistake(config);
    REQUIRE(mistake);
    CHECK(mistake->starts_with("found 100.64.0.9:80, of which the static mapping has a part"));
    config.nat.static_mappings = {mapping};
    config.nat.static_mappings[0].external = Ipv4Addr::of(203, 0, 114, 1);
    CHECK(
        config::find_mistake(config) ==
        "found 203.0.114.1, which no pool has, wanted an address of a pool"
    );
    config.nat.pools.erase(config.nat.pools.begin());
    CHECK(config::usual_external_address(config) == Ipv4Addr::of(203, 0, 113, 0));
}

TEST_CASE("a limit goes up again as far as the tables go", "[config][change]") {
    const Config at_start = with("", "", "limits: {sessions: 5000}\n");
    Config running = at_start;
    config::adopt(with("", "", "limits: {sessions: 100}\n"), at_start, running);
    CHECK(running.nat.limits.sessions == 100);
    config::adopt(with("", "", "limits: {sessions: 5000}\n"), at_start, running);
    CHECK(running.nat.limits.sessions == 5000);
    const Change beyond =
        config::compare(running, with("", "", "limits: {sessions: 5001}\n"), at_start);
    CHECK(beyond.at_once.empty());
    REQUIRE(beyond.after_restart.size() == 1);
    CHECK(beyond.after_restart[0] == Difference{"limits.sessions", "5000", "5001"});
}

TEST_CASE("the same file changes nothing", "[config][change]") {
    const Change change = change_to(with("", "", ""));
    CHECK(change.at_once.empty());
    CHECK(change.after_restart.empty());
}
