// A described packet, on its way past the rules.
#include <catch2/catch.hpp>

#include "control/methods.h"
#include "fake_inspector.h"
#include "fake_rules.h"

using namespace sekisho;
using control::Document;
using control::Json;

namespace {

struct Rig {
    config::Config config = test::small_config();
    test::FakeInspector inspector{config};
    test::FakeRules access{config};
    control::Methods methods{inspector, config, {}, &access};

    void chain(
        const char* name, std::optional<rules::Hook> hook, const std::vector<std::string>& all
    ) {
        rules::RuleSet& set = config.rules.set;
        const auto made =
            hook ? set.add_built_in(name, *hook, 0, rules::Accept{}) : set.add_chain(name);
        REQUIRE(made);
        for (const std::string& rule : all) {
            add(name, rule);
        }
    }
    void add(const char* chain_name, const std::string& rule) {
        const auto added =
            methods.call("rules.change", {{"op", "add"}, {"chain", chain_name}, {"rule", rule}});
        INFO((added ? "" : added.error().message));
        REQUIRE(added);
    }
    Document check(const Json& more, Json packet = udp_out()) {
        packet.update(more.is_null() ? Json::object() : more);
        const auto reply = methods.call("rules.check", packet);
        INFO((reply ? "" : reply.error().message));
        REQUIRE(reply);
        return *reply;
    }
    std::string refusal(const Json& more, Json packet = udp_out()) {
        packet.update(more.is_null() ? Json::object() : more);
        const auto reply = methods.call("rules.check", packet);
        REQUIRE_FALSE(reply);
        return reply.error().message;
    }
    static Json udp_out() {
        return {
            {"protocol", "udp"}, {"source", "100.64.0.10:4000"}, {"destination", "192.0.2.1:53"}};
    }
    static Json tcp_in() {
        return {
            {"protocol", "tcp"}, {"source", "192.0.2.1:80"}, {"destination", "203.0.113.5:1024"}};
    }
};

using Words = std::vector<std::string>;

// "hook chain verdict", step by step.
Words steps_of(const Document& checked) {
    Words all;
    for (const Document& step : checked.at("steps")) {
        all.push_back(
            step.at("hook").get<std::string>() + " " + step.at("chain").get<std::string>() + " " +
            step.at("verdict").get<std::string>()
        );
    }
    return all;
}

// "chain position", rule by rule; of a policy 0.
Words path_of(const Document& step) {
    Words all;
    for (const Document& row : step.at("path")) {
        const unsigned position =
            row.at("position").is_null() ? 0 : row.at("position").get<unsigned>();
        all.push_back(row.at("chain").get<std::string>() + " " + std::to_string(position));
    }
    return all;
}

}  // namespace

TEST_CASE(
    "a described packet is told its verdict, and the rules that it agreed with", "[control][rules]"
) {
    Rig rig;
    rig.chain("closed", std::nullopt, {"{destination-port: 53, action: deny}", "{action: return}"});
    rig.chain(
        "passing",
        rules::Hook::kForward,
        {"{protocol: udp}",
         "{protocol: tcp, action: deny}",
         "{protocol: udp, action: {jump: closed}}"}
    );
    const Document denied = rig.check({});
    CHECK(denied.at("verdict") == "deny");
    CHECK(denied.at("way") == "forward");
    CHECK(denied.at("by") == Document::parse(R"({"chain": "closed", "position": 1, "id": 0,
        "rule": "{destination-port: 53, action: deny}"})"));
    REQUIRE(steps_of(denied) == Words{"forward passing deny"});
    CHECK(path_of(denied.at("steps").at(0)) == Words{"passing 1", "passing 3", "closed 1"});

    const Document passes = rig.check({{"destination", "192.0.2.1:54"}});
    CHECK(passes.at("verdict") == "accept");
    CHECK(passes.at("by").is_null());
    CHECK(
        path_of(passes.at("steps").at(0)) ==
        Words{"passing 1", "passing 3", "closed 2", "passing 0"}
    );
}

