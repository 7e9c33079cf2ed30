#include "sekisho-bench/pattern_maker.h"

#include <algorithm>
#include <random>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace sekisho::bench {
namespace {

using rules::Pattern;

constexpr uint32_t kSegment = 1460;
constexpr uint32_t kLongestLiteral = 32;

class Maker {
  public:
    explicit Maker(uint64_t seed) : random_(seed) {}

    uint32_t below(size_t bound) { return static_cast<uint32_t>(random_() % bound); }
    uint32_t from_to(uint32_t first, uint32_t last) { return first + below(last - first + 1); }
    uint8_t byte() { return static_cast<uint8_t>(random_()); }

    // Its letters are as frequent as they are in English.
    std::string word(uint32_t letters) {
        constexpr std::string_view kLetters =
            "eeeeeeeeeeeetttttttttaaaaaaaaooooooooiiiiiiinnnnnnnsssssshhhhhhrrrrrr"
            "ddddlllluuucccmmmwwffggyyppbbvkxjqz";
        std::string word(letters, ' ');
        std::ranges::generate(word, [&] { return kLetters[below(kLetters.size())]; });
        return word;
    }
    std::string phrase() {
        switch (below(5)) {
            case 0:
                return fmt::format("/{}/{}.{}", word(4), word(6), below(2) == 0 ? "php" : "exe");
            case 1:
                return fmt::format("{}={}", word(6), below(100000));
            case 2:
                return fmt::format("{}-{}: {}", word(4), word(6), word(8));
            case 3:
                return fmt::format("<{} {}=\"", word(4), word(8));
            default:
                return word(from_to(7, 18));
        }
    }
    std::string noise(size_t size) {
        std::string bytes(size, ' ');
        std::ranges::generate(bytes, [this] { return static_cast<char>(byte()); });
        return bytes;
    }

    Pattern literal(unsigned number) {
        Pattern pattern;
        pattern.text = below(10) < 7 ? phrase() : noise(from_to(4, 16));
        pattern.text.resize(std::min<size_t>(pattern.text.size(), kLongestLiteral));
        pattern.ignores_case = number % 4 == 0;
        pattern.within = number % 8 == 1 ? 1024 : 0;
        return pattern;
    }
    Pattern regex(unsigned number) {
        Pattern pattern;
        pattern.kind = Pattern::Kind::kRegex;
        switch (number % 5) {
            case 0:
                pattern.text = fmt::format("{}[0-9]{{2,8}}{}", word(6), word(4));
                break;
            case 1:
                pattern.text = fmt::format("{}\\s*=\\s*({}|{})", word(6), word(6), word(8));
                break;
            case 2:
                pattern.text = fmt::format("^(GET|POST) /[a-z/]+{}\\.(php|cgi|asp)", word(6));
                break;
            case 3:
                pattern.text = fmt::format("{}.{{1,40}}{}", word(8), word(8));
                break;
            default:
                pattern.text = fmt::format("(?i)user-agent:[^\\r\\n]*{}", word(8));
                break;
        }
        return pattern;
    }

  private:
    std::mt19937_64 random_;
};

// Until there is one more.
template <class Make>
void add_one(rules::PatternSet& set, Make&& make) {
    const size_t before = set.size();
    while (set.size() == before) {
        (void)set.add(make());
    }
}

}  // namespace

rules::PatternSet make_patterns(unsigned literals, unsigned regexes, uint64_t seed) {
    Maker maker(seed);
    rules::PatternSet set;
    for (unsigned i = 0; i < literals; ++i) {
        add_one(set, [&] { return maker.literal(i); });
    }
    for (unsigned i = 0; i < regexes; ++i) {
        add_one(set, [&] { return maker.regex(i); });
    }
    return set;
}

std::vector<uint8_t> make_payload(const rules::PatternSet& patterns, size_t bytes, uint64_t seed) {
    Maker maker(seed);
    std::string text = "GET /" + maker.word(8) + " HTTP/1.1\r\n";
    while (text.size() < bytes) {
        const bool is_text = text.size() / (16 * kSegment) % 2 == 0;
        text += is_text ? maker.phrase() + (maker.below(8) == 0 ? "\r\n" : " ") : maker.noise(64);
    }
    for (size_t at = 0; patterns.size() > 0 && at + kSegment <= bytes; at += 100 * kSegment) {
        const auto id =
            static_cast<uint16_t>(maker.below(static_cast<uint32_t>(patterns.id_bound())));
        const Pattern* const pattern = patterns.find(rules::PatternId{id});
        if (pattern != nullptr && pattern->kind == Pattern::Kind::kLiteral) {
            const size_t place = at + maker.below(kSegment - kLongestLiteral);
            text.replace(place, pattern->text.size(), pattern->text);
        }
    }
    return {text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bytes)};
}

}  // namespace sekisho::bench
