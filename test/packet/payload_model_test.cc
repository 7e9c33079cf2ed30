// Payload rules against the linear matcher, packet by packet: random rules, random flows, in both directions.
#include <random>

#include "payload_scenario.h"
#include "rules/linear.h"

namespace sekisho::test {
namespace {

using namespace rules;        // NOLINT(google-build-using-namespace)
using namespace rules::test;  // NOLINT(google-build-using-namespace)

const std::vector<std::string> kTexts{"abc", "ca", "bbb", "acab"};

class Dice {
  public:
    explicit Dice(unsigned seed) : engine_(seed) {}
    unsigned operator()(unsigned below) {
        return std::uniform_int_distribution<unsigned>(0, below - 1)(engine_);
    }
    bool chance(unsigned percent) { return (*this)(100) < percent; }
    std::string text(size_t most) {
        std::string text(1 + (*this)(static_cast<unsigned>(most)), 'a');
        for (char& c : text) {
            c = static_cast<char>('a' + (*this)(3));
        }
        return text;
    }

  private:
    std::mt19937 engine_;
};

Condition random_condition(Dice& dice) {
    Condition condition;
    switch (dice(6)) {
        case 0:
            condition = to_port(static_cast<uint16_t>(80 + dice(2)));
            break;
        case 1:
            condition = {LengthTest{{{40, static_cast<uint16_t>(44 + dice(12))}}}};
            break;
        case 2:
            condition = {TcpFlagsTest{packet::kPsh, packet::kPsh, false}};
            break;
        default:
            condition = has_pattern(static_cast<uint16_t>(dice(4)));
            break;
    }
    condition.negated = dice.chance(25);
    return condition;
}

// Two chains: some rules lead from the first to the second and come back.
struct RandomRules {
    RuleSet set;
    ChainId forward = set.add_built_in("forward", Hook::kForward, 0, Accept{}).value();
    ChainId more = set.add_chain("more").value();

    explicit RandomRules(Dice& dice) {
        for (unsigned i = 0; i < 12; ++i) {
            const bool is_inner = i < 4;
            std::vector<Condition> conditions;
            for (unsigned n = dice(3) + (is_inner ? 1 : 0); n > 0; --n) {
                conditions.push_back(random_condition(dice));
            }
            conditions.push_back(has_pattern(static_cast<uint16_t>(dice(4))));
            Action action = Accept{};
            if (!is_inner && dice.chance(30)) {
                action = Jump{more};
            } else if (dice.chance(50)) {
                action = Deny{};
            }
            REQUIRE(set.append(is_inner ? more : forward, rule(conditions, {action})));
        }
    }
};

// One end's half of a flow, as it shows at forward.
struct Half {
    RulePacket packet;
    std::string said;
    std::vector<PatternId> found;

    void say(const std::string& text, bool is_datagram) {
        said = is_datagram ? text : said + text;
        for (size_t i = 0; i < kTexts.size(); ++i) {
            const PatternId id{static_cast<uint16_t>(i)};
            if (said.find(kTexts[i]) != std::string::npos &&
                std::ranges::find(found, id) == found.end()) {
                found.push_back(id);
            }
        }
        std::ranges::sort(found);
        packet.patterns = found;
    }
};

class Flow {
  public:
    Flow(TestBed& bed, const RandomRules& rules, Protocol protocol, uint16_t port, uint16_t to_port)
        : bed_(bed),
          rules_(rules),
          rates_(rules.set),
          protocol_(protocol),
          port_(port),
          to_port_(to_port) {
        RulePacket& out = half_[0].packet;
        out.source = host(5);
        out.destination = ip(kWeb);
        out.source_port = Port::from_host(port);
        out.destination_port = Port::from_host(to_port);
        out.protocol = static_cast<uint8_t>(protocol);
        out.in_link = kInternalLink;
        out.out_link = kExternalLink;
        out.realm = kInternalRealm;
        RulePacket& in = half_[1].packet = out;
        std::swap(in.source, in.destination);
        std::swap(in.source_port, in.destination_port);
        std::swap(in.in_link, in.out_link);
    }

