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

constexpr std::string_view kJson = "--json";
constexpr std::string_view kAll = "all";
constexpr std::string_view kProtocol = "protocol";
const std::vector<std::string_view> kProtocols = [] {
    std::vector<std::string_view> names;
    for (const base::ProtocolName& known : base::kProtocolNames) {
        names.push_back(known.text);
    }
    return names;
}();

struct FilterWord {
    std::string_view word;   // in commands and in the RPC's parameters
    std::string_view value;  // as '?' shows it
    std::string_view help;
    std::string_view wanted;
    bool (*accepts)(std::string_view);
};

constexpr std::array<FilterWord, 5> kFilters{{
    {"subscriber",
     "<A>",
     "of one internal address",
     kWantedAddress,
     [](std::string_view text) { return base::parse_ipv4(text).has_value(); }},
    {"realm",
     "<name>",
     "of one realm on the internal side",
     kWantedRealm,
     [](std::string_view text) { return !text.empty(); }},
    {"external",
     "<A[:P]>",
     "of one external address, or address and port",
     kWantedEndpoint,
     [](std::string_view text) { return parse_endpoint(text).has_value(); }},
    {"remote",
     "<A[:P]>",
     "with one remote address, or address and port",
     kWantedEndpoint,
     [](std::string_view text) { return parse_endpoint(text).has_value(); }},
    {kProtocol,
     "<protocol>",
     "of one protocol: tcp, udp, icmp, sctp, dccp, udp-lite, gre or esp",
     kWantedProtocol,
     [](std::string_view text) { return base::parse_protocol(text).has_value(); }},
}};

Command shows(std::string_view object, std::string_view method, std::string_view help) {
    return {"show", object, method, help, false, true, false, false};
}
Command lists(std::string_view object, std::string_view method, std::string_view help) {
    return {"show", object, method, help, true, true, false, true};
}
Command clears(std::string_view object, std::string_view method, std::string_view help) {
    return {"clear", object, method, help, true, false, true, true};
}

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
    tl::expected<void, std::string> take_value(const std::string& word);
    std::vector<std::string_view> options() const;
    std::vector<Expected> expected_values() const;
    std::vector<Expected> expected_options() const;
    void settle(std::string_view verb, std::string_view object);

    std::string_view verb_;
    const FilterWord* filter_ = nullptr;  // whose value comes next
    ParsedCommand result_;
};

void Reader::settle(std::string_view verb, std::string_view object) {
    const auto it = std::find_if(commands().begin(), commands().end(), [&](const Command& c) {
        return c.verb == verb && c.object == object;
    });
    result_.command = it == commands().end() ? nullptr : &*it;
}

// The keywords that may follow a complete command.
std::vector<std::string_view> Reader::options() const {
    std::vector<std::string_view> out;
    const Command& command = *result_.command;
    const bool all = result_.params.contains(kAll);
    for (const FilterWord& filter : kFilters) {
        if (command.has_filters && !all && !result_.params.contains(filter.word)) {
            out.push_back(filter.word);
        }
    }
    if (command.has_all && result_.params.empty()) {
        out.push_back(kAll);
    }
    if (command.has_json && !result_.json) {
        out.push_back(kJson);
    }
    return out;
}

tl::expected<void, std::string> Reader::take(const std::string& word) {
    if (filter_ != nullptr) {
        return take_value(word);
    }
    if (verb_.empty()) {
        const auto verb = choose(word, verbs(), "");
        if (!verb) {
            return tl::unexpected<std::string>(verb.error());
        }
        verb_ = *verb;
        settle(verb_, "");
        return {};
    }
    if (result_.command == nullptr) {
        const auto object = choose(word, objects_of(verb_), fmt::format(" after '{}'", verb_));
        if (!object) {
            return tl::unexpected<std::string>(object.error());
        }
        settle(verb_, *object);
        return {};
    }
    const std::string name = fmt::format(
        " after '{}{}{}'",
        verb_,
        result_.command->object.empty() ? "" : " ",
        result_.command->object
    );
    const auto option = choose(word, options(), name);
    if (!option) {
        return tl::unexpected<std::string>(option.error());
    }
    if (*option == kJson) {
        result_.json = true;
    } else if (*option == kAll) {
        result_.params[std::string(kAll)] = true;
    } else {
        filter_ = std::find_if(kFilters.begin(), kFilters.end(), [&](const FilterWord& f) {
            return f.word == *option;
        });
    }
    return {};
}

tl::expected<void, std::string> Reader::take_value(const std::string& word) {
    if (filter_->word == kProtocol) {
        const auto name = choose(word, kProtocols, " after 'protocol'");
        if (!name) {
            return tl::unexpected<std::string>(name.error());
        }
        result_.params[std::string(kProtocol)] = *name;
        filter_ = nullptr;
        return {};
    }
    if (!filter_->accepts(word)) {
        return tl::unexpected<std::string>(fmt::format(
            "found '{}' after '{}', wanted {}", printable(word), filter_->word, filter_->wanted
        ));
    }
    result_.params[std::string(filter_->word)] = word;
    filter_ = nullptr;
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
    return filter_ == nullptr && result_.command != nullptr &&
           !(result_.command->has_all && result_.params.empty());
}

