// OptionReader: a command line word by word, as getopt_long(3) reads it, without its global state and without printing.
//
//   Letters   as getopt's: a colon behind those that take a word, two behind those that may have one in the same word.
//   Order     words that belong to no option come where they stand (kWord), they are not moved to the end.
//   Lifetime  the words and tables outlive the reader.
//   Thread    one at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "legacy/answer.h"

namespace sekisho::legacy {

enum class Takes : uint8_t { kNothing, kWord, kMaybe };

struct LongOption {
    std::string_view name;  // without its dashes; may be shortened while unique
    int code;               // what next() gives
    Takes takes;
};

class OptionReader {
  public:
    static constexpr int kEnd = -1;
    static constexpr int kWord = 1;  // no option; argument() is the word
    static constexpr int kBad = '?';

    OptionReader(
        const Words& words, std::string_view letters, std::span<const LongOption> longs = {}
    )
        : words_(words), letters_(letters), longs_(longs) {}

    // Other long options from here on.
    void set_longs(std::span<const LongOption> longs) { longs_ = longs; }
    // The next option's letter or code, kEnd, kWord, or kBad: then complaint() says why.
    int next();
    const std::string& argument() const { return argument_; }
    bool has_argument() const { return has_argument_; }
    const std::string& complaint() const { return complaint_; }
    // The word behind the option, if there is one that does not begin with a dash; `ahead` words further on.
    const std::string* peek(size_t ahead = 0) const;
    // The same, and goes on behind it.
    const std::string* take();
    // The next word whatever it is, if the option stands last in its word.
    const std::string* take_any();

  private:
    int next_letter();
    int next_long(std::string_view text);
    int finish(int code, Takes takes, const std::string* given, const std::string& shown);

    const Words& words_;
    std::string_view letters_;
    std::span<const LongOption> longs_;
    size_t at_ = 0;         // the next word
    size_t letter_ = 0;     // within it; 0: at its beginning
    bool is_over_ = false;  // behind "--"
    bool has_argument_ = false;
    std::string argument_;
    std::string complaint_;
};

}  // namespace sekisho::legacy
