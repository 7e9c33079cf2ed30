#include "legacy/options.h"

#include <fmt/format.h>

namespace sekisho::legacy {

const std::string* OptionReader::peek(size_t ahead) const {
    const size_t at = at_ + ahead;
    if (letter_ != 0 || at >= words_.size() || words_[at].starts_with('-')) {
        return nullptr;
    }
    return &words_[at];
}

const std::string* OptionReader::take() {
    const std::string* word = peek();
    at_ += word != nullptr ? 1 : 0;
    return word;
}

const std::string* OptionReader::take_any() {
    return letter_ == 0 && at_ < words_.size() ? &words_[at_++] : nullptr;
}

int OptionReader::next() {
    has_argument_ = false;
    argument_.clear();
    if (letter_ != 0) {
        return next_letter();
    }
    if (!is_over_ && at_ < words_.size() && words_[at_] == "--") {
        is_over_ = true;
        ++at_;
    }
    if (at_ == words_.size()) {
        return kEnd;
    }
    const std::string& word = words_[at_];
    if (is_over_ || word.size() < 2 || word[0] != '-') {
        argument_ = word;
        has_argument_ = true;
        ++at_;
        return kWord;
    }
    if (word.starts_with("--") && !longs_.empty()) {
        ++at_;
        return next_long(std::string_view(word).substr(2));
    }
    letter_ = 1;
    return next_letter();
}

int OptionReader::next_letter() {
    const std::string& word = words_[at_];
    const char letter = word[letter_++];
    const std::string rest = word.substr(letter_);
    const size_t found = letter == ':' ? std::string_view::npos : letters_.find(letter);
    Takes takes = Takes::kNothing;
    if (found != std::string_view::npos && letters_.substr(found + 1).starts_with(':')) {
        takes = letters_.substr(found + 1).starts_with("::") ? Takes::kMaybe : Takes::kWord;
    }
    if (rest.empty() || takes != Takes::kNothing) {
        letter_ = 0;
        ++at_;
    }
    if (found == std::string_view::npos) {
        complaint_ = fmt::format("invalid option -- '{}'", letter);
        return kBad;
    }
    return finish(letter, takes, rest.empty() ? nullptr : &rest, fmt::format("-- '{}'", letter));
}

int OptionReader::next_long(std::string_view text) {
    const size_t equals = text.find('=');
    const std::string_view name = text.substr(0, equals);
    const LongOption* found = nullptr;
    unsigned count = 0;
    for (const LongOption& option : longs_) {
        if (option.name == name) {
            found = &option;
            count = 1;
            break;
        }
        if (option.name.starts_with(name)) {
            count += found == nullptr || found->code != option.code ? 1 : 0;
            found = &option;
        }
    }
    if (count != 1) {
        complaint_ =
            fmt::format("{} '--{}'", count == 0 ? "unrecognized option" : "ambiguous option", name);
        return kBad;
    }
    if (equals != std::string_view::npos && found->takes == Takes::kNothing) {
        complaint_ = fmt::format("option '--{}' doesn't allow an argument", found->name);
        return kBad;
    }
    const std::string given(equals == std::string_view::npos ? "" : text.substr(equals + 1));
    return finish(
        found->code,
        found->takes,
        equals == std::string_view::npos ? nullptr : &given,
        fmt::format("'--{}'", found->name)
    );
}

int OptionReader::finish(
    int code, Takes takes, const std::string* given, const std::string& shown
) {
    if (takes == Takes::kNothing) {
        return code;
    }
    if (given == nullptr && takes == Takes::kWord) {
        if (at_ == words_.size()) {
            complaint_ = fmt::format("option requires an argument {}", shown);
            return kBad;
        }
        given = &words_[at_++];
    }
    has_argument_ = given != nullptr;
    argument_ = given != nullptr ? *given : "";
    return code;
}

}  // namespace sekisho::legacy
