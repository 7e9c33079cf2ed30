// The prefixes on the links, as several checks ask for them.
//
//   Units     first and last address of a prefix, host order.
//   Thread    one checker. Cost: start-up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/draft.h"

namespace sekisho::config {

// The realm in which the link's addresses mean something: all on the external side are one.
RealmId space_of(const LinkSettings& link);
RealmId space_of(const RealmSettings& realm);
// Whether somebody in that realm meets the link's addresses: it is in the realm, or on the external side.
bool is_seen_by(const LinkSettings& link, RealmId realm);

struct OnLink {
    uint32_t first;
    uint32_t last;
    size_t link;
    size_t address;
    Ipv4Addr own;
    RealmId space;

    bool is_seen_by(RealmId realm) const { return space == realm || space == kExternalRealm; }
};

// The side to which a realm's packets for an address go, by the longest prefix.
std::optional<Side> side_of(
    const Draft& draft, const std::vector<OnLink>& prefixes, RealmId realm, Ipv4Addr address
);

// In the order of the file.
std::vector<OnLink> on_link_prefixes(const Draft& draft);

// The first and the last address of a prefix are no host's (RFC 1122 3.2.1.3, RFC 919), but where
// there are no others (RFC 3021).
bool is_end(const OnLink& prefix, Ipv4Addr address);

// `end` is the first or the last address of the prefix.
std::string name_end(const Draft& draft, const OnLink& prefix, uint32_t end);

}  // namespace sekisho::config
