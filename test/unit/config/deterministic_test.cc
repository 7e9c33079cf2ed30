// Pools whose blocks follow from a formula: what contradicts, and who has what by the file alone.
#include "cases.h"
#include "config/who.h"

using namespace sekisho;
using namespace sekisho::config;

TEST_CASE("blocks by formula contradict what a formula knows nothing of", "[config][rfc7422]") {
    check({
        {"fewer blocks than subscribers",
         17,
         "    port-selection: deterministic",
         "f:17:21: found port-selection: deterministic for 4194304 internal addresses and 4032 "
         "port "
         "blocks, wanted a block for each address that its policies cover"},
        {"an overflow pool without a formula",
         17,
         "    overflow-pool: main",
         "f:17:20: found overflow-pool without port-selection: deterministic, wanted a pool whose "
         "blocks follow from a formula"},
    });
    const std::string small = "    port-selection: deterministic\n";
    const auto with = [](const std::string& pool) {
        std::string text = base_with(17, pool);
        const std::string wide = "[100.64.0.0/10]\n    pool";
        return text.replace(text.find(wide), 15, "[100.64.0.0/24]");
    };
    CHECK(mistakes_of(with(small)).empty());
    CHECK(
        mistakes_of(with(small + "    ports: 1000-65535")) ==
        "f:18:12: found the ports 1000-65535 with port-selection: deterministic, wanted whole "
        "blocks of 256 ports, so that all subscribers have as many"
    );
    CHECK(
        mistakes_of(with(small + "    overflow-pool: main")) ==
        "f:18:20: found \"main\", wanted the name of a pool that grants blocks: random or "
        "sequential"
    );
    CHECK(
        mistakes_of(with(small + "    ports: 1-65535\n    port-ranges: preserve")) ==
        "f:18:12: found the ports 1-65535 with port-selection: deterministic, wanted whole blocks "
        "of 256 ports, so that all subscribers have as many\n"
        "f:19:18: found port-ranges: preserve with port-selection: deterministic, wanted one of "
        "them: a block by formula has no ports below 1024 beside others"
    );
    CHECK(
        mistakes_of(
            with(small) +
            "static-mappings: [{internal-src-address: 100.64.0.9, external-src-address: "
            "203.0.113.3, internal-src-port: 80}]\n"
        ) ==
        "f:23:76: found a static mapping at an address whose ports follow from a formula, wanted "
        "an "
        "address of a pool without port-selection: deterministic"
    );
    CHECK(
        mistakes_of(
            with(small) +
            "destination-nat: [{name: web, realm: external, destination: [203.0.113.3/32], "
            "ports: 80, targets: [100.64.0.9]}]\n"
        ) ==
        "f:23:62: found a service of destination-nat at an address whose ports follow from a "
        "formula, wanted an address of a pool without port-selection: deterministic"
    );
    const std::string more =
        small + "    overflow-pool: more\n  - {name: more, addresses: [198.18.0.0/30]}";
    const Checked checked = parse(with(more), "f", kTwoCpus);
    REQUIRE(checked.config);
    CHECK(checked.config->nat.pools[0].overflow == PoolId{1});
    CHECK(parse(to_yaml(*checked.config), "f", kTwoCpus).config->nat == checked.config->nat);
    CHECK(
        *who(*checked.config, "203.0.113.0:1300") ==
        "internal 100.64.0.1 realm internal external 203.0.113.0 ports 1280-1535\n"
    );
    CHECK(
        *who(*checked.config, "100.64.0.252") ==
        "internal 100.64.0.252 realm internal external 203.0.113.1 ports 1024-1279\n"
    );
    CHECK(
        who(*checked.config, "198.18.0.1:1300").error().message.find("the log") != std::string::npos
    );
    CHECK(
        who(*checked.config, "203.0.113.9:1300").error().message == "203.0.113.9:1300 is nobody's"
    );
    CHECK(who(*checked.config, "192.0.2.1:1").error().message == "192.0.2.1 is no pool's address");
    CHECK(who(*checked.config, "192.0.2.1").error().message == "no policy covers 192.0.2.1");
    CHECK_FALSE(who(*checked.config, "192.0.2.1:"));
    CHECK_FALSE(who(*checked.config, "host"));
}
