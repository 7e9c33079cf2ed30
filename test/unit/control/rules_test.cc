// The rules over the control socket: listed with what they have counted, changed, and asked about a packet.
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

    Rig() {
        rules::RuleSet& set = config.rules.set;
        config.rules.sets.push_back({"closed", {}, "", {}});
        REQUIRE(set.add_set("closed"));
        REQUIRE(set.add_built_in("passing", rules::Hook::kForward, -5, rules::Accept{}));  // id 0
        REQUIRE(set.add_chain("apart"));
    }

    control::Reply try_call(const std::string& method, const Json& params = Json()) {
        return methods.call(method, params);
    }
    Document call(const std::string& method, const Json& params = Json()) {
        const auto reply = methods.call(method, params);
        INFO((reply ? "" : reply.error().message));
        REQUIRE(reply);
        return *reply;
    }
    Document change(const Json& params) { return call("rules.change", params); }
    Document add(const std::string& chain, const std::string& rule) {
        return change({{"op", "add"}, {"chain", chain}, {"rule", rule}});
    }
    std::string refusal(const std::string& method, const Json& params) {
        const auto reply = methods.call(method, params);
        REQUIRE_FALSE(reply);
        return reply.error().message;
    }
    // What the rules of a chain say, in order.
    std::vector<std::string> says(const std::string& chain) {
        std::vector<std::string> all;
        const Document page = call("show.rules", {{"chain", chain}});
        for (const Document& row : page.at("rules")) {
            if (row.contains("rule")) {
                all.push_back(row.at("rule"));
            }
        }
        return all;
    }
};

using Says = std::vector<std::string>;

}  // namespace

TEST_CASE("show.rules lists rules, policies and what they have counted", "[control][rules]") {
    Rig rig;
    rig.add("passing", "{protocol: udp, source: \"@closed\", action: deny, comment: \"no udp\"}");
    rig.add("passing", "{ttl: 1, rate: {packets: 5}, action: {jump: apart}}");
    rig.access.totals = {{0, {100, 6000}}, {1, {7, 700}}, {2, {123456, 9}}};
    REQUIRE(rig.call("show.rules") == Document::parse(R"({"rules": [
        {"chain": "passing", "hook": "forward", "priority": -5, "position": 1, "id": 1,
         "packets": 7, "bytes": 700,
         "rule": "{protocol: udp, source: \"@closed\", action: deny, comment: \"no udp\"}",
         "comment": "no udp", "residue": []},
        {"chain": "passing", "hook": "forward", "priority": -5, "position": 2, "id": 2,
         "packets": 123456, "bytes": 9,
         "rule": "{ttl: 1, rate: {packets: 5, per: second, burst: 5}, action: {jump: apart}}",
         "comment": null, "residue": ["ttl", "rate"]},
        {"chain": "passing", "hook": "forward", "priority": -5, "position": null, "id": 0,
         "packets": 100, "bytes": 6000, "policy": "accept", "references": null},
        {"chain": "apart", "hook": null, "priority": null, "position": null, "id": null,
         "packets": null, "bytes": null, "policy": "return", "references": 1}], "next": null})"));

    SECTION("of one chain, or of the chains at one hook") {
        CHECK(rig.call("show.rules", {{"chain", "apart"}}).at("rules").size() == 1);
        CHECK(rig.call("show.rules", {{"hook", "forward"}}).at("rules").size() == 3);
        CHECK(rig.call("show.rules", {{"hook", "egress"}}).at("rules").empty());
        CHECK(
            rig.refusal("show.rules", {{"chain", "nowhere"}}) ==
            "parameter 'chain': found \"nowhere\", wanted the name of a chain"
        );
    }
    SECTION("counters that are zeroed as they are read begin anew, and only those") {
        const Document read = rig.call("show.rules", {{"zero", true}, {"hook", "forward"}});
        CHECK(read.at("rules").at(0).at("packets") == 7);
        rig.access.totals[1].packets += 2;
        const Document again = rig.call("show.rules").at("rules");
        CHECK(again.at(0).at("packets") == 2);
        CHECK(again.at(0).at("bytes") == 0);
        CHECK(again.at(1).at("packets") == 0);
        CHECK(again.at(2).at("packets") == 0);
    }
}

