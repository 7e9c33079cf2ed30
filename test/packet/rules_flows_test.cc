// Random rules on what varies inside flows, and random packets of a few flows: each packet must fare as the linear matcher says, however much of
// it the appliance remembers, and each rule must have counted what it agreed with.
#include <algorithm>
#include <map>
#include <random>

#include <catch2/catch.hpp>

#include "scenario.h"
#include "support/rules_support.h"

namespace sekisho::test {
namespace {

using namespace rules;  // NOLINT(google-build-using-namespace)
using packet::kAck;
using packet::kPsh;
using packet::kSyn;
using rules::test::protocol;
using rules::test::rule;

constexpr auto kPeer = "192.0.2.1";

class RandomRules {
  public:
    explicit RandomRules(uint64_t seed) : random_(seed) {}

    uint64_t draw(uint64_t least, uint64_t most) {
        return std::uniform_int_distribution<uint64_t>(least, most)(random_);
    }
    bool chance(unsigned in_hundred) { return draw(1, 100) <= in_hundred; }

    Test varying() {
        switch (draw(0, 5)) {
            case 0:
                return TtlTest{{0, static_cast<uint8_t>(draw(60, 66))}};
            case 1:
                return LengthTest{{{static_cast<uint16_t>(draw(20, 80)), 200}}};
            case 2:
                return TosTest{0xf0, static_cast<uint8_t>(draw(0, 3) << 4)};
            case 3:
                return TcpFlagsTest{kSyn | kAck, kSyn, chance(50)};
            case 4:
                return FragmentTest{true, chance(50), false};
            default:
                return RateTest{5, Seconds{1}, 3};
        }
    }
    Test fixed() {
        switch (draw(0, 4)) {
            case 0:
                return ProtocolTest{ByteSet::of(chance(50) ? Protocol::kTcp : Protocol::kUdp)};
            case 1:
                return StateTest{ByteSet::of(static_cast<ConnectionState>(draw(0, 1)))};
            case 2:
                return LinkTest{Way::kIn, ByteSet::of(static_cast<uint8_t>(draw(0, 1)))};
            case 3: {
                const auto port = static_cast<uint16_t>(draw(1, 4) + 1000);
                return PortTest{Side::kEither, {{port, port}}, false};
            }
            default:
                return AddressTest{
                    Side::kEither, {{host(5), host(static_cast<unsigned>(draw(5, 8)))}}, {}, {}};
        }
    }
    Action effect() {
        const auto value = static_cast<uint8_t>(draw(0, 3) << 4);
        return chance(50) ? Action(SetTos{0x0f, value})
                          : Action(SetDscp{static_cast<uint8_t>(draw(0, 63))});
    }
    Rule any(std::span<const ChainId> below) {
        Rule r;
        while (chance(60)) {
            r.conditions.push_back({fixed(), chance(20)});
        }
        while (chance(40)) {
            r.conditions.push_back({varying(), chance(30)});
        }
        if (chance(15)) {
            r.actions.push_back(effect());
        }
        if (chance(60)) {
            r.actions.push_back(deciding(below));
        }
        return r;
    }
    Action deciding(std::span<const ChainId> below) {
        const uint64_t kind = draw(0, 5);
        if (kind == 0) {
            return Deny{};
        }
        if (kind == 1 && !below.empty()) {
            return Jump{below[draw(0, below.size() - 1)]};
        }
        if (kind == 2 && !below.empty()) {
            return Goto{below[draw(0, below.size() - 1)]};
        }
        return kind == 3 ? Action(Return{}) : Action(Accept{});
    }

    RuleSet set() {
        RuleSet set;
        const Action policy = chance(70) ? Action(Accept{}) : Action(Deny{});
        std::vector<ChainId> chains{set.add_built_in("main", Hook::kForward, 0, policy).value()};
        for (const char* name : {"a", "b"}) {
            chains.push_back(set.add_chain(name).value());
        }
        for (size_t c = 0; c < chains.size(); ++c) {
            for (uint64_t n = draw(1, 5); n > 0; --n) {
                set.append(chains[c], any(std::span(chains).subspan(c + 1))).value();
            }
        }
        return set;
    }

