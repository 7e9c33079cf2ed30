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

}  // namespace sekisho::config