std::string Reader::missing() const {
    if (filter_ != nullptr) {
        return fmt::format("after '{}' {} is missing", filter_->word, filter_->wanted);
    }
    if (verb_.empty()) {
        return "a command is missing; 'help' lists them";
    }
    if (result_.command == nullptr) {
        return fmt::format(
            "after '{}' one of these is missing: {}", verb_, join(objects_of(verb_))
        );
    }
    return fmt::format("'{} {}' wants a filter or the word 'all'", verb_, result_.command->object);
}

std::vector<Expected> Reader::expected_values() const {
    if (filter_->word != kProtocol) {
        return {{std::string(filter_->value), std::string(filter_->wanted), true, false}};
    }
    std::vector<Expected> out;
    out.reserve(std::size(kProtocols));
    for (const auto name : kProtocols) {
        out.push_back({std::string(name), ""});
    }
    return out;
}

std::vector<Expected> Reader::expected_options() const {
    std::vector<Expected> out;
    for (const auto option : options()) {
        const auto* filter = std::find_if(kFilters.begin(), kFilters.end(), [&](const auto& f) {
            return f.word == option;
        });
        const std::string_view help = filter != kFilters.end() ? filter->help
                                      : option == kJson        ? "as JSON, keys in doc/cli.md"
                                                               : "without a filter";
        out.push_back({std::string(option), std::string(help)});
    }
    return out;
}

std::vector<Expected> Reader::expected() const {
    std::vector<Expected> out;
    if (filter_ != nullptr) {
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

// `who A P` is `show who external A:P`.
std::vector<std::string> in_full(const std::vector<std::string>& words) {
    if (words.size() < 3 || words[0] != "who") {
        return words;
    }
    std::vector<std::string> full = {"show", "who", "external", words[1] + ":" + words[2]};
    full.insert(full.end(), words.begin() + 3, words.end());
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

const std::vector<Command>& commands() {
    static const std::vector<Command> all = {
        shows("status", "show.status", "the appliance, its tables and buffers"),
        shows("links", "show.links", "links, their devices and counters"),
        shows("workers", "show.workers", "worker threads, their queues and load"),
        shows("neighbours", "show.neighbours", "next hops and their link addresses"),
        shows("routes", "show.routes", "connected and static routes"),
        shows("pools", "show.pools", "external addresses, port blocks and ports in use"),
        lists(
            "subscribers", "show.subscribers", "internal addresses with their sessions and ports"
        ),
        lists("mappings", "show.mappings", "internal and external endpoints"),
        lists("sessions", "show.sessions", "mappings with their remote endpoints and states"),
        lists("who", "show.who", "whose an external port is: external A:P"),
        shows("counters", "show.counters", "where the packets have gone"),
        shows("drops", "show.drops", "why packets were dropped, and how many"),
        shows("log", "show.log", "the log of bindings: what was written, lost, is waiting"),
        shows("config", "show.config", "the configuration in effect, with every default"),
        clears("sessions", "clear.sessions", "end sessions"),
        clears("mappings", "clear.mappings", "end mappings with all their sessions"),
        {"clear",
         "counters",
         "clear.counters",
         "count packets from zero",
         false,
         false,
         false,
         false},
        {"compare",
         "",
         "config.compare",
         "what of the configuration's file is not in effect, and how it could be",
         false,
         true,
         false,
         false},
        {"reload",
         "",
         "config.reload",
         "read the configuration's file again and change what has changed",
         false,
         true,
         false,
         false},
        {"help", "", "", "this list", false, false, false, false},
        {"exit", "", "", "leave", false, false, false, false},
        {"quit", "", "", "leave", false, false, false, false},
    };
    return all;
}

std::vector<std::string> split_words(std::string_view line) {
    constexpr std::string_view kBlanks = " \t\r\n";
    std::vector<std::string> words;
    for (size_t at = line.find_first_not_of(kBlanks); at != std::string_view::npos;) {
        const size_t end = std::min(line.find_first_of(kBlanks, at), line.size());
        words.emplace_back(line.substr(at, end - at));
        at = line.find_first_not_of(kBlanks, end);
    }
    return words;
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
    const auto reader = read(words);
    return reader ? reader->expected() : std::vector<Expected>{};
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

std::string help_text() {
    std::string out;
    for (const Command& command : commands()) {
        const std::string name = std::string(command.verb) + (command.object.empty() ? "" : " ") +
                                 std::string(command.object);
        out += fmt::format("  {:<18} {}\n", name, command.help);
    }
    out += "\nsubscribers, mappings and sessions take filters, all of which must hold:\n";
    for (const FilterWord& filter : kFilters) {
        out += fmt::format("  {:<10} {:<15} {}\n", filter.word, filter.value, filter.help);
    }
    out += "\nwho A P is show who external A:P.\n";
    out += "\nEvery show takes --json. Words may be shortened: sh ma is show mappings.\n";
    return out;
}

}  // namespace sekisho::control
