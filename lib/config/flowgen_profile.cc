#include "config/flowgen_profile.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "config/mistakes.h"
#include "config/scalars.h"

namespace sekisho::config {
namespace {

constexpr uint32_t kMostPorts = 65536 - kFlowgenFirstPort;
constexpr std::string_view kKeys =
    "one of role, subscribers, sessions, flows, fan-out, protocol, size, prefix, remote, "
    "direction, check or seed, each once, as key=value";

// What was wanted instead; nothing: the value was taken.
using Complaint = std::optional<std::string>;

template <class T>
struct Word {
    std::string_view name;
    T value;
};

template <class T, size_t N>
Complaint read_word(std::string_view text, const std::array<Word<T>, N>& words, T& place) {
    std::string wanted;
    for (const Word<T>& word : words) {
        if (word.name == text) {
            place = word.value;
            return std::nullopt;
        }
        wanted += fmt::format("{}{}", wanted.empty() ? "" : " or ", word.name);
    }
    return wanted;
}

template <class T>
Complaint read_count(std::string_view text, uint64_t low, uint64_t high, T& place) {
    const auto number = parse_number(text, Unit::kCount);
    if (!number || *number < low || *number > high) {
        return fmt::format("a count from {} to {}, with k, M, Ki or Mi if need be", low, high);
    }
    place = static_cast<T>(*number);
    return std::nullopt;
}

Complaint read_prefix(std::string_view text, Ipv4Prefix& place) {
    const auto prefix = parse_prefix(text);
    if (!prefix) {
        return prefix.error();
    }
    const Ipv4Addr last = Ipv4Addr::from_host(prefix->address.host() | ~prefix->mask_host());
    if (prefix->length < 8 || !is_unicast(prefix->address) || !is_unicast(last)) {
        return "a prefix of unicast addresses with a length of 8 or more";
    }
    place = *prefix;
    return std::nullopt;
}

Complaint read_size(std::string_view text, uint16_t& size) {
    if (text == "imix") {
        size = 0;
        return std::nullopt;
    }
    if (read_count(text, kFlowgenLeastSize, kFlowgenMostSize, size)) {
        return fmt::format("imix or bytes from {} to {}", kFlowgenLeastSize, kFlowgenMostSize);
    }
    return std::nullopt;
}

class Reader {
  public:
    tl::expected<FlowgenProfile, DeviceMistake> read(const std::vector<std::string>& items) {
        for (const std::string& item : items) {
            const size_t equals = item.find('=');
            const std::string key = item.substr(0, equals);
            if (equals == std::string::npos || std::ranges::find(seen_, key) != seen_.end() ||
                !is_key(key)) {
                return mistake(quote(item), std::string(kKeys));
            }
            seen_.push_back(key);
            if (const Complaint wanted = take(key, std::string_view(item).substr(equals + 1))) {
                return mistake(quote(item), fmt::format("{}={}", key, *wanted));
            }
        }
        return check();
    }

  private:
    static tl::unexpected<DeviceMistake> mistake(std::string found, std::string wanted) {
        return tl::unexpected(DeviceMistake{std::move(found), std::move(wanted)});
    }
    bool was_given(std::string_view key) const {
        return std::ranges::find(seen_, key) != seen_.end();
    }
    static bool is_key(std::string_view key) {
        static constexpr std::array<std::string_view, 12> kNames = {
            "role",
            "subscribers",
            "sessions",
            "flows",
            "fan-out",
            "protocol",
            "size",
            "prefix",
            "remote",
            "direction",
            "check",
            "seed"};
        return std::ranges::find(kNames, key) != kNames.end();
    }

    Complaint take(std::string_view key, std::string_view value) {
        FlowgenProfile& p = profile_;
        if (const auto word = take_word(key, value); word) {
            return *word;
        }
        if (key == "subscribers") {
            return read_count(value, 1, kFlowgenMostFlows, p.subscribers);
        }
        if (key == "sessions") {
            return read_count(value, 1, kFlowgenMostFlows, p.sessions);
        }
        if (key == "flows") {
            return read_count(value, 1, kFlowgenMostFlows, p.flows);
        }
        if (key == "fan-out") {
            return read_count(value, 1, kMostPorts, p.fan_out);
        }
        if (key == "size") {
            return read_size(value, p.size);
        }
        if (key == "seed") {
            return read_count(value, 0, UINT64_MAX, p.seed);
        }
        return read_prefix(value, key == "prefix" ? p.prefix : p.remote);
    }

