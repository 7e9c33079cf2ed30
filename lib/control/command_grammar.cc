#include "control/command_grammar.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/protocol_name.h"
#include "base/text.h"
#include "control/filter.h"
#include "control/json_text.h"

namespace sekisho::control {

namespace {

constexpr std::string_view kAll = "all";

bool begins_with(std::string_view word, std::string_view beginning) {
    return word.substr(0, beginning.size()) == beginning;
}

std::string join(const std::vector<std::string_view>& words) {
    std::string out;
    for (const auto word : words) {
        out += (out.empty() ? "" : ", ") + std::string(word);
    }
    return out;
}

// Finds the one of `choices` that `word` is, or alone begins. `place` says where, for the sentence.
tl::expected<std::string_view, std::string> choose(
    std::string_view word, const std::vector<std::string_view>& choices, std::string_view place
) {
    std::vector<std::string_view> fits;
    for (const auto choice : choices) {
        if (choice == word) {
            return choice;
        }
        if (begins_with(choice, word)) {
            fits.push_back(choice);
        }
    }
    if (fits.size() == 1) {
        return fits.front();
    }
    return tl::unexpected<std::string>(
        fits.empty() ? fmt::format(
                           "found '{}'{}, wanted {}",
                           printable(word),
                           place,
                           choices.empty() ? "nothing more" : "one of: " + join(choices)
                       )
                     : fmt::format("'{}'{} can be any of: {}", printable(word), place, join(fits))
    );
}

std::vector<std::string_view> verbs() {
    std::vector<std::string_view> out;
    for (const Command& command : commands()) {
        if (out.empty() || out.back() != command.verb) {
            out.push_back(command.verb);
        }
    }
    return out;
}

std::vector<std::string_view> objects_of(std::string_view verb) {
    std::vector<std::string_view> out;
    for (const Command& command : commands()) {
        if (command.verb == verb && !command.object.empty()) {
            out.push_back(command.object);
        }
    }
    return out;
}

// Reads words from left to right and knows at each place what may come.
class Reader {
  public:
    // Takes the next word; what is wrong with it otherwise.
    tl::expected<void, std::string> take(const std::string& word);
    std::vector<Expected> expected() const;
    bool is_complete() const;
    std::string missing() const;
    ParsedCommand result() { return std::move(result_); }

  private:
    tl::expected<void, std::string> take_verb(const std::string& word);
    tl::expected<void, std::string> take_object(const std::string& word);
    tl::expected<void, std::string> take_option(const std::string& word);
    tl::expected<void, std::string> take_value(const std::string& word);
    void put(const std::string& value);
    bool has_said(const CommandWord& word) const;
    std::vector<std::string_view> options() const;
    std::span<const CommandWord> filters() const;
    const CommandWord* find_word(std::string_view word) const;
    std::vector<Expected> expected_values() const;
    std::vector<Expected> expected_options() const;
    void settle(std::string_view verb, std::string_view object);
    void ask_for_argument();
    std::string place() const;

