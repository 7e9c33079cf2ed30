// The filter of Linux 2.0 in the appliance's rule model.
#include "legacy/conditions.h"
#include "legacy/firewall.h"

namespace sekisho::legacy {
namespace {

constexpr uint16_t kPortOfLaterFragments = 65535;  // LEGACY S11
constexpr uint16_t kIcmpTypeOfLaterFragments = 255;
constexpr uint8_t kEcn = 0x03;

std::vector<rules::Range<uint16_t>> ranges_of(const PortList& list) {
    std::vector<rules::Range<uint16_t>> ranges;
    if (list.range) {
        ranges.push_back(*list.range);
    }
    for (const uint16_t port : list.ports) {
        ranges.push_back({port, port});
    }
    return ranges;
}

// Types are given as ports: what is beyond a byte agrees with no packet.
std::vector<rules::IcmpKind> kinds_of(const PortList& list) {
    std::vector<rules::IcmpKind> kinds;
    for (const auto& [first, last] : ranges_of(list)) {
        if (first <= 255) {
            rules::IcmpKind kind;
            kind.type = {
                static_cast<uint8_t>(first), static_cast<uint8_t>(std::min<uint16_t>(last, 255))};
            kinds.push_back(kind);
        }
    }
    return kinds;
}

class Translator {
  public:
    Translator(Point point, const FirewallRule& rule, const Links& links)
        : point_(point), rule_(rule), links_(links) {}

    rules::Rule translate() {
        made_.either_way = rule_.either_way;
        add_address(made_.conditions, rules::Side::kSource, rule_.source, false);
        add_address(made_.conditions, rules::Side::kDestination, rule_.destination, false);
        add_protocol_and_ports();
        add_flags();
        add_links();
        if (rule_.log) {
            made_.actions.emplace_back(rules::Log{6, "", 0, rules::LogStyle::kIpfwadm});
        }
        if (point_ != Point::kAccounting) {
            add_verdict();
        }
        return std::move(made_);
    }

  private:
    bool is_accounting() const { return point_ == Point::kAccounting; }
    void add(rules::Test test) { made_.conditions.push_back({std::move(test), false}); }

    void add_ports(rules::Side side, const PortList& list) {
        if (!list.is_any()) {
            const bool takes_fragments = is_accounting() && list.has(kPortOfLaterFragments);
            add(rules::PortTest{side, ranges_of(list), takes_fragments});
        }
    }

    void add_protocol_and_ports() {
        switch (rule_.protocol) {
            case FirewallProtocol::kAll:
                return;
            case FirewallProtocol::kIcmp:
                add_protocol(made_.conditions, static_cast<uint8_t>(Protocol::kIcmp), false);
                if (!rule_.source_ports.is_any()) {
                    const PortList& types = rule_.source_ports;
                    const bool takes_fragments =
                        is_accounting() && types.has(kIcmpTypeOfLaterFragments);
                    add(rules::IcmpTest{kinds_of(types), takes_fragments});
                }
                return;
            case FirewallProtocol::kTcp:
            case FirewallProtocol::kUdp:
                const bool is_tcp = rule_.protocol == FirewallProtocol::kTcp;
                const Protocol protocol = is_tcp ? Protocol::kTcp : Protocol::kUdp;
                add_protocol(made_.conditions, static_cast<uint8_t>(protocol), false);
                add_ports(rules::Side::kSource, rule_.source_ports);
                add_ports(rules::Side::kDestination, rule_.destination_ports);
                return;
        }
    }

    void add_flags() {
        if (rule_.syn) {
            add(rules::TcpFlagsTest{rules::kSyn | rules::kAck, rules::kSyn, true});
        }
        if (rule_.ack) {
            add(rules::TcpFlagsTest{rules::kAck, rules::kAck, true});
        }
    }

    rules::Way way() const {
        if (point_ == Point::kInput) {
            return rules::Way::kIn;
        }
        if (point_ != Point::kAccounting) {
            return rules::Way::kOut;
        }
        switch (rule_.side) {
            case AccountingSide::kIn:
                return rules::Way::kIn;
            case AccountingSide::kOut:
                return rules::Way::kOut;
            case AccountingSide::kBoth:
                break;
        }
        return rules::Way::kEither;
    }

    void add_links() {
        if (rule_.via != Ipv4Addr{}) {
            add(rules::LinkTest{way(), links_with(links_, rule_.via)});
        }
        if (!rule_.via_name.empty()) {
            add(rules::LinkTest{way(), links_named(links_, rule_.via_name)});
        }
        // At the other side the packet has no such link.
        const bool names_none = rule_.via == Ipv4Addr{} && rule_.via_name.empty();
        if (names_none && is_accounting() && rule_.side != AccountingSide::kBoth) {
            add(rules::LinkTest{way(), all_links()});
        }
    }

    void add_verdict() {
        const bool is_accepted =
            rule_.policy == FirewallPolicy::kAccept || rule_.policy == FirewallPolicy::kMasquerade;
        const auto keep = static_cast<uint8_t>(rule_.tos_and | kEcn);
        const auto flip = static_cast<uint8_t>(rule_.tos_xor & ~kEcn);
        if (is_accepted && (keep != 0xff || flip != 0)) {
            made_.actions.emplace_back(rules::SetTos{keep, flip});
        }
        if (rule_.redirect) {
            made_.actions.emplace_back(rules::Redirect{*rule_.redirect});
        } else {
            made_.actions.push_back(legacy::translate(point_, rule_.policy));
        }
    }

    Point point_;
    const FirewallRule& rule_;
    const Links& links_;
    rules::Rule made_;
};

bool can_be_redirected(Point point, const FirewallRule& rule) {
    return point == Point::kInput && rule.policy == FirewallPolicy::kAccept &&
           (rule.protocol == FirewallProtocol::kTcp || rule.protocol == FirewallProtocol::kUdp);
}

}  // namespace

rules::Action translate(Point point, FirewallPolicy policy) {
    constexpr uint8_t kHostUnreachable = 1;
    constexpr uint8_t kPortUnreachable = 3;
    switch (policy) {
        case FirewallPolicy::kAccept:
            return rules::Accept{};
        case FirewallPolicy::kMasquerade:
            return rules::Masquerade{};
        case FirewallPolicy::kDeny:
            return rules::Deny{};
        case FirewallPolicy::kReject:
            break;
    }
    return rules::Reject{false, point == Point::kInput ? kPortUnreachable : kHostUnreachable};
}

Result<rules::Rule> translate(Point point, const FirewallRule& rule, const Links& links) {
    if (rule.redirect && !can_be_redirected(point, rule)) {
        return failure("only TCP or UDP that the input firewall accepts is redirected");
    }
    return Translator(point, rule, links).translate();
}

}  // namespace sekisho::legacy