    // Keys whose values are words; nothing: it is none of them.
    std::optional<Complaint> take_word(std::string_view key, std::string_view value) {
        FlowgenProfile& p = profile_;
        using Role = Word<FlowgenRole>;
        using Sort = Word<FlowgenProtocol>;
        using Way = Word<FlowgenDirection>;
        if (key == "role") {
            static constexpr std::array kRoles = {
                Role{"subscribers", FlowgenRole::kSubscribers},
                Role{"internet", FlowgenRole::kInternet}};
            return read_word(value, kRoles, p.role);
        }
        if (key == "protocol") {
            static constexpr std::array kProtocols = {
                Sort{"udp", FlowgenProtocol::kUdp},
                Sort{"tcp", FlowgenProtocol::kTcp},
                Sort{"icmp", FlowgenProtocol::kIcmp},
                Sort{"mix", FlowgenProtocol::kMix}};
            return read_word(value, kProtocols, p.protocol);
        }
        if (key == "direction") {
            static constexpr std::array kDirections = {
                Way{"outbound", FlowgenDirection::kOutbound},
                Way{"inbound", FlowgenDirection::kInbound},
                Way{"both", FlowgenDirection::kBoth}};
            return read_word(value, kDirections, p.direction);
        }
        if (key == "check") {
            static constexpr std::array kChecks = {
                Word<bool>{"all", true}, Word<bool>{"sample", false}};
            return read_word(value, kChecks, p.check_all);
        }
        return std::nullopt;
    }

    // What must hold between values.
    tl::expected<FlowgenProfile, DeviceMistake> check() {
        FlowgenProfile& p = profile_;
        if (!was_given("role")) {
            return mistake("a profile without its role", "role=subscribers or role=internet");
        }
        const uint64_t all = uint64_t{p.subscribers} * p.sessions;
        if (!was_given("flows")) {
            p.flows = static_cast<uint32_t>(std::min<uint64_t>(all, kFlowgenMostFlows));
        }
        if (all > kFlowgenMostFlows && !was_given("flows")) {
            return mistake(
                fmt::format("{} subscribers with {} sessions each", p.subscribers, p.sessions),
                fmt::format("{} sessions in all at most", kFlowgenMostFlows)
            );
        }
        if (p.flows > all) {
            return mistake(
                fmt::format("flows={}", p.flows),
                fmt::format("flows={} at most, which is subscribers x sessions", all)
            );
        }
        return check_addresses();
    }

    tl::expected<FlowgenProfile, DeviceMistake> check_addresses() {
        const FlowgenProfile& p = profile_;
        const uint64_t hosts = uint64_t{1} << (32 - p.prefix.length);
        if (p.subscribers + uint64_t{2} > hosts) {
            return mistake(
                fmt::format("{} subscribers in {}", p.subscribers, format(p.prefix)),
                "a prefix with that many host addresses"
            );
        }
        if ((p.sessions - 1) / p.fan_out >= kMostPorts) {
            return mistake(
                fmt::format("{} sessions a subscriber on one port each", p.sessions),
                fmt::format("{} ports a subscriber at most, or fan-out=K", kMostPorts)
            );
        }
        if (uint64_t{p.fan_out} > uint64_t{1} << (32 - p.remote.length)) {
            return mistake(
                fmt::format("fan-out={} with remote={}", p.fan_out, format(p.remote)),
                "a remote prefix with that many addresses"
            );
        }
        const Ipv4Prefix wider = p.prefix.length < p.remote.length ? p.prefix : p.remote;
        if (wider.contains(p.prefix.address) && wider.contains(p.remote.address)) {
            return mistake(
                fmt::format("prefix={} and remote={}", format(p.prefix), format(p.remote)),
                "two prefixes that do not overlap"
            );
        }
        return profile_;
    }

    FlowgenProfile profile_;
    std::vector<std::string> seen_;
};

}  // namespace

tl::expected<FlowgenProfile, DeviceMistake> parse_flowgen_profile(
    const std::vector<std::string>& items
) {
    return Reader().read(items);
}

}  // namespace sekisho::config
