#include "control/filter.h"

#include <algorithm>
#include <string>

#include "base/protocol_name.h"
#include "base/text.h"
#include "control/json_text.h"

namespace sekisho::control {

bool Filter::admits(const Session& s) const {
    return (!subscriber || subscriber->raw == s.internal_address) &&
           (!realm || *realm == flow::realm_of(s)) &&
           (!external || external->admits(s.external_address, s.external_port)) &&
           (!remote || remote->admits(s.remote_address, s.remote_port)) &&
           (!protocol || static_cast<uint8_t>(*protocol) == s.protocol);
}

bool Filter::admits(const nat::SessionView& view) const {
    if (admits(view.session)) {
        return true;
    }
    const bool is_redirected = (view.session.realm & flow::kRedirectedRealm) != 0;
    Filter others = *this;
    others.remote.reset();
    return is_redirected && remote &&
           remote->admits(view.original.address.raw, view.original.port.raw) &&
           others.admits(view.session);
}

bool Filter::admits(const nat::Mapping& m) const {
    return (!subscriber || subscriber->raw == m.internal_address) &&
           (!realm || realm->value == m.realm) &&
           (!external || external->admits(m.external_address, m.external_port)) &&
           (!protocol || static_cast<uint8_t>(*protocol) == m.protocol);
}

// Of a run of ports, all.
bool Filter::admits(const nat::MappingView& view) const {
    if (view.more_ports == 0 || !external || !external->port) {
        return admits(view.mapping);
    }
    Filter any_port = *this;
    any_port.external->port.reset();
    const int ahead = external->port->host() - Port{view.mapping.external_port}.host();
    return any_port.admits(view.mapping) && ahead >= 0 && ahead <= view.more_ports;
}

bool Filter::admits(const nat::SubscriberView& s) const {
    return (!subscriber || *subscriber == s.address) && (!realm || *realm == s.realm) &&
           (!external || external->port || external->address == s.external_address);
}

Filter read_filter(ParamReader& params, const std::vector<config::RealmSettings>& realms) {
    Filter filter;
    filter.subscriber = read_value(params, "subscriber", kWantedAddress, base::parse_ipv4);
    std::string wanted(kWantedRealm);
    for (const config::RealmSettings& realm : realms) {
        if (realm.side == config::Side::kInternal) {
            wanted += (wanted == kWantedRealm ? ": " : ", ") + realm.name;
        }
    }
    const auto find_realm = [&](std::string_view name) -> std::optional<RealmId> {
        const auto found = std::ranges::find(realms, name, &config::RealmSettings::name);
        return found == realms.end() || found->side != config::Side::kInternal
                   ? std::nullopt
                   : std::optional(found->id);
    };
    filter.realm = read_value(params, "realm", wanted, find_realm);
    filter.external = read_value(params, "external", kWantedEndpoint, parse_endpoint);
    filter.remote = read_value(params, "remote", kWantedEndpoint, parse_endpoint);
    filter.protocol = read_value(params, "protocol", kWantedProtocol, base::parse_protocol);
    return filter;
}

std::optional<EndpointFilter> parse_endpoint(std::string_view text) {
    const size_t colon = text.find(':');
    const auto address = base::parse_ipv4(text.substr(0, colon));
    if (!address) {
        return std::nullopt;
    }
    if (colon == std::string_view::npos) {
        return EndpointFilter{*address, std::nullopt};
    }
    const auto port = base::parse_port(text.substr(colon + 1));
    if (!port) {
        return std::nullopt;
    }
    return EndpointFilter{*address, *port};
}

}  // namespace sekisho::control
