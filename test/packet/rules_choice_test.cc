// Random rules that translate, and random new flows: each must go where the linear matcher says, and each rule count the flows that it has agreed
// with, however many packets they have.
#include <random>

#include <catch2/catch.hpp>

#include "nat_rules.h"

namespace sekisho::test {
namespace {

using namespace rules;  // NOLINT(google-build-using-namespace)
using rules::test::protocol;
using rules::test::rule;

constexpr unsigned kPools = 3;

BedOptions pools() {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.has_destination_rules = true;
    for (unsigned p = 1; p < kPools; ++p) {
        nat::PoolSettings pool = options.nat.pools[0];
        pool.name = "pool" + std::to_string(p);
        const Ipv4Addr first = Ipv4Addr::of(203, 0, 113, static_cast<uint8_t>(64 * p));
        pool.addresses = {{first, Ipv4Addr::from_host(first.host() + 3)}};
        options.nat.pools.push_back(pool);
    }
    return options;
}

class Choices {
  public:
    explicit Choices(uint64_t seed) : random_(seed) {
        for (const Hook hook : {Hook::kNatDestination, Hook::kNatSource}) {
            const ChainId below =
                rules_.set.add_chain(std::string("below-") + name_of(hook)).value();
            const ChainId chain = rules_.at(hook);
            fill(below, hook, {});
            fill(chain, hook, below);
        }
    }

    const RuleSet& set() const { return rules_.set; }
    unsigned draw(unsigned least, unsigned most) {
        return std::uniform_int_distribution<unsigned>(least, most)(random_);
    }
    bool chance(unsigned in_hundred) { return draw(1, 100) <= in_hundred; }

  private:
    Test any_test() {
        switch (draw(0, 5)) {
            case 0:
                return ProtocolTest{ByteSet::of(chance(50) ? Protocol::kTcp : Protocol::kUdp)};
            case 1:
                return AddressTest{Side::kSource, {{host(10), host(draw(10, 16))}}, {}, {}};
            case 2: {
                const auto port = static_cast<uint16_t>(draw(80, 84));
                return PortTest{Side::kDestination, {{80, port}}, false};
            }
            case 3:
                return AddressTest{
                    Side::kDestination, {{ip("192.0.2.10"), ip("192.0.2.22")}}, {}, {}};
            case 4:
                return TtlTest{{0, static_cast<uint8_t>(draw(61, 66))}};
            default:
                return MarkTest{0xff, draw(0, 2)};
        }
    }
    Action deciding(Hook hook, std::optional<ChainId> below) {
        if (below && chance(25)) {
            return chance(50) ? Action(Jump{*below}) : Action(Goto{*below});
        }
        if (chance(20)) {
            return chance(50) ? Action(Accept{}) : Action(Return{});
        }
        if (hook == Hook::kNatSource) {
            return Snat{PoolId{static_cast<uint16_t>(draw(0, kPools - 1))}};
        }
        return Dnat{
            {{Ipv4Addr::of(192, 0, 2, static_cast<uint8_t>(draw(20, 24))),
              static_cast<uint16_t>(chance(50) ? 0U : draw(3000, 3002)),
              1}},
            false};
    }
    void fill(ChainId chain, Hook hook, std::optional<ChainId> below) {
        for (unsigned n = draw(1, 6); n > 0; --n) {
            Rule r;
            while (chance(65)) {
                r.conditions.push_back({any_test(), chance(25)});
            }
            if (chance(25)) {
                r.actions.push_back(SetMark{0xff, draw(0, 2)});
            }
            if (chance(80)) {
                r.actions.push_back(deciding(hook, below));
            }
            rules_.set.append(chain, r).value();
        }
    }

    std::mt19937_64 random_;
    NatRules rules_;
};

struct NewFlow {
    Ipv4Addr from;
    uint16_t port = 0;
    Endpoint to;
    bool is_tcp = false;
    uint8_t ttl = 64;
};

// What the linear matcher says of it, and what each rule would have counted.
struct Said {
    Endpoint target;
    PoolId pool{0};
};

class Linear {
  public:
    explicit Linear(const RuleSet& set) : set_(set), rates_(set), expected_(set.id_bound()) {}
    const std::vector<RuleTotal>& expected() const { return expected_; }