TEST_CASE("a listing of rules comes in pages, whatever their limit", "[control][rules]") {
    Rig rig;
    for (int ttl = 1; ttl <= 20; ++ttl) {
        rig.add(ttl % 2 == 0 ? "passing" : "apart", "{ttl: " + std::to_string(ttl) + "}");
    }
    const Document whole = rig.call("show.rules").at("rules");
    REQUIRE(whole.size() == 22);
    const unsigned limit = GENERATE(1U, 2U, 7U, 21U, 22U, 23U);
    Json params = {{"limit", limit}};
    Document rows = Document::array();
    rig.access.times_counted = 0;
    for (bool more = true; more;) {
        const Document page = rig.call("show.rules", params);
        CHECK(page.at("rules").size() <= limit);
        for (const Document& row : page.at("rules")) {
            rows.push_back(row);
        }
        more = !page.at("next").is_null();
        params["cursor"] = more ? page.at("next").get<std::string>() : "";
    }
    CHECK(rows == whole);
    CHECK(rig.access.times_counted == 1);

    SECTION("a cursor that points nowhere ends it") {
        CHECK(rig.call("show.rules", {{"cursor", "0.4000000000"}}).at("rules").size() == 11);
        CHECK(rig.call("show.rules", {{"cursor", "70000.1"}}).at("rules").empty());
        CHECK_FALSE(rig.try_call("show.rules", {{"cursor", "x"}}));
    }
}

TEST_CASE("a page of long rules ends before it is too long", "[control][rules]") {
    Rig rig;
    std::string list;
    for (int i = 0; i < 30000; ++i) {
        list += (i == 0 ? "" : ", ") + std::string("10.0.0.1");
    }
    for (int i = 0; i < 5; ++i) {
        rig.add("apart", "{source: [" + list + "], ttl: " + std::to_string(i) + "}");
    }
    const Document page = rig.call("show.rules");
    CHECK(page.at("rules").size() < 7);  // five rules and two chains' ends
    CHECK_FALSE(page.at("next").is_null());
}

