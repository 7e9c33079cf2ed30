// The walk of the linear matcher: chains, actions, policies and paths.
#include "rules/linear.h"

#include "support/rules_support.h"

namespace sekisho::rules::test {
namespace {

using Path = std::vector<RuleId>;

const RulePacket kWeb = tcp("10.0.0.1", "192.0.2.1", 80);
const RulePacket kMail = tcp("10.0.0.1", "192.0.2.1", 25);

Rule any(std::vector<Action> actions) {
    return rule({}, std::move(actions));
}

RuleId policy_of(const OneChain& bed) {
    return bed.set.chain(bed.id)->policy_id;
}

}  // namespace

TEST_CASE("the first rule that agrees decides, and without one the policy", "[rules][walk]") {
    OneChain bed;
    const RuleId web = bed.add(rule({to_port(80)}, {Accept{}}));
    bed.add(rule({to_port(80)}, {Deny{}}));
    const Walked accepted = bed.walk(kWeb);
    CHECK(accepted.outcome.disposition == Disposition::kAccept);
    CHECK(accepted.outcome.by == web);
    CHECK(accepted.path == Path{web});
    const Walked denied = bed.walk(kMail);
    CHECK(denied.outcome.disposition == Disposition::kDeny);
    CHECK(denied.outcome.by == policy_of(bed));
    CHECK(denied.path == Path{policy_of(bed)});
}

TEST_CASE(
    "a rule without a deciding action counts and the walk goes on (LEGACY C2, I1)", "[rules][walk]"
) {
    OneChain bed;
    const RuleId count = bed.add(any({}));
    const RuleId log = bed.add(any({Log{4, "web: ", 10}}));
    const RuleId end = bed.add(any({Log{}, Deny{}}));
    bed.add(any({Accept{}}));
    CHECK(bed.walk(kWeb).path == Path{count, log, end});
    CHECK(bed.walk(kWeb).outcome.disposition == Disposition::kDeny);
}

TEST_CASE("accounting walks the whole chain (LEGACY S2)", "[rules][walk]") {
    OneChain bed(Hook::kAccounting, Accept{});
    const RuleId a = bed.add(rule({from("10.0.0.0/8")}, {}));
    bed.add(rule({from("11.0.0.0/8")}, {}));
    const RuleId c = bed.add(rule({to_port(80)}, {}));
    CHECK(bed.walk(kWeb).path == Path{a, c, policy_of(bed)});
}

TEST_CASE(
    "a jump comes back behind its rule, at the chain's end or by return (LEGACY C1)",
    "[rules][walk]"
) {
    OneChain bed;
    const ChainId user = bed.set.add_chain("user").value();
    const RuleId jump = bed.add(any({Jump{user}}));
    const RuleId behind = bed.add(any({Accept{}}));
    CHECK(bed.walk(kWeb).path == Path{jump, behind});
    const RuleId back = bed.add(user, rule({to_port(80)}, {Return{}}));
    const RuleId deny = bed.add(user, any({Deny{}}));
    CHECK(bed.walk(kWeb).path == Path{jump, back, behind});
    CHECK(bed.walk(kMail).path == Path{jump, deny});
    CHECK(bed.walk(kMail).outcome.disposition == Disposition::kDeny);
}

TEST_CASE("goto returns to the caller's caller (LEGACY I1)", "[rules][walk]") {
    OneChain bed;
    const ChainId inner = bed.set.add_chain("inner").value();
    const ChainId outer = bed.set.add_chain("outer").value();
    const RuleId first = bed.add(any({Jump{outer}}));
    const RuleId last = bed.add(any({Accept{}}));
    const RuleId go = bed.add(outer, any({Goto{inner}}));
    bed.add(outer, any({Deny{}}));
    const RuleId in = bed.add(inner, any({Return{}}));
    CHECK(bed.walk(kWeb).path == Path{first, go, in, last});
    // From a built-in chain: to the policy.
    OneChain direct;
    const ChainId away = direct.set.add_chain("away").value();
    const RuleId leave = direct.add(any({Goto{away}}));
    direct.add(any({Accept{}}));
    CHECK(direct.walk(kWeb).path == Path{leave, policy_of(direct)});
}

TEST_CASE("return in a built-in chain comes to the policy (LEGACY C1)", "[rules][walk]") {
    OneChain bed;
    const RuleId back = bed.add(any({Return{}}));
    bed.add(any({Accept{}}));
    CHECK(bed.walk(kWeb).path == Path{back, policy_of(bed)});
    CHECK(bed.walk(kWeb).outcome.disposition == Disposition::kDeny);
}

TEST_CASE(
    "a user-defined chain by itself passes what it does not decide (LEGACY C12)", "[rules][walk]"
) {
    OneChain bed;
    const ChainId user = bed.set.add_chain("user").value();
    const RuleId web = bed.add(user, rule({to_port(80)}, {Reject{true, 3}}));
    Rates rates(bed.set);
    const Walked passed = walk_linear(bed.set, user, kMail, bed.sets, rates);
    CHECK(passed.outcome.disposition == Disposition::kPassed);
    CHECK(passed.path.empty());
    const Walked rejected = walk_linear(bed.set, user, kWeb, bed.sets, rates);
    CHECK(rejected.outcome.disposition == Disposition::kReject);
    CHECK(rejected.path == Path{web});
}

TEST_CASE("each deciding action ends the walk with what it says", "[rules][walk]") {
    struct Row {
        Hook hook;
        Action action;
        Disposition disposition;
    };
    const std::vector<Row> rows = {
        {Hook::kForward, Accept{}, Disposition::kAccept},
        {Hook::kForward, Deny{}, Disposition::kDeny},
        {Hook::kEgress, Reject{false, 13}, Disposition::kReject},
        {Hook::kLocalIn, Reject{true, 3}, Disposition::kReject},
        {Hook::kForward, Masquerade{}, Disposition::kMasquerade},
        {Hook::kNatSource, Masquerade{{61000, 65095}}, Disposition::kMasquerade},
        {Hook::kNatSource, Snat{PoolId{3}}, Disposition::kSnat},
        {Hook::kNatDestination,
         Dnat{{{address("10.0.0.9"), 8080, 1}, {address("10.0.0.8"), 0, 3}}, true},
         Disposition::kDnat},
        {Hook::kNatDestination, Redirect{3128}, Disposition::kRedirect},
        {Hook::kIngress, Redirect{}, Disposition::kRedirect},
    };
    for (const Row& row : rows) {
        INFO(name_of(row.hook) << ": " << name_of(row.action));
        OneChain bed(row.hook, Accept{});
        const RuleId id = bed.add(any({row.action}));
        bed.add(any({}));
        const Walked walked = bed.walk(kWeb);
        CHECK(walked.outcome.disposition == row.disposition);
        CHECK(walked.outcome.by == id);
        REQUIRE(walked.outcome.action != nullptr);
        CHECK(*walked.outcome.action == row.action);
        CHECK(walked.path == Path{id});
    }
}

TEST_CASE("a policy can be any that its hook has", "[rules][walk]") {
    OneChain bed(Hook::kForward, Masquerade{});
    CHECK(bed.walk(kWeb).outcome.disposition == Disposition::kMasquerade);
    REQUIRE(bed.set.set_policy(bed.id, Reject{false, 1}));
    const Outcome outcome = bed.walk(kWeb).outcome;
    CHECK(outcome.disposition == Disposition::kReject);
    CHECK(std::get<Reject>(*outcome.action).icmp_code == 1);
}

TEST_CASE(
    "marks and TOS change on the way, and rules behind see them (LEGACY C13)", "[rules][walk]"
) {
    OneChain bed(Hook::kForward, Accept{});
    bed.add(any({SetTos{0x01, 0x10}}));
    bed.add(any({SetMark{0xff, 0x21}}));
    const RuleId seen =
        bed.add(rule({{TosTest{0xfe, 0x10}}, {MarkTest{0xff, 0x21}}}, {SetDscp{46}}));
    RulePacket packet = kWeb;
    packet.tos = 0xff;
    packet.mark = 0x700;
    const Walked walked = bed.walk(packet);
    CHECK(walked.path.size() == 4);
    CHECK(walked.path[2] == seen);
    CHECK(walked.outcome.mark == 0x721);
    CHECK(walked.outcome.tos == (46 << 2 | 0x01));
    CHECK_FALSE(walked.outcome.no_track);
    OneChain raw(Hook::kIngress, Accept{});
    raw.add(any({NoTrack{}}));
    CHECK(raw.walk(kWeb).outcome.no_track);
    CHECK(raw.walk(kWeb).outcome.disposition == Disposition::kAccept);
}

TEST_CASE("a policer denies what exceeds it and lets the rest go on", "[rules][walk]") {
    OneChain bed(Hook::kForward, Accept{});
    const RuleId police = bed.add(any({Police{1000, 150}, SetMark{0xff, 1}}));
    Rates rates(bed.set);
    const auto send = [&](uint32_t ms) {
        RulePacket packet = kWeb;  // 60 bytes
        packet.now = Tick{ms};
        return walk_linear(bed.set, bed.id, packet, bed.sets, rates);
    };
    CHECK(send(0).outcome.disposition == Disposition::kAccept);
    CHECK(send(0).outcome.mark == 1);
    const Walked denied = send(0);
    CHECK(denied.outcome.disposition == Disposition::kDeny);
    CHECK(denied.outcome.by == police);
    CHECK(denied.outcome.action == nullptr);
    CHECK(denied.path == Path{police});
    CHECK(send(30).outcome.disposition == Disposition::kAccept);
}

TEST_CASE("what a packet took of rates comes back when it is asked about again", "[rules][walk]") {
    OneChain bed(Hook::kForward, Accept{});
    bed.add(rule({{RateTest{1, Seconds{1}, 2, 0}}}, {Deny{}}));
    Rates rates(bed.set);
    const auto is_within = [&] {
        return walk_linear(bed.set, bed.id, kWeb, bed.sets, rates).outcome.disposition ==
               Disposition::kDeny;
    };
    CHECK(is_within());
    rates.keep();
    CHECK(is_within());
    CHECK_FALSE(is_within());
    rates.give_back();
    rates.give_back();
    CHECK(is_within());
    CHECK_FALSE(is_within());
}

TEST_CASE("a set that is changed changes the rule that names it", "[rules][walk][sets]") {
    OneChain bed;
    const SetId id = bed.set.add_set("friends").value();
    const auto set = std::make_shared<AddressSet>(HashSecret{{5, 6, 7, 8}});
    bed.add(rule({{AddressTest{Side::kSource, {}, {}, {id}}}}, {Accept{}}));
    CHECK(bed.walk(kWeb).outcome.disposition == Disposition::kDeny);  // no table of that set yet
    bed.sets.put(id, set);
    CHECK(bed.walk(kWeb).outcome.disposition == Disposition::kDeny);
    set->insert({address("10.0.0.1"), 32});
    CHECK(bed.walk(kWeb).outcome.disposition == Disposition::kAccept);
    set->erase({address("10.0.0.1"), 32});
    CHECK(bed.walk(kWeb).outcome.disposition == Disposition::kDeny);
}

}  // namespace sekisho::rules::test