    Said ask(const NewFlow& flow, Tick now) {
        RulePacket packet;
        packet.source = flow.from;
        packet.source_port = Port::from_host(flow.port);
        packet.destination = flow.to.address;
        packet.destination_port = Port::from_host(flow.to.port);
        packet.protocol = static_cast<uint8_t>(flow.is_tcp ? Protocol::kTcp : Protocol::kUdp);
        packet.tcp_flags = static_cast<uint8_t>(flow.is_tcp ? int{packet::kSyn} : 0);
        packet.in_link = kInternalLink;
        packet.ttl = flow.ttl;
        packet.length = flow.is_tcp ? 40 : 28;
        packet.realm = kInternalRealm;
        packet.now = now;
        Said said{flow.to, PoolId{0}};
        const Outcome to = walk(Hook::kNatDestination, packet);
        if (to.action != nullptr && std::holds_alternative<Dnat>(*to.action)) {
            const DnatTarget& target = std::get<Dnat>(*to.action).targets[0];
            said.target = {target.address, target.port != 0 ? target.port : flow.to.port};
        }
        packet.destination = said.target.address;
        packet.destination_port = Port::from_host(said.target.port);
        packet.out_link = kExternalLink;
        packet.mark = to.mark;
        const Outcome by = walk(Hook::kNatSource, packet);
        if (by.action != nullptr && std::holds_alternative<Snat>(*by.action)) {
            said.pool = std::get<Snat>(*by.action).pool;
        }
        return said;
    }

  private:
    Outcome walk(Hook hook, const RulePacket& packet) {
        const ChainId chain = set_.find_chain(name_of(hook)).value();
        const Walked walked = walk_linear(set_, chain, packet, AddressSets{}, rates_);
        for (const RuleId id : walked.path) {
            ++expected_[id.value].packets;
            expected_[id.value].bytes += packet.length;
        }
        return walked.outcome;
    }

    const RuleSet& set_;
    Rates rates_;
    std::vector<RuleTotal> expected_;
};

NewFlow any_flow(Choices& choices, unsigned number) {
    NewFlow flow;
    flow.from = host(choices.draw(10, 16));
    flow.port = static_cast<uint16_t>(1000 + number);
    flow.to = {
        Ipv4Addr::of(192, 0, 2, static_cast<uint8_t>(choices.draw(10, 30))),
        static_cast<uint16_t>(choices.draw(80, 84))};
    flow.is_tcp = choices.chance(50);
    flow.ttl = static_cast<uint8_t>(choices.draw(60, 67));
    return flow;
}

void check_flow(TestBed& bed, Choices& choices, const NewFlow& flow, const Said& said) {
    for (unsigned packets = choices.draw(1, 3); packets > 0; --packets) {
        PacketBuilder packet = bed.from_internal().ipv4(flow.from, flow.to.address);
        flow.is_tcp ? packet.tcp(flow.port, flow.to.port, kSyn)
                    : packet.udp(flow.port, flow.to.port);
        const Decoded left = outward(bed, packet.ttl(flow.ttl));
        REQUIRE(destination_of(left) == said.target);
        REQUIRE(bed.settings().pools[said.pool.value].has(left.source));
        PacketBuilder answer = bed.from_external().ipv4(left.destination, left.source);
        flow.is_tcp ? answer.tcp(left.destination_port, left.source_port, kSyn | kAck)
                    : answer.udp(left.destination_port, left.source_port);
        const Decoded told = inward(bed, answer);
        REQUIRE(source_of(told) == flow.to);
        REQUIRE(destination_of(told) == Endpoint{flow.from, flow.port});
    }
}

}  // namespace

TEST_CASE("new flows go where the linear matcher says, and are counted once", "[packet]") {
    for (uint64_t seed = 1; seed <= 60; ++seed) {
        INFO("seed " << seed);
        Choices choices(seed);
        BedOptions options = pools();
        options.shards = static_cast<unsigned>(seed % 4 + 1);
        TestBed bed(options);
        bed.put_rules(choices.set());
        Linear linear(choices.set());
        for (unsigned n = 0; n < 60; ++n) {
            const NewFlow flow = any_flow(choices, n);
            const Said said = linear.ask(flow, bed.now());
            check_flow(bed, choices, flow, said);
        }
        const std::vector<RuleTotal> counted = bed.rules().totals();
        for (size_t id = 0; id < linear.expected().size(); ++id) {
            INFO("rule " << id);
            REQUIRE(counted[id] == linear.expected()[id]);
        }
        CHECK(bed.imbalance() == "");
    }
}

}  // namespace sekisho::test
