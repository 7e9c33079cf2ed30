// What people see: aligned columns, sums that come out, nothing that a terminal would obey.
#include <catch2/catch.hpp>

#include "control/rules_text.h"
#include "control/show_text.h"

using namespace sekisho::control;

namespace {

TextView view_of(const std::string& line) {
    static std::vector<ParsedCommand> kept;
    const auto parsed = parse_command(split_words(line));
    REQUIRE(parsed);
    return TextView(*parsed->command);
}

}  // namespace

TEST_CASE("columns are aligned, numbers to the right, no blanks at the end", "[control][cli]") {
    TextTable table({{"NAME"}, {"COUNT", true}, {"NOTE"}});
    table.add({"a", "5", "x"});
    table.add({"longer", "12345678", ""});
    REQUIRE(
        table.take() ==
        "NAME       COUNT  NOTE\n"
        "a              5  x\n"
        "longer  12345678\n"
    );
    table.add({"b", "1", "y"});
    REQUIRE(table.take() == "b              1  y\n");
}

TEST_CASE("mappings show both endpoints with their ports", "[control][cli]") {
    TextView view = view_of("show mappings");
    const Document page = Document::parse(R"({"mappings": [{"transport-protocol": "udp",
        "internal-src-address": "100.64.0.10", "internal-src-port": 40001,
        "external-src-address": "203.0.113.5", "external-src-port": 1025, "realm": "internal",
        "pool": "main", "type": "dynamic", "sessions": 2, "lifetime": 297},
        {"transport-protocol": "udp", "internal-src-address": "100.64.0.9",
        "internal-src-port": 5000, "external-src-address": "203.0.113.4", "external-src-port": 6000,
        "internal-last-port": 5009, "external-last-port": 6009, "realm": "internal",
        "pool": "main", "type": "static", "sessions": 0, "lifetime": null}], "next": "0.1"})");
    REQUIRE(
        view.render(page) ==
        "PROTOCOL  INTERNAL               EXTERNAL               REALM     POOL  TYPE     SESSIONS "
        " LIFETIME\n"
        "udp       100.64.0.10:40001      203.0.113.5:1025       internal  main  dynamic         2 "
        "      297\n"
        "udp       100.64.0.9:5000-5009   203.0.113.4:6000-6009  internal  main  static          0 "
        "        -\n"
    );
    REQUIRE(view.render(Document::parse(R"({"mappings": [], "next": null})")).empty());
    REQUIRE(view.finish().empty());
}

TEST_CASE("an empty listing still shows its titles", "[control][cli]") {
    TextView view = view_of("show sessions");
    REQUIRE(view.render(Document::parse(R"({"sessions": [], "next": null})")).empty());
    REQUIRE(view.finish().substr(0, 8) == "PROTOCOL");
}

TEST_CASE("the counters' table shows that nothing is lost", "[control][cli]") {
    TextView view = view_of("show counters");
    Document counters = Document::parse(R"({"received": 100, "generated": 5, "forwarded": 90,
        "consumed": 8, "held": 4, "dropped": {"no-policy": 2, "filtered": 1}, "handed-off": 2,
        "punted": 1, "untranslated": 9, "multicast": 4, "syns-waiting": 7, "syns-answered": 6,
        "pings-answered": 5})");
    REQUIRE(
        view.render(counters) ==
        "PACKETS         COUNT\n"
        "received          100\n"
        "generated           5\n"
        "= in              105\n"
        "forwarded          90\n"
        "consumed            8\n"
        "held                4\n"
        "dropped             3\n"
        "  no-policy         2\n"
        "  filtered          1\n"
        "= out             105\n"
        "handed-off          2\n"
        "punted              1\n"
        "untranslated        9\n"
        "multicast           4\n"
        "syns-waiting        7\n"
        "syns-answered       6\n"
        "pings-answered      5\n"
        "\nin = out: every packet is accounted for\n"
    );
    counters["received"] = 102;
    REQUIRE(view.render(counters).find("in exceeds out by 2") != std::string::npos);
}

