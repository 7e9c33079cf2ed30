#include "config/rules_to_yaml.h"

#include <algorithm>
#include <iterator>
#include <set>

#include <fmt/format.h>

#include "base/protocol_name.h"
#include "config/rule_parts.h"
#include "config/yaml_text.h"

namespace sekisho::config {
namespace {

using Out = std::back_insert_iterator<std::string>;

std::string as_it_is(const std::string& text) {
    return text;
}

// A single value stands alone.
std::string one_or_list(const std::vector<std::string>& values) {
    return values.size() == 1 ? values[0] : list(values, as_it_is);
}

template <class NameOf>
std::string byte_set(const rules::ByteSet& set, NameOf&& name_of) {
    std::vector<std::string> names;
    for (unsigned value = 0; value < 256; ++value) {
        if (set.has(static_cast<uint8_t>(value))) {
            names.push_back(name_of(value));
        }
    }
    return one_or_list(names);
}

template <class Ranges>
std::vector<std::string> span_texts(const Ranges& ranges) {
    std::vector<std::string> texts;
    texts.reserve(ranges.size());
    for (const auto& range : ranges) {
        texts.push_back(format_span(range.first, range.last));
    }
    return texts;
}

std::string flag_list(uint8_t flags) {
    std::vector<std::string> names;
    for (const Word& word : kTcpFlagWords) {
        if ((flags & word.value) != 0) {
            names.emplace_back(word.name);
        }
    }
    return list(names, as_it_is);
}

std::string with_fragments(std::string_view key, const std::string& text, bool takes_them) {
    return takes_them ? fmt::format("{{{}: {}, later-fragments: true}}", key, text) : text;
}

std::string dscp_text(unsigned dscp) {
    const std::string_view word = word_of(kDscpWords, dscp);
    return word.empty() ? std::to_string(dscp) : std::string(word);
}

struct Pair {
    std::string key;
    std::string value;
};

const char* side_of(
    rules::Side side, const char* source, const char* destination, const char* either
) {
    return side == rules::Side::kSource        ? source
           : side == rules::Side::kDestination ? destination
                                               : either;
}

// A condition's key, without its `not-`, and its value.
struct TestWriter {
    const Config& config;

    Pair operator()(const rules::ProtocolTest& test) const {
        return {"protocol", byte_set(test.protocols, [](unsigned number) {
                    return base::protocol_name(static_cast<uint8_t>(number));
                })};
    }
    Pair operator()(const rules::AddressTest& test) const {
        std::vector<std::string> texts;
        for (const rules::AddressRange& range : test.ranges) {
            texts.push_back(format(range));
        }
        for (const rules::MaskedAddress& masked : test.masked) {
            texts.push_back(format(masked));
        }
        for (const rules::SetId set : test.sets) {
            texts.push_back(scalar("@" + *config.rules.set.set_name(set)));
        }
        return {side_of(test.side, "source", "destination", "address"), one_or_list(texts)};
    }
    Pair operator()(const rules::PortTest& test) const {
        const std::string text = one_or_list(span_texts(test.ranges));
        return {
            side_of(test.side, "source-port", "destination-port", "port"),
            with_fragments("ports", text, test.takes_later_fragments)};
    }
    Pair operator()(const rules::IcmpTest& test) const {
        std::vector<std::string> texts;
        for (const rules::IcmpKind& kind : test.kinds) {
            texts.push_back(format(kind));
        }
        return {"icmp", with_fragments("kinds", one_or_list(texts), test.takes_later_fragments)};
    }
    Pair operator()(const rules::LinkTest& test) const {
        const char* const key = test.way == rules::Way::kIn    ? "in-link"
                                : test.way == rules::Way::kOut ? "out-link"
                                                               : "link";
        return {key, byte_set(test.links, [&](unsigned link) {
                    return scalar(config.links[link].name);
                })};
    }
    Pair operator()(const rules::TcpFlagsTest& test) const {
        for (const auto& shorthand : kTcpShorthands) {
            if (test == shorthand.value) {
                return {"tcp", std::string(shorthand.name)};
            }
        }
        return {
            "tcp-flags",
            fmt::format(
                "{{mask: {}, set: {}{}}}",
                flag_list(test.mask),
                flag_list(test.set),
                test.takes_others ? ", others: true" : ""
            )};
    }
    Pair operator()(const rules::FragmentTest& test) const {
        std::vector<std::string> names;
        const bool kinds[] = {test.whole, test.first, test.later};
        for (const Word& word : kFragmentWords) {
            if (kinds[word.value]) {
                names.emplace_back(word.name);
            }
        }
        return {"fragment", one_or_list(names)};
    }
    Pair operator()(const rules::TosTest& test) const {
        if (test.mask == kDscpMask) {
            return {"dscp", dscp_text(test.value >> 2)};
        }
        return {"tos", format_bits({test.value, test.mask}, UINT8_MAX)};
    }
    Pair operator()(const rules::LengthTest& test) const {
        return {"length", one_or_list(span_texts(test.ranges))};
    }
    Pair operator()(const rules::TtlTest& test) const {
        return {"ttl", format_span(test.range.first, test.range.last)};
    }
    Pair operator()(const rules::StateTest& test) const {
        return {"state", byte_set(test.states, [](unsigned state) {
                    return std::string(word_of(kStateWords, state));
                })};
    }
    Pair operator()(const rules::RealmTest& test) const {
        return {"realm", byte_set(test.realms, [&](unsigned realm) {
                    return scalar(config.realms[realm].name);
                })};
    }
    Pair operator()(const rules::GroupTest& test) const {
        std::vector<std::string> names;
        for (const rules::GroupId group : test.groups) {
            names.push_back(scalar(config.rules.groups[group.value].name));
        }
        return {"group", one_or_list(names)};
    }
    Pair operator()(const rules::PayloadTest& test) const {
        return {"payload", scalar(config.rules.patterns[test.pattern.value].name)};
    }
    Pair operator()(const rules::TimeTest& test) const {
        std::vector<std::string> days;
        for (const Word& word : kDayWords) {
            if ((test.days >> word.value & 1) != 0) {
                days.emplace_back(word.name);
            }
        }
        return {
            "time",
            fmt::format(
                "{{days: {}, from: \"{}\", to: \"{}\"}}",
                list(days, as_it_is),
                format_time_of_day(test.seconds.first),
                format_time_of_day(test.seconds.last + 1)
            )};
    }
    Pair operator()(const rules::RateTest& test) const {
        const auto* const word =
            std::ranges::find(kRatePeriods, test.period.value, &Choice<uint32_t>::value);
        return {
            "rate",
            fmt::format(
                "{{packets: {}, per: {}, burst: {}}}",
                test.packets,
                word == std::end(kRatePeriods) ? std::to_string(test.period.value)
                                               : std::string(word->name),
                test.burst
            )};
    }
    Pair operator()(const rules::MarkTest& test) const {
        return {"mark", format_bits({test.value, test.mask}, UINT32_MAX)};
    }
};

struct ActionWriter {
    const Config& config;