TEST_CASE("each hook sees the described packet as it sees a real one", "[control][rules]") {
    Rig rig;
    rig.chain("counts", rules::Hook::kAccounting, {"{in-link: int0}", "{out-link: ext0}"});
    rig.chain(
        "arrives",
        rules::Hook::kIngress,
        {"{source: 100.64.0.10, in-link: int0}", "{out-link: ext0}"}
    );
    rig.chain(
        "passes",
        rules::Hook::kForward,
        {"{source: 100.64.0.10, in-link: int0, out-link: ext0, realm: internal}"}
    );
    rig.chain(
        "departs",
        rules::Hook::kEgress,
        {"{source: 203.0.113.5, source-port: 1024, out-link: ext0}"}
    );
    rig.chain("to-us", rules::Hook::kLocalIn, {"{state: new}"});
    rig.chain("from-us", rules::Hook::kLocalOut, {"{out-link: int0}"});
    SECTION("outbound") {
        const Document out = rig.check({{"translated-source", "203.0.113.5:1024"}});
        REQUIRE(
            steps_of(out) ==
            Words{
                "accounting counts accept",
                "ingress arrives accept",
                "forward passes accept",
                "egress departs accept",
                "accounting counts accept"}
        );
        const Document& steps = out.at("steps");
        CHECK(path_of(steps.at(0)) == Words{"counts 1", "counts 0"});
        CHECK(path_of(steps.at(1)) == Words{"arrives 1", "arrives 0"});
        CHECK(path_of(steps.at(2)) == Words{"passes 1", "passes 0"});
        CHECK(path_of(steps.at(3)) == Words{"departs 1", "departs 0"});
        CHECK(path_of(steps.at(4)) == Words{"counts 2", "counts 0"});
        CHECK(steps.at(3).at("packet").at("source-port") == 1024);
    }
    SECTION("inbound: the subscriber's realm and endpoint from the second hook on") {
        const Document in = rig.check(
            {{"translated-destination", "100.64.0.10:4000"}, {"state", "established"}},
            Rig::tcp_in()
        );
        const Document& steps = in.at("steps");
        REQUIRE(steps.size() == 5);
        CHECK(steps.at(1).at("packet").at("in-link") == "ext0");
        CHECK(steps.at(1).at("packet").at("realm") == "external");
        CHECK(steps.at(1).at("packet").at("destination") == "203.0.113.5");
        CHECK(steps.at(2).at("packet").at("destination") == "100.64.0.10");
        CHECK(steps.at(2).at("packet").at("destination-port") == 4000);
        CHECK(steps.at(2).at("packet").at("realm") == "internal");
        CHECK(steps.at(2).at("packet").at("out-link") == "int0");
        CHECK(steps.at(2).at("packet").at("state") == "established");
        CHECK(steps.at(4).at("packet").at("in-link").is_null());
    }
    SECTION("for the appliance") {
        const Document to_us = rig.check({{"destination", "100.64.0.1:53"}});
        CHECK(to_us.at("way") == "local-in");
        CHECK(
            steps_of(to_us) ==
            Words{"accounting counts accept", "ingress arrives accept", "local-in to-us accept"}
        );
        CHECK(rig.check({{"way", "local-in"}}).at("steps").size() == 3);
    }
    SECTION("from the appliance") {
        const Document from_us =
            rig.check({{"source", "100.64.0.1:67"}, {"destination", "100.64.0.10:68"}});
        CHECK(from_us.at("way") == "local-out");
        CHECK(
            steps_of(from_us) ==
            Words{"local-out from-us accept", "egress departs accept", "accounting counts accept"}
        );
        CHECK(path_of(from_us.at("steps").at(0)) == Words{"from-us 1", "from-us 0"});
    }
}

TEST_CASE(
    "what is denied goes no further, but is counted where it would depart", "[control][rules]"
) {
    Rig rig;
    rig.chain("counts", rules::Hook::kAccounting, {});
    rig.chain("arrives", rules::Hook::kIngress, {"{source-port: 1, action: deny}"});
    rig.chain("passes", rules::Hook::kForward, {"{source-port: 2, action: {reject: tcp-reset}}"});
    rig.chain("departs", rules::Hook::kEgress, {"{source-port: 3, action: deny}"});
    rig.chain("from-us", rules::Hook::kLocalOut, {"{source-port: 4, action: deny}"});
    const auto of = [&](const char* source) { return rig.check({{"source", source}}); };
    CHECK(
        steps_of(of("100.64.0.10:1")) == Words{"accounting counts accept", "ingress arrives deny"}
    );
    const Document rejected = of("100.64.0.10:2");
    CHECK(rejected.at("verdict") == "reject");
    CHECK(steps_of(rejected).size() == 3);
    CHECK(steps_of(of("100.64.0.10:3")).back() == "accounting counts accept");
    CHECK(of("100.64.0.10:3").at("verdict") == "deny");
    CHECK(
        steps_of(of("100.64.0.1:4")) == Words{"local-out from-us deny", "accounting counts accept"}
    );
}