TEST_CASE("the log shows its state and its rings", "[control][cli][log]") {
    TextView view = view_of("show log");
    const std::string rules =
        "\nlines of rules that log\n"
        "to           /dev/log\n"
        "last error   -\n"
        "sent         4\n"
        "failed       3\n"
        "suppressed   2\n"
        "lost         1\n";
    const char* const counted = R"({"to": "/dev/log", "last-error": null, "sent": 4, "failed": 3,
        "suppressed": 2, "lost": 1})";
    const Document off = {{"state", "off"}, {"rules", Document::parse(counted)}};
    REQUIRE(view.render(off) == "state        off\n" + rules);
    Document open = Document::parse(R"({"state": "open", "file": "/l",
        "last-error": null, "on-log-loss": "refuse", "events": 7, "written": 5, "lost": 0,
        "pending": 1, "failures": 0, "opened": 1, "clock-synchronised": false,
        "rings": [{"shard": 0, "events": 7, "lost": 0, "pending": 1, "used": 2,
                   "capacity": 64}]})");
    open["rules"] = Document::parse(counted);
    const std::string text = view.render(open);
    REQUIRE(
        text ==
        "state        open\n"
        "file         /l\n"
        "last error   -\n"
        "on log loss  refuse\n"
        "events       7\n"
        "written      5\n"
        "lost         0\n"
        "pending      1\n"
        "failures     0\n"
        "opened       1\n"
        "clock synced no\n"
        "\n"
        "SHARD  EVENTS  LOST  PENDING  USED  CAPACITY\n"
        "    0       7     0        1     2        64\n" +
            rules
    );
}

TEST_CASE("drops show the count, the reason and its sentence", "[control][cli]") {
    TextView view = view_of("show drops");
    REQUIRE(
        view.render(Document::parse(R"({"drops": [{"reason": "no-policy", "count": 1234,
        "sentence": "no policy covers the subscriber", "source": "x"}], "total": 1234})")) ==
        "COUNT  REASON     MEANS\n"
        " 1234  no-policy  no policy covers the subscriber\n"
        "\n1234 dropped in all\n"
    );
}

TEST_CASE("a clear tells how many, summed over its pages", "[control][cli]") {
    TextView view = view_of("clear sessions all");
    REQUIRE(view.render({{"cleared", 5}, {"next", "0.5"}}).empty());
    REQUIRE(view.render({{"cleared", 2}, {"next", nullptr}}).empty());
    REQUIRE(view.finish() == "7 sessions cleared\n");
    REQUIRE(view_of("clear counters").finish() == "counters cleared\n");
}

TEST_CASE("strings from the appliance cannot command a terminal", "[control][cli]") {
    TextView links = view_of("show links");
    const std::string text = links.render({{"links", {{{"name", "\x1b]0;x\x07"}, {"up", true}}}}});
    REQUIRE(text.find('\x1b') == std::string::npos);
    REQUIRE(text.find("\\x1b]0;x\\x07") != std::string::npos);
    TextView config = view_of("show config");
    REQUIRE(config.render({{"effective", "a: 1\n# \x1b[31m\n"}}) == "a: 1\n# \\x1b[31m\n");
}

TEST_CASE("show config shows what is in effect, not the file", "[control][cli]") {
    TextView config = view_of("show config");
    REQUIRE(
        config.render({{"source", "a: 1 # ours\n"}, {"effective", "a: 1\nb: 2\n"}}) ==
        "a: 1\nb: 2\n"
    );
}

TEST_CASE("answers of another shape than expected are shown, not crashed on", "[control][cli]") {
    for (const char* command :
         {"show links",
          "show mappings",
          "show counters",
          "show status",
          "show drops",
          "show config",
          "show log",
          "clear sessions all"}) {
        for (const char* odd :
             {"null",
              "[]",
              "1",
              R"({"links": 5, "mappings": {"a": 1}})",
              R"({"links": [1], "mappings": [null], "dropped": [1], "drops": ["x"]})"}) {
            TextView view = view_of(command);
            INFO(command << " " << odd);
            REQUIRE_NOTHROW(view.render(Document::parse(odd)));
        }
    }
}