  private:
    std::mt19937_64 random_;
};

struct Flow {
    Ipv4Addr subscriber;
    uint16_t port = 0;
    bool is_tcp = false;
    bool has_sent = false;  // something has passed, this way and the other
    bool has_heard = false;
};

struct Sent {
    bool outbound = true;
    uint8_t ttl = 0;
    uint8_t tos = 0;
    uint8_t flags = 0;
    size_t payload = 0;
};

RulePacket seen_at_forward(const Flow& flow, const Sent& sent, Tick now) {
    RulePacket packet;
    packet.source = sent.outbound ? flow.subscriber : ip(kPeer);
    packet.destination = sent.outbound ? ip(kPeer) : flow.subscriber;
    packet.source_port = Port::from_host(sent.outbound ? flow.port : 53);
    packet.destination_port = Port::from_host(sent.outbound ? 53 : flow.port);
    packet.protocol = static_cast<uint8_t>(flow.is_tcp ? Protocol::kTcp : Protocol::kUdp);
    packet.in_link = sent.outbound ? kInternalLink : kExternalLink;
    packet.out_link = sent.outbound ? kExternalLink : kInternalLink;
    packet.tcp_flags = flow.is_tcp ? sent.flags : uint8_t{0};
    packet.tos = sent.tos;
    packet.ttl = sent.ttl;
    packet.length = static_cast<uint16_t>(20 + (flow.is_tcp ? 20 : 8) + sent.payload);
    const bool is_answered = sent.outbound ? flow.has_heard : flow.has_sent;
    packet.state = is_answered ? ConnectionState::kEstablished : ConnectionState::kNew;
    packet.realm = kInternalRealm;
    packet.now = now;
    return packet;
}

PacketBuilder frame_of(const TestBed& bed, const Flow& flow, const Sent& sent) {
    const auto protocol = flow.is_tcp ? Protocol::kTcp : Protocol::kUdp;
    PacketBuilder frame = sent.outbound ? bed.from_internal() : bed.from_external();
    uint16_t from = flow.port;
    uint16_t to = 53;
    if (sent.outbound) {
        frame.ipv4(flow.subscriber, ip(kPeer));
    } else {
        const Endpoint external = external_of(bed, protocol, flow.subscriber, flow.port);
        frame.ipv4(ip(kPeer), external.address);
        from = 53;
        to = external.port;
    }
    flow.is_tcp ? frame.tcp(from, to, sent.flags) : frame.udp(from, to);
    frame.ttl(sent.ttl).tos(sent.tos).payload_size(sent.payload);
    return frame;
}

Sent any_packet(RandomRules& random, const Flow& flow, bool outbound) {
    constexpr uint8_t kFlags[] = {kAck, kSyn | kAck, kAck | kPsh, kSyn};
    Sent sent;
    sent.outbound = outbound;
    sent.flags = kFlags[flow.has_sent ? random.draw(0, sent.outbound ? 3 : 2) : 3];
    sent.ttl = static_cast<uint8_t>(random.draw(60, 67));
    sent.tos = static_cast<uint8_t>(random.draw(0, 3) << 4 | random.draw(0, 1));
    sent.payload = random.chance(50) ? 0 : random.draw(1, 90);
    return sent;
}

// An appliance, and what the linear matcher says beside it.
struct Beside {
    explicit Beside(uint64_t seed)
        : random(seed), set(random.set()), rates(set), expected(set.id_bound()) {
        // Nobody has to wait later: for ports, or until a neighbour is known.
        for (unsigned n = 5; n < 9; ++n) {
            outward(bed, udp_out(bed, host(n), 999, kPeer, 53));
            outward(bed, tcp_out(bed, host(n), 999, kPeer, 53, kSyn));
            inward(bed, udp_in(bed, kPeer, 53, host(n), 999));
        }
        bed.put_rules(set);
        for (unsigned n = 0; n < 8; ++n) {
            flows.push_back({host(5 + n % 4), static_cast<uint16_t>(1001 + n % 3), n >= 4});
        }
    }

