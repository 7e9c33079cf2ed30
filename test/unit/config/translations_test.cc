// Rules that translate, and what must stand around them.
#include <algorithm>

#include "config/change.h"
#include "config/rule_text.h"
#include "rules_support.h"

using namespace sekisho;
using namespace sekisho::config;

namespace {

// A chain with one rule, on line 25 from column 9, behind two more pools: one by formula, one that is the link's address.
std::string translating(
    const std::string& rule, const std::string& hook, const std::string& more = ""
) {
    std::string text = base_with(
        17,
        "    ports: 1024-65535\n"
        "    reserved-ports: [8080]\n"
        "  - {name: formula, addresses: [203.0.113.32/28], port-selection: deterministic}\n" +
            more
    );
    const std::string statics = "rules:\n  - {name: main, hook: " + hook + ", rules: [\n        ";
    return text + statics + rule + "]}\n";
}

std::string said(const std::string& rule, const std::string& hook, const std::string& more = "") {
    const std::string all = mistakes_of(translating(rule, hook, more));
    const size_t found = all.find("found ");
    return found == std::string::npos ? all : all.substr(found);
}

std::string warned(const std::string& rule) {
    const Checked checked = parse(translating(rule, "nat-destination"), "f", kTwoCpus);
    REQUIRE(checked.config);
    return checked.warnings.empty() ? "" : checked.warnings[0].text();
}

constexpr auto kOfLink = "  - {name: own, addresses: [link: ext0], ports: 61000-65095}\n";

}  // namespace

TEST_CASE("what a rule cannot translate to is named", "[config][rules]") {
    CHECK(said("{action: {snat: main}}", "nat-source").empty());
    CHECK(
        said("{action: {snat: formula}}", "nat-source") ==
        "found snat to the pool formula, whose blocks are given by a formula, wanted a pool with "
        "another "
        "port-selection"
    );
    CHECK(
        said("{action: masquerade}", "nat-source") ==
        "found masquerade behind the link ext0, whose address is in no pool, wanted a pool with "
        "nothing but "
        "its address: addresses: [link: ext0]"
    );
    CHECK(said("{out-link: int0, action: masquerade}", "nat-source").empty());
    CHECK(said("{action: masquerade}", "nat-source", kOfLink).empty());
    CHECK(said("{action: {masquerade: {ports: 61000-65095}}}", "nat-source", kOfLink).empty());
    CHECK(
        said("{action: {masquerade: {ports: 62000-65095}}}", "nat-source", kOfLink) ==
        "found masquerade with the ports 62000-65095 behind the link ext0, where the pool own "
        "gives "
        "61000-65095, wanted ports: 62000-65095 in that pool"
    );
    CHECK(said("{action: {dnat: \"192.0.2.1:80\"}}", "nat-destination").empty());
    CHECK(said("{action: {dnat: 100.64.0.9}}", "nat-destination").empty());
    CHECK(
        said("{action: {dnat: 198.51.100.2}}", "nat-destination") ==
        "found the target 198.51.100.2, the appliance's own address, where it has no local ports, "
        "wanted a "
        "host that has the service, behind a link"
    );
    CHECK(
        said("{action: {dnat: 203.0.113.5}}", "nat-destination") ==
        "found the target 203.0.113.5, an address of a pool, wanted the host's own address"
    );
    const std::string no_route = translating("{action: {dnat: 192.0.2.1}}", "nat-destination");
    const size_t routes = no_route.find("routes:");
    const size_t pools = no_route.find("pools:");
    CHECK(
        mistakes_of(no_route.substr(0, routes) + no_route.substr(pools))
            .find("found the target 192.0.2.1, to which no route leads, or a host inside whom no "
                  "policy covers") != std::string::npos
    );
}