TEST_CASE(
    "counters of rules are rounded as ipchains rounds them, unless asked for exactly",
    "[control][cli][rules]"
) {
    CHECK(rounded(0) == "0");
    CHECK(rounded(99999) == "99999");
    CHECK(rounded(100000) == "100K");
    CHECK(rounded(100499) == "100K");
    CHECK(rounded(100500) == "101K");
    CHECK(rounded(9999499) == "9999K");
    CHECK(rounded(9999500) == "10M");
    CHECK(rounded(9999499999) == "9999M");
    CHECK(rounded(9999500000) == "10G");
    CHECK(rounded(UINT64_MAX) == "18446744074G");
}

TEST_CASE("rules are listed chain by chain, with what ends the chain", "[control][cli][rules]") {
    const Document page = Document::parse(R"({"rules": [
        {"chain": "passing", "hook": "forward", "priority": 0, "position": 1, "id": 3,
         "packets": 123456, "bytes": 12, "rule": "{ttl: 1}", "comment": null,
         "residue": ["ttl", "rate"]},
        {"chain": "passing", "hook": "forward", "priority": 0, "position": null, "id": 0,
         "packets": 5, "bytes": 300, "policy": "deny", "references": null},
        {"chain": "mine", "hook": null, "priority": null, "position": null, "id": null,
         "packets": null, "bytes": null, "policy": "return", "references": 2}], "next": null})");
    TextView view = view_of("rules");
    CHECK(
        view.render(page) ==
        "CHAIN    HOOK       RULE  ID  PACKETS  BYTES  RESIDUE   SAYS\n"
        "passing  forward       1   3     123K     12  ttl,rate  {ttl: 1}\n"
        "passing  forward  policy   0        5    300  -         deny\n"
        "mine     -           end   -        -      -  -         (2 lead here)\n"
    );
    const auto exact = parse_command(split_words("rules exact"));
    REQUIRE(exact);
    TextView exactly(*exact->command, exact->exact);
    CHECK(exactly.render(page).find(" 123456 ") != std::string::npos);
}

TEST_CASE("a change of rules says what came and what went", "[control][cli][rules]") {
    TextView view = view_of("rules replace passing 2 {}");
    CHECK(
        view.render(Document::parse(R"({"changed": true, "chain": "passing", "position": 2, "id": 9,
            "rule": "{ttl: 2}", "gone": {"id": 4, "rule": "{ttl: 1}", "packets": 5, "bytes": 300},
            "rested-ns": 12345})")) ==
        "rule 2 of passing is gone: {ttl: 1} (5 packets, 300 bytes)\n"
        "rule 2 of passing: {ttl: 2}\n"
        "no worker stood still for more than 12 us\n"
        "the configuration's file is as it was: a reload or a restart goes back to it\n"
    );
    CHECK(view.render(Document::parse(
                          R"({"changed": true, "chain": "passing", "flushed": 1, "rested-ns": 0})"
                      ))
              .starts_with("1 rule is gone\n"));
    CHECK(
        view.render(Document::parse(R"({"changed": false, "chain": "passing", "rested-ns": 0})")) ==
        "nothing has changed\n"
    );
}

TEST_CASE("a check shows the path and the verdict", "[control][cli][rules]") {
    TextView view = view_of("rules check");
    const Document checked = Document::parse(R"({"way": "forward", "verdict": "deny",
        "by": {"chain": "closed", "position": 1, "id": 5, "rule": "{action: deny}"},
        "steps": [{"hook": "forward", "chain": "passing", "packet": {"protocol": "udp",
            "source": "100.64.0.10", "source-port": 4000, "destination": "192.0.2.1",
            "destination-port": 53, "in-link": "int0", "out-link": null, "state": "new"},
          "verdict": "deny", "for-flow": false, "path-length": 3, "path": [
            {"chain": "passing", "position": 2, "id": 4, "rule": "{action: {jump: closed}}"},
            {"chain": "passing", "position": null, "id": 0, "policy": "accept"}]}]})");
    CHECK(
        view.render(checked) ==
        "forward passing: udp 100.64.0.10:4000 -> 192.0.2.1:53, in int0, out -, new\n"
        "  rule 2 of passing        {action: {jump: closed}}\n"
        "  the policy of passing    accept\n"
        "  and 1 more\n"
        "  deny, asked of every packet of the flow\n"
        "\n"
        "forward: deny by rule 1 of closed\n"
    );
}
