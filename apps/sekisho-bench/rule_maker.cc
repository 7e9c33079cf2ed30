#include "sekisho-bench/rule_maker.h"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>
#include <vector>

namespace sekisho::bench {
namespace {

using rules::Condition;
using rules::Range;
using rules::Rule;

struct Lengths {
    uint8_t least;
    uint8_t most;
};
constexpr Lengths kAny{0, 0};
constexpr Lengths kWide{8, 16};
constexpr Lengths kSite{16, 24};
constexpr Lengths kNet{24, 31};
constexpr Lengths kHost{32, 32};

enum class PortClass : uint8_t { kEvery, kExact, kHigh, kRange };

// Each with its share in a hundred.
struct AddressShare {
    unsigned share;
    Lengths source;
    Lengths destination;
};
struct PortShare {
    unsigned share;
    PortClass ports;
};
struct ProtocolShare {
    unsigned share;
    uint8_t protocol;  // 0: any
};
constexpr uint8_t kTcp = 6, kUdp = 17, kIcmp = 1;

struct KindShares {
    std::vector<AddressShare> addresses;
    std::vector<PortShare> source_ports;
    std::vector<PortShare> destination_ports;
    std::vector<ProtocolShare> protocols;
};

KindShares shares_of(RuleKind kind) {
    using enum PortClass;
    switch (kind) {
        case RuleKind::kAcl:
            return {
                {{20, kAny, kHost},
                 {25, kSite, kHost},
                 {35, kNet, kNet},
                 {8, kWide, kSite},
                 {10, kHost, kHost},
                 {2, kAny, kSite}},
                {{98, kEvery}, {2, kExact}},
                {{18, kEvery}, {60, kExact}, {5, kHigh}, {17, kRange}},
                {{70, kTcp}, {20, kUdp}, {5, kIcmp}, {5, 0}}};
        case RuleKind::kFw:
            return {
                {{20, kAny, kHost},
                 {15, kHost, kAny},
                 {20, kHost, kHost},
                 {10, kNet, kHost},
                 {10, kHost, kNet},
                 {8, kAny, kSite},
                 {8, kSite, kAny},
                 {5, kWide, kWide},
                 {4, kAny, kAny}},
                {{55, kEvery}, {15, kExact}, {20, kHigh}, {10, kRange}},
                {{25, kEvery}, {40, kExact}, {15, kHigh}, {20, kRange}},
                {{55, kTcp}, {30, kUdp}, {8, kIcmp}, {7, 0}}};
        case RuleKind::kIpc:
            break;
    }
    return {
        {{45, kHost, kHost},
         {20, kNet, kNet},
         {12, kSite, kSite},
         {8, kAny, kHost},
         {8, kHost, kAny},
         {5, kWide, kNet},
         {2, kAny, kAny}},
        {{70, kEvery}, {15, kExact}, {5, kHigh}, {10, kRange}},
        {{50, kEvery}, {35, kExact}, {5, kHigh}, {10, kRange}},
        {{45, kTcp}, {40, kUdp}, {10, kIcmp}, {5, 0}}};
}

constexpr std::array<uint16_t, 24> kServices = {80,   443,  53,   22,   25,   110,  143,  123,
                                                161,  389,  445,  993,  995,  587,  1433, 1521,
                                                3306, 3389, 5060, 5432, 6379, 8080, 8443, 9200};
constexpr std::array<Range<uint16_t>, 12> kRanges = {
    {{0, 1023},
     {20, 21},
     {67, 68},
     {135, 139},
     {1024, 5000},
     {5060, 5061},
     {6000, 6063},
     {8000, 8099},
     {32768, 61000},
     {49152, 65535},
     {33434, 33534},
     {161, 162}}};

struct Wanted {  // of a rule; whole ranges where it does not ask
    Ipv4Prefix source;
    Ipv4Prefix destination;
    Range<uint16_t> source_ports;
    Range<uint16_t> destination_ports;
    uint8_t protocol = 0;
    auto key() const {
        return std::tuple(
            source.address.raw,
            source.length,
            destination.address.raw,
            destination.length,
            source_ports.first,
            source_ports.last,
            destination_ports.first,
            destination_ports.last,
            protocol
        );
    }
    unsigned fixed() const {
        return source.length + destination.length + (source_ports.first == source_ports.last) +
               2U * (destination_ports.first == destination_ports.last);
    }
};

class Maker {
  public:
    Maker(RuleKind kind, uint32_t count, uint64_t seed)
        : shares_(shares_of(kind)), random_(seed), networks_(std::max(8U, count / 40)) {
        std::vector<uint32_t> sites(std::max(4U, count / 500));
        for (uint32_t& site : sites) {
            site = static_cast<uint32_t>(draw(0x0100, 0xdfff)) << 16;
        }
        for (uint32_t& network : networks_) {
            network = sites[draw(0, sites.size() - 1)] | static_cast<uint32_t>(draw(0, 255)) << 8;
        }
    }

    Wanted make() {
        const AddressShare& addresses = pick(shares_.addresses);
        Wanted wanted;
        wanted.source = prefix(addresses.source);
        wanted.destination = prefix(addresses.destination);
        wanted.protocol = pick(shares_.protocols).protocol;
        const bool has_ports = wanted.protocol == kTcp || wanted.protocol == kUdp;
        wanted.source_ports =
            ports(has_ports ? pick(shares_.source_ports).ports : PortClass::kEvery);
        wanted.destination_ports =
            ports(has_ports ? pick(shares_.destination_ports).ports : PortClass::kEvery);
        return wanted;
    }
    uint64_t draw(uint64_t least, uint64_t most) {
        return std::uniform_int_distribution<uint64_t>(least, most)(random_);
    }

