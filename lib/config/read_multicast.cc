// The section multicast: groups whose packets pass.
#include <algorithm>

#include <fmt/format.h>

#include "config/draft.h"
#include "config/scalars.h"

namespace sekisho::config {
namespace {

constexpr uint32_t kGroups = 0xe0000000;  // 224.0.0.0/4
constexpr uint32_t kLocalGroups =
    0xe0000000;  // 224.0.0.0/24, which no router passes on (RFC 5771 4)
constexpr uint8_t kGroupsLength = 4;
constexpr uint8_t kLocalLength = 24;

bool has_local_groups(Ipv4Prefix groups) {
    const Ipv4Prefix local{Ipv4Addr::from_host(kLocalGroups), kLocalLength};
    return groups.contains(local.address) || local.contains(groups.address);
}

bool read_groups(const Node& node, Ipv4Prefix& groups, Mistakes& mistakes) {
    const auto prefix = parse_prefix(node.kind == Node::Kind::kScalar ? node.text : "");
    const Ipv4Prefix all{Ipv4Addr::from_host(kGroups), kGroupsLength};
    if (!prefix || prefix->length < kGroupsLength || !all.contains(prefix->address)) {
        mistakes.add(node.place, describe(node), "a prefix of groups, such as 239.1.0.0/16");
        return false;
    }
    if (has_local_groups(*prefix)) {
        mistakes.add(
            node.place, describe(node), "groups outside of 224.0.0.0/24, which stay on their link"
        );
        return false;
    }
    groups = *prefix;
    return true;
}

std::optional<LinkId> read_link(const Node& node, const Draft& draft, Mistakes& mistakes) {
    const auto index =
        node.kind == Node::Kind::kScalar ? draft.link_names.find(node.text) : std::nullopt;
    if (!index) {
        mistakes.add(node.place, describe(node), "the name of a link");
        return std::nullopt;
    }
    return LinkId{static_cast<uint8_t>(*index)};
}

// What goes out would show its sender's own address (RFC 5135 4.1.2 would have it translated).
bool check_target(
    const Node& node, const MulticastSettings& entry, const Draft& draft, Mistakes& mistakes
) {
    const bool is_read = draft.links[entry.to.value].realm_read;
    if (is_read && draft.config.links[entry.to.value].side != Side::kInternal) {
        mistakes.add(
            node.place,
            fmt::format("{}, a link on the external side", describe(node)),
            "a link on the internal side"
        );
        return false;
    }
    if (entry.to == entry.from) {
        mistakes.add(node.place, "the link from which the packets come", "another one");
        return false;
    }
    return true;
}

std::optional<MulticastSettings> read_entry(
    const Map& map, const Draft& draft, Mistakes& mistakes
) {
    const Node* const groups = map.find("groups");
    const Node* const from = map.find("from");
    const Node* const to = map.find("to");
    if (groups == nullptr || from == nullptr || to == nullptr) {
        return std::nullopt;  // said already
    }
    MulticastSettings entry;
    const bool good = read_groups(*groups, entry.groups, mistakes);
    const auto source = read_link(*from, draft, mistakes);
    const auto target = read_link(*to, draft, mistakes);
    if (!good || !source || !target) {
        return std::nullopt;
    }
    entry.from = *source;
    entry.to = *target;
    return check_target(*to, entry, draft, mistakes) ? std::optional(entry) : std::nullopt;
}

bool meet(const MulticastSettings& a, const MulticastSettings& b) {
    return a.from == b.from &&
           (a.groups.contains(b.groups.address) || b.groups.contains(a.groups.address));
}

}  // namespace

void read_multicast(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto* items = read_list(
        node, kMaxMulticast, "a list of entries, each with groups, from and to", mistakes
    );
    if (items == nullptr) {
        return;
    }
    auto& entries = draft.config.multicast;
    for (const Node& item : *items) {
        const auto map = Map::open(item, kMulticast, mistakes);
        const auto entry = map ? read_entry(*map, draft, mistakes) : std::nullopt;
        if (!entry) {
            continue;
        }
        if (std::ranges::any_of(entries, [&](const auto& e) { return meet(e, *entry); })) {
            mistakes.add(
                item.place, "groups of another entry from the same link", "one way for each"
            );
            continue;
        }
        entries.push_back(*entry);
    }
}

}  // namespace sekisho::config
