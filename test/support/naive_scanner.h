// NaiveScanner: the specification of rules::PayloadScanner. It keeps all bytes of a stream and searches them anew each time.
//
//   Regex     with std::regex (ECMAScript) on all bytes so far: expressions of tests keep to what means the same there and in PCRE,
//             without a dot, which there takes no newline.
#pragma once

#include <algorithm>
#include <cctype>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "rules/patterns.h"
#include "rules/payload_scanner.h"

namespace sekisho::test {

class NaiveScanner final : public rules::PayloadScanner {
  public:
    NaiveScanner(uint32_t streams, rules::PatternSet patterns)
        : streams_(streams), patterns_(std::move(patterns)) {}

    // The patterns of a set that has grown out of the one before.
    void follow(const rules::PatternSet& patterns) {
        patterns_ = patterns;
        for (Stream& stream : streams_) {
            std::erase_if(stream.found, [this](uint16_t id) {
                return patterns_.find(rules::PatternId{id}) == nullptr;
            });
            stream.begin_anew();
        }
    }

    rules::ScanSlot open() override {
        const auto free = std::ranges::find(streams_, false, &Stream::is_open);
        if (free == streams_.end()) {
            return {kNoIndex};
        }
        *free = {};
        free->is_open = true;
        return {static_cast<uint32_t>(free - streams_.begin())};
    }
    void close(rules::ScanSlot slot) override { streams_[slot.value].is_open = false; }

    std::span<const rules::PatternId> scan(
        rules::ScanSlot slot, std::span<const uint8_t> bytes, bool is_end
    ) override {
        Stream& stream = streams_[slot.value];
        stream.text.append(bytes.begin(), bytes.end());
        search(stream, stream, is_end);
        if (is_end) {
            stream.begin_anew();
        }
        return found(slot);
    }
    std::span<const rules::PatternId> scan_datagram(
        rules::ScanSlot slot, std::span<const uint8_t> bytes
    ) override {
        Stream datagram;
        datagram.text.assign(bytes.begin(), bytes.end());
        search(datagram, streams_[slot.value], true);
        return found(slot);
    }
    void restart(rules::ScanSlot slot) override {
        streams_[slot.value].begin_anew();
        streams_[slot.value].is_late = true;
    }
    std::span<const rules::PatternId> found(rules::ScanSlot slot) override {
        found_.clear();
        for (const uint16_t id : streams_[slot.value].found) {
            found_.push_back(rules::PatternId{id});
        }
        return found_;
    }
    uint32_t size() const override {
        return static_cast<uint32_t>(std::ranges::count(streams_, true, &Stream::is_open));
    }
    uint32_t capacity() const override { return static_cast<uint32_t>(streams_.size()); }

  private:
    struct Stream {
        std::string text;   // since it began
        size_t before = 0;  // bytes until then
        std::set<uint16_t> found;
        bool is_late = false;
        bool is_open = false;

        void begin_anew() {
            before += text.size();
            text.clear();
            is_late |= before > 0;
        }
    };

    void search(const Stream& stream, Stream& finder, bool is_end) const {
        for (size_t i = 0; i < patterns_.id_bound(); ++i) {
            const auto id = static_cast<uint16_t>(i);
            const rules::Pattern* const pattern = patterns_.find(rules::PatternId{id});
            const bool is_wanted =
                pattern != nullptr && !(stream.is_late && has_start_anchor(*pattern));
            if (is_wanted && matches(*pattern, stream, is_end)) {
                finder.found.insert(id);
            }
        }
    }

    static bool matches(const rules::Pattern& pattern, const Stream& stream, bool is_end) {
        size_t most = stream.text.size();
        if (pattern.within != 0) {
            const size_t left = pattern.within > stream.before ? pattern.within - stream.before : 0;
            most = std::min(most, left);
        }
        const std::string text = stream.text.substr(0, most);
        const bool is_whole = is_end && most == stream.text.size();
        return pattern.kind == rules::Pattern::Kind::kLiteral ? has_literal(pattern, text)
                                                              : has_regex(pattern, text, is_whole);
    }

    static char folded(char c) {
        return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    static bool has_literal(const rules::Pattern& pattern, const std::string& text) {
        const auto is_same = [&](char a, char b) {
            return pattern.ignores_case ? folded(a) == folded(b) : a == b;
        };
        return std::search(
                   text.begin(), text.end(), pattern.text.begin(), pattern.text.end(), is_same
               ) != text.end();
    }
    static bool has_regex(const rules::Pattern& pattern, const std::string& text, bool is_whole) {
        auto flags = std::regex::ECMAScript;
        flags |= pattern.ignores_case ? std::regex::icase : flags;
        flags |= pattern.is_multiline ? std::regex::multiline : flags;
        const auto how =
            is_whole ? std::regex_constants::match_default : std::regex_constants::match_not_eol;
        const std::regex regex(pattern.text, flags);
        // PCRE's end is before a last newline too.
        const bool has_newline = is_whole && !text.empty() && text.back() == '\n';
        return std::regex_search(text, regex, how) ||
               (has_newline && std::regex_search(text.begin(), text.end() - 1, regex));
    }

    std::vector<Stream> streams_;
    rules::PatternSet patterns_;
    std::vector<rules::PatternId> found_;
};

}  // namespace sekisho::test