    // Whether it fares as the linear matcher says, and whether it passed.
    bool send(bool is_outbound, const std::string& text, uint8_t flags = packet::kAck) {
        Half& half = half_[is_outbound ? 0 : 1];
        const PacketBuilder packet = build(is_outbound, text, flags);
        half.say(text, protocol_ == Protocol::kUdp);
        half.packet.tcp_flags = protocol_ == Protocol::kTcp ? flags : uint8_t{0};
        half.packet.length = static_cast<uint16_t>(packet.l3().size());
        const Outcome wanted =
            walk_linear(rules_.set, rules_.forward, half.packet, sets_, rates_).outcome;
        bed_.push(is_outbound ? kInternalLink : kExternalLink, packet.bytes());
        bed_.run();
        const bool has_passed = !bed_.take().empty();
        INFO((is_outbound ? "out: " : "in: ") << half.said);
        CHECK(has_passed == (wanted.disposition == Disposition::kAccept));
        sequence_[is_outbound ? 0 : 1] +=
            static_cast<uint32_t>(text.size()) + ((flags & packet::kSyn) != 0 ? 1U : 0U);
        return has_passed;
    }

  private:
    PacketBuilder build(bool is_outbound, const std::string& text, uint8_t flags) const {
        if (protocol_ == Protocol::kUdp) {
            return (is_outbound ? udp_out(bed_, host(5), port_, kWeb, to_port_)
                                : udp_in(bed_, kWeb, to_port_, host(5), port_))
                .payload(text);
        }
        return (is_outbound ? tcp_out(bed_, host(5), port_, kWeb, to_port_, flags)
                            : tcp_in(bed_, kWeb, to_port_, host(5), port_, flags))
            .sequence(sequence_[is_outbound ? 0 : 1])
            .acknowledgement(sequence_[is_outbound ? 1 : 0])
            .payload(text);
    }

    TestBed& bed_;
    const RandomRules& rules_;
    AddressSets sets_;
    Rates rates_;
    Protocol protocol_;
    uint16_t port_;
    uint16_t to_port_;
    std::array<uint32_t, 2> sequence_{0xfffffff0, 77};
    std::array<Half, 2> half_;
};

void run_flow(Dice& dice, Flow& flow, bool is_tcp) {
    const uint8_t syn_ack = packet::kSyn | packet::kAck;
    const bool is_open = is_tcp ? flow.send(true, "", packet::kSyn) && flow.send(false, "", syn_ack)
                                : flow.send(true, dice.text(6));
    for (unsigned k = 0; is_open && k < 12; ++k) {
        const auto flags =
            static_cast<uint8_t>(packet::kAck | (dice.chance(40) ? packet::kPsh : 0));
        flow.send(dice.chance(70), dice.text(6), flags);
    }
}

}  // namespace

TEST_CASE("packets with payloads fare as the linear matcher says", "[packet]") {
    std::vector<Pattern> patterns;
    for (const std::string& text : kTexts) {
        patterns.push_back(literal(text));
    }
    for (unsigned seed = 0; seed < 60; ++seed) {
        INFO("seed " << seed);
        Dice dice(seed);
        BedOptions options;
        options.nat = nat_settings();
        options.shards = 1 + seed % 3;
        TestBed bed(options);
        bed.search_for(set_of(patterns));
        const RandomRules rules(dice);
        bed.put_rules(rules.set);
        for (uint16_t port = 1000; port < 1012; ++port) {
            const bool is_tcp = dice.chance(60);
            Flow flow(
                bed,
                rules,
                is_tcp ? Protocol::kTcp : Protocol::kUdp,
                port,
                static_cast<uint16_t>(80 + dice(2))
            );
            run_flow(dice, flow, is_tcp);
        }
    }
}

}  // namespace sekisho::test
