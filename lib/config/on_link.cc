#include "config/on_link.h"

#include <fmt/format.h>

namespace sekisho::config {

RealmId space_of(const LinkSettings& link) {
    return link.side == Side::kInternal ? link.realm : kExternalRealm;
}

RealmId space_of(const RealmSettings& realm) {
    return realm.side == Side::kInternal ? realm.id : kExternalRealm;
}

bool is_seen_by(const LinkSettings& link, RealmId realm) {
    return link.side == Side::kExternal || link.realm == realm;
}

std::vector<OnLink> on_link_prefixes(const Draft& draft) {
    std::vector<OnLink> prefixes;
    for (size_t i = 0; i < draft.links.size(); ++i) {
        const auto& addresses = draft.config.links[i].addresses;
        for (size_t k = 0; k < addresses.size(); ++k) {
            const Ipv4Prefix prefix = addresses[k].on_link();
            const uint32_t first = prefix.address.host();
            prefixes.push_back(
                {first,
                 first | ~prefix.mask_host(),
                 i,
                 k,
                 addresses[k].address,
                 space_of(draft.config.links[i])}
            );
        }
    }
    return prefixes;
}

bool is_end(const OnLink& prefix, Ipv4Addr address) {
    return prefix.last - prefix.first > 1 &&
           (address.host() == prefix.first || address.host() == prefix.last);
}

std::string name_end(const Draft& draft, const OnLink& prefix, uint32_t end) {
    return fmt::format(
        "{} of the link {}'s prefix",
        end == prefix.first ? "the first address" : "the last address",
        draft.config.links[prefix.link].name
    );
}

std::optional<Side> side_of(
    const Draft& draft, const std::vector<OnLink>& prefixes, RealmId realm, Ipv4Addr address
) {
    const LinkSettings* link = nullptr;
    int length = -1;
    const auto take = [&](Ipv4Prefix prefix, size_t id) {
        const bool is_seen =
            id < draft.config.links.size() && is_seen_by(draft.config.links[id], realm);
        if (is_seen && prefix.contains(address) && int{prefix.length} > length) {
            length = prefix.length;
            link = &draft.config.links[id];
        }
    };
    for (const OnLink& p : prefixes) {
        take(draft.config.links[p.link].addresses[p.address].on_link(), p.link);
    }
    for (size_t i = 0; i < draft.routes.size(); ++i) {
        const bool is_read = draft.routes[i].prefix_read && draft.routes[i].next_hop_read;
        if (is_read) {
            take(draft.config.routes[i].prefix, draft.config.routes[i].link.value);
        }
    }
    return link == nullptr ? std::nullopt : std::optional(link->side);
}

}  // namespace sekisho::config