TEST_CASE("redirect wants the host that has the appliance's local services", "[config][rules]") {
    CHECK(
        said(
            "{protocol: tcp, destination-port: 80, action: {redirect: 3128}}", "nat-destination"
        ) ==
        "found redirect without a local-host: the appliance has no local ports on its links, since "
        "it takes "
        "their packets from the kernel, wanted local-host in system, or dnat to the host that has "
        "the service"
    );
    const auto with_host = [](const std::string& host, const std::string& hook) {
        std::string text = translating("{protocol: tcp, action: {redirect: 3128}}", hook);
        return text.replace(
            text.find("workers: 1\n"), 11, "workers: 1\n  local-host: " + host + "\n"
        );
    };
    for (const char* hook : {"nat-destination", "ingress"}) {
        const Config config = must_parse(with_host("192.0.2.9", hook));
        CHECK(config.nat.local_host == Ipv4Addr::of(192, 0, 2, 9));
        CHECK(config.nat.has_destination_rules);
        CHECK(must_parse(to_yaml(config)).nat == config.nat);
    }
    CHECK(
        mistakes_of(with_host("192.0.2.9", "local-in"))
            .find("redirect at local-in, where it is known already that a packet is the "
                  "appliance's own") != std::string::npos
    );
    CHECK(
        mistakes_of(with_host("198.51.100.2", "ingress"))
            .find("local-host 198.51.100.2, the appliance's own address") != std::string::npos
    );
}

TEST_CASE("a rule for ports that subscribers are given is warned of", "[config][rules]") {
    CHECK(
        warned("{protocol: tcp, destination: 203.0.113.5, destination-port: 5000, action: {dnat: "
               "100.64.0.9}}")
            .find("found ports 5000-5000 that the pool main gives to subscribers: from "
                  "outside no "
                  "rule leads them inside") != std::string::npos
    );
    for (const char* port : {"80", "8080", "1-1023"}) {
        CHECK(warned(
                  std::string("{protocol: tcp, destination: 203.0.113.5, destination-port: ") +
                  port + ", action: {dnat: 100.64.0.9}}"
        )
                  .empty());
    }
    CHECK(warned("{protocol: tcp, destination: 192.0.2.7, destination-port: 5000, action: {dnat: "
                 "192.0.2.9}}")
              .empty());
    // The whole address is not there to be led on.
    CHECK(
        warned("{destination: 203.0.113.5, action: {dnat: 100.64.0.9}}")
            .find("found ports 1-65535 that the pool main gives to subscribers") !=
        std::string::npos
    );
    CHECK(warned("{in-link: int0, destination: 203.0.113.5, action: {dnat: 100.64.0.9}}").empty());
}

TEST_CASE("a target among the subscribers that they do not reach is warned of", "[config][rules]") {
    const auto is_warned = [](const std::string& conditions) {
        const std::string text =
            warned("{" + conditions + "protocol: tcp, action: {dnat: \"100.64.0.9:80\"}}");
        return text.find("found 100.64.0.9, a host inside without a static mapping") !=
               std::string::npos;
    };
    CHECK(is_warned(""));
    CHECK(is_warned("destination: 192.0.2.7, "));
    CHECK(is_warned("in-link: int0, destination-port: 80, "));
    CHECK(!is_warned("in-link: ext0, destination-port: 80, "));
    CHECK(!is_warned("not-in-link: int0, destination-port: 80, "));
    CHECK(!is_warned("destination: 203.0.113.5, destination-port: 80, "));
    CHECK(warned("{protocol: tcp, action: {dnat: 192.0.2.9}}").empty());
}

TEST_CASE("a redirect to a host inside that outsiders reach is warned of", "[config][rules]") {
    const auto is_warned = [](const std::string& host, const std::string& conditions) {
        std::string text = translating(
            "{" + conditions + "protocol: tcp, destination-port: 80, action: {redirect: 3128}}",
            "nat-destination"
        );
        text.replace(text.find("workers: 1\n"), 11, "workers: 1\n  local-host: " + host + "\n");
        const Checked checked = parse(text, "f", kTwoCpus);
        REQUIRE(checked.config);
        return std::ranges::any_of(checked.warnings, [](const Mistake& warning) {
            return warning.text().find("found redirect of what comes from outside") !=
                   std::string::npos;
        });
    };
    CHECK(is_warned("100.64.0.9", ""));
    CHECK(!is_warned("192.0.2.9", ""));
    CHECK(!is_warned("100.64.0.9", "in-link: int0, "));
    CHECK(!is_warned("100.64.0.9", "source: 100.64.0.0/10, "));
}

