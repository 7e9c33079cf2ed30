// Realms with the same addresses: what a file may say of them, and what would be ambiguous.
#include <sstream>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base_file.h"
#include "config/who.h"

using namespace sekisho;
using namespace sekisho::config;

namespace {

// Two VLANs of one port, each a realm, with the same prefix and the same router behind it.
constexpr const char* kTwoRealms =
    "realms:\n"                           // 1
    "  - {name: red, side: internal}\n"   // 2
    "  - {name: blue, side: internal}\n"  // 3
    "links:\n"                            // 4
    "  - {name: r0, device: 'af_packet:p0', vlan: 10, realm: red, addresses: [10.0.0.1/24]}\n"
    "  - {name: b0, device: 'af_packet:p0', vlan: 20, realm: blue, addresses: [10.0.0.1/24]}\n"
    "  - {name: e0, device: 'af_packet:e0', realm: external, addresses: [198.51.100.2/24]}\n"  // 7
    "routes:\n"                                                                                // 8
    "  - {prefix: 0.0.0.0/0, next-hop: 198.51.100.1}\n"                                        // 9
    "  - {prefix: 172.16.0.0/16, next-hop: 10.0.0.9, realm: red}\n"                            // 10
    "  - {prefix: 172.16.0.0/16, next-hop: 10.0.0.9, realm: blue}\n"                           // 11
    "neighbours:\n"                                                                            // 12
    "  - {address: 10.0.0.9, mac: '02:00:00:00:00:01', realm: red}\n"                          // 13
    "  - {address: 10.0.0.9, mac: '02:00:00:00:00:02', realm: blue}\n"                         // 14
    "pools: [{name: main, addresses: [203.0.113.0/28]}]\n"                                     // 15
    "policies:\n"                                                                              // 16
    "  - {name: red, realm: red, source: [10.0.0.0/24, 172.16.0.0/16], pool: main}\n"          // 17
    "  - {name: blue, realm: blue, source: [10.0.0.0/24, 172.16.0.0/16], pool: main}\n";       // 18

std::string realms_with(int line, const std::string& replacement) {
    std::istringstream in(kTwoRealms);
    std::string out;
    std::string text;
    for (int number = 1; std::getline(in, text); ++number) {
        out += (number == line ? replacement : text) + "\n";
    }
    return line == 19 ? out + replacement + "\n" : out;
}

struct RealmCase {
    const char* sentence;
    int line;
    const char* replacement;
    const char* expected;
};

}  // namespace

TEST_CASE("realms may have the same prefixes, addresses, next hops and neighbours", "[config]") {
    const Checked checked = parse(kTwoRealms, "f", kTwoCpus);
    CHECK(mistakes_of(kTwoRealms).empty());
    REQUIRE(checked.config);
    CHECK(checked.config->routes[1].link == LinkId{0});
    CHECK(checked.config->routes[2].link == LinkId{1});
    CHECK(checked.config->neighbours[0].link == LinkId{0});
    CHECK(checked.config->neighbours[1].link == LinkId{1});
    Checked again = parse(to_yaml(*checked.config), "f", kTwoCpus);
    REQUIRE(again.config);
    again.config->source_text = checked.config->source_text;
    CHECK(*again.config == *checked.config);
}

TEST_CASE("what realms make ambiguous is named", "[config]") {
    const RealmCase cases[] = {
        {"a next hop that two realms have",
         10,
         "  - {prefix: 172.16.0.0/16, next-hop: 10.0.0.9}",
         "f:10:39: found the next hop 10.0.0.9, which is in several realms: red, blue, wanted its "
         "realm as well"},
        {"a neighbour that two realms have",
         13,
         "  - {address: 10.0.0.9, mac: '02:00:00:00:00:01'}",
         "f:13:15: found the neighbour 10.0.0.9, which is in several realms: red, blue, wanted its "
         "realm as well"},
        {"two routes to one prefix in a realm",
         11,
         "  - {prefix: 172.16.0.0/16, next-hop: 10.0.0.8, realm: red}",
         "f:11:14: found the prefix 172.16.0.0/16 a second time (first on line 10), wanted one "
         "route for a prefix in a realm"},
        {"a prefix inside and outside",
         11,
         "  - {prefix: 172.16.0.0/16, next-hop: 198.51.100.7}",
         "f:11:14: found the prefix 172.16.0.0/16 a second time (first on line 10), wanted one "
         "route for a prefix in a realm"},
        {"a neighbour twice in a realm",
         14,
         "  - {address: 10.0.0.9, mac: '02:00:00:00:00:02', realm: red}",
         "f:14:15: found the neighbour 10.0.0.9 a second time (first on line 13), wanted one link "
         "address for a neighbour"},
        {"a next hop of another realm",
         10,
         "  - {prefix: 172.16.0.0/16, next-hop: 198.51.100.7, realm: red}",
         "f:10:39: found the next hop 198.51.100.7, to which no link of the realm red leads, "
         "wanted a neighbour in a link's own prefix"},
        {"a realm that is none",
         10,
         "  - {prefix: 172.16.0.0/16, next-hop: 10.0.0.9, realm: green}",
         "f:10:56: found \"green\", wanted the name of a realm: external, internal, red or blue"},
        {"two links of a realm with overlapping prefixes",
         7,
         "  - {name: r1, device: 'af_packet:p0', vlan: 30, realm: red, addresses: [10.0.0.65/26]}\n"
         "  - {name: e0, device: 'af_packet:e0', realm: external, addresses: [198.51.100.2/24]}",
         "f:7:74: found 10.0.0.64/26, which overlaps 10.0.0.0/24 on line 5, wanted a prefix of its "
         "own for each link of a realm"},
        {"an own address of another realm is a subscriber's there",
         19,
         "static-mappings:\n"
         "  - {realm: blue, internal-src-address: 10.0.0.1, external-src-address: 203.0.113.3}",
         "f:20:41: found 10.0.0.1, the link b0's own address, wanted a subscriber's address"},
    };
    for (const RealmCase& each : cases) {
        DYNAMIC_SECTION(each.sentence) {
            CHECK(mistakes_of(realms_with(each.line, each.replacement)) == each.expected);
        }
    }
}

