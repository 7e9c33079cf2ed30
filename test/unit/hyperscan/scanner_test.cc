#include "hyperscan/scanner.h"

#include <random>

#include <catch2/catch.hpp>

#include "naive_scanner.h"
#include "packet/allocation_counter.h"
#include "payload_checks.h"
#include "sekisho-bench/pattern_maker.h"

namespace sekisho::hyperscan {
namespace {

using rules::PatternSet;
using rules::ScanSlot;
using test::literal;
using test::NaiveScanner;
using test::numbers;
using test::regex;
using test::set_of;

using Numbers = std::vector<uint16_t>;

std::shared_ptr<const CompiledPatterns> compiled(const PatternSet& set) {
    const auto made = CompiledPatterns::compile(set, ScannerSizes{}.state_bytes);
    REQUIRE(made);
    return *made;
}

std::unique_ptr<Scanner> scanner_of(const PatternSet& set, uint32_t streams = 4) {
    auto made = Scanner::create({streams, ScannerSizes{}.state_bytes}, compiled(set));
    REQUIRE(made);
    return std::move(*made);
}

std::span<const uint8_t> bytes_of(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Numbers scan(rules::PayloadScanner& scanner, ScanSlot slot, const std::string& text) {
    return numbers(scanner.scan(slot, bytes_of(text), false));
}

}  // namespace

TEST_CASE("a pattern cut anywhere, out of order, overlapped or repeated is found", "[hyperscan]") {
    const auto scanner = scanner_of(test::sought_patterns(), 8);
    test::check_scanner(*scanner);
    CHECK(scanner->faults() == 0);
}

TEST_CASE("it finds what the naive scanner finds", "[hyperscan]") {
    std::mt19937_64 random(7);
    const auto below = [&](uint64_t bound) { return static_cast<size_t>(random() % bound); };
    const auto word = [&](size_t most) {
        std::string text(1 + below(most), 'a');
        std::ranges::generate(text, [&] { return "abcAB\n"[below(6)]; });
        return text;
    };
    const auto some_regex = [&]() -> std::string {
        constexpr const char* kRegexes[] = {
            "a[bc]{2,3}a",
            "^a+b",
            "ab*$",
            "(ab|ca){2}",
            "[^a]{4}b",
            "^[abc]{3}$",
            "c\nb",
            "\\sa[abAB]+\\s",
            "b(?:ac)+"};
        return kRegexes[below(std::size(kRegexes))];
    };
    const auto grow = [&](PatternSet& set) {
        for (unsigned i = 0; i < 6; ++i) {
            const auto within = static_cast<uint32_t>(below(3) == 0 ? 6 + below(30) : 0);
            (void)set.add(
                below(3) == 0 ? regex(some_regex(), within)
                              : literal(word(5), below(3) == 0, within)
            );
        }
        set.retire(rules::PatternId{static_cast<uint16_t>(below(2 * set.id_bound()))});
    };
    unsigned finds = 0;
    for (unsigned round = 0; round < 60; ++round) {
        PatternSet set;
        grow(set);
        NaiveScanner naive(4, set);
        const auto scanner = scanner_of(set);
        for (unsigned step = 0; step < 60; ++step) {
            if (naive.size() == 0 || (below(8) == 0 && naive.size() < 4)) {
                REQUIRE(naive.open() == scanner->open());
            }
            const ScanSlot slot{static_cast<uint32_t>(below(naive.size()))};
            const std::string text = word(14);
            const bool is_end = below(12) == 0;
            INFO("round " << round << ", step " << step);
            if (below(10) == 0) {
                naive.scan_datagram(slot, bytes_of(text));
                scanner->scan_datagram(slot, bytes_of(text));
            } else if (below(15) == 0) {
                naive.restart(slot);
                scanner->restart(slot);
            } else if (below(20) == 0) {
                grow(set);
                naive.follow(set);
                REQUIRE(scanner->follow(compiled(set)));
            } else {
                naive.scan(slot, bytes_of(text), is_end);
                scanner->scan(slot, bytes_of(text), is_end);
            }
            const Numbers wanted = numbers(naive.found(slot));
            REQUIRE(numbers(scanner->found(slot)) == wanted);
            finds += static_cast<unsigned>(wanted.size());
        }
        REQUIRE(scanner->faults() == 0);
    }
    CHECK(finds > 5000);
}

TEST_CASE("streams are apart, and a closed one leaves nothing behind", "[hyperscan]") {
    const auto scanner = scanner_of(set_of({literal("needle"), literal("other")}), 2);
    const ScanSlot first = scanner->open();
    const ScanSlot second = scanner->open();
    CHECK(scanner->open().value == kNoIndex);
    CHECK(scan(*scanner, first, "nee").empty());
    CHECK(scan(*scanner, second, "dle").empty());
    CHECK(scan(*scanner, second, "other") == Numbers{1});
    CHECK(scan(*scanner, first, "dle") == Numbers{0});
    scanner->close(first);
    const ScanSlot again = scanner->open();
    CHECK(again == first);
    CHECK(scanner->found(again).empty());
    CHECK(scan(*scanner, again, "dle").empty());
    CHECK(numbers(scanner->found(second)) == Numbers{1});
    CHECK(scanner->size() == 2);
}

TEST_CASE("each datagram is a stream of its own, and its finds stay", "[hyperscan]") {
    const auto scanner = scanner_of(
        set_of({literal("needle"), regex("^first"), regex("last$"), literal("ly", false, 5)})
    );
    const ScanSlot slot = scanner->open();
    CHECK(scanner->scan_datagram(slot, bytes_of("nee")).empty());
    CHECK(scanner->scan_datagram(slot, bytes_of("dle")).empty());
    CHECK(numbers(scanner->scan_datagram(slot, bytes_of("first"))) == Numbers{1});
    CHECK(numbers(scanner->scan_datagram(slot, bytes_of("at last"))) == Numbers{1, 2});
    CHECK(numbers(scanner->scan_datagram(slot, bytes_of("too lately"))) == Numbers{1, 2});
    CHECK(numbers(scanner->scan_datagram(slot, bytes_of("early"))) == Numbers{1, 2, 3});
    CHECK(numbers(scanner->scan_datagram(slot, {})) == Numbers{1, 2, 3});
    CHECK(numbers(scanner->scan_datagram(slot, bytes_of("a needle"))) == Numbers{0, 1, 2, 3});
}

TEST_CASE("streams go on when the patterns change", "[hyperscan]") {
    PatternSet set = set_of({literal("old"), literal("gone"), literal("early", false, 20)});
    const auto scanner = scanner_of(set);
    const ScanSlot slot = scanner->open();
    CHECK(scan(*scanner, slot, "old gone") == Numbers{0, 1});
    set.retire(rules::PatternId{1});
    REQUIRE(set.add(literal("new")));
    REQUIRE(set.add(regex("^begin")));
    for (unsigned i = 0; i < 200; ++i) {  // more marks
        REQUIRE(set.add(literal("filler" + std::to_string(i))));
    }
    REQUIRE(scanner->follow(compiled(set)));
    CHECK(numbers(scanner->found(slot)) == Numbers{0});
    CHECK(scan(*scanner, slot, "begin gone") == Numbers{0});  // not the stream's beginning
    CHECK(scan(*scanner, slot, "early") == Numbers{0});       // ends with byte 23
    CHECK(scan(*scanner, slot, "new filler99") == Numbers{0, 3, 14, 104});
    REQUIRE(scanner->follow(compiled({})));
    CHECK(scan(*scanner, slot, "old new").empty());
    CHECK(scanner->faults() == 0);
}

TEST_CASE("patterns that need more state than there is are not followed", "[hyperscan]") {
    const auto large = CompiledPatterns::compile(set_of({regex("a[^b]{3000}c")}), 100000);
    REQUIRE(large);
    auto scanner = Scanner::create({1, 64}, compiled(set_of({literal("old")})));
    REQUIRE(scanner);
    const auto followed = (*scanner)->follow(*large);
    REQUIRE(!followed);
    CHECK(followed.error().message.find(", and there are 64") != std::string::npos);
    const ScanSlot slot = (*scanner)->open();
    CHECK(scan(**scanner, slot, "old") == Numbers{0});
}

TEST_CASE("no stream takes memory while it is scanned", "[hyperscan]") {
    const PatternSet set = bench::make_patterns(1000, 100, 1);
    const std::vector<uint8_t> payload = bench::make_payload(set, 100 * 1460, 2);
    const auto scanner = scanner_of(set, 100);
    size_t taken = 0;
    size_t found = 0;
    {
        const test::Counting counting;
        const size_t before = test::allocations();
        for (size_t at = 0; at < payload.size(); at += 1460) {
            const ScanSlot slot = scanner->open();
            found += scanner->scan(slot, {&payload[at], 1460}, at % 2920 == 0).size();
            found += scanner->scan_datagram(slot, {&payload[at], 1460}).size();
            if (at % 4380 == 0) {
                scanner->close(slot);
            }
        }
        taken = test::allocations() - before;
    }
    CHECK(taken == 0);
    CHECK(found > 0);
}

TEST_CASE("a thousand literals and a hundred expressions take 4 KiB a stream", "[hyperscan]") {
    for (const uint64_t seed : {1, 2, 3}) {
        const PatternSet set = bench::make_patterns(1000, 100, seed);
        CHECK(set.size() == 1100);
        const auto patterns = compiled(set);
        const stream::StreamTable table({}, HashSecret{{1, 2, 3, 4}});
        const auto scanner =
            Scanner::create({table.capacity(), ScannerSizes{}.state_bytes}, patterns);
        REQUIRE(scanner);
        const uint64_t bytes = table.bytes() + (*scanner)->bytes();
        INFO(bytes << " bytes, of them state " << patterns->state_bytes());
        CHECK(bytes / table.capacity() <= 4096);
    }
}

}  // namespace sekisho::hyperscan
