#include "control/described_packet.h"

#include <algorithm>
#include <ctime>

#include <fmt/format.h>

#include "base/protocol_name.h"
#include "base/text.h"
#include "config/rule_words.h"
#include "control/params.h"

namespace sekisho::control {
namespace {

using config::Word;
using rules::RulePacket;

struct WayWord {
    std::string_view name;
    PacketWay way;
};
constexpr WayWord kWays[] = {
    {"forward", PacketWay::kForward},
    {"local-in", PacketWay::kLocalIn},
    {"local-out", PacketWay::kLocalOut}};

std::optional<PacketWay> find_way(std::string_view name) {
    const auto* const found = std::ranges::find(kWays, name, &WayWord::name);
    return found == std::end(kWays) ? std::nullopt : std::optional(found->way);
}

template <class Things>
std::optional<size_t> find_place(const Things& things, std::string_view name) {
    const auto found = std::ranges::find_if(things, [&](const auto& t) { return t.name == name; });
    return found == things.end() ? std::nullopt
                                 : std::optional(static_cast<size_t>(found - things.begin()));
}

std::optional<uint8_t> parse_protocol(std::string_view text) {
    if (const auto known = base::parse_protocol(text)) {
        return static_cast<uint8_t>(*known);
    }
    const auto number = base::parse_decimal(text, UINT8_MAX);
    return number ? std::optional(static_cast<uint8_t>(*number)) : std::nullopt;
}

// One message: of a range, none.
std::optional<rules::IcmpKind> parse_message(std::string_view text) {
    auto kind = config::parse_icmp(text);
    if (!kind || kind->type.first != kind->type.last) {
        return std::nullopt;
    }
    const bool is_any_code = kind->code.first == 0 && kind->code.last == UINT8_MAX;
    if (!is_any_code && kind->code.first != kind->code.last) {
        return std::nullopt;
    }
    return *kind;
}

// Of names with commas between them, what `add` makes of each; false: one is unknown.
template <class Add>
bool parse_each(std::string_view text, const Add& add) {
    for (size_t from = 0; from <= text.size();) {
        const size_t comma = std::min(text.find(',', from), text.size());
        if (!add(text.substr(from, comma - from))) {
            return false;
        }
        from = comma + 1;
    }
    return true;
}

std::optional<uint8_t> parse_flags(std::string_view text) {
    uint8_t flags = 0;
    const bool good = parse_each(text, [&](std::string_view name) {
        const auto flag = config::find_word(config::kTcpFlagWords, name);
        flags = static_cast<uint8_t>(flags | flag.value_or(0));
        return flag.has_value();
    });
    return good || text == "none" ? std::optional(flags) : std::nullopt;
}

std::optional<uint8_t> parse_dscp(std::string_view text) {
    const auto word = config::find_word(config::kDscpWords, text);
    const auto number = base::parse_decimal(text, 63);
    return word ? word : number ? std::optional(static_cast<uint8_t>(*number)) : std::nullopt;
}

// Reads one packet. What is missing has a default, but for protocol and addresses.
class PacketReader {
  public:
    PacketReader(const Json& params, const config::Config& config)
        : reader_(params), config_(config) {}

    tl::expected<DescribedPacket, RpcError> read() {
        read_ends();
        read_transport();
        read_header();
        read_flow();
        read_places();
        read_time();
        if (const auto done = reader_.finish(); !done) {
            return tl::make_unexpected(done.error());
        }
        return std::move(described_);
    }

  private:
    RulePacket& packet() { return described_.packet; }

    template <class Parse>
    auto read(std::string_view name, std::string_view wanted, const Parse& parse) {
        return read_value(reader_, name, wanted, parse);
    }

    uint8_t word(std::string_view name, std::span<const Word> words, uint8_t usual) {
        const auto find = [&](std::string_view text) { return config::find_word(words, text); };
        return read(name, config::list_words(words), find).value_or(usual);
    }

