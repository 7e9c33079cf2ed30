// Command lines as getopt_long reads them.
#include "legacy/options.h"

#include <catch2/catch.hpp>

#include "legacy_support.h"

namespace sekisho::legacy::test {
namespace {

constexpr LongOption kLongs[] = {
    {"source", 's', Takes::kWord},
    {"sport", 300, Takes::kWord},
    {"source-port", 300, Takes::kWord},
    {"numeric", 'n', Takes::kNothing},
    {"line", 301, Takes::kMaybe}};

// Each option as "letter=argument" or "letter", words as "=word", a complaint as "?why".
std::vector<std::string> read(const std::string& line) {
    const Words given = words(line);
    OptionReader reader(given, "nvs:l::", kLongs);
    std::vector<std::string> found;
    for (int code = reader.next(); code != OptionReader::kEnd; code = reader.next()) {
        if (code == OptionReader::kBad) {
            found.push_back("?" + reader.complaint());
            return found;
        }
        std::string text = code == OptionReader::kWord ? ""
                           : code < 128                ? std::string(1, static_cast<char>(code))
                                                       : std::to_string(code);
        found.push_back(text + (reader.has_argument() ? "=" + reader.argument() : ""));
    }
    return found;
}

using Found = std::vector<std::string>;

}  // namespace

TEST_CASE("letters may stand together, and the last may take a word", "[legacy][options]") {
    CHECK(read("-nv") == Found{"n", "v"});
    CHECK(read("-nsx") == Found{"n", "s=x"});
    CHECK(read("-ns x") == Found{"n", "s=x"});
    CHECK(read("-s -n") == Found{"s=-n"});
    CHECK(read("-l5 -l 5") == Found{"l=5", "l", "=5"});
    CHECK(read("a -n b") == Found{"=a", "n", "=b"});
    CHECK(read("-n -- -v -") == Found{"n", "=-v", "=-"});
    CHECK(read("-") == Found{"=-"});
}

TEST_CASE("long options may be shortened while unique", "[legacy][options]") {
    CHECK(read("--source x --numeric") == Found{"s=x", "n"});
    CHECK(read("--source=x=y") == Found{"s=x=y"});
    CHECK(read("--num") == Found{"n"});
    CHECK(read("--source-p 3") == Found{"300=3"});
    CHECK(read("--line --line=4") == Found{"301", "301=4"});
    CHECK(read("--so x") == Found{"?ambiguous option '--so'"});
    CHECK(read("--s") == Found{"?ambiguous option '--s'"});
}

TEST_CASE("what is no option is named", "[legacy][options]") {
    CHECK(read("-q") == Found{"?invalid option -- 'q'"});
    CHECK(read("-:") == Found{"?invalid option -- ':'"});
    CHECK(read("-n -s") == Found{"n", "?option requires an argument -- 's'"});
    CHECK(read("--nothing") == Found{"?unrecognized option '--nothing'"});
    CHECK(read("--numeric=1") == Found{"?option '--numeric' doesn't allow an argument"});
    CHECK(read("--source") == Found{"?option requires an argument '--source'"});
}

TEST_CASE("words behind an option are seen only where its word ends", "[legacy][options]") {
    const Words given = words("-nv one two -n");
    OptionReader reader(given, "nv");
    CHECK(reader.next() == 'n');
    CHECK(reader.peek() == nullptr);
    CHECK(reader.next() == 'v');
    REQUIRE(reader.peek(1) != nullptr);
    CHECK(*reader.peek(1) == "two");
    CHECK(reader.peek(2) == nullptr);
    CHECK(*reader.take() == "one");
    CHECK(*reader.take() == "two");
    CHECK(reader.take() == nullptr);
    CHECK(reader.next() == 'n');
    CHECK(reader.next() == OptionReader::kEnd);
}

}  // namespace sekisho::legacy::test
