// iptables: -m string, which looks for bytes in what a flow carries.
#include <fmt/format.h>

#include "tables_support.h"

namespace sekisho::legacy::test {
namespace {

using rules::Disposition;
using rules::Pattern;

constexpr const char* kDrop = "-A FORWARD -p tcp -m string {} -j DROP";

// What the rule comes to look for.
Pattern pattern_of(const std::string& options) {
    OldTables bed;
    bed.set(fmt::format(fmt::runtime(kDrop), options));
    REQUIRE(bed.tables.patterns().size() == 1);
    return bed.tables.patterns().front();
}

}  // namespace

TEST_CASE("-m string agrees with what was found in a direction", "[legacy][iptables]") {
    OldTables bed;
    bed.set(fmt::format(fmt::runtime(kDrop), "--string one --algo bm"));
    bed.set("-A INPUT -m string ! --string two --algo kmp -j DROP");
    const std::vector<rules::PatternId> first = {{0}};
    const std::vector<rules::PatternId> both = {{0}, {1}};
    rules::RulePacket packet = tcp("10.0.0.5", 40000, "192.0.2.7", 80);
    CHECK(bed.fate("filter.FORWARD", packet) == Disposition::kAccept);
    CHECK(bed.fate("filter.INPUT", packet) == Disposition::kDeny);
    packet.patterns = first;
    CHECK(bed.fate("filter.FORWARD", packet) == Disposition::kDeny);
    CHECK(bed.fate("filter.INPUT", packet) == Disposition::kDeny);
    packet.patterns = both;
    CHECK(bed.fate("filter.INPUT", packet) == Disposition::kAccept);
}

TEST_CASE("-m string looks for the bytes that it is given", "[legacy][iptables]") {
    struct Row {
        const char* options;
        Pattern::Kind kind;
        std::string text;
    };
    using enum Pattern::Kind;
    for (const auto& [options, kind, text] : {
             Row{R"(--string cmd.exe)", kLiteral, "cmd.exe"},
             {R"(--string "GET /a\\b \"c\"" --algo kmp)", kLiteral, R"(GET /a\b "c")"},
             {R"(--string "|90|" --algo bm --from 0 --to 65535)", kLiteral, "|90|"},
             {R"(--hex-string "a|62 63|d|65|")", kLiteral, "abcde"},
             {R"(--hex-string "|9090eb|~\\|")", kRegex, R"(\x90\x90\xeb\x7e\x7c)"},
             {R"(--hex-string "|00|")", kRegex, R"(\x00)"},
             {"--string \xc3\xa4", kRegex, R"(\xc3\xa4)"},
             {R"(--string a.B --icase)", kRegex, R"((?i)a\x2eB)"},
         }) {
        INFO(options);
        const Pattern pattern = pattern_of(options);
        CHECK(pattern.kind == kind);
        CHECK(pattern.text == text);
        CHECK(pattern.within == 0);
    }
}

TEST_CASE("-m string is saved and listed in the original's words", "[legacy][iptables]") {
    struct Row {
        const char* given;
        const char* saved;
        const char* shown;
    };
    for (const auto& [given, saved, shown] : {
             Row{R"(--string "GET /x \"y\\z")",
                 R"(--string "GET /x \"y\\z" --algo bm)",
                 R"( STRING match  "GET /x \"y\\z" ALGO name bm)"},
             {"! --string abc --algo kmp --icase",
              R"(! --string "abc" --algo kmp --icase)",
              R"( STRING match ! "abc" ALGO name kmp ICASE)"},
             {R"(--hex-string "|de ad|be|00|")",
              R"(--hex-string "|dead626500|" --algo bm)",
              R"( STRING match  "|dead626500|" ALGO name bm)"},
             {"--hex-string plain",
              R"(--string "plain" --algo bm)",
              R"( STRING match  "plain" ALGO name bm)"},
             {R"(--string "pipe|")",
              R"(--string "pipe|" --algo bm)",
              R"( STRING match  "pipe|" ALGO name bm)"},
         }) {
        OldTables bed;
        bed.set(fmt::format("-A FORWARD -m string {}", given));
        const std::string text = bed.saved();
        INFO(text);
        CHECK(text.find(fmt::format("-A FORWARD -m string {}\n", saved)) != std::string::npos);
        CHECK(bed.say("-L FORWARD -n").ends_with(fmt::format("{}\n", shown)));
        OldTables again;
        CHECK(again.restore(text) == Answer{});
        CHECK(again.saved() == text);
        CHECK(again.tables.patterns() == bed.tables.patterns());
        again.set(fmt::format("-D FORWARD -m string {}", given));
    }
}

TEST_CASE("a wrong option of -m string is told, and changes nothing", "[legacy][iptables]") {
    struct Row {
        std::string options;
        int status;
        const char* reason;
    };
    for (const auto& [options, status, reason] : {
             Row{"--algo bm", 2, "lacks the option"},
             {"--string " + std::string(129, 'a'), 2, "STRING too long \"aaa"},
             {"--hex-string |12", 2, "Invalid hex block"},
             {"--hex-string |1|", 2, "Invalid hex block"},
             {"--hex-string |zz|", 2, "Invalid hex block `zz'"},
             {"--hex-string |0x|", 2, "Invalid hex block `0x'"},
             {"--hex-string ||", 2, "Invalid hex block"},
             {R"(--hex-string a\)", 2, "Bad literal placement"},
             {"--string a --hex-string b", 2, "cannot be used together"},
             {"--string a --to 70000", 2, "bad value for option \"--to\", or out of range"},
             {"--string a --from -1", 2, "bad value for option \"--from\""},
             {"--string a --to 100", 1, "--from and --to are places in a packet"},
             {"--string a --from 40", 1, "--from and --to are places in a packet"},
             {"--string a --algo foo", 1, "No chain/target/match by that name"},
             {R"(--string "")", 1, "Invalid argument"},
         }) {
        OldTables bed;
        const std::string before = bed.saved();
        const Answer answer = bed.run(fmt::format(fmt::runtime(kDrop), options));
        INFO(options << ": " << answer.err);
        CHECK(answer.status == status);
        CHECK(answer.err.find(reason) != std::string::npos);
        CHECK(bed.saved() == before);
    }
}

TEST_CASE(
    "strings that are the same are one, and none stays that no rule has", "[legacy][iptables]"
) {
    OldTables bed;
    const auto set = [&bed](const char* change, const char* text) {
        bed.set(fmt::format("{} FORWARD -m string --string {} -j DROP", change, text));
    };
    set("-A", "one");
    set("-A", "two");
    bed.set("-A INPUT -m string --string one -j ACCEPT");
    CHECK(bed.tables.patterns().size() == 2);
    set("-D", "one");
    set("-A", "three");  // the chain INPUT still looks for the first
    REQUIRE(bed.tables.patterns().size() == 3);
    CHECK(bed.tables.patterns()[0].text == "one");
    set("-D", "two");
    set("-A", "four");
    REQUIRE(bed.tables.patterns().size() == 3);
    CHECK(bed.tables.patterns()[1].text == "four");
}

}  // namespace sekisho::legacy::test