TEST_CASE("a check takes no token, and says what is asked of every packet", "[control][rules]") {
    Rig rig;
    rig.chain(
        "passes",
        rules::Hook::kForward,
        {"{rate: {packets: 1, per: day, burst: 1}, action: accept}", "{action: deny}"}
    );
    for (int i = 0; i < 3; ++i) {
        const Document checked = rig.check({});
        CHECK(checked.at("verdict") == "accept");
        CHECK(checked.at("steps").at(0).at("for-flow") == false);
    }
    CHECK(rig.access.times_counted == 0);
}

TEST_CASE("TOS and mark that a chain has set are what chains behind it see", "[control][rules]") {
    Rig rig;
    rig.chain("arrives", rules::Hook::kIngress, {"{action: [{set-mark: 7}, {set-dscp: ef}]}"});
    rig.chain("passes", rules::Hook::kForward, {"{mark: 7, dscp: ef, action: deny}"});
    const Document checked = rig.check({{"mark", "0x1"}, {"tos", "3"}});
    CHECK(checked.at("verdict") == "deny");
    CHECK(checked.at("steps").at(0).at("packet").at("mark") == 1);
    CHECK(checked.at("steps").at(1).at("packet").at("tos") == 0xbb);
}

TEST_CASE("every field of a described packet is asked for", "[control][rules]") {
    Rig rig;
    struct Case {
        const char* rule;
        Json more;
    };
    const auto field = GENERATE(values<Case>({
        {"{protocol: tcp, tcp: syn}", {{"protocol", "tcp"}}},
        {"{tcp-flags: {mask: [syn, ack], set: [syn, ack]}}",
         {{"protocol", "tcp"}, {"tcp-flags", "syn,ack"}}},
        {"{tcp-flags: {mask: [syn, ack], set: []}}", {{"protocol", "tcp"}, {"tcp-flags", "none"}}},
        {"{protocol: tcp, tcp: ack}", {{"protocol", "tcp"}, {"state", "established"}}},
        {"{icmp: 3/1}",
         {{"protocol", "icmp"},
          {"icmp", "3/1"},
          {"source", "100.64.0.10"},
          {"destination", "192.0.2.1"}}},
        {"{icmp: 8}",
         {{"protocol", "icmp"}, {"source", "100.64.0.10"}, {"destination", "192.0.2.1"}}},
        {"{protocol: 47}",
         {{"protocol", "47"}, {"source", "100.64.0.10"}, {"destination", "192.0.2.1"}}},
        {"{fragment: later}",
         {{"fragment", "later"}, {"source", "100.64.0.10"}, {"destination", "192.0.2.1"}}},
        {"{tos: 0x10}", {{"tos", "16"}}},
        {"{dscp: af11}", {{"dscp", "af11"}}},
        {"{ttl: 9}", {{"ttl", 9}}},
        {"{length: 1400}", {{"length", 1400}}},
        {"{length: 60, ttl: 64, tos: 0, mark: 0, state: new}", Json::object()},
        {"{state: related}", {{"state", "related"}}},
        {"{mark: 0x20}", {{"mark", "0x20"}}},
        {"{in-link: ext0}", {{"in-link", "ext0"}}},
        {"{out-link: int0}", {{"out-link", "int0"}}},
        {"{time: {days: sunday, from: 10:00, to: 10:01}}", {{"day", "sunday"}, {"time", "10:00"}}},
        {"{realm: lab}", {{"in-link", "ext0"}, {"realm", "lab"}}},
        {"{source: \"@closed\"}", Json::object()},
        {"{group: gold}", Json::object()},
        {"{payload: get}", {{"payload", "post,get"}}},
    }));
    INFO(field.rule);
    config::RulesSettings& settings = rig.config.rules;
    settings.sets.push_back({"closed", {}, "", {}});
    settings.groups.push_back({"gold", kInternalRealm, {}});
    settings.patterns = {{"get", "GET"}, {"post", "POST"}};
    REQUIRE(settings.set.add_set("closed"));
    const Ipv4Prefix one{Ipv4Addr::of(100, 64, 0, 10), 32};
    auto set = std::make_shared<rules::AddressSet>(HashSecret{{1, 2, 3, 4}});
    set->insert(one);
    auto sets = std::make_shared<rules::AddressSets>();
    sets->put(rules::SetId{0}, set);
    auto groups = std::make_shared<rules::SubscriberGroups>();
    groups->add(kInternalRealm, one, rules::GroupId{0});
    rig.access.names = {sets, groups};
    rig.chain(
        "passes",
        rules::Hook::kForward,
        {std::string(field.rule).insert(std::string(field.rule).size() - 1, ", action: deny")}
    );
    CHECK(rig.check(field.more).at("verdict") == "deny");
    CHECK(
        rig.check({{"source", "100.64.0.11:4000"},
                   {"state", "invalid"},
                   {"ttl", 77},
                   {"length", 61},
                   {"tos", "1"},
                   {"mark", "1"},
                   {"day", "monday"}}
        ).at("verdict") == "accept"
    );
}