TEST_CASE("rules are added, inserted, replaced, moved and deleted", "[control][rules]") {
    Rig rig;
    const Document first = rig.add("passing", "{ttl: 1}");
    CHECK(first == Document::parse(R"({"changed": true, "chain": "passing", "position": 1, "id": 1,
        "rule": "{ttl: 1}", "rested-ns": 2500})"));
    rig.add("passing", "{ttl: 2}");
    const Document before =
        rig.change({{"op", "insert"}, {"chain", "passing"}, {"position", 1}, {"rule", "{ttl: 3}"}});
    CHECK(before.at("position") == 1);
    CHECK(before.at("id") == 3);
    CHECK(rig.says("passing") == Says{"{ttl: 3}", "{ttl: 1}", "{ttl: 2}"});

    SECTION("a replaced one is told with what it had counted") {
        rig.access.totals[1] = {5, 300};
        const Document done = rig.change(
            {{"op", "replace"}, {"chain", "passing"}, {"position", 2}, {"rule", "{ttl: 4}"}}
        );
        CHECK(
            done.at("gone") ==
            Document::parse(R"({"id": 1, "rule": "{ttl: 1}", "packets": 5, "bytes": 300})")
        );
        CHECK(done.at("id") == 4);
        CHECK(rig.says("passing") == Says{"{ttl: 3}", "{ttl: 4}", "{ttl: 2}"});
        CHECK(rig.access.changes.back() == "replace passing 2 {ttl: 4}");
    }
    SECTION("a moved one keeps its id") {
        const Document done =
            rig.change({{"op", "move"}, {"chain", "passing"}, {"position", 1}, {"to", 3}});
        CHECK(done.at("id") == 3);
        CHECK(done.at("position") == 3);
        CHECK(rig.says("passing") == Says{"{ttl: 1}", "{ttl: 2}", "{ttl: 3}"});
    }
    SECTION("one is deleted by its number, by what it says, or by both") {
        const Document by_number =
            rig.change({{"op", "delete"}, {"chain", "passing"}, {"position", 3}});
        CHECK(by_number.at("gone").at("rule") == "{ttl: 2}");
        const Document by_rule =
            rig.change({{"op", "delete"}, {"chain", "passing"}, {"rule", "{  ttl:   1}"}});
        CHECK(by_rule.at("position") == 2);
        CHECK(rig.says("passing") == Says{"{ttl: 3}"});
        CHECK(
            rig.refusal(
                "rules.change", {{"op", "delete"}, {"chain", "passing"}, {"rule", "{ttl: 1}"}}
            ) == "chain passing has no such rule"
        );
        rig.add("passing", "{ttl: 9}");
        CHECK(
            rig.refusal(
                "rules.change",
                {{"op", "delete"}, {"chain", "passing"}, {"position", 1}, {"rule", "{ttl: 9}"}}
            ) == "rule 1 of chain passing says something else: {ttl: 3}"
        );
    }
    SECTION("who means another rule than what stands there by now changes nothing") {
        CHECK(
            rig.refusal(
                "rules.change", {{"op", "delete"}, {"chain", "passing"}, {"position", 1}, {"id", 1}}
            ) == "rule 1 of chain passing has the id 3, not 1: the rules have changed"
        );
        CHECK(rig.says("passing").size() == 3);
        rig.change({{"op", "delete"}, {"chain", "passing"}, {"position", 2}, {"id", 1}});
        CHECK(rig.says("passing") == Says{"{ttl: 3}", "{ttl: 2}"});
    }
    SECTION("what says the same changes nothing") {
        const Document done = rig.change(
            {{"op", "replace"}, {"chain", "passing"}, {"position", 1}, {"rule", "{ttl: 3}"}}
        );
        CHECK(done == Document::parse(R"({"changed": false, "chain": "passing", "position": 1,
            "id": 3, "rule": "{ttl: 3}", "rested-ns": 0})"));
        CHECK(rig.access.changes.size() == 3);
    }
}

TEST_CASE("chains are made, filled, emptied and removed", "[control][rules]") {
    Rig rig;
    rig.change(
        {{"op", "create"},
         {"chain", "arriving"},
         {"hook", "ingress"},
         {"priority", "-7"},
         {"policy", "deny"}}
    );
    const Document row = rig.call("show.rules", {{"chain", "arriving"}}).at("rules").at(0);
    CHECK(row.at("priority") == -7);
    CHECK(row.at("policy") == "deny");
    rig.change({{"op", "policy"}, {"chain", "arriving"}, {"policy", "{reject: tcp-reset}"}});
    CHECK(
        rig.call("show.rules", {{"chain", "arriving"}}).at("rules").at(0).at("policy") ==
        "{reject: tcp-reset}"
    );
    rig.change({{"op", "create"}, {"chain", "mine"}});
    rig.add("mine", "{ttl: 1}");
    rig.add("arriving", "{action: {jump: mine}}");
    const auto remove = [&] {
        return rig.refusal("rules.change", {{"op", "remove"}, {"chain", "mine"}});
    };
    CHECK(remove() == "chain mine is not empty: it has 1 rules");
    CHECK(rig.change({{"op", "flush"}, {"chain", "mine"}}).at("flushed") == 1);
    CHECK(remove() == "chain mine is in use: 1 rules lead to it");
    rig.change({{"op", "flush"}, {"chain", "arriving"}});
    rig.change({{"op", "remove"}, {"chain", "mine"}});
    CHECK_FALSE(rig.try_call("show.rules", {{"chain", "mine"}}));
    CHECK(
        rig.refusal("rules.change", {{"op", "remove"}, {"chain", "arriving"}}) ==
        "chain arriving stands at ingress and stays: flushed, with the policy accept it denies "
        "nothing, and it goes with a reload of a file that has it no more"
    );
}

