// What a key of a rule asks of a packet.
#include <algorithm>

#include <fmt/format.h>

#include "base/protocol_name.h"
#include "config/rule_parts.h"

namespace sekisho::config {
namespace {

using MaybeTest = std::optional<rules::Test>;
constexpr std::string_view kNot = "not-";

template <class Test>
MaybeTest if_good(bool good, Test&& test) {
    return good ? MaybeTest(std::forward<Test>(test)) : std::nullopt;
}

bool add_protocols(const Node& node, const RuleContext& in, rules::ByteSet& protocols) {
    const std::string_view text = text_of(node);
    if (const auto known = base::parse_protocol(text)) {
        protocols.add(static_cast<uint8_t>(*known));
        return true;
    }
    const auto numbers = parse_span(text, 255);
    if (!numbers) {
        in.mistakes.add(
            node.place, describe(node), "a protocol: tcp, udp, icmp ..., or a number from 0 to 255"
        );
        return false;
    }
    for (uint32_t number = numbers->first; number <= numbers->last; ++number) {
        protocols.add(static_cast<uint8_t>(number));
    }
    return true;
}

MaybeTest read_protocol(const Node& node, const RuleContext& in) {
    rules::ProtocolTest test;
    const bool good = read_each(node, "a protocol or a list of them", in, [&](const Node& one) {
        return add_protocols(one, in, test.protocols);
    });
    return if_good(good, test);
}

bool add_set(const Node& node, const RuleContext& in, rules::AddressTest& test) {
    const auto index = in.draft.set_names.find(node.text.substr(1));
    if (!index) {
        in.mistakes.add(node.place, describe(node), wanted_name("set", in.draft.set_names));
        return false;
    }
    const auto id = in.draft.sets[*index];
    test.sets.push_back(id.value_or(rules::SetId{}));
    return id.has_value();
}

bool refuse_address(const Node& node, const RuleContext& in, const std::string& wanted) {
    const bool is_set = !text_of(node).empty() && in.draft.set_names.find(node.text);
    in.mistakes.add(
        node.place, describe(node), is_set ? fmt::format("\"@{}\" for the set", node.text) : wanted
    );
    return false;
}

bool add_address(const Node& node, const RuleContext& in, rules::AddressTest& test) {
    const std::string_view text = text_of(node);
    if (text.starts_with('@')) {
        return add_set(node, in, test);
    }
    const size_t slash = text.find('/');
    const bool is_masked =
        slash != std::string_view::npos && text.find('.', slash) != std::string_view::npos;
    if (is_masked) {
        const auto masked = parse_masked(text);
        if (!masked) {
            return refuse_address(node, in, masked.error());
        }
        test.masked.push_back(*masked);
        return true;
    }
    const auto range = parse_any_addresses(text);
    if (!range) {
        return refuse_address(node, in, range.error());
    }
    test.ranges.push_back(*range);
    return true;
}

template <rules::Side side>
MaybeTest read_addresses(const Node& node, const RuleContext& in) {
    rules::AddressTest test;
    test.side = side;
    const bool good = read_each(node, "an address or a list of them", in, [&](const Node& one) {
        return add_address(one, in, test);
    });
    return if_good(good, std::move(test));
}

bool add_ports(const Node& node, const RuleContext& in, rules::PortTest& test) {
    const auto span = parse_span(text_of(node), UINT16_MAX);
    if (!span) {
        in.mistakes.add(
            node.place, describe(node), "a port or a range of ports, such as 80 or 8000-8999"
        );
        return false;
    }
    test.ranges.push_back({static_cast<uint16_t>(span->first), static_cast<uint16_t>(span->last)});
    return true;
}

// Of a map, its list and what it says of fragments that show none of it.
const Node* open_with_fragments(
    const Node& node,
    const Section& section,
    std::string_view key,
    const RuleContext& in,
    bool& takes_later_fragments
) {
    if (node.kind != Node::Kind::kMap) {
        return &node;
    }
    const auto map = Map::open(node, section, in.mistakes);
    if (const Node* later = map ? map->find("later-fragments") : nullptr) {
        takes_later_fragments = read_boolean(*later, in.mistakes).value_or(false);
    }
    return map ? map->find(key) : nullptr;
}

template <rules::Side side>
MaybeTest read_port(const Node& node, const RuleContext& in) {
    rules::PortTest test;
    test.side = side;
    const Node* const ports =
        open_with_fragments(node, kRulePorts, "ports", in, test.takes_later_fragments);
    const bool good =
        ports != nullptr && read_each(*ports, "a port or a list of them", in, [&](const Node& one) {
            return add_ports(one, in, test);
        });
    return if_good(good, std::move(test));
}

MaybeTest read_icmp(const Node& node, const RuleContext& in) {
    rules::IcmpTest test;
    const Node* const kinds =
        open_with_fragments(node, kRuleIcmp, "kinds", in, test.takes_later_fragments);
    const auto add = [&](const Node& one) {
        const auto kind = parse_icmp(text_of(one));
        if (!kind) {
            in.mistakes.add(one.place, describe(one), kind.error());
            return false;
        }
        test.kinds.push_back(*kind);
        return true;
    };
    const bool good =
        kinds != nullptr && read_each(*kinds, "an ICMP message or a list of them", in, add);
    return if_good(good, std::move(test));
}

bool add_link(const Node& node, const RuleContext& in, rules::ByteSet& links) {
    const std::string name(text_of(node));
    if (const auto index = in.draft.link_names.find(name)) {
        links.add(static_cast<uint8_t>(*index));
        return true;
    }
    const auto address = parse_address(name);
    bool is_known = false;
    bool all_read = true;
    for (size_t i = 0; i < in.draft.links.size(); ++i) {
        const auto& own = in.draft.config.links[i].addresses;
        const bool has =
            address && std::ranges::find(own, *address, &InterfaceAddress::address) != own.end();
        if (has) {
            links.add(static_cast<uint8_t>(i));
        }
        is_known = is_known || has;
        all_read = all_read && in.draft.links[i].addresses_read;
    }
    if (!is_known && (!address || all_read)) {
        in.mistakes.add(
            node.place,
            describe(node),
            "the name of a link, or an own address of one: " + in.draft.link_names.list()
        );
    }
    return is_known;
}

template <rules::Way way>
MaybeTest read_links_of(const Node& node, const RuleContext& in) {
    rules::LinkTest test;
    test.way = way;
    const bool good = read_each(node, "a link or a list of them", in, [&](const Node& one) {
        return add_link(one, in, test.links);
    });
    return if_good(good, test);
}

// A list of words, each with a bit or a place.
template <class Add>
bool read_words(const Node& node, std::span<const Word> words, const RuleContext& in, Add&& add) {
    const std::string wanted = list_words(words) + ", or a list of them";
    return read_each(node, wanted, in, [&](const Node& one) {
        const auto value = find_word(words, text_of(one));
        if (!value) {
            in.mistakes.add(one.place, describe(one), list_words(words));
            return false;
        }
        add(*value);
        return true;
    });
}

bool read_flags(const Node* node, const RuleContext& in, uint8_t& flags) {
    return node != nullptr && read_words(*node, kTcpFlagWords, in, [&](uint8_t flag) {
               flags = static_cast<uint8_t>(flags | flag);
           });
}

MaybeTest read_tcp(const Node& node, const RuleContext& in) {
    const auto test = read_choice(node, kTcpShorthands, in.mistakes);
    return test ? MaybeTest(*test) : std::nullopt;
}

MaybeTest read_tcp_flags(const Node& node, const RuleContext& in) {
    const auto map = Map::open(node, kTcpFlags, in.mistakes);
    if (!map) {
        return std::nullopt;
    }
    rules::TcpFlagsTest test;
    const Node* const set = map->find("set");
    bool good = read_flags(map->find("mask"), in, test.mask);
    good = read_flags(set, in, test.set) && good;
    if (good && (test.set & ~test.mask) != 0) {
        in.mistakes.add(set->place, "flags that are not in the mask", "flags of the mask");
        good = false;
    }
    if (const Node* others = map->find("others")) {
        test.takes_others = read_boolean(*others, in.mistakes).value_or(false);
    }
    return if_good(good, test);
}

MaybeTest read_fragment(const Node& node, const RuleContext& in) {
    rules::FragmentTest test;
    bool* const kinds[] = {&test.whole, &test.first, &test.later};
    const bool good =
        read_words(node, kFragmentWords, in, [&](uint8_t kind) { *kinds[kind] = true; });
    return if_good(good, test);
}

std::optional<Bits> read_bits(const Node& node, uint32_t most, const RuleContext& in) {
    const auto bits = parse_bits(text_of(node), most);
    if (!bits) {
        in.mistakes.add(node.place, describe(node), bits.error());
        return std::nullopt;
    }
    return *bits;
}

MaybeTest read_tos(const Node& node, const RuleContext& in) {
    const auto bits = read_bits(node, UINT8_MAX, in);
    return bits ? MaybeTest(rules::TosTest{
                      static_cast<uint8_t>(bits->mask), static_cast<uint8_t>(bits->value)})
                : std::nullopt;
}

MaybeTest read_dscp_test(const Node& node, const RuleContext& in) {
    const auto dscp = read_dscp(node, in.mistakes);
    return dscp ? MaybeTest(rules::TosTest{kDscpMask, static_cast<uint8_t>(*dscp << 2)})
                : std::nullopt;
}

MaybeTest read_length(const Node& node, const RuleContext& in) {
    rules::LengthTest test;
    const bool good = read_each(node, "a length or a list of them", in, [&](const Node& one) {
        const auto span = parse_span(text_of(one), UINT16_MAX);
        if (!span) {
            in.mistakes.add(one.place, describe(one), span.error());
            return false;
        }
        test.ranges.push_back(
            {static_cast<uint16_t>(span->first), static_cast<uint16_t>(span->last)}
        );
        return true;
    });
    return if_good(good, std::move(test));
}

MaybeTest read_ttl(const Node& node, const RuleContext& in) {
    const auto span = parse_span(text_of(node), UINT8_MAX);
    if (!span) {
        in.mistakes.add(node.place, describe(node), span.error());
        return std::nullopt;
    }
    return rules::TtlTest{{static_cast<uint8_t>(span->first), static_cast<uint8_t>(span->last)}};
}

MaybeTest read_state(const Node& node, const RuleContext& in) {
    rules::StateTest test;
    const bool good =
        read_words(node, kStateWords, in, [&](uint8_t state) { test.states.add(state); });
    return if_good(good, test);
}

MaybeTest read_realm(const Node& node, const RuleContext& in) {
    rules::RealmTest test;
    const bool good = read_each(node, "a realm or a list of them", in, [&](const Node& one) {
        const auto realm = read_any_realm(one, in.draft, in.mistakes);
        if (realm) {
            test.realms.add(realm->value);
        }
        return realm.has_value();
    });
    return if_good(good, test);
}

// Of a list in the file.
std::optional<uint16_t> read_named(
    const Node& node, const Names& names, std::string_view kind, const RuleContext& in
) {
    const auto index = names.find(std::string(text_of(node)));
    if (!index) {
        in.mistakes.add(node.place, describe(node), wanted_name(kind, names));
        return std::nullopt;
    }
    return static_cast<uint16_t>(*index);
}

MaybeTest read_group(const Node& node, const RuleContext& in) {
    rules::GroupTest test;
    const bool good = read_each(node, "a group or a list of them", in, [&](const Node& one) {
        const auto group = read_named(one, in.draft.group_names, "group", in);
        if (group) {
            test.groups.push_back(rules::GroupId{*group});
        }
        return group.has_value();
    });
    return if_good(good, std::move(test));
}

MaybeTest read_payload(const Node& node, const RuleContext& in) {
    const auto pattern = read_named(node, in.draft.pattern_names, "pattern", in);
    return pattern ? MaybeTest(rules::PayloadTest{rules::PatternId{*pattern}}) : std::nullopt;
}

// nullopt: a mistake. What is not there is `second`.
std::optional<uint32_t> read_moment(
    const Map& map, std::string_view key, uint32_t second, const RuleContext& in
) {
    const Node* const node = map.find(key);
    if (node == nullptr) {
        return second;
    }
    const auto found = parse_time_of_day(text_of(*node));
    if (!found) {
        in.mistakes.add(node->place, describe(*node), "a time of day from 00:00 to 24:00");
    }
    return found;
}

MaybeTest read_time(const Node& node, const RuleContext& in) {
    constexpr uint32_t kDay = rules::TimeOfWeek::kDay;
    const auto map = Map::open(node, kRuleTime, in.mistakes);
    if (!map) {
        return std::nullopt;
    }
    rules::TimeTest test;
    bool good = true;
    if (const Node* days = map->find("days")) {
        test.days = 0;
        good = read_words(*days, kDayWords, in, [&](uint8_t day) {
            test.days = static_cast<uint8_t>(test.days | 1U << day);
        });
        if (good && test.days == 0) {
            in.mistakes.add(days->place, "no day", "at least one");
            good = false;
        }
    }
    const auto from = read_moment(*map, "from", 0, in);
    const auto to = read_moment(*map, "to", kDay, in);
    if (!good || !from || !to) {
        return std::nullopt;
    }
    test.seconds = {*from % kDay, (*to + kDay - 1) % kDay};
    return test;
}

MaybeTest read_rate(const Node& node, const RuleContext& in) {
    const auto map = Map::open(node, kRuleRate, in.mistakes);
    if (!map) {
        return std::nullopt;
    }
    rules::RateTest test;
    read_number(*map, "packets", kRatePackets, test.packets, in.mistakes);
    read_number(*map, "burst", kRateBurst, test.burst, in.mistakes);
    const Node* const per = map->find("per");
    const auto word = per == nullptr
                          ? std::end(kRatePeriods)
                          : std::ranges::find(kRatePeriods, text_of(*per), &Choice<uint32_t>::name);
    if (word != std::end(kRatePeriods)) {
        test.period = Seconds{word->value};
    } else {
        read_number(*map, "per", kRatePeriod, test.period, in.mistakes);
    }
    return test;
}

MaybeTest read_mark(const Node& node, const RuleContext& in) {
    const auto bits = read_bits(node, UINT32_MAX, in);
    return bits ? MaybeTest(rules::MarkTest{bits->mask, bits->value}) : std::nullopt;
}

struct TestKey {
    std::string_view name;
    MaybeTest (*read)(const Node& node, const RuleContext& in);
};
constexpr TestKey kTests[] = {
    {"protocol", read_protocol},
    {"source", read_addresses<rules::Side::kSource>},
    {"destination", read_addresses<rules::Side::kDestination>},
    {"address", read_addresses<rules::Side::kEither>},
    {"source-port", read_port<rules::Side::kSource>},
    {"destination-port", read_port<rules::Side::kDestination>},
    {"port", read_port<rules::Side::kEither>},
    {"icmp", read_icmp},
    {"in-link", read_links_of<rules::Way::kIn>},
    {"out-link", read_links_of<rules::Way::kOut>},
    {"link", read_links_of<rules::Way::kEither>},
    {"tcp", read_tcp},
    {"tcp-flags", read_tcp_flags},
    {"fragment", read_fragment},
    {"tos", read_tos},
    {"dscp", read_dscp_test},
    {"length", read_length},
    {"ttl", read_ttl},
    {"state", read_state},
    {"realm", read_realm},
    {"group", read_group},
    {"payload", read_payload},
    {"time", read_time},
    {"rate", read_rate},
    {"mark", read_mark},
};
// Each stands twice among the keys of a rule, beside four that are no conditions.
static_assert(std::size(kTests) * 2 + 4 == std::size(kRuleKeys));

const TestKey* find_test(std::string_view key) {
    const std::string_view name = key.starts_with(kNot) ? key.substr(kNot.size()) : key;
    const auto found = std::ranges::find(kTests, name, &TestKey::name);
    return found == std::end(kTests) ? nullptr : &*found;
}

}  // namespace

bool is_condition(std::string_view key) {
    return find_test(key) != nullptr;
}

std::optional<rules::Condition> read_condition(
    std::string_view key, const Node& node, const RuleContext& in
) {
    auto test = find_test(key)->read(node, in);
    if (!test) {
        return std::nullopt;
    }
    return rules::Condition{std::move(*test), key.starts_with(kNot)};
}

}  // namespace sekisho::config