TEST_CASE("the first packet of a flow is shown what translates it", "[control][rules]") {
    Rig rig;
    rig.chain("arriving", rules::Hook::kIngress, {"{protocol: udp}"});
    rig.chain(
        "to",
        rules::Hook::kNatDestination,
        {"{destination-port: 53, action: {dnat: \"192.0.2.9:5353\"}}"}
    );
    rig.chain("never", rules::Hook::kNatDestination, {"{action: accept}"});
    rig.chain("passing", rules::Hook::kForward, {"{destination: 192.0.2.9, action: deny}"});
    rig.chain("by", rules::Hook::kNatSource, {"{action: {snat: main}}"});
    const Document asked = rig.check({});
    CHECK(
        steps_of(asked) ==
        Words{
            "ingress arriving accept",
            "nat-destination to dnat",
            "forward passing accept",
            "nat-source by snat"}
    );
    CHECK(asked.at("steps")[1].at("for-flow") == true);
    CHECK(path_of(asked.at("steps")[1]) == Words{"to 1"});
    CHECK(asked.at("verdict") == "accept");
    const Document led = rig.check({{"translated-destination", "192.0.2.9:5353"}});
    CHECK(led.at("verdict") == "deny");
    CHECK(steps_of(led).back() == "forward passing deny");
    const Document later = rig.check({{"state", "established"}});
    CHECK(steps_of(later) == Words{"ingress arriving accept", "forward passing accept"});
    const Document inbound = rig.check({}, Rig::tcp_in());
    CHECK(steps_of(inbound).size() == 4);
    CHECK(steps_of(inbound)[1] == "nat-destination to accept");
    CHECK(steps_of(inbound)[2] == "nat-destination never accept");
}

TEST_CASE("what a described packet cannot be is refused", "[control][rules]") {
    Rig rig;
    struct Case {
        Json more;
        const char* message;
    };
    const auto wrong = GENERATE(values<Case>({
        {{{"protocol", nullptr}},
         "parameter 'protocol': found nothing, wanted tcp, udp, icmp, ..., or a number from 0 to "
         "255"},
        {{{"protocol", "tpc"}},
         "parameter 'protocol': found \"tpc\", wanted tcp, udp, icmp, ..., or a number from 0 to "
         "255"},
        {{{"source", nullptr}},
         "parameter 'source': found nothing, wanted an IPv4 address, or address and port like "
         "192.0.2.1:4000"},
        {{{"source", "100.64.0.10"}},
         "parameter 'source': found no port, wanted one: such a packet shows ports"},
        {{{"protocol", "gre"}}, "parameter 'source': found a port, wanted none in such a packet"},
        {{{"icmp", "echo-request"}}, "parameter 'icmp': found it, wanted none in such a packet"},
        {{{"tcp-flags", "syn"}}, "parameter 'tcp-flags': found it, wanted none in such a packet"},
        {{{"protocol", "tcp"}, {"tcp-flags", "syn,ok"}},
         "parameter 'tcp-flags': found \"syn,ok\", wanted flags"},
        {{{"state", "open"}}, "parameter 'state': found \"open\", wanted new, established"},
        {{{"in-link", "ext9"}}, "parameter 'in-link': found \"ext9\", wanted the name of a link"},
        {{{"realm", "external"}},
         "parameter 'realm': found \"external\", wanted the name of a realm on the internal side"},
        {{{"ttl", 256}}, "parameter 'ttl': found 256, wanted a whole number from 0 to 255"},
        {{{"tos", "0x100"}}, "parameter 'tos': found \"0x100\", wanted a number from 0 to 0xff"},
        {{{"tos", "1"}, {"dscp", "ef"}},
         "parameter 'dscp': found it beside tos, wanted one of them"},
        {{{"payload", "nothing"}},
         "parameter 'payload': found \"nothing\", wanted names of patterns"},
        {{{"way", "out"}}, "parameter 'way': found \"out\", wanted forward, local-in or local-out"},
        {{{"colour", "red"}},
         "parameter 'params': found the name \"colour\", wanted one of protocol, "},
    }));
    INFO(wrong.more.dump());
    const std::string message = rig.refusal(wrong.more);
    CHECK(message.substr(0, std::string_view(wrong.message).size()) == wrong.message);
}