    std::string_view verb_;
    const CommandWord* asked_ = nullptr;  // whose value comes next
    size_t arguments_ = 0;                // that have been given
    ParsedCommand result_;
};

void Reader::settle(std::string_view verb, std::string_view object) {
    const auto it = std::find_if(commands().begin(), commands().end(), [&](const Command& c) {
        return c.verb == verb && c.object == object;
    });
    result_.command = it == commands().end() ? nullptr : &*it;
    if (result_.command != nullptr && !result_.command->op.empty()) {
        result_.params["op"] = result_.command->op;
    }
    ask_for_argument();
}

void Reader::ask_for_argument() {
    const bool wants = result_.command != nullptr && arguments_ < result_.command->arguments.size();
    asked_ = wants ? &result_.command->arguments[arguments_] : nullptr;
}

// What has been said, for a sentence.
std::string Reader::place() const {
    const Command& command = *result_.command;
    return fmt::format("{}{}{}", command.verb, command.object.empty() ? "" : " ", command.object);
}

bool Reader::has_said(const CommandWord& word) const {
    return word.word == kExactWord ? result_.exact : result_.params.contains(word.word);
}

// The keywords that may follow a complete command.
std::vector<std::string_view> Reader::options() const {
    std::vector<std::string_view> out;
    const Command& command = *result_.command;
    for (const CommandWord& filter : filters()) {
        if (!result_.params.contains(kAll) && !has_said(filter)) {
            out.push_back(filter.word);
        }
    }
    for (const CommandWord& word : command.words) {
        if (!has_said(word)) {
            out.push_back(word.word);
        }
    }
    if (command.has_all && result_.params.empty()) {
        out.push_back(kAll);
    }
    if (command.has_json && !result_.json) {
        out.push_back(kJsonWord);
    }
    return out;
}

std::span<const CommandWord> Reader::filters() const {
    return result_.command->has_filters ? filter_words() : std::span<const CommandWord>();
}

const CommandWord* Reader::find_word(std::string_view word) const {
    for (const auto words : {filters(), result_.command->words}) {
        const auto found = std::find_if(words.begin(), words.end(), [&](const CommandWord& w) {
            return w.word == word;
        });
        if (found != words.end()) {
            return &*found;
        }
    }
    return nullptr;
}

tl::expected<void, std::string> Reader::take(const std::string& word) {
    if (asked_ != nullptr) {
        return take_value(word);
    }
    if (verb_.empty()) {
        return take_verb(word);
    }
    return result_.command == nullptr ? take_object(word) : take_option(word);
}

tl::expected<void, std::string> Reader::take_verb(const std::string& word) {
    const auto verb = choose(word, verbs(), "");
    if (!verb) {
        return tl::unexpected<std::string>(verb.error());
    }
    verb_ = *verb;
    settle(verb_, "");
    return {};
}

tl::expected<void, std::string> Reader::take_object(const std::string& word) {
    const auto object = choose(word, objects_of(verb_), fmt::format(" after '{}'", verb_));
    if (!object) {
        return tl::unexpected<std::string>(object.error());
    }
    settle(verb_, *object);
    return {};
}

tl::expected<void, std::string> Reader::take_option(const std::string& word) {
    const auto option = choose(word, options(), fmt::format(" after '{}'", place()));
    if (!option) {
        return tl::unexpected<std::string>(option.error());
    }
    if (*option == kJsonWord) {
        result_.json = true;
    } else if (*option == kExactWord) {
        result_.exact = true;
    } else if (const CommandWord* named = find_word(*option);
               named != nullptr && !named->value.empty()) {
        asked_ = named;
    } else {
        result_.params[std::string(*option)] = true;
    }
    return {};
}

void Reader::put(const std::string& value) {
    const auto number = asked_->is_number ? base::parse_decimal(value, UINT32_MAX) : std::nullopt;
    if (number) {
        result_.params[std::string(asked_->word)] = *number;
    } else {
        const auto name = asked_->or_parameter.empty() ? asked_->word : asked_->or_parameter;
        result_.params[std::string(name)] = value;
    }
    const Command& command = *result_.command;
    arguments_ += arguments_ < command.arguments.size() ? 1 : 0;
    ask_for_argument();
}

tl::expected<void, std::string> Reader::take_value(const std::string& word) {
    const bool is_argument = arguments_ < result_.command->arguments.size();
    const std::string behind = is_argument ? place() : std::string(asked_->word);
    if (asked_->choices != nullptr) {
        const auto name = choose(word, *asked_->choices, fmt::format(" after '{}'", behind));
        if (!name) {
            return tl::unexpected<std::string>(name.error());
        }
        put(std::string(*name));
        return {};
    }
    if (!asked_->accepts(word)) {
        return tl::unexpected<std::string>(
            fmt::format("found '{}' after '{}', wanted {}", printable(word), behind, asked_->wanted)
        );
    }
    put(word);
    return {};
}

std::vector<Expected> expected_verbs() {
    std::vector<Expected> out;
    for (const auto verb : verbs()) {
        const auto objects = objects_of(verb);
        const auto it = std::find_if(commands().begin(), commands().end(), [&](const Command& c) {
            return c.verb == verb;
        });
        out.push_back({std::string(verb), objects.empty() ? std::string(it->help) : join(objects)});
    }
    return out;
}

std::vector<Expected> expected_objects(std::string_view verb) {
    std::vector<Expected> out;
    for (const Command& command : commands()) {
        if (command.verb == verb) {
            out.push_back({std::string(command.object), std::string(command.help)});
        }
    }
    return out;
}

bool Reader::is_complete() const {
    return asked_ == nullptr && result_.command != nullptr &&
           !(result_.command->has_all && result_.params.empty());
}

std::string Reader::missing() const {
    if (asked_ != nullptr) {
        const bool is_argument = arguments_ < result_.command->arguments.size();
        return fmt::format(
            "after '{}' {} is missing",
            is_argument ? place() : std::string(asked_->word),
            asked_->wanted
        );
    }
    if (verb_.empty()) {
        return "a command is missing; 'help' lists them";
    }
    if (result_.command == nullptr) {
        return fmt::format(
            "after '{}' one of these is missing: {}", verb_, join(objects_of(verb_))
        );
    }
    return fmt::format("'{}' wants a filter or the word 'all'", place());
}

std::vector<Expected> Reader::expected_values() const {
    if (asked_->choices == nullptr) {
        return {{std::string(asked_->value), std::string(asked_->wanted), true, false}};
    }
    std::vector<Expected> out;
    out.reserve(asked_->choices->size());
    for (const auto name : *asked_->choices) {
        out.push_back({std::string(name), ""});
    }
    return out;
}

std::vector<Expected> Reader::expected_options() const {
    std::vector<Expected> out;
    for (const auto option : options()) {
        const CommandWord* const word = find_word(option);
        const std::string_view help = word != nullptr       ? word->help
                                      : option == kJsonWord ? "as JSON, keys in doc/cli.md"
                                                            : "without a filter";
        out.push_back({std::string(option), std::string(help)});
    }
    return out;
}

std::vector<Expected> Reader::expected() const {
    std::vector<Expected> out;
    if (asked_ != nullptr) {
        out = expected_values();
    } else if (verb_.empty()) {
        out = expected_verbs();
    } else if (result_.command == nullptr) {
        out = expected_objects(verb_);
    } else {
        out = expected_options();
    }
    if (is_complete()) {
        out.push_back({"<enter>", std::string(result_.command->help), true, true});
    }
    return out;
}

bool is_rules(const std::string& word) {
    const auto verb = choose(word, verbs(), "");
    return verb && *verb == "rules";
}

// `who A P` is `show who external A:P`; `rules`, and with a word that is none of its objects, `rules list`.
std::vector<std::string> in_full(const std::vector<std::string>& words) {
    std::vector<std::string> full = words;
    if (words.size() >= 3 && words[0] == "who") {
        full = {"show", "who", "external", words[1] + ":" + words[2]};
        full.insert(full.end(), words.begin() + 3, words.end());
    } else if (!words.empty() && is_rules(words[0])) {
        const auto objects = objects_of("rules");
        const bool has_object =
            words.size() > 1 && std::any_of(objects.begin(), objects.end(), [&](auto object) {
                return begins_with(object, words[1]);
            });
        full.insert(full.begin() + 1, has_object ? 0 : 1, "list");
    }
    return full;
}

// A reader behind all of `words`; what is wrong with the first bad one otherwise.
tl::expected<Reader, std::string> read(const std::vector<std::string>& words) {
    Reader reader;
    for (const std::string& word : words) {
        if (const auto taken = reader.take(word); !taken) {
            return tl::unexpected<std::string>(taken.error());
        }
    }
    return reader;
}

}  // namespace

namespace {

constexpr std::string_view kBlanks = " \t\r\n";

// Where the word ends that begins at `at`: at a blank, or, after a brace, behind the brace that ends it.
size_t end_of_word(std::string_view line, size_t at) {
    if (line[at] != '{') {
        return std::min(line.find_first_of(kBlanks, at), line.size());
    }
    size_t depth = 0;
    char quote = 0;
    for (; at < line.size(); ++at) {
        const char c = line[at];
        if (quote != 0) {
            at += quote == '"' && c == '\\' ? 1 : 0;
            quote = c == quote ? char{0} : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '{') {
            ++depth;
        } else if (c == '}' && --depth == 0) {
            return at + 1;
        }
    }
    return line.size();
}

}  // namespace

std::vector<std::string> split_words(std::string_view line) {
    std::vector<std::string> words;
    for (size_t at = line.find_first_not_of(kBlanks); at != std::string_view::npos;) {
        const size_t end = end_of_word(line, at);
        words.emplace_back(line.substr(at, end - at));
        at = line.find_first_not_of(kBlanks, end);
    }
    return words;
}

Unfinished split_unfinished(std::string_view line) {
    Unfinished out{split_words(line), ""};
    const bool is_begun = !out.words.empty() && line.ends_with(out.words.back());
    if (is_begun) {
        out.beginning = std::move(out.words.back());
        out.words.pop_back();
    }
    return out;
}

tl::expected<ParsedCommand, std::string> parse_command(const std::vector<std::string>& words) {
    auto reader = read(in_full(words));
    if (!reader) {
        return tl::unexpected<std::string>(reader.error());
    }
    if (!reader->is_complete()) {
        return tl::unexpected<std::string>(reader->missing());
    }
    return reader->result();
}

std::vector<Expected> expected_after(const std::vector<std::string>& words) {
    const auto reader = read(in_full(words));
    std::vector<Expected> all = reader ? reader->expected() : std::vector<Expected>{};
    if (words.size() == 1 && is_rules(words[0])) {
        const std::vector<Expected> objects = expected_objects("rules");
        all.insert(all.begin(), objects.begin(), objects.end());
    }
    return all;
}

std::vector<Expected> expected_after(
    const std::vector<std::string>& words, std::string_view beginning
) {
    std::vector<Expected> all = expected_after(words);
    std::erase_if(all, [beginning](const Expected& e) {
        return e.is_value ? e.is_end && !beginning.empty() : !begins_with(e.word, beginning);
    });
    return all;
}

std::string completion(const std::vector<std::string>& words, std::string_view beginning) {
    std::vector<Expected> fits = expected_after(words, beginning);
    std::erase_if(fits, [](const Expected& e) { return e.is_value; });
    if (fits.empty()) {
        return "";
    }
    std::string shared = fits.front().word;
    for (const Expected& fit : fits) {
        const auto ends =
            std::mismatch(shared.begin(), shared.end(), fit.word.begin(), fit.word.end());
        shared.erase(ends.first, shared.end());
    }
    return shared.substr(beginning.size()) + (fits.size() == 1 ? " " : "");
}

namespace {

// What is said behind commands that want or take more than filters.
std::string usage_of(const Command& command) {
    if (command.verb != "rules") {
        return "";
    }
    std::string out = fmt::format("\n{} {}", command.verb, command.object);
    for (const CommandWord& argument : command.arguments) {
        out += fmt::format(" {}", argument.value);
    }
    for (const CommandWord& word : command.words) {
        out += fmt::format(" [{}{}{}]", word.word, word.value.empty() ? "" : " ", word.value);
    }
    return out;
}

}  // namespace

std::string help_text() {
    std::string out;
    for (const Command& command : commands()) {
        const std::string name = std::string(command.verb) + (command.object.empty() ? "" : " ") +
                                 std::string(command.object);
        out += fmt::format("  {:<18} {}\n", name, command.help);
    }
    out += "\nsubscribers, mappings and sessions take filters, all of which must hold:\n";
    for (const CommandWord& filter : filter_words()) {
        out += fmt::format("  {:<10} {:<15} {}\n", filter.word, filter.value, filter.help);
    }
    for (const Command& command : commands()) {
        out += usage_of(command);
    }
    out += "\n\nwho A P is show who external A:P; rules alone is rules list.\n";
    out += "\nEvery show takes --json. Words may be shortened: sh ma is show mappings.\n";
    return out;
}

}  // namespace sekisho::control