TEST_CASE("an address is a realm's own only there", "[config]") {
    const std::string other = realms_with(
        5, "  - {name: r0, device: 'af_packet:p0', vlan: 10, realm: red, addresses: [10.0.0.2/24]}"
    );
    const auto with_static = [&](const char* realm, const char* address) {
        return mistakes_of(
            other + "static-mappings: [{realm: " + realm + ", internal-src-address: " + address +
            ", external-src-address: 203.0.113.3}]\n"
        );
    };
    CHECK(with_static("red", "10.0.0.1").empty());
    CHECK(with_static("blue", "10.0.0.2").empty());
    CHECK_FALSE(with_static("red", "10.0.0.2").empty());
    CHECK_FALSE(with_static("blue", "10.0.0.1").empty());
}

TEST_CASE("exemptions of two realms do not meet, for what comes back names none", "[config]") {
    const auto with_exempt = [](const char* red, const char* blue) {
        std::string text = realms_with(
            17,
            std::string("  - {name: red, realm: red, source: [10.0.0.0/24], pool: main, exempt: ") +
                red + "}"
        );
        const std::string last = "172.16.0.0/16], pool: main}\n";
        const size_t at = text.rfind(last);
        return text.replace(
            at, last.size(), std::string("172.16.0.0/16], pool: main, exempt: ") + blue + "}\n"
        );
    };
    const auto told = [&](const char* red, const char* blue) {
        return mistakes_of(with_exempt(red, blue));
    };
    CHECK(
        told("[192.0.2.0/24]", "[198.18.0.0/15, 192.0.2.128/25]") ==
        "f:18:105: found 192.0.2.128/25, which the realm red exempts on line 17 for the same "
        "addresses, 10.0.0.0/24, wanted exemptions of addresses that one realm has: what comes "
        "back for them names none"
    );
    CHECK(told("[192.0.2.0/25]", "[192.0.2.128/25]").empty());
    CHECK(told(
              "[{destination: 192.0.2.0/24, ports: 53-53}]",
              "[{destination: 192.0.2.0/24, ports: 80-80}]"
    )
              .empty());
    CHECK_FALSE(told("[{destination: 192.0.2.0/24, ports: 53-53}]", "[192.0.2.0/24]").empty());
}

TEST_CASE("who names the realm of each that has an address", "[config]") {
    std::string text = realms_with(
        15, "pools: [{name: main, addresses: [203.0.113.0/28], port-selection: deterministic}]"
    );
    const std::string wide = ", 172.16.0.0/16]";
    for (size_t at = text.find(wide); at != std::string::npos; at = text.find(wide)) {
        text.replace(at, wide.size(), "]");
    }
    const Checked checked = parse(text, "f", kTwoCpus);
    REQUIRE(checked.config);
    const auto told = who(*checked.config, "10.0.0.2");
    REQUIRE(told);
    CHECK(told->find("internal 10.0.0.2 realm red external 203.0.113.0 ports ") == 0);
    CHECK(
        told->find("\ninternal 10.0.0.2 realm blue external 203.0.113.1 ports ") !=
        std::string::npos
    );
}

TEST_CASE(
    "what lies on a link outside lies on none inside, nor a part of it", "[config][rfc4787-req7]"
) {
    const auto mistakes_with = [](const char* inside, const char* outside) {
        return mistakes_of(fmt::format(
            "links:\n"
            "  - {{name: a, device: 'tap:a', realm: internal, addresses: [{}]}}\n"
            "  - {{name: b, device: 'tap:b', realm: external, addresses: [{}]}}\n"
            "pools: [{{name: p, addresses: [203.0.113.64/26]}}]\n"
            "policies: [{{name: q, source: [100.64.0.0/10], pool: p}}]\n",
            inside,
            outside
        ));
    };
    const std::string wanted =
        ", wanted prefixes inside and outside that have no address in common (RFC 4787 REQ-7)";
    CHECK(mistakes_with("100.64.0.1/10", "198.51.100.2/24") == "");
    CHECK(mistakes_with("100.64.0.1/17", "100.64.128.1/17") == "");
    CHECK(
        mistakes_with("100.64.0.1/10", "100.64.128.1/24") ==
        "f:3:61: found 100.64.128.0/24, which overlaps 100.64.0.0/10 on line 2" + wanted
    );
    CHECK(
        mistakes_with("100.64.128.1/24", "100.64.0.1/10") ==
        "f:3:61: found 100.64.0.0/10, which overlaps 100.64.128.0/24 on line 2" + wanted
    );
    CHECK(
        mistakes_with("100.64.0.1/16", "100.64.255.254/16") ==
        "f:3:61: found 100.64.0.0/16, which overlaps 100.64.0.0/16 on line 2" + wanted
    );
}