    Walked walk(const RulePacket& packet) {
        const ChainId chain = set.find_chain("main").value();
        Walked walked = walk_linear(set, chain, packet, AddressSets{}, rates);
        for (const RuleId id : walked.path) {
            ++expected[id.value].packets;
            expected[id.value].bytes += packet.length;
        }
        return walked;
    }
    // So many packets of one side at once: the rules see all of them as the flows were before. Packets of
    // flows that do not stand are asked about before the others.
    void step(unsigned count) {
        bed.pass(static_cast<uint32_t>(random.draw(0, 200)));
        const bool outbound = random.chance(55) || std::ranges::none_of(flows, &Flow::has_sent);
        std::vector<Asked> burst;
        while (burst.size() < count) {
            Flow& flow = flows[random.draw(0, flows.size() - 1)];
            if (outbound || flow.has_sent) {
                burst.push_back({&flow, any_packet(random, flow, outbound)});
            }
        }
        push(std::move(burst));
    }
    using TosOf = std::map<const Flow*, std::vector<uint8_t>>;
    struct Asked {
        Flow* flow;
        Sent sent;
        bool is_asked = false;
        bool passes = false;
        uint8_t tos = 0;
    };
    void ask(Asked& packet) {
        const Walked walked = walk(seen_at_forward(*packet.flow, packet.sent, bed.now()));
        packet.is_asked = true;
        packet.passes = walked.outcome.disposition == Disposition::kAccept;
        packet.tos = walked.outcome.tos;
    }
    // Of a packet that has left; of several flows each queue has its own order.
    const Flow* flow_of(const Decoded& packet, bool outbound, const TosOf& among) const {
        const auto found = std::ranges::find_if(among, [&](const auto& each) {
            const Flow& flow = *each.first;
            const auto protocol = flow.is_tcp ? Protocol::kTcp : Protocol::kUdp;
            const bool is_one = packet.protocol == static_cast<uint8_t>(protocol);
            return is_one &&
                   (outbound ? source_of(packet) ==
                                   external_of(bed, protocol, flow.subscriber, flow.port)
                             : destination_of(packet) == Endpoint{flow.subscriber, flow.port});
        });
        return found == among.end() ? nullptr : found->first;
    }
    void push(std::vector<Asked> burst) {
        for (Asked& packet : burst) {
            if (!packet.flow->has_sent) {
                ask(packet);
            }
        }
        TosOf wanted;
        for (Asked& packet : burst) {
            if (!packet.is_asked) {
                ask(packet);
            }
            if (packet.passes) {
                wanted[packet.flow].push_back(packet.tos);
            }
            const LinkId link = packet.sent.outbound ? kInternalLink : kExternalLink;
            bed.push(link, frame_of(bed, *packet.flow, packet.sent).bytes());
        }
        bed.run();
        TosOf left;
        for (const auto& sent : bed.take()) {
            const Decoded packet = decode(sent.bytes);
            left[flow_of(packet, burst.front().sent.outbound, wanted)].push_back(packet.tos);
        }
        REQUIRE(left == wanted);
        for (const Asked& packet : burst) {
            bool& seen = packet.sent.outbound ? packet.flow->has_sent : packet.flow->has_heard;
            seen = seen || packet.passes;
        }
    }
    void check_counts() const {
        const std::vector<RuleTotal> counted = bed.rules().totals();
        for (size_t id = 0; id < expected.size(); ++id) {
            INFO("rule " << id);
            REQUIRE(counted[id] == expected[id]);
        }
    }

    RandomRules random;
    RuleSet set;
    TestBed bed{BedOptions{}};
    Rates rates;
    std::vector<RuleTotal> expected;
    std::vector<Flow> flows;
};

}  // namespace

TEST_CASE("every packet of a flow fares as the linear matcher says, whatever varies", "[packet]") {
    const auto [most, seeds, steps] =
        GENERATE(table<unsigned, uint64_t, unsigned>({{1, 150, 300}, {5, 60, 100}, {32, 60, 40}}));
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
        INFO("seed " << seed << ", at most " << most << " at once");
        Beside beside(seed);
        for (unsigned k = 0; k < steps; ++k) {
            INFO("step " << k);
            beside.step(static_cast<unsigned>(beside.random.draw(1, most)));
        }
        beside.check_counts();
        CHECK(beside.bed.imbalance() == "");
    }
}

}  // namespace sekisho::test