    template <class T>
    void number(std::string_view name, uint64_t least, uint64_t most, T& target) {
        if (const auto value = reader_.number(name, least, most)) {
            target = static_cast<T>(*value);
        }
    }

    void read_ends() {
        constexpr std::string_view kWanted = "tcp, udp, icmp, ..., or a number from 0 to 255";
        const auto protocol = read("protocol", kWanted, parse_protocol);
        need("protocol", protocol.has_value(), kWanted);
        packet().protocol = protocol.value_or(0);
        packet().fragment =
            static_cast<rules::FragmentKind>(word("fragment", config::kFragmentWords, 0));
        read_end("source", packet().source, packet().source_port);
        read_end("destination", packet().destination, packet().destination_port);
    }

    void need(std::string_view name, bool is_there, std::string_view wanted) {
        if (!is_there) {
            reader_.complain(name, "nothing", wanted);
        }
    }

    void read_end(std::string_view name, Ipv4Addr& address, Port& port) {
        const auto end = read_endpoint(name);
        need(name, end.has_value(), kWantedEndpoint);
        if (end && end->port.has_value() != packet().has_ports()) {
            reader_.complain(
                name,
                end->port ? "a port" : "no port",
                packet().has_ports() ? "one: such a packet shows ports" : "none in such a packet"
            );
        }
        address = end ? end->address : Ipv4Addr{};
        port = end ? end->port.value_or(Port{}) : Port{};
    }

    std::optional<EndpointFilter> read_endpoint(std::string_view name) {
        return read(name, kWantedEndpoint, parse_endpoint);
    }

    void read_transport() {
        constexpr std::string_view kWantedIcmp = "one ICMP message: echo-request, 3/1, ...";
        const auto kind = read("icmp", kWantedIcmp, parse_message);
        refuse_unless(packet().has_icmp(), "icmp", kind.has_value());
        packet().icmp_type = kind ? kind->type.first : uint8_t{8};
        packet().icmp_code = kind ? kind->code.first : uint8_t{0};
        const auto flags = read(
            "tcp-flags", "flags with commas between them, such as syn,ack, or none", parse_flags
        );
        refuse_unless(packet().has_tcp(), "tcp-flags", flags.has_value());
        given_flags_ = flags;
    }

    void refuse_unless(bool fits, std::string_view name, bool is_given) {
        if (is_given && !fits) {
            reader_.complain(name, "it", "none in such a packet");
        }
    }

    void read_header() {
        const auto tos = read("tos", "a number from 0 to 0xff", [](std::string_view text) {
            return config::parse_bits_number(text, UINT8_MAX);
        });
        const auto dscp = read("dscp", "a DSCP: ef, af11, ..., or 0 to 63", parse_dscp);
        if (tos && dscp) {
            reader_.complain("dscp", "it beside tos", "one of them");
        }
        packet().tos = static_cast<uint8_t>(dscp ? *dscp << 2 : tos.value_or(0));
        number("ttl", 0, UINT8_MAX, packet().ttl);
        packet().length = 60;
        number("length", 20, UINT16_MAX, packet().length);
    }

    void read_flow() {
        packet().state = static_cast<rules::ConnectionState>(word("state", config::kStateWords, 0));
        const bool is_new = packet().state == rules::ConnectionState::kNew;
        const uint8_t usual = is_new ? rules::kSyn : rules::kAck;
        packet().tcp_flags = packet().has_tcp() ? given_flags_.value_or(usual) : uint8_t{0};
        const auto mark = read("mark", "a number from 0 to 0xffffffff", [](std::string_view text) {
            return config::parse_bits_number(text, UINT32_MAX);
        });
        packet().mark = mark.value_or(0);
        const auto patterns = read(
            "payload",
            "names of patterns with commas between them",
            [&](std::string_view text) { return parse_patterns(text); }
        );
        described_.patterns = patterns.value_or(std::vector<rules::PatternId>{});
    }