  private:
    template <class Share>
    const Share& pick(const std::vector<Share>& shares) {
        uint64_t at = draw(0, 99);
        for (const Share& share : shares) {
            if (at < share.share) {
                return share;
            }
            at -= share.share;
        }
        return shares.back();
    }
    Ipv4Prefix prefix(Lengths lengths) {
        const auto length = static_cast<uint8_t>(draw(lengths.least, lengths.most));
        const uint32_t host =
            networks_[draw(0, networks_.size() - 1)] | static_cast<uint32_t>(draw(0, 255));
        Ipv4Prefix made{Ipv4Addr{}, length};
        made.address = Ipv4Addr::from_host(host & made.mask_host());
        return made;
    }
    Range<uint16_t> ports(PortClass ports) {
        switch (ports) {
            case PortClass::kExact: {
                // Well-known services mostly, and others.
                const auto port = draw(0, 9) < 8 ? kServices[draw(0, kServices.size() - 1)]
                                                 : static_cast<uint16_t>(draw(1, 65535));
                return {port, port};
            }
            case PortClass::kHigh:
                return {1024, 65535};
            case PortClass::kRange:
                return kRanges[draw(0, kRanges.size() - 1)];
            case PortClass::kEvery:
                break;
        }
        return {0, 65535};
    }

    KindShares shares_;
    std::mt19937_64 random_;
    std::vector<uint32_t> networks_;
};

void add(Rule& rule, rules::Test test) {
    rule.conditions.push_back(Condition{std::move(test), false});
}

Rule rule_of(const Wanted& wanted) {
    Rule rule;
    if (wanted.protocol != 0) {
        add(rule, rules::ProtocolTest{rules::ByteSet::of(wanted.protocol)});
    }
    if (wanted.source.length > 0) {
        add(rule,
            rules::AddressTest{rules::Side::kSource, {rules::range_of(wanted.source)}, {}, {}});
    }
    if (wanted.destination.length > 0) {
        const auto range = rules::range_of(wanted.destination);
        add(rule, rules::AddressTest{rules::Side::kDestination, {range}, {}, {}});
    }
    const Range<uint16_t> any{0, 65535};
    if (!(wanted.source_ports == any)) {
        add(rule, rules::PortTest{rules::Side::kSource, {wanted.source_ports}, false});
    }
    if (!(wanted.destination_ports == any)) {
        add(rule, rules::PortTest{rules::Side::kDestination, {wanted.destination_ports}, false});
    }
    return rule;
}

template <class T>
T within(const Range<T>& range, std::mt19937_64& random) {
    return static_cast<T>(std::uniform_int_distribution<uint64_t>(range.first, range.last)(random));
}
Ipv4Addr within(const rules::AddressRange& range, std::mt19937_64& random) {
    return Ipv4Addr::from_host(
        within(Range<uint32_t>{range.first.host(), range.last.host()}, random)
    );
}

}  // namespace

std::optional<RuleKind> kind_of(std::string_view name) {
    using enum RuleKind;
    for (const auto& [known, kind] : {std::pair{"acl", kAcl}, {"fw", kFw}, {"ipc", kIpc}}) {
        if (name == known) {
            return kind;
        }
    }
    return {};
}

MadeRules make_rules(RuleKind kind, uint32_t count, uint64_t seed) {
    Maker maker(kind, count, seed);
    std::set<decltype(Wanted().key())> seen;
    std::vector<std::pair<uint64_t, Wanted>> made;
    while (made.size() < count) {
        const Wanted wanted = maker.make();
        if (seen.insert(wanted.key()).second) {
            made.emplace_back(maker.draw(0, 12) + 67 - wanted.fixed(), wanted);
        }
    }
    std::ranges::stable_sort(made, {}, [](const auto& m) { return m.first; });
    MadeRules result;
    result.chain = result.set.add_built_in("main", rules::Hook::kForward, 0, rules::Deny{}).value();
    for (const auto& [order, wanted] : made) {
        Rule rule = rule_of(wanted);
        constexpr uint64_t kOthers = 50;  // one in so many only logs
        if (maker.draw(1, kOthers) == 1) {
            rule.actions = {rules::Log{}};
        } else if (maker.draw(0, 1) == 1) {
            rule.actions = {rules::Accept{}};
        } else {
            rule.actions = {rules::Deny{}};
        }
        [[maybe_unused]] const auto added = result.set.append(result.chain, std::move(rule));
    }
    return result;
}

rules::RulePacket packet_for(const Rule& rule, std::mt19937_64& random) {
    rules::RulePacket packet;
    const auto any = [&] { return Ipv4Addr::from_host(static_cast<uint32_t>(random())); };
    packet.source = any();
    packet.destination = any();
    packet.source_port = Port::from_host(static_cast<uint16_t>(random()));
    packet.destination_port = Port::from_host(static_cast<uint16_t>(random()));
    packet.protocol = random() % 2 == 0 ? kTcp : kUdp;
    packet.in_link = LinkId{0};
    packet.out_link = LinkId{1};
    packet.length = 60;
    for (const Condition& condition : rule.conditions) {
        if (const auto* address = std::get_if<rules::AddressTest>(&condition.test)) {
            (address->side == rules::Side::kSource ? packet.source : packet.destination) =
                within(address->ranges.front(), random);
        } else if (const auto* ports = std::get_if<rules::PortTest>(&condition.test)) {
            (ports->side == rules::Side::kSource ? packet.source_port : packet.destination_port) =
                Port::from_host(within(ports->ranges.front(), random));
        } else if (const auto* test = std::get_if<rules::ProtocolTest>(&condition.test)) {
            packet.protocol = test->protocols.has(kTcp)   ? kTcp
                              : test->protocols.has(kUdp) ? kUdp
                                                          : kIcmp;
        }
    }
    return packet;
}

}  // namespace sekisho::bench
