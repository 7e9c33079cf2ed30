#include "eventlog/syslog.h"

#include <catch2/catch.hpp>

using namespace sekisho::eventlog;

namespace {

constexpr SyslogHeader kHeader{
    .facility = 3,
    .severity = 6,
    .utc_ms = 1'795'428'307'123,
    .host = "nat.example",
    .app = "sekishod",
    .process = "42",
    .kind = "rule"};

}  // namespace

TEST_CASE("a syslog message has the fields of RFC 5424 in order", "[eventlog]") {
    CHECK(
        syslog_message(kHeader, "[rule@32473 id=\"7\"]", "denied") ==
        "<30>1 2026-11-23T10:05:07.123Z nat.example sekishod 42 rule [rule@32473 id=\"7\"] denied"
    );
    CHECK(syslog_message({}, "", "") == "<30>1 1970-01-01T00:00:00.000Z - - - - -");
}

TEST_CASE("the priority is of facility and severity", "[eventlog]") {
    SyslogHeader header = kHeader;
    header.facility = 23;
    header.severity = 7;
    CHECK(syslog_message(header, "", "x").starts_with("<191>1 "));
    header.facility = 0;
    header.severity = 0;
    CHECK(syslog_message(header, "", "x").starts_with("<0>1 "));
}

TEST_CASE("what a header field may not have is replaced, and long ones are cut", "[eventlog]") {
    SyslogHeader header = kHeader;
    const std::string long_name(300, 'h');
    header.host = "a b\n\xc3\xa9";
    header.kind = long_name;
    CHECK(
        syslog_message(header, "", "") ==
        "<30>1 2026-11-23T10:05:07.123Z a?b??? sekishod 42 " + std::string(32, 'h') + " -"
    );
}

TEST_CASE("values of structured data escape what would end them", "[eventlog]") {
    CHECK(escape_value(R"(a"b]c\d)") == R"(a\"b\]c\\d)");
    CHECK(escape_value("plain") == "plain");
}

TEST_CASE("control characters end no line, other text is marked as UTF-8", "[eventlog]") {
    CHECK(syslog_message(
              kHeader,
              "",
              "a\nb\x7f"
              "c"
    )
              .ends_with(" - a b c"));
    CHECK(syslog_message(kHeader, "", "\xc3\xa9").ends_with(" - \xef\xbb\xbf\xc3\xa9"));
}

TEST_CASE("a long message is cut at 2048 bytes, not within a character", "[eventlog]") {
    const std::string plain = syslog_message(kHeader, "", std::string(5000, 'x'));
    CHECK(plain.size() == kLongestSyslog);
    std::string accents;
    for (int i = 0; i < 2000; ++i) {
        accents += "\xc3\xa9";
    }
    const std::string cut = syslog_message(kHeader, "", accents);
    CHECK(cut.size() <= kLongestSyslog);
    CHECK(cut.size() >= kLongestSyslog - 1);
    CHECK(cut.substr(cut.size() - 2) == "\xc3\xa9");
}

TEST_CASE("a time before 1970 is told as well", "[eventlog]") {
    CHECK(rfc3339(-1) == "1969-12-31T23:59:59.999Z");
    CHECK(rfc3339(0) == "1970-01-01T00:00:00.000Z");
}
