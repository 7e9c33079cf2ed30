#include "legacy/conditions.h"

#include <algorithm>

namespace sekisho::legacy {

void add_address(
    std::vector<rules::Condition>& conditions, rules::Side side, const HostMask& host, bool negated
) {
    if (host.is_any() && !negated) {
        return;
    }
    rules::AddressTest test{side, {}, {}, {}};
    if (const auto bits = bits_of(host.mask)) {
        test.ranges = {rules::range_of({host.address, static_cast<uint8_t>(*bits)})};
    } else {
        test.masked = {{host.address, host.mask}};
    }
    conditions.push_back({std::move(test), negated});
}

void add_protocol(std::vector<rules::Condition>& conditions, uint8_t protocol, bool negated) {
    if (protocol != 0) {
        conditions.push_back({rules::ProtocolTest{rules::ByteSet::of(protocol)}, negated});
    }
}

rules::ByteSet links_named(const Links& links, std::string_view name) {
    const bool is_beginning = name.ends_with('+');
    if (is_beginning) {
        name.remove_suffix(1);
    }
    rules::ByteSet set;
    for (const Link& link : links) {
        if (link.name == name || (is_beginning && link.name.starts_with(name))) {
            set.add(link.id.value);
        }
    }
    return set;
}

rules::ByteSet links_with(const Links& links, Ipv4Addr address) {
    rules::ByteSet set;
    for (const Link& link : links) {
        if (std::ranges::find(link.addresses, address) != link.addresses.end()) {
            set.add(link.id.value);
        }
    }
    return set;
}

rules::ByteSet all_links() {
    rules::ByteSet set;
    for (unsigned id = 0; id < rules::kNoLink.value; ++id) {
        set.add(static_cast<uint8_t>(id));
    }
    return set;
}

}  // namespace sekisho::legacy
