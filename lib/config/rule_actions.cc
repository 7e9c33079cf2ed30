// What a rule does, and a chain's policy.
#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "config/rule_parts.h"

namespace sekisho::config {
namespace {

using MaybeAction = std::optional<rules::Action>;

// The value is missing where the action stands as a word.
using ReadAction = MaybeAction (*)(const Node* value, const RuleContext& in);

template <class Action>
MaybeAction read_plain(const Node* /*value*/, const RuleContext& /*in*/) {
    return Action{};
}

std::optional<rules::ChainId> read_chain(const Node& node, const RuleContext& in) {
    const auto index = in.draft.chain_names.find(std::string(text_of(node)));
    if (!index) {
        in.mistakes.add(node.place, describe(node), wanted_name("chain", in.draft.chain_names));
        return std::nullopt;
    }
    return in.draft.chains[*index].id;
}

template <class Action>
MaybeAction read_leading(const Node* value, const RuleContext& in) {
    const auto chain = read_chain(*value, in);
    return chain ? MaybeAction(Action{*chain}) : std::nullopt;
}

void read_reject_code(const Node& node, uint8_t& code, Mistakes& mistakes) {
    const auto word = find_word(kRejectWords, text_of(node));
    const auto number = word ? std::nullopt : base::parse_decimal(text_of(node), kMaxIcmpCode);
    if (!word && !number) {
        mistakes.add(
            node.place,
            describe(node),
            "tcp-reset, " + list_words(kRejectWords) +
                ", or a code of destination unreachable, 0 to 15"
        );
        return;
    }
    code = word ? *word : static_cast<uint8_t>(*number);
}

MaybeAction read_reject(const Node* value, const RuleContext& in) {
    rules::Reject reject;
    if (value == nullptr) {
        return reject;
    }
    if (value->kind == Node::Kind::kScalar) {
        reject.by_tcp_reset = value->text == "tcp-reset";
        if (!reject.by_tcp_reset) {
            read_reject_code(*value, reject.icmp_code, in.mistakes);
        }
        return reject;
    }
    const auto map = Map::open(*value, kReject, in.mistakes);
    if (const Node* reset = map ? map->find("tcp-reset") : nullptr) {
        reject.by_tcp_reset = read_boolean(*reset, in.mistakes).value_or(false);
    }
    if (const Node* code = map ? map->find("icmp") : nullptr) {
        read_reject_code(*code, reject.icmp_code, in.mistakes);
    }
    return reject;
}

MaybeAction read_log(const Node* value, const RuleContext& in) {
    rules::Log log;
    const auto map = value != nullptr ? Map::open(*value, kRuleLog, in.mistakes) : std::nullopt;
    if (!map) {
        return log;
    }
    if (const Node* level = map->find("level")) {
        const auto word = find_word(kLevelWords, text_of(*level));
        log.level = word.value_or(log.level);
        if (!word) {
            in.mistakes.add(level->place, describe(*level), list_words(kLevelWords));
        }
    }
    if (const Node* style = map->find("style")) {
        const auto word = find_word(kLogStyleWords, text_of(*style));
        log.style = word ? static_cast<rules::LogStyle>(*word) : log.style;
        if (!word) {
            in.mistakes.add(style->place, describe(*style), list_words(kLogStyleWords));
        }
    }
    if (const Node* prefix = map->find("prefix")) {
        const std::string* const text = read_line(*prefix, kMaxLogPrefix, in.mistakes);
        log.prefix = text != nullptr ? *text : "";
    }
    read_number(*map, "per-minute", kLogLines, log.per_minute, in.mistakes);
    return log;
}

MaybeAction read_masquerade(const Node* value, const RuleContext& in) {
    rules::Masquerade masquerade;
    const auto map = value != nullptr ? Map::open(*value, kMasquerade, in.mistakes) : std::nullopt;
    nat::PortRange ports{};
    const Node* const node = map ? map->find("ports") : nullptr;
    if (node != nullptr && read_ports(*node, ports, in.mistakes)) {
        masquerade.ports = {ports.first, ports.last};
    }
    return masquerade;
}

MaybeAction read_snat(const Node* value, const RuleContext& in) {
    const auto index = in.draft.pool_names.find(std::string(text_of(*value)));
    if (!index) {
        in.mistakes.add(value->place, describe(*value), wanted_name("pool", in.draft.pool_names));
        return std::nullopt;
    }
    return rules::Snat{PoolId{static_cast<uint16_t>(*index)}};
}

void read_target_map(const Node& node, const RuleContext& in, rules::DnatTarget& target) {
    const auto map = Map::open(node, kDnatTarget, in.mistakes);
    if (const Node* address = map->find("address")) {
        (void)read_host(*address, target.address, in.mistakes);
    }
    read_number(*map, "port", kRulePort, target.port, in.mistakes);
    read_number(*map, "weight", kDnatWeight, target.weight, in.mistakes);
}

// As a map, or ADDRESS or ADDRESS:PORT.
void read_target(const Node& node, const RuleContext& in, rules::DnatTarget& target) {
    if (node.kind == Node::Kind::kMap) {
        read_target_map(node, in, target);
        return;
    }
    const std::string_view text = text_of(node);
    const size_t colon = text.find(':');
    const auto address = parse_address(text.substr(0, colon));
    const bool has_port = colon != std::string_view::npos;
    const uint64_t port =
        has_port ? base::parse_decimal(text.substr(colon + 1), UINT16_MAX).value_or(0) : 0;
    if (!address || !is_unicast(*address) || (has_port && port == 0)) {
        in.mistakes.add(
            node.place, describe(node), "an address of a host, or one with a port: 192.0.2.1:80"
        );
        return;
    }
    target.address = *address;
    target.port = static_cast<uint16_t>(port);
}

void read_dnat_targets(const Node& node, const RuleContext& in, rules::Dnat& dnat) {
    const std::vector<Node> one{node};
    const auto* const items =
        node.kind == Node::Kind::kList
            ? read_list(node, kMaxDnatTargets, "a list of targets", in.mistakes)
            : &one;
    if (items == nullptr) {
        return;
    }
    for (const Node& item : *items) {
        read_target(item, in, dnat.targets.emplace_back());
    }
    if (std::ranges::all_of(dnat.targets, [](const auto& t) { return t.weight == 0; })) {
        in.mistakes.add(
            node.place, "no target with a weight", "at least one that gets what is new"
        );
    }
}

MaybeAction read_dnat(const Node* value, const RuleContext& in) {
    rules::Dnat dnat;
    const bool has_affinity = std::ranges::any_of(value->keys, [](const Node& key) {
        return key.text == "targets" || key.text == "affinity";
    });
    if (!has_affinity) {
        read_dnat_targets(*value, in, dnat);
        return dnat;
    }
    const auto map = Map::open(*value, kDnat, in.mistakes);
    if (const Node* targets = map->find("targets")) {
        read_dnat_targets(*targets, in, dnat);
    }
    read_choice(*map, "affinity", kDnatAffinities, dnat.by_source, in.mistakes);
    return dnat;
}

MaybeAction read_redirect(const Node* value, const RuleContext& in) {
    const auto port = value != nullptr ? read_number(*value, kRulePort, in.mistakes) : std::nullopt;
    return rules::Redirect{static_cast<uint16_t>(port.value_or(0))};
}

void read_byte(const Map& map, std::string_view key, uint8_t& target, Mistakes& mistakes) {
    if (const Node* node = map.find(key)) {
        const auto value = parse_bits_number(text_of(*node), UINT8_MAX);
        target = static_cast<uint8_t>(value.value_or(target));
        if (!value) {
            mistakes.add(node->place, describe(*node), "a number from 0 to 0xff");
        }
    }
}

MaybeAction read_set_tos(const Node* value, const RuleContext& in) {
    rules::SetTos set;
    if (const auto map = Map::open(*value, kSetTos, in.mistakes)) {
        read_byte(*map, "keep", set.keep, in.mistakes);
        read_byte(*map, "flip", set.flip, in.mistakes);
    }
    return set;
}

MaybeAction read_set_dscp(const Node* value, const RuleContext& in) {
    const auto dscp = read_dscp(*value, in.mistakes);
    return dscp ? MaybeAction(rules::SetDscp{*dscp}) : std::nullopt;
}

MaybeAction read_set_mark(const Node* value, const RuleContext& in) {
    const auto bits = parse_bits(text_of(*value), UINT32_MAX);
    if (!bits) {
        in.mistakes.add(value->place, describe(*value), bits.error());
        return std::nullopt;
    }
    return rules::SetMark{bits->mask, bits->value};
}

MaybeAction read_police(const Node* value, const RuleContext& in) {
    rules::Police police;
    if (const auto map = Map::open(*value, kPolice, in.mistakes)) {
        read_number(*map, "bytes-per-second", kPoliceRate, police.bytes_per_second, in.mistakes);
        read_number(*map, "burst", kPoliceBurst, police.burst_bytes, in.mistakes);
    }
    return police;
}

enum class Form : uint8_t { kWord, kMap, kBoth };  // deny, {jump: there}, reject and {reject: 1}

struct ActionKey {
    std::string_view name;
    Form form;
    ReadAction read;
};
constexpr ActionKey kActions[] = {
    {"accept", Form::kWord, read_plain<rules::Accept>},
    {"deny", Form::kWord, read_plain<rules::Deny>},
    {"reject", Form::kBoth, read_reject},
    {"log", Form::kBoth, read_log},
    {"jump", Form::kMap, read_leading<rules::Jump>},
    {"goto", Form::kMap, read_leading<rules::Goto>},
    {"return", Form::kWord, read_plain<rules::Return>},
    {"masquerade", Form::kBoth, read_masquerade},
    {"snat", Form::kMap, read_snat},
    {"dnat", Form::kMap, read_dnat},
    {"redirect", Form::kBoth, read_redirect},
    {"no-track", Form::kWord, read_plain<rules::NoTrack>},
    {"set-tos", Form::kMap, read_set_tos},
    {"set-dscp", Form::kMap, read_set_dscp},
    {"set-mark", Form::kMap, read_set_mark},
    {"police", Form::kMap, read_police},
};
static_assert(std::size(kActions) == std::size(kActionKeys));

const ActionKey* find_action(std::string_view name) {
    const auto* const found = std::ranges::find(kActions, name, &ActionKey::name);
    return found == std::end(kActions) ? nullptr : found;
}

std::string wanted_action() {
    return "an action: one of " + list_keys(kAction);
}

MaybeAction read_word(const Node& node, const RuleContext& in) {
    const ActionKey* const key = find_action(node.text);
    if (key == nullptr) {
        in.mistakes.add(node.place, describe(node), wanted_action());
        return std::nullopt;
    }
    if (key->form == Form::kMap) {
        in.mistakes.add(
            node.place, describe(node) + " alone", fmt::format("{{{}: ...}}", key->name)
        );
        return std::nullopt;
    }
    return key->read(nullptr, in);
}

}  // namespace

std::string wanted_name(std::string_view kind, const Names& names) {
    return names.empty() ? fmt::format("the name of a {}: the file has none", kind)
                         : fmt::format("the name of a {}: {}", kind, names.list());
}

std::optional<uint8_t> read_dscp(const Node& node, Mistakes& mistakes) {
    const auto word = find_word(kDscpWords, text_of(node));
    const auto number = base::parse_decimal(text_of(node), kMaxDscp);
    if (!word && !number) {
        mistakes.add(
            node.place, describe(node), "a DSCP: a name such as ef, af11 or cs1, or 0 to 63"
        );
        return std::nullopt;
    }
    return word ? *word : static_cast<uint8_t>(*number);
}

const std::string* read_line(const Node& node, size_t most, Mistakes& mistakes) {
    const std::string wanted =
        fmt::format("a text of 1 to {} bytes on one line, without control characters", most);
    const std::string* const text = read_text(node, wanted, mistakes);
    const auto is_control = [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f;
    };
    if (text != nullptr && (text->size() > most || std::ranges::any_of(*text, is_control))) {
        mistakes.add(node.place, describe(node), wanted);
        return nullptr;
    }
    return text;
}

MaybeAction read_action(const Node& node, const RuleContext& in) {
    if (node.kind == Node::Kind::kScalar) {
        return read_word(node, in);
    }
    if (node.kind != Node::Kind::kMap || node.items.size() != 1) {
        const bool is_map = node.kind == Node::Kind::kMap;
        in.mistakes.add(
            node.place,
            is_map ? fmt::format("a map with {} keys", node.items.size()) : describe(node),
            is_map ? "one action in a map; several are a list" : wanted_action()
        );
        return std::nullopt;
    }
    if (!Map::open(node, kAction, in.mistakes)) {
        return std::nullopt;
    }
    const ActionKey* const key = find_action(text_of(node.keys[0]));
    if (key == nullptr) {
        return std::nullopt;  // said already
    }
    if (key->form == Form::kWord) {
        in.mistakes.add(
            node.items[0].place,
            fmt::format("{} of {}", describe(node.items[0]), key->name),
            fmt::format("{} alone", key->name)
        );
        return std::nullopt;
    }
    return key->read(&node.items[0], in);
}

void read_actions(const Node& node, const RuleContext& in, std::vector<rules::Action>& actions) {
    const bool is_list = node.kind == Node::Kind::kList;
    if (is_list && node.items.empty()) {
        in.mistakes.add(node.place, "an empty list", "at least one action, or no key action");
    }
    for (size_t i = 0; i < (is_list ? node.items.size() : 1); ++i) {
        if (auto action = read_action(is_list ? node.items[i] : node, in)) {
            actions.push_back(std::move(*action));
        }
    }
}

}  // namespace sekisho::config
