// What every rules::PayloadScanner must find behind a StreamTable, however a stream is cut, overtaken and repeated.
#pragma once

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "rules/patterns.h"
#include "rules/payload_scanner.h"
#include "stream_rig.h"

namespace sekisho::test {

inline rules::Pattern literal(std::string text, bool ignores_case = false, uint32_t within = 0) {
    return {rules::Pattern::Kind::kLiteral, std::move(text), ignores_case, false, within};
}
inline rules::Pattern regex(std::string text, uint32_t within = 0) {
    return {rules::Pattern::Kind::kRegex, std::move(text), false, false, within};
}
inline rules::PatternSet set_of(const std::vector<rules::Pattern>& patterns) {
    rules::PatternSet set;
    for (const rules::Pattern& pattern : patterns) {
        REQUIRE(set.add(pattern));
    }
    return set;
}
inline std::vector<uint16_t> numbers(std::span<const rules::PatternId> ids) {
    std::vector<uint16_t> out;
    for (const rules::PatternId id : ids) {
        out.push_back(id.value);
    }
    return out;
}

// A text with a match of one pattern of the scanner's, and of no other.
struct SoughtText {
    std::string text;
    uint16_t pattern = 0;
    size_t match_end = 0;  // the match is complete with so many bytes
};

// A stream of the text on its way; the pattern must be found with the byte that completes it, and not before.
class SoughtStream {
  public:
    static constexpr uint32_t kFirst = 0xfffffff8;  // wraps within the text

    SoughtStream(rules::PayloadScanner& scanner, const SoughtText& sought)
        : scanner_(scanner),
          sought_(sought),
          slot_(scanner.open()),
          rig_({1, 0, 0, 8, Seconds{4}}, {}, [this](auto fresh, bool is_end) {
              note(scanner_.scan(slot_, fresh, is_end));
          }) {
        rig_.send(kFirst - 1, "", packet::kSyn);
    }
    ~SoughtStream() { scanner_.close(slot_); }
    SoughtStream(const SoughtStream&) = delete;
    SoughtStream& operator=(const SoughtStream&) = delete;

    void send(size_t begin, size_t end) {
        const uint8_t fin = end == sought_.text.size() ? packet::kFin : 0;
        rig_.send(
            kFirst + static_cast<uint32_t>(begin),
            sought_.text.substr(begin, end - begin),
            packet::kAck | fin
        );
    }
    // The same place, other bytes.
    void send_other(size_t begin, size_t end) {
        rig_.send(kFirst + static_cast<uint32_t>(begin), std::string(end - begin, '#'));
    }
    // Everything was scanned, and just the pattern was found.
    bool is_found() {
        return is_right_ && rig_.scanned == sought_.text && rig_.overwritten == 0 &&
               numbers(scanner_.found(slot_)) == std::vector<uint16_t>{sought_.pattern};
    }

  private:
    void note(std::span<const rules::PatternId> found) {
        const bool is_complete = rig_.scanned.size() >= sought_.match_end;
        is_right_ &= found.size() == (is_complete ? 1U : 0U);
    }

    rules::PayloadScanner& scanner_;
    const SoughtText& sought_;
    rules::ScanSlot slot_;
    StreamRig rig_;
    bool is_right_ = true;
};

// Cut at every byte into two and three, in every order.
inline void check_every_cut(rules::PayloadScanner& scanner, const SoughtText& sought) {
    const size_t size = sought.text.size();
    for (size_t i = 1; i < size; ++i) {
        for (size_t j = i; j < size; ++j) {  // j == i: two segments
            const size_t cuts[] = {0, i, j, size};
            std::vector<size_t> order =
                j == i ? std::vector<size_t>{0, 2} : std::vector<size_t>{0, 1, 2};
            do {
                SoughtStream stream(scanner, sought);
                for (const size_t part : order) {
                    stream.send(cuts[part], cuts[part + 1]);
                }
                INFO("cut at " << i << " and " << j);
                REQUIRE(stream.is_found());
            } while (std::next_permutation(order.begin(), order.end()));
        }
    }
}

// Segments that overlap, come again, come again in other cuts, or with other bytes.
inline void check_every_repetition(rules::PayloadScanner& scanner, const SoughtText& sought) {
    const size_t size = sought.text.size();
    for (size_t i = 1; i < size; ++i) {
        for (size_t j = i; j < size; ++j) {
            SoughtStream overlapped(scanner, sought);
            overlapped.send(0, j);
            overlapped.send(i, size);
            SoughtStream late(scanner, sought);
            late.send(i, size);
            late.send(i, j);
            late.send(0, j);
            SoughtStream repeated(scanner, sought);
            repeated.send(0, i);
            repeated.send(0, i);
            repeated.send(0, j);
            repeated.send(0, size);
            repeated.send(i, j);
            SoughtStream contradicted(scanner, sought);
            contradicted.send(0, i);
            contradicted.send_other(0, i);
            contradicted.send_other(0, j);
            contradicted.send(0, j);
            contradicted.send_other(0, size);
            contradicted.send(j, size);
            INFO("cut at " << i << " and " << j);
            REQUIRE(overlapped.is_found());
            REQUIRE(late.is_found());
            REQUIRE(repeated.is_found());
            REQUIRE(contradicted.is_found());
        }
    }
}

// The patterns that the checks want, and a text for each.
inline rules::PatternSet sought_patterns() {
    return set_of(
        {literal("needle"),
         literal(std::string("\x00\xff\x00\r\n", 5)),
         literal("MiXed", true),
         regex("ab[0-9]{2,4}cd"),
         regex("^GET /[a-z]+ "),
         literal("early", false, 12),
         regex("the end$")}
    );
}
inline std::vector<SoughtText> sought_texts() {
    return {
        {"some needle there", 0, 11},
        {std::string("zero: \x00\xff\x00\r\n.", 12), 1, 11},
        {"it is mIxED here", 2, 11},
        {"x ab1ab1234cd5 y", 3, 13},
        {"GET /index HTTP", 4, 11},
        {"an early bird", 5, 8},
        {"this is the end", 6, 15},
    };
}
// Nothing is found in these: too late, not at the beginning, not at the end.
inline std::vector<std::string> harmless_texts() {
    return {
        "it is not early",
        "a GET /index HTTP",
        "the end is near",
        "ab1cd ab12345cd needl eneedl",
        "no pattern at all"};
}

inline void check_scanner(rules::PayloadScanner& scanner) {
    for (const SoughtText& sought : sought_texts()) {
        INFO("pattern " << sought.pattern);
        check_every_cut(scanner, sought);
        check_every_repetition(scanner, sought);
    }
    for (const std::string& text : harmless_texts()) {
        for (size_t cut = 0; cut < text.size(); ++cut) {
            const rules::ScanSlot slot = scanner.open();
            const auto* const bytes = reinterpret_cast<const uint8_t*>(text.data());
            (void)scanner.scan(slot, {bytes, cut}, false);
            INFO(text);
            REQUIRE(scanner.scan(slot, {bytes + cut, text.size() - cut}, true).empty());
            scanner.close(slot);
        }
    }
    REQUIRE(scanner.size() == 0);
}

}  // namespace sekisho::test
