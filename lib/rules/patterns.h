// PatternSet: what payload rules look for, each by the PatternId that rules name (condition.h: PayloadTest).
//
//   Literal   bytes, any of the 256.
//   Regex     an expression in the syntax of PCRE, on bytes; `.` takes every byte, newlines too. What a matcher cannot do of
//             it, it names when it compiles the set (payload_scanner.h).
//   Where     `within` N: the match ends with the stream's N-th byte at the latest; 0: anywhere. Of a datagram: with its N-th.
//   Ids       by position, never changed: patterns that say the same are one. A set only grows: a set made for changed rules
//             begins as a copy of the one before, so that what was found of a stream keeps its name; retire() is for what no
//             rule names any more.
//   Errors    a sentence that names the pattern; nothing is changed then. Cost: control code; allocates. Thread: a value.
//   Source    ARCHITECTURE 5; SEEDS C7.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "rules/packet.h"

namespace sekisho::rules {

struct Pattern {
    enum class Kind : uint8_t { kLiteral, kRegex };
    Kind kind = Kind::kLiteral;
    std::string text;
    bool ignores_case = false;
    bool is_multiline = false;  // of a regex: ^ and $ stand at ends of lines too
    uint32_t within = 0;
    friend bool operator==(const Pattern&, const Pattern&) = default;
};

// The text in quotes, other bytes than printable ones as \xHH; long ones are cut.
std::string quoted(const Pattern& pattern);

// Whether a regex speaks of where the stream begins: ^ outside of multiline, or \A.
bool has_start_anchor(const Pattern& pattern);

class PatternSet {
  public:
    static constexpr size_t kMost = 16384;
    static constexpr size_t kLongest = 4096;  // bytes of a text

    // The one that says the same, or a new one.
    Result<PatternId> add(Pattern pattern);
    // It is looked for no more; its id is not given again.
    void retire(PatternId id);

    // nullptr: retired, or never given.
    const Pattern* find(PatternId id) const;
    // Every id given so far is less.
    size_t id_bound() const { return patterns_.size(); }
    // Those that are looked for.
    size_t size() const;
    friend bool operator==(const PatternSet&, const PatternSet&) = default;

  private:
    std::vector<std::optional<Pattern>> patterns_;
};

}  // namespace sekisho::rules
