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
        "internal 100.64.0.252 realm internal beyond these ports of pool more, of which the log of "
        "bindings knows\n"
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

namespace {

// The base file's pool by formula, for 100.64.0.0/24, with more keys of it and more sections.
std::string by_formula(const std::string& keys, const std::string& sections = "") {
    std::string text = base_with(17, "    port-selection: deterministic\n" + keys);
    const std::string wide = "[100.64.0.0/10]\n    pool";
    return text.replace(text.find(wide), 15, "[100.64.0.0/24]") + sections;
}

}  // namespace

TEST_CASE("what would make a formula lie is a mistake", "[config][rfc7422]") {
    CHECK(
        mistakes_of(by_formula("    block-max-age: 1h")) ==
        "f:18:20: found block-max-age with port-selection: deterministic, wanted one of them: a "
        "subscriber's block by formula is always the same"
    );
    CHECK(
        mistakes_of(by_formula("    pairing: soft")) ==
        "f:18:14: found pairing with port-selection: deterministic, wanted pairing in the overflow "
        "pool: a formula leaves no choice"
    );
    CHECK(
        mistakes_of(by_formula("    reserved-ports: [1536-1800]")) ==
        "f:18:21: found all ports of a block reserved, 1536-1791, wanted at least one for each "
        "subscriber"
    );
    CHECK(mistakes_of(by_formula("    reserved-ports: [1536-1790]")).empty());
    CHECK(
        mistakes_of(by_formula("    port-parity: true\n    overflow-pool: more\n"
                               "  - {name: more, addresses: [198.18.0.0/30]}")) ==
        "f:19:20: found more, with another port-parity or port-contiguity, wanted a pool that "
        "pairs "
        "ports in the same way"
    );
}

TEST_CASE("who had a port is told of what is given away for good too", "[config][rfc7422]") {
    const std::string text =
        by_formula(
            "    reserved-ports: [1281, 5060]\n"
            "  - {name: more, addresses: [198.18.0.0/30]}\n"
            "  - {name: lab, addresses: [198.18.0.4/30]}"
        ) +
        "  - {name: lab, realm: lab, source: [100.64.0.0/24], pool: lab}\n"
        "realms: [{name: lab, side: internal}]\n"
        "static-mappings:\n"
        "  - {internal-src-address: 100.64.0.9, external-src-address: 198.18.0.1, "
        "internal-src-port: 80-81, external-src-port: 8080-8081, transport-protocol: tcp}\n"
        "  - {internal-src-address: 100.64.0.10, external-src-address: 198.18.0.2}\n"
        "destination-nat:\n"
        "  - {name: web, realm: external, destination: [198.18.0.1/32], transport-protocol: tcp, "
        "ports: 443, targets: [{address: 100.64.0.11}, {address: 100.64.0.12}]}\n";
    std::string with_lab = text;
    with_lab.replace(
        with_lab.find("routes:"),
        0,
        "  - {name: lab0, device: 'af_packet:l0', realm: lab, addresses: [10.9.0.1/24]}\n"
    );
    const Checked checked = parse(with_lab, "f", kTwoCpus);
    INFO(mistakes_of(with_lab));
    REQUIRE(checked.config);
    const auto told = [&](const char* whom) {
        const auto answer = who(*checked.config, whom);
        return answer ? *answer : "(" + answer.error().message + ")";
    };
    CHECK(
        told("198.18.0.1:8081") ==
        "internal 100.64.0.9 realm internal external 198.18.0.1 ports 8080-8081 protocol tcp, "
        "internal ports 80-81, by a static mapping\n"
    );
    CHECK(
        told("198.18.0.2:8081") ==
        "internal 100.64.0.10 realm internal external 198.18.0.2 all ports, by a static mapping\n"
    );
    CHECK(
        told("198.18.0.1:443") ==
        "internal 100.64.0.11 realm internal external 198.18.0.1 ports 443-443, or another target "
        "of the rule web of destination-nat\n"
        "internal 100.64.0.12 realm internal external 198.18.0.1 ports 443-443, or another target "
        "of the rule web of destination-nat\n"
    );
    CHECK(told("203.0.113.0:1281") == "(203.0.113.0:1281 is nobody's)");
    CHECK(
        told("203.0.113.0:1282") ==
        "internal 100.64.0.1 realm internal external 203.0.113.0 ports 1280-1535 but 1281-1281\n"
    );
    CHECK(
        told("100.64.0.9") ==
        "internal 100.64.0.9 realm internal external 198.18.0.1 ports 8080-8081 protocol tcp, "
        "internal ports 80-81, by a static mapping\n"
        "internal 100.64.0.9 realm internal external 203.0.113.0 ports 3328-3583\n"
        "the ports of pool lab, 100.64.0.9's in the realm lab, follow from no formula: the log of "
        "bindings knows\n"
    );
}

TEST_CASE("a file of another machine tells who had a port all the same", "[config][rfc7422]") {
    const std::string text = base_with(2, "  workers: [70, 71]");
    CHECK_FALSE(parse(text, "f", kTwoCpus).config);
    CHECK(parse(text, "f", MachineFacts::of_any_machine()).config);
}