TEST_CASE("room for translated destinations is taken at start", "[config][rules]") {
    const Config without = must_parse(translating("{action: {snat: main}}", "nat-source"));
    const Config with = must_parse(translating("{action: {dnat: 192.0.2.9}}", "nat-destination"));
    CHECK(!without.nat.has_destination_rules);
    CHECK(with.nat.has_destination_rules);
    CHECK(must_parse(translating("{protocol: tcp}", "nat-destination")).nat.has_destination_rules);
    const Change late = compare(without, with, without);
    CHECK(late.at_once.empty());
    CHECK(!late.after_restart.empty());
    const Config other = must_parse(translating("{action: {dnat: 192.0.2.10}}", "nat-destination"));
    const Change at_once = compare(with, other, with);
    CHECK(!at_once.at_once.empty());
    CHECK(at_once.after_restart.empty());
    CHECK(compare(with, without, with).after_restart.empty());
}

TEST_CASE(
    "rules that come while the appliance runs are checked against what runs", "[config][rules]"
) {
    const auto unfit = [](const std::string& running, const std::string& rule, const char* hook) {
        const Config config = must_parse(running);
        const std::string local = "workers: 1\n  local-host: 192.0.2.9\n";
        std::string text = translating(rule, hook, kOfLink);
        text.replace(text.find("workers: 1\n"), 11, local);
        return find_unfit(config, must_parse(text).rules.set).value_or("");
    };
    const std::string dnat = translating("{action: {dnat: 192.0.2.9}}", "nat-destination");
    const std::string plain = translating("{action: accept}", "forward");
    CHECK(unfit(dnat, "{action: {dnat: 192.0.2.10}}", "nat-destination").empty());
    CHECK(unfit(dnat, "{action: accept}", "nat-destination").empty());
    CHECK(unfit(plain, "{action: {snat: main}}", "nat-source").empty());
    CHECK(unfit(plain, "{action: accept}", "forward").empty());
    CHECK(unfit(plain, "{action: accept}", "nat-destination").empty());
    CHECK(
        unfit(plain, "{action: {dnat: 192.0.2.10}}", "nat-destination")
            .find("for which room is taken at the start") != std::string::npos
    );
    CHECK(
        unfit(plain, "{action: masquerade}", "nat-source") ==
        "masquerade behind the link ext0, whose address is in no pool; wanted is a pool with "
        "nothing but its address: addresses: [link: ext0]"
    );
    CHECK(
        unfit(dnat, "{protocol: tcp, action: {redirect: 80}}", "nat-destination")
            .find("redirect without a local-host") == 0
    );
    const std::string elsewhere = "  - {name: there, addresses: [192.0.2.10]}\n";
    CHECK(
        unfit(
            translating("{action: accept}", "nat-destination", elsewhere),
            "{action: {dnat: 192.0.2.10}}",
            "nat-destination"
        ) == "the target 192.0.2.10, an address of a pool; wanted is the host's own address"
    );
}

TEST_CASE("the local-host changes at once, with the rules that mean it", "[config][rules]") {
    const auto with_host = [](const std::string& host) {
        std::string text =
            translating("{protocol: tcp, action: {redirect: 3128}}", "nat-destination");
        text.replace(text.find("workers: 1\n"), 11, "workers: 1\n  local-host: " + host + "\n");
        return must_parse(text);
    };
    const Config before = must_parse(translating("{action: {dnat: 192.0.2.9}}", "nat-destination"));
    const Config after = with_host("192.0.2.9");
    CHECK(compare(before, after, before).after_restart.empty());
    Config running = before;
    adopt(after, before, running);
    CHECK(running.nat.local_host == Ipv4Addr::of(192, 0, 2, 9));
    CHECK(running.rules == after.rules);
    adopt(with_host("192.0.2.10"), before, running);
    CHECK(running.nat.local_host == Ipv4Addr::of(192, 0, 2, 10));
}