    std::optional<std::vector<rules::PatternId>> parse_patterns(std::string_view text) const {
        std::vector<rules::PatternId> found;
        const bool good = parse_each(text, [&](std::string_view name) {
            const auto place = find_place(config_.rules.patterns, name);
            found.push_back(rules::PatternId{static_cast<uint16_t>(place.value_or(0))});
            return place.has_value();
        });
        std::ranges::sort(found);
        return good ? std::optional(std::move(found)) : std::nullopt;
    }

    std::optional<LinkId> read_link(std::string_view name) {
        const auto place = read(name, "the name of a link", [&](std::string_view text) {
            return find_place(config_.links, text);
        });
        return place ? std::optional(LinkId{static_cast<uint8_t>(*place)}) : std::nullopt;
    }

    void read_places() {
        described_.way = read("way", "forward, local-in or local-out", find_way);
        described_.in_link = read_link("in-link");
        described_.out_link = read_link("out-link");
        const auto find_realm = [&](std::string_view text) -> std::optional<RealmId> {
            const auto place = find_place(config_.realms, text);
            const bool fits = place && config_.realms[*place].side == config::Side::kInternal;
            return fits ? std::optional(config_.realms[*place].id) : std::nullopt;
        };
        described_.realm = read("realm", kWantedRealm, find_realm);
        described_.translated_source = read_endpoint("translated-source");
        described_.translated_destination = read_endpoint("translated-destination");
    }

    // Now, by default.
    void read_time() {
        const std::time_t now = std::time(nullptr);
        std::tm local{};
        localtime_r(&now, &local);
        const auto today = static_cast<uint8_t>((local.tm_wday + 6) % 7);  // from Monday
        const auto second =
            static_cast<uint32_t>(local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec);
        const uint32_t day = word("day", config::kDayWords, today);
        const auto moment = read("time", "a time of day, such as 08:30", [](std::string_view text) {
            return config::parse_time_of_day(text);
        });
        constexpr uint32_t kDay = rules::TimeOfWeek::kDay;
        packet().time = {day * kDay + moment.value_or(second) % kDay};
    }

    ParamReader reader_;
    const config::Config& config_;
    DescribedPacket described_;
    std::optional<uint8_t> given_flags_;
};

// What the routes say of the described packet.
class Views {
  public:
    Views(
        const DescribedPacket& described,
        const dataplane::Network& network,
        const rules::SubscriberGroups* groups
    )
        : described_(described), network_(network), groups_(groups), packet_(described.packet) {
        packet_.patterns = described.patterns;
    }

    PacketViews take() {
        arrive();
        views_.way = described_.way.value_or(usual_way());
        switch (views_.way) {
            case PacketWay::kForward:
                return pass();
            case PacketWay::kLocalIn:
                return end_here();
            case PacketWay::kLocalOut:
                return begin_here();
        }
        return std::move(views_);
    }

  private:
    using Hook = rules::Hook;

    std::optional<RealmId> inside_of(Ipv4Addr address) const {
        const auto& realms = network_.internal_realms();
        const auto found = std::ranges::find_if(realms, [&](RealmId realm) {
            return network_.is_inside(realm, address);
        });
        return found == realms.end() ? std::nullopt : std::optional(*found);
    }

    LinkId link_towards(RealmId realm, Ipv4Addr address) const {
        const auto hop = network_.route(realm, address);
        return hop ? hop->link : rules::kNoLink;
    }

    void arrive() {
        const RealmId of_source =
            described_.realm && network_.is_inside(*described_.realm, packet_.source)
                ? *described_.realm
                : inside_of(packet_.source).value_or(kExternalRealm);
        packet_.in_link = described_.in_link.value_or(link_towards(of_source, packet_.source));
        packet_.realm =
            packet_.in_link == rules::kNoLink ? of_source : network_.view_of(packet_.in_link);
        is_outbound_ = packet_.realm != kExternalRealm;
        show_group(packet_.source, is_outbound_);
    }