    std::string operator()(const rules::Reject& reject) const {
        const std::string_view word = word_of(kRejectWords, reject.icmp_code);
        const std::string code =
            word.empty() ? std::to_string(reject.icmp_code) : std::string(word);
        if (!reject.by_tcp_reset) {
            return fmt::format("{{reject: {}}}", code);
        }
        return reject.icmp_code == rules::Reject{}.icmp_code
                   ? "{reject: tcp-reset}"
                   : fmt::format("{{reject: {{tcp-reset: true, icmp: {}}}}}", code);
    }
    std::string operator()(const rules::Log& log) const {
        return fmt::format(
            "{{log: {{level: {}{}{}{}}}}}",
            word_of(kLevelWords, log.level),
            log.prefix.empty() ? "" : ", prefix: " + scalar(log.prefix),
            log.per_minute == 0 ? "" : fmt::format(", per-minute: {}", log.per_minute),
            log.style == rules::LogStyle::kStructured
                ? ""
                : fmt::format(
                      ", style: {}", word_of(kLogStyleWords, static_cast<uint8_t>(log.style))
                  )
        );
    }
    std::string operator()(const rules::Jump& jump) const {
        return fmt::format("{{jump: {}}}", scalar(config.rules.set.chain(jump.chain)->name));
    }
    std::string operator()(const rules::Goto& go) const {
        return fmt::format("{{goto: {}}}", scalar(config.rules.set.chain(go.chain)->name));
    }
    std::string operator()(const rules::Masquerade& masquerade) const {
        const auto [first, last] = masquerade.ports;
        return first == 0 ? "masquerade"
                          : fmt::format("{{masquerade: {{ports: {}}}}}", format_span(first, last));
    }
    std::string operator()(const rules::Snat& snat) const {
        return fmt::format("{{snat: {}}}", scalar(config.nat.pools[snat.pool.value].name));
    }
    std::string operator()(const rules::Dnat& dnat) const {
        const auto target = [](const rules::DnatTarget& t) {
            return fmt::format(
                "{{address: {}{}, weight: {}}}",
                format(t.address),
                t.port == 0 ? "" : fmt::format(", port: {}", t.port),
                t.weight
            );
        };
        return fmt::format(
            "{{dnat: {{targets: {}, affinity: {}}}}}",
            list(dnat.targets, target),
            dnat.by_source ? "source" : "none"
        );
    }
    std::string operator()(const rules::Redirect& redirect) const {
        return redirect.port == 0 ? "redirect" : fmt::format("{{redirect: {}}}", redirect.port);
    }
    std::string operator()(const rules::SetTos& set) const {
        return fmt::format("{{set-tos: {{keep: 0x{:x}, flip: 0x{:x}}}}}", set.keep, set.flip);
    }
    std::string operator()(const rules::SetDscp& set) const {
        return fmt::format("{{set-dscp: {}}}", dscp_text(set.value));
    }
    std::string operator()(const rules::SetMark& set) const {
        return fmt::format("{{set-mark: {}}}", format_bits({set.value, set.mask}, UINT32_MAX));
    }
    std::string operator()(const rules::Police& police) const {
        return fmt::format(
            "{{police: {{bytes-per-second: {}, burst: {}}}}}",
            police.bytes_per_second,
            police.burst_bytes
        );
    }
    template <class Plain>
    std::string operator()(const Plain& plain) const {
        return rules::name_of(rules::Action(plain));
    }
};

// What is asked, in maps of which none has a key twice: the rule's own, and those under `and`.
std::vector<std::vector<Pair>> maps_of(const Config& config, const rules::Rule& rule) {
    std::vector<std::vector<Pair>> maps(1);
    for (const rules::Condition& condition : rule.conditions) {
        Pair pair = std::visit(TestWriter{config}, condition.test);
        pair.key.insert(0, condition.negated ? "not-" : "");
        if (std::ranges::find(maps.back(), pair.key, &Pair::key) != maps.back().end()) {
            maps.emplace_back();
        }
        maps.back().push_back(std::move(pair));
    }
    return maps;
}

std::string joined(const std::vector<Pair>& pairs) {
    std::string text;
    for (const Pair& pair : pairs) {
        text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", pair.key, pair.value);
    }
    return text;
}

void write_set(const SetSettings& set, Out out) {
    fmt::format_to(out, "  - name: {}\n", scalar(set.name));
    if (!set.addresses.empty()) {
        const auto text_of_range = [](const rules::AddressRange& range) { return format(range); };
        fmt::format_to(out, "    addresses: {}\n", list(set.addresses, text_of_range));
    }
    if (!set.file.empty()) {
        fmt::format_to(out, "    file: {}\n", scalar(set.file));
    }
}

void write_chain(const Config& config, const rules::Chain& chain, Out out) {
    fmt::format_to(out, "  - name: {}\n", scalar(chain.name));
    if (chain.hook) {
        fmt::format_to(
            out,
            "    hook: {}\n    priority: {}\n    policy: {}\n",
            name_of(*chain.hook),
            chain.priority,
            action_to_yaml(config, chain.policy)
        );
    }
    fmt::format_to(out, "{}", chain.rules.empty() ? "" : "    rules:\n");
    for (const rules::RulePtr& rule : chain.rules) {
        fmt::format_to(out, "      - {}\n", rule_to_yaml(config, *rule));
    }
}

}  // namespace

std::string action_to_yaml(const Config& config, const rules::Action& action) {
    return std::visit(ActionWriter{config}, action);
}

std::string rule_to_yaml(const Config& config, const rules::Rule& rule) {
    std::vector<std::vector<Pair>> maps = maps_of(config, rule);
    std::vector<Pair> pairs = std::move(maps[0]);
    maps.erase(maps.begin());
    if (!maps.empty()) {
        const auto in_braces = [](const std::vector<Pair>& map) { return "{" + joined(map) + "}"; };
        pairs.push_back({"and", list(maps, in_braces)});
    }
    if (rule.either_way) {
        pairs.push_back({"either-way", "true"});
    }
    if (!rule.actions.empty()) {
        std::vector<std::string> actions;
        for (const rules::Action& action : rule.actions) {
            actions.push_back(action_to_yaml(config, action));
        }
        pairs.push_back({"action", one_or_list(actions)});
    }
    if (!rule.comment.empty()) {
        pairs.push_back({"comment", scalar(rule.comment)});
    }
    return "{" + joined(pairs) + "}";
}

std::string patterns_to_yaml(const std::vector<PatternSettings>& patterns) {
    std::string text = patterns.empty() ? "" : "\npatterns:\n";
    for (const PatternSettings& pattern : patterns) {
        text += fmt::format(
            "  - {{name: {}, {}: {}{}}}\n",
            scalar(pattern.name),
            pattern.is_regex ? "regex" : "literal",
            scalar(pattern.text),
            pattern.first_bytes == 0 ? "" : fmt::format(", first-bytes: {}", pattern.first_bytes)
        );
    }
    return text;
}

std::string rules_to_yaml(const Config& config) {
    std::string text = config.rules.sets.empty() ? "" : "\nsets:\n";
    const Out out(text);
    for (const SetSettings& set : config.rules.sets) {
        write_set(set, out);
    }
    const std::vector<rules::ChainId> chains = config.rules.set.chains();
    text += chains.empty() ? "" : "\nrules:\n";
    for (const rules::ChainId id : chains) {
        write_chain(config, *config.rules.set.chain(id), out);
    }
    return text;
}

}  // namespace sekisho::config
