// What people see: aligned columns, sums that come out, nothing that a terminal would obey.
#include <catch2/catch.hpp>

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
    REQUIRE(view.render(Document::parse(R"({"state": "off"})")) == "state        off\n");
    const std::string text = view.render(Document::parse(R"({"state": "open", "file": "/l",
        "last-error": null, "on-log-loss": "refuse", "events": 7, "written": 5, "lost": 0,
        "pending": 1, "failures": 0, "opened": 1, "clock-synchronised": false,
        "rings": [{"shard": 0, "events": 7, "lost": 0, "pending": 1, "used": 2,
                   "capacity": 64}]})"));
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
        "    0       7     0        1     2        64\n"
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