    PacketWay usual_way() const {
        if (network_.is_own(packet_.realm, packet_.destination)) {
            return PacketWay::kLocalIn;
        }
        const bool is_ours = !described_.in_link && network_.is_own(packet_.realm, packet_.source);
        return is_ours ? PacketWay::kLocalOut : PacketWay::kForward;
    }

    void show_group(Ipv4Addr subscriber, bool is_known) {
        packet_.group = is_known && groups_ != nullptr
                            ? groups_->group_of(packet_.realm, subscriber)
                            : rules::kNoGroup;
    }

    void add(Hook hook) {
        const bool only_chooses =
            hook == Hook::kAccounting || hook == Hook::kNatDestination || hook == Hook::kNatSource;
        views_.views.push_back({hook, packet_, !only_chooses});
    }

    // The first packet of a flow, which alone is asked there.
    void choose(Hook hook) {
        if (packet_.state == rules::ConnectionState::kNew) {
            add(hook);
        }
    }

    void show(const std::optional<EndpointFilter>& end, Ipv4Addr& address, Port& port) const {
        if (end) {
            address = end->address;
            port = packet_.has_ports() ? end->port.value_or(port) : port;
        }
    }

    // Accounting, ingress, nat-destination, forward, nat-source, egress, accounting.
    PacketViews pass() {
        add(Hook::kAccounting);
        add(Hook::kIngress);
        choose(Hook::kNatDestination);
        show(described_.translated_destination, packet_.destination, packet_.destination_port);
        if (!is_outbound_) {
            packet_.realm =
                described_.realm.value_or(inside_of(packet_.destination).value_or(kInternalRealm));
        }
        show_group(is_outbound_ ? packet_.source : packet_.destination, true);
        packet_.out_link =
            described_.out_link.value_or(link_towards(packet_.realm, packet_.destination));
        add(Hook::kForward);
        if (is_outbound_) {
            choose(Hook::kNatSource);
        }
        show(described_.translated_source, packet_.source, packet_.source_port);
        depart();
        return std::move(views_);
    }

    // What has no way out departs nowhere.
    void depart() {
        if (packet_.out_link == rules::kNoLink) {
            return;
        }
        add(Hook::kEgress);
        packet_.in_link = rules::kNoLink;
        add(Hook::kAccounting);
    }

    PacketViews end_here() {
        packet_.state = rules::ConnectionState::kNew;
        add(Hook::kAccounting);
        add(Hook::kIngress);
        if (is_outbound_) {
            choose(Hook::kNatDestination);
        }
        add(Hook::kLocalIn);
        return std::move(views_);
    }

    PacketViews begin_here() {
        packet_.state = rules::ConnectionState::kNew;
        packet_.in_link = rules::kNoLink;
        const RealmId realm =
            described_.realm.value_or(inside_of(packet_.destination).value_or(kExternalRealm));
        packet_.out_link = described_.out_link.value_or(link_towards(realm, packet_.destination));
        add(Hook::kLocalOut);
        depart();
        return std::move(views_);
    }

    const DescribedPacket& described_;
    const dataplane::Network& network_;
    const rules::SubscriberGroups* groups_;
    RulePacket packet_;
    bool is_outbound_ = false;
    PacketViews views_;
};

}  // namespace

std::string_view name_of(PacketWay way) {
    return std::ranges::find(kWays, way, &WayWord::way)->name;
}

tl::expected<DescribedPacket, RpcError> read_packet(
    const Json& params, const config::Config& config
) {
    return PacketReader(params, config).read();
}

PacketViews views_of(
    const DescribedPacket& described,
    const dataplane::Network& network,
    const rules::SubscriberGroups* groups
) {
    return Views(described, network, groups).take();
}

}  // namespace sekisho::control
