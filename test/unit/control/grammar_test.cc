// The CLI's grammar: parsing, abbreviations, what may follow, completion, help; all from one table.
#include <functional>
#include <set>

#include <catch2/catch.hpp>

#include "control/command_grammar.h"

using namespace sekisho::control;

namespace {

tl::expected<ParsedCommand, std::string> parse(const std::string& line) {
    return parse_command(split_words(line));
}

std::vector<std::string> words_of(const std::vector<Expected>& expected) {
    std::vector<std::string> words;
    for (const Expected& e : expected) {
        words.push_back(e.word);
    }
    return words;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("a command becomes a method and its parameters", "[control][cli]") {
    struct Case {
        const char* line;
        const char* method;
        Json params;
        bool json;
    };
    const auto good = GENERATE(values<Case>({
        {"show status", "show.status", Json::object(), false},
        {"show mappings --json", "show.mappings", Json::object(), true},
        {"sh ma", "show.mappings", Json::object(), false},
        {"  show\tma  ", "show.mappings", Json::object(), false},
        {"show sess subscriber 100.64.0.5", "show.sessions", {{"subscriber", "100.64.0.5"}}, false},
        {"s ses ext 203.0.113.1:4000 p tcp --j",
         "show.sessions",
         {{"external", "203.0.113.1:4000"}, {"protocol", "tcp"}},
         true},
        {"show sessions --json remote 192.0.2.1", "show.sessions", {{"remote", "192.0.2.1"}}, true},
        {"show subscribers protocol udp-", "show.subscribers", {{"protocol", "udp-lite"}}, false},
        {"clear sessions all", "clear.sessions", {{"all", true}}, false},
        {"cl m sub 10.0.0.1", "clear.mappings", {{"subscriber", "10.0.0.1"}}, false},
        {"clear counters", "clear.counters", Json::object(), false},
        {"rules", "show.rules", Json::object(), false},
        {"ru li", "show.rules", Json::object(), false},
        {"show rules --json", "show.rules", Json::object(), true},
        {"rules zero hook for ch passing",
         "show.rules",
         {{"zero", true}, {"hook", "forward"}, {"chain", "passing"}},
         false},
        {"rules --json", "show.rules", Json::object(), true},
        {"rules add passing {ttl: 1,  comment: \"a  }\"} --json",
         "rules.change",
         {{"op", "add"}, {"chain", "passing"}, {"rule", "{ttl: 1,  comment: \"a  }\"}"}},
         true},
        {"rules ins passing 3 {action: {jump: there}}",
         "rules.change",
         {{"op", "insert"},
          {"chain", "passing"},
          {"position", 3},
          {"rule", "{action: {jump: there}}"}},
         false},
        {"rules delete passing 3 id 17",
         "rules.change",
         {{"op", "delete"}, {"chain", "passing"}, {"position", 3}, {"id", 17}},
         false},
        {"rules delete passing {ttl: 1}",
         "rules.change",
         {{"op", "delete"}, {"chain", "passing"}, {"rule", "{ttl: 1}"}},
         false},
        {"rules move passing 3 1",
         "rules.change",
         {{"op", "move"}, {"chain", "passing"}, {"position", 3}, {"to", 1}},
         false},
        {"rules policy passing {reject: tcp-reset}",
         "rules.change",
         {{"op", "policy"}, {"chain", "passing"}, {"policy", "{reject: tcp-reset}"}},
         false},
        {"rules create mine hook egress priority -3 policy deny",
         "rules.change",
         {{"op", "create"},
          {"chain", "mine"},
          {"hook", "egress"},
          {"priority", "-3"},
          {"policy", "deny"}},
         false},
        {"rules check protocol udp source 100.64.0.9:1 dest 192.0.2.1:53 st est ttl 3",
         "rules.check",
         {{"protocol", "udp"},
          {"source", "100.64.0.9:1"},
          {"destination", "192.0.2.1:53"},
          {"state", "established"},
          {"ttl", 3}},
         false},
    }));
    INFO(good.line);
    const auto parsed = parse(good.line);
    INFO((parsed ? "" : parsed.error()));
    REQUIRE(parsed);
    REQUIRE(parsed->command->method == good.method);
    REQUIRE(parsed->params == good.params);
    REQUIRE(parsed->json == good.json);
}

TEST_CASE("a wrong command says which word is wrong and what was wanted", "[control][cli]") {
    struct Case {
        const char* line;
        const char* message;
    };
    const auto wrong = GENERATE(values<Case>({
        {"", "a command is missing; 'help' lists them"},
        {"destroy",
         "found 'destroy', wanted one of: show, clear, rules, compare, reload, help, exit, quit"},
        {"show",
         "after 'show' one of these is missing: status, links, workers, neighbours, routes, "
         "pools, subscribers, mappings, sessions, who, rules, counters, drops, log, config"},
        {"show s", "'s' after 'show' can be any of: status, subscribers, sessions"},
        {"clear routes",
         "found 'routes' after 'clear', wanted one of: sessions, mappings, counters"},
        {"show status now", "found 'now' after 'show status', wanted one of: --json"},
        {"show status --json --json", "found '--json' after 'show status', wanted nothing more"},
        {"show mappings subscriber",
         "after 'subscriber' an IPv4 address like 192.0.2.1 is missing"},
        {"show mappings subscriber me",
         "found 'me' after 'subscriber', wanted an IPv4 address like 192.0.2.1"},
        {"show mappings subscriber 1.2.3.4:5",
         "found '1.2.3.4:5' after 'subscriber', wanted an IPv4 address like 192.0.2.1"},
        {"show mappings external 1.2.3.4:x",
         "found '1.2.3.4:x' after 'external', wanted an IPv4 address, or address and port like "
         "192.0.2.1:4000"},
        {"show mappings protocol egp",
         "found 'egp' after 'protocol', wanted one of: tcp, udp, icmp, sctp, dccp, udp-lite, gre, "
         "esp"},
        {"show mappings subscriber 1.2.3.4 subscriber 1.2.3.4",
         "found 'subscriber' after 'show mappings', wanted one of: realm, external, remote, "
         "protocol, "
         "--json"},
        {"rules insert", "after 'rules insert' the name of a chain is missing"},
        {"rules insert passing first",
         "found 'first' after 'rules insert', wanted a rule's number in its chain, from 1"},
        {"rules insert passing 0",
         "found '0' after 'rules insert', wanted a rule's number in its chain, from 1"},
        {"rules insert passing 1",
         "after 'rules insert' a rule, on a shell's command line in quotes: '{protocol: udp, "
         "action: deny}' is missing"},
        {"rules add passing {ttl: 1",
         "found '{ttl: 1' after 'rules add', wanted a rule, on a shell's command line in quotes: "
         "'{protocol: udp, action: deny}'"},
        {"rules policy passing {reject: 1",
         "found '{reject: 1' after 'rules policy', wanted a policy: accept, deny, or on a shell's "
         "command line in quotes '{reject: host-unreachable}'"},
        {"rules delete passing it",
         "found 'it' after 'rules delete', wanted a rule's number, from 1, or a rule, on a shell's "
         "command line in quotes: '{protocol: udp, action: deny}'"},
        {"rules hook here",
         "found 'here' after 'hook', wanted one of: ingress, forward, egress, local-in, local-out, "
         "accounting, nat-destination, nat-source"},
        {"rules nowhere",
         "found 'nowhere' after 'rules list', wanted one of: chain, hook, exact, zero, --json"},
        {"rules exact exact",
         "found 'exact' after 'rules list', wanted one of: chain, hook, zero, --json"},
        {"rules flush passing now", "found 'now' after 'rules flush', wanted one of: --json"},
        {"clear sessions", "'clear sessions' wants a filter or the word 'all'"},
        {"clear sessions all protocol tcp",
         "found 'protocol' after 'clear sessions', wanted nothing more"},
        {"clear sessions protocol tcp all",
         "found 'all' after 'clear sessions', wanted one of: subscriber, realm, external, remote"},
        {"show \x1b[2J",
         "found '\\x1b[2J' after 'show', wanted one of: status, links, workers, "
         "neighbours, routes, pools, subscribers, mappings, sessions, who, rules, counters, "
         "drops, log, config"},
    }));
    INFO(wrong.line);
    const auto parsed = parse(wrong.line);
    REQUIRE_FALSE(parsed);
    REQUIRE(parsed.error() == wrong.message);
}

TEST_CASE("every command of the table is understood, and is in the help", "[control][cli]") {
    for (const Command& command : commands()) {
        std::string line = std::string(command.verb) + " " + std::string(command.object);
        const bool in_help =
            help_text().find(line.substr(0, line.find_last_not_of(' ') + 1)) != std::string::npos;
        REQUIRE(in_help);
        line += command.has_all ? " all" : "";
        for (const CommandWord& argument : command.arguments) {
            line += argument.is_number ? " 1" : argument.word == "rule" ? " {}" : " x";
        }
        const auto parsed = parse(line);
        INFO(line);
        REQUIRE(parsed);
        REQUIRE(parsed->command == &command);
    }
}

TEST_CASE("what may follow depends on what has been said", "[control][cli]") {
    REQUIRE(
        words_of(expected_after({})) ==
        Words{"show", "clear", "rules", "compare", "reload", "help", "exit", "quit"}
    );
    REQUIRE(words_of(expected_after({"clear"})) == Words{"sessions", "mappings", "counters"});
    REQUIRE(words_of(expected_after({"show", "status"})) == Words{"--json", "<enter>"});
    REQUIRE(
        words_of(expected_after({"sh", "ma"})) ==
        Words{"subscriber", "realm", "external", "remote", "protocol", "--json", "<enter>"}
    );
    REQUIRE(words_of(expected_after({"show", "mappings", "subscriber"})) == Words{"<A>"});
    REQUIRE(
        words_of(expected_after({"show", "mappings", "protocol"})) ==
        Words{"tcp", "udp", "icmp", "sctp", "dccp", "udp-lite", "gre", "esp"}
    );
    REQUIRE(
        words_of(expected_after({"clear", "sessions"})) ==
        Words{"subscriber", "realm", "external", "remote", "protocol", "all"}
    );
    REQUIRE(words_of(expected_after({"clear", "sessions", "all"})) == Words{"<enter>"});
    REQUIRE(
        words_of(expected_after({"rules"})) ==
        Words{
            "list",
            "add",
            "insert",
            "delete",
            "replace",
            "move",
            "check",
            "flush",
            "policy",
            "create",
            "remove",
            "chain",
            "hook",
            "exact",
            "zero",
            "--json",
            "<enter>"}
    );
    REQUIRE(
        words_of(expected_after({"rules", "exact"})) ==
        Words{"chain", "hook", "zero", "--json", "<enter>"}
    );
    REQUIRE(words_of(expected_after({"rules", "insert"})) == Words{"<chain>"});
    REQUIRE(words_of(expected_after({"rules", "insert", "passing"})) == Words{"<N>"});
    REQUIRE(
        words_of(expected_after({"rules", "delete", "passing", "3"})) ==
        Words{"id", "--json", "<enter>"}
    );
    REQUIRE(expected_after({"nonsense"}).empty());

    REQUIRE(words_of(expected_after({"show"}, "s")) == Words{"status", "subscribers", "sessions"});
    REQUIRE(words_of(expected_after({"show", "mappings"}, "x")).empty());
    for (const Expected& e : expected_after({"show"})) {
        REQUIRE_FALSE(e.help.empty());
    }
}

TEST_CASE("Tab adds what all possible words share", "[control][cli]") {
    REQUIRE(completion({}, "sh") == "ow ");
    REQUIRE(completion({}, "") == "");
    REQUIRE(completion({"show"}, "ma") == "ppings ");
    REQUIRE(completion({"show"}, "s") == "");
    REQUIRE(completion({"show"}, "su") == "bscribers ");
    REQUIRE(completion({"show", "mappings"}, "-") == "-json ");
    REQUIRE(completion({"show", "mappings", "protocol"}, "t") == "cp ");
    REQUIRE(completion({"show", "mappings", "subscriber"}, "100") == "");
    REQUIRE(completion({"show"}, "xyz") == "");
    REQUIRE(completion({"xyz"}, "s") == "");
    REQUIRE(completion({"rules"}, "ex") == "act ");
    REQUIRE(completion({"rules"}, "ins") == "ert ");
}

TEST_CASE("whatever '?' offers is accepted", "[control][cli]") {
    // Walks the whole tree: every keyword may be said where it is offered, and every end is a command. Of a command with so many
    // words that their orders are past counting, the first few.
    constexpr size_t kDeepestOfMany = 5;
    const auto value_of = [](const Expected& e) -> std::string {
        const bool is_number = e.word == "<N>" || e.word == "<M>" || e.word == "<id>" ||
                               e.word == "<number>" || e.word == "<bytes>" || e.word == "<N|rule>";
        return is_number ? "1" : "192.0.2.1";
    };
    size_t ends = 0;
    const std::function<void(const Words&)> walk_from = [&](const Words& words) {
        const bool is_of_many = words.size() >= 2 && words[0] == "rules" && words[1] == "check";
        for (const Expected& e : expected_after(words)) {
            if (e.is_end) {
                ++ends;
                INFO(words.size());
                REQUIRE(parse_command(words));
                continue;
            }
            Words next = words;
            next.push_back(e.is_value ? value_of(e) : e.word);
            REQUIRE_FALSE(expected_after(next).empty());
            if (next.size() < (is_of_many ? kDeepestOfMany : 20)) {
                walk_from(next);
            }
        }
    };
    walk_from({});
    REQUIRE(ends > 500);
}

TEST_CASE("a rule is one word of a line, blanks and all", "[control][cli]") {
    struct Case {
        const char* line;
        Words words;
        const char* beginning;
    };
    const auto split = GENERATE(values<Case>({
        {"rules add x", {"rules", "add"}, "x"},
        {"rules add x ", {"rules", "add", "x"}, ""},
        {"rules add x {ttl: 1, ac", {"rules", "add", "x"}, "{ttl: 1, ac"},
        {"rules add x {ttl: 1, ", {"rules", "add", "x"}, "{ttl: 1, "},
        {"rules add x {a: {b: 1}, c: '}'} --j",
         {"rules", "add", "x", "{a: {b: 1}, c: '}'}"},
         "--j"},
        {"a {\"\\\"}\": 1} b ", {"a", "{\"\\\"}\": 1}", "b"}, ""},
        {"", {}, ""},
        {"  ", {}, ""},
    }));
    INFO(split.line);
    const Unfinished found = split_unfinished(split.line);
    CHECK(found.words == split.words);
    CHECK(found.beginning == split.beginning);
}