TEST_CASE(
    "what is written to the log of a change is one line, and no long one", "[control][rules]"
) {
    Rig rig;
    rig.change({{"op", "create"}, {"chain", "late"}, {"hook", "egress"}, {"policy", "deny"}});
    CHECK(rig.access.changes.back() == "create late hook egress priority 0 policy deny");
    std::string list = "10.0.0.1";
    for (int i = 0; i < 1000; ++i) {
        list += ", 10.0.0.1";
    }
    rig.add("passing", "{source: [" + list + "]}");
    const std::string& long_one = rig.access.changes.back();
    CHECK(long_one.starts_with("add passing 1 {"));
    CHECK(long_one.ends_with("..."));
    CHECK(long_one.size() <= 403);
    // Never cut inside of a character: what is none would be written as \xNN.
    for (size_t before = 0; before < 3; ++before) {
        std::string comment = std::string(before, 'a');
        for (int i = 0; i < 80; ++i) {
            comment += "\u20ac";
        }
        rig.add("passing", "{source: [" + list.substr(0, 308) + "], comment: " + comment + "}");
        const std::string& line = rig.access.changes.back();
        CHECK(line.ends_with("\u20ac..."));
        CHECK(line.find('\\') == std::string::npos);
    }
}

TEST_CASE("a wrong change of rules is named, and changes nothing", "[control][rules]") {
    Rig rig;
    rig.add("passing", "{ttl: 1}");
    const auto before = rig.config.rules;
    struct Case {
        Json params;
        const char* message;
    };
    const auto wrong = GENERATE(values<Case>({
        {{{"chain", "passing"}},
         "parameter 'op': found nothing, wanted add, insert, delete, replace, move, flush, policy, "
         "create or remove"},
        {{{"op", "ad"}, {"chain", "passing"}},
         "parameter 'op': found \"ad\", wanted add, insert, delete, replace, move, flush, policy, "
         "create or remove"},
        {{{"op", "add"}, {"rule", "{}"}},
         "parameter 'chain': found nothing, wanted the name of a chain"},
        {{{"op", "add"}, {"chain", "nowhere"}, {"rule", "{}"}}, "there is no chain \"nowhere\""},
        {{{"op", "add"}, {"chain", "passing"}},
         "parameter 'rule': found nothing, wanted a rule as text"},
        {{{"op", "add"}, {"chain", "passing"}, {"rule", "{}"}, {"position", 1}},
         "parameter 'position': found it, wanted none here"},
        {{{"op", "insert"}, {"chain", "passing"}, {"rule", "{}"}},
         "parameter 'position': found nothing, wanted the rule's number, from 1"},
        {{{"op", "insert"}, {"chain", "passing"}, {"rule", "{}"}, {"position", 0}},
         "parameter 'position': found 0, wanted a whole number from 1 to 1048576"},
        {{{"op", "insert"}, {"chain", "passing"}, {"rule", "{}"}, {"position", 3}},
         "chain passing: rule 3 is to follow the last, which is rule 1"},
        {{{"op", "delete"}, {"chain", "passing"}},
         "parameter 'position': found nothing, wanted a position, or a rule"},
        {{{"op", "delete"}, {"chain", "passing"}, {"position", 2}},
         "chain passing has no rule 2: it has 1"},
        {{{"op", "delete"}, {"chain", "passing"}, {"position", 2}, {"id", 1}},
         "chain passing has no rule 2: it has 1"},
        {{{"op", "replace"}, {"chain", "passing"}, {"position", 9}, {"rule", "{}"}},
         "chain passing has no rule 9: it has 1"},
        {{{"op", "move"}, {"chain", "passing"}, {"position", 1}, {"to", 2}},
         "chain passing has no rule 2: it has 1"},
        {{{"op", "move"}, {"chain", "passing"}, {"position", 1}},
         "parameter 'to': found nothing, wanted the new number"},
        {{{"op", "flush"}, {"chain", "passing"}, {"id", 1}},
         "parameter 'id': found it, wanted a position as well"},
        {{{"op", "policy"}, {"chain", "passing"}},
         "parameter 'policy': found nothing, wanted a policy"},
        {{{"op", "policy"}, {"chain", "passing"}, {"policy", "nothing"}}, "policy:1:1: found "},
        {{{"op", "policy"}, {"chain", "apart"}, {"policy", "deny"}},
         "policy:1:1: found a policy that cannot be (a chain without a hook has none)"},
        {{{"op", "create"}, {"chain", "passing"}}, "there is a chain passing already"},
        {{{"op", "create"}, {"chain", "a b"}}, "a chain's name has 1 to 63 printable characters"},
        {{{"op", "create"}, {"chain", "x"}, {"policy", "deny"}},
         "parameter 'policy': found it, wanted a hook as well"},
        {{{"op", "create"}, {"chain", "x"}, {"priority", "3"}},
         "parameter 'priority': found \"3\", wanted a hook as well"},
        {{{"op", "flush"}, {"chain", "passing"}, {"hook", "egress"}},
         "parameter 'hook': found it, wanted none: only a chain that is created gets one"},
        {{{"op", "add"}, {"chain", "apart"}, {"rule", "{action: {jump: apart}}"}},
         "rule:1:1: found a rule that cannot stand here (chain apart leads back to chain apart: a "
         "packet would go in a circle)"},
        {{{"op", "add"}, {"chain", "passing"}, {"rule", "{ttl: 999,\n  action: dney}"}},
         "rule:1:7: found \"999\""},
        {{{"op", "add"}, {"chain", "passing"}, {"rule", "{in-link: ext9}"}},
         "rule:1:11: found \"ext9\", wanted the name of a link, or an own address of one: int0 or "
         "ext0"},
        {{{"op", "add"}, {"chain", "passing"}, {"rule", ""}},
         "rule:1:1: found nothing, wanted a rule"},
    }));
    INFO(wrong.params.dump());
    const std::string message = rig.refusal("rules.change", wrong.params);
    CHECK(message.substr(0, std::string_view(wrong.message).size()) == wrong.message);
    CHECK(rig.config.rules == before);
    CHECK(rig.access.changes.size() == 1);
}

TEST_CASE(
    "all mistakes of a rule are told, and what the appliance refuses too", "[control][rules]"
) {
    Rig rig;
    CHECK(
        rig.refusal(
               "rules.change",
               {{"op", "add"}, {"chain", "passing"}, {"rule", "{ttl: 999,\n  source: nobody}"}}
        ).find("\nrule:2:11: found \"nobody\"") != std::string::npos
    );
    rig.access.trouble = "a worker does not come to rest; nothing was changed";
    const auto reply =
        rig.try_call("rules.change", {{"op", "add"}, {"chain", "passing"}, {"rule", "{}"}});
    REQUIRE_FALSE(reply);
    CHECK(reply.error().code == control::kInternalError);
    CHECK(reply.error().message == rig.access.trouble);
    CHECK(rig.says("passing").empty());
}

TEST_CASE("without an appliance there are no rules to ask", "[control][rules]") {
    config::Config config = test::small_config();
    test::FakeInspector inspector{config};
    control::Methods methods{inspector, config};
    for (const char* method : {"show.rules", "rules.change", "rules.check"}) {
        const auto reply = methods.call(method, Json());
        REQUIRE_FALSE(reply);
        CHECK(reply.error().code == control::kInternalError);
    }
}
