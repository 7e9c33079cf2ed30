// Building rule sets: what is refused, with which words, and that nothing is changed then.
#include "rules/rule_set.h"

#include "support/rules_support.h"

namespace sekisho::rules::test {
namespace {

template <class T>
std::string message(const Result<T>& result) {
    return result ? "" : result.error().message;
}

Rule any(std::vector<Action> actions) {
    return rule({}, std::move(actions));
}

std::vector<RuleId> ids_of(const RuleSet& set, ChainId chain) {
    std::vector<RuleId> ids;
    for (const RulePtr& r : set.chain(chain)->rules) {
        ids.push_back(r->id);
    }
    return ids;
}

}  // namespace

TEST_CASE("chains are made, found, renamed and removed", "[rules][chains]") {
    RuleSet set;
    const ChainId input = set.add_built_in("input", Hook::kIngress, 0, Accept{}).value();
    const ChainId user = set.add_chain("user").value();
    CHECK(set.find_chain("input") == input);
    CHECK(set.find_chain("user") == user);
    CHECK_FALSE(set.find_chain("other"));
    CHECK(set.rename_chain(user, "other"));
    CHECK(set.find_chain("other") == user);
    CHECK(message(set.rename_chain(user, "input")) == "there is a chain input already");
    CHECK(set.remove_chain(user));
    CHECK(set.chain(user) == nullptr);
    CHECK(set.chains() == std::vector<ChainId>{input});
    CHECK(set.add_chain("new").value() == user);  // the number is free again
}

TEST_CASE("a chain's name is one word and the only one of it", "[rules][chains]") {
    RuleSet set;
    REQUIRE(set.add_chain("user"));
    CHECK(message(set.add_chain("user")) == "there is a chain user already");
    const std::vector<std::string> wrong = {"", "two words", "tab\t", std::string(64, 'x')};
    for (const std::string& name : wrong) {
        INFO(name);
        CHECK(message(set.add_chain(name)).starts_with("a chain's name has 1 to 63 printable"));
    }
    CHECK(set.add_chain(std::string(63, 'x')));
    CHECK(set.chains().size() == 2);
}

TEST_CASE("a chain that is built in, in use or not empty stays (LEGACY C14)", "[rules][chains]") {
    OneChain bed;
    const ChainId user = bed.set.add_chain("user").value();
    bed.add(any({Jump{user}}));
    CHECK(message(bed.set.remove_chain(bed.id)) == "chain main is a built-in one: it stays");
    CHECK(message(bed.set.remove_chain(user)) == "chain user is in use: 1 rules lead to it");
    REQUIRE(bed.set.remove(bed.id, 0));
    bed.add(user, any({}));
    CHECK(message(bed.set.remove_chain(user)) == "chain user is not empty: it has 1 rules");
    REQUIRE(bed.set.flush(user));
    CHECK(bed.set.remove_chain(user));
    CHECK(message(bed.set.remove_chain(user)) == "there is no chain with the number 1");
}

TEST_CASE(
    "no jump leads nowhere, to a built-in chain or in a circle (LEGACY I10)", "[rules][chains]"
) {
    OneChain bed;
    const ChainId a = bed.set.add_chain("a").value();
    const ChainId b = bed.set.add_chain("b").value();
    const ChainId c = bed.set.add_chain("c").value();
    CHECK(
        message(bed.set.append(bed.id, any({Jump{ChainId{77}}}))) ==
        "chain main, rule 1: there is no chain with the number 77"
    );
    CHECK(
        message(bed.set.append(a, any({Goto{bed.id}}))) ==
        "chain a, rule 1: no rule leads to a built-in chain, as main is one"
    );
    CHECK(
        message(bed.set.append(a, any({Jump{a}}))) ==
        "chain a, rule 1: chain a leads back to chain a: a packet would go in a circle"
    );
    bed.add(a, any({Jump{b}}));
    bed.add(b, any({Goto{c}}));
    CHECK(
        message(bed.set.append(c, any({Jump{a}}))) ==
        "chain c, rule 1: chain a leads back to chain c: a packet would go in a circle"
    );
    CHECK(bed.set.chain(c)->rules.empty());
    REQUIRE(bed.set.remove(b, 0));
    CHECK(bed.set.append(c, any({Jump{a}})));  // the circle is open now
    CHECK(
        message(bed.set.replace(a, 0, any({Jump{c}}))) ==
        "chain a, rule 1: chain c leads back to chain a: a packet would go in a circle"
    );
    CHECK(bed.set.references_to(b) == 1);
}

TEST_CASE("chains lead into each other so deep and no deeper", "[rules][chains]") {
    OneChain bed;
    std::vector<ChainId> chain = {bed.id};
    for (unsigned i = 1; i <= kDeepest; ++i) {
        chain.push_back(bed.set.add_chain("c" + std::to_string(i)).value());
    }
    for (unsigned i = 1; i + 1 < kDeepest; ++i) {  // from the far end, and the first last
        bed.add(chain[kDeepest - 1 - i], any({Jump{chain[kDeepest - i]}}));
    }
    const std::string too_deep = "chains would lead into each other more than 32 deep";
    REQUIRE(bed.set.append(chain[0], any({Jump{chain[1]}})));
    CHECK(
        message(bed.set.append(chain[kDeepest - 1], any({Jump{chain[kDeepest]}}))) ==
        "chain c31, rule 1: " + too_deep
    );
    CHECK(bed.walk(tcp("10.0.0.1", "10.0.0.2", 1)).path.size() == kDeepest);
}

TEST_CASE("an action stands only where it can act, by whatever way", "[rules][chains]") {
    struct Row {
        Hook hook;
        Action action;
        std::string message;
    };
    const Dnat dnat{{{address("10.0.0.9"), 0, 1}}, false};
    const std::vector<Row> rows = {
        {Hook::kForward, dnat, "dnat cannot act at forward"},
        {Hook::kForward, Snat{PoolId{0}}, "snat cannot act at forward"},
        {Hook::kNatSource, dnat, "dnat cannot act at nat-source"},
        {Hook::kNatDestination, Masquerade{}, "masquerade cannot act at nat-destination"},
        {Hook::kIngress, Masquerade{}, "masquerade cannot act at ingress"},
        {Hook::kEgress, Redirect{}, "redirect cannot act at egress"},
        {Hook::kForward, NoTrack{}, "no-track cannot act at forward"},
        {Hook::kAccounting, Deny{}, "deny cannot act at accounting"},
        {Hook::kAccounting, Accept{}, "accept cannot act at accounting"},
        {Hook::kNatSource, Deny{}, "deny cannot act at nat-source"},
    };
    for (const Row& row : rows) {
        INFO(row.message);
        OneChain bed(row.hook, Accept{});
        CHECK(
            message(bed.set.append(bed.id, any({row.action}))) ==
            "chain main, rule 1: " + row.message
        );
        // The jump first, and the jump last; there may be a chain between.
        const ChainId near = bed.set.add_chain("near").value();
        const ChainId far = bed.set.add_chain("far").value();
        bed.add(near, any({Goto{far}}));
        const RuleId jump = bed.add(any({Jump{near}}));
        CHECK(
            message(bed.set.append(far, any({row.action}))) == "chain far, rule 1: " + row.message
        );
        REQUIRE(bed.set.remove(bed.id, 0));
        REQUIRE_FALSE(bed.set.find_rule(jump));
        REQUIRE(bed.set.append(far, any({row.action})));
        CHECK(message(bed.set.append(bed.id, any({Jump{near}}))
        ).starts_with("chain main, rule 1: chain far would be reached from "));
        CHECK(bed.set.chain(bed.id)->rules.empty());
    }
}

TEST_CASE("policies are those that a hook can have", "[rules][chains]") {
    RuleSet set;
    CHECK(
        message(set.add_built_in("x", Hook::kIngress, 0, Masquerade{})) ==
        "chain x: masquerade is no policy at ingress"
    );
    CHECK(
        message(set.add_built_in("x", Hook::kForward, 0, Log{})) ==
        "chain x: log is no policy at forward"
    );
    CHECK(
        message(set.add_built_in("x", Hook::kAccounting, 0, Deny{})) ==
        "chain x: accounting stops no packet"
    );
    CHECK(
        message(set.add_built_in("x", Hook::kForward, 0, Reject{false, 99})) ==
        "chain x: an ICMP code is 0 to 15"
    );
    const ChainId user = set.add_chain("user").value();
    CHECK(
        message(set.set_policy(user, Deny{})) == "chain user is no built-in one: it has no policy"
    );
    CHECK(set.chains().size() == 1);
}

TEST_CASE("a rule's values are checked", "[rules]") {
    struct Row {
        Rule rule;
        std::string message;
    };
    const AddressRange backwards{address("10.0.0.2"), address("10.0.0.1")};
    const std::vector<Row> rows = {
        {any({Accept{}, Log{}}), "accept decides: nothing can be done after it"},
        {any({Log{8, "", 0}}), "a log level is 0 to 7"},
        {any({SetDscp{64}}), "a DSCP is 0 to 63"},
        {any({SetMark{1, 2}}),
         "bits of the mark that are wanted set are not among those looked at"},
        {any({Police{0, 1}}),
         "police wants 1 to 10^12 bytes a second and a burst of at least one byte"},
        {rule({{AddressTest{Side::kSource, {backwards}, {}, {}}}}, {}),
         "a range of addresses ends before it begins"},
        {rule({{AddressTest{Side::kSource, {}, {}, {SetId{5}}}}}, {}),
         "there is no set with the number 5"},
        {rule({to_port(2, 1)}, {}), "a range of ports ends before it begins"},
        {rule({{IcmpTest{{{{3, 2}, {0, 0}}}, false}}}, {}),
         "a range of ICMP types or codes ends before it begins"},
        {rule({{TcpFlagsTest{kSyn, kAck, false}}}, {}),
         "TCP flags that are wanted set are not among those looked at"},
        {rule({{TosTest{0x0f, 0x10}}}, {}),
         "bits of the TOS that are wanted set are not among those looked at"},
        {rule({{LengthTest{{{2, 1}}}}}, {}), "a range of lengths ends before it begins"},
        {rule({{TtlTest{{2, 1}}}}, {}), "a range of TTLs ends before it begins"},
        {rule({{RateTest{0, Seconds{1}, 1}}}, {}),
         "a rate is of 1 to 1000000000 packets in 1 to 604800 s, with a burst of 1 to 1000000"},
        {rule({{TimeTest{0, {0, 1}}}}, {}),
         "a time is some of the seven days, between two seconds of a day"},
        {rule({{TimeTest{1, {0, 86400}}}}, {}),
         "a time is some of the seven days, between two seconds of a day"},
    };
    OneChain bed;
    for (const Row& row : rows) {
        CHECK(message(bed.set.append(bed.id, row.rule)) == "chain main, rule 1: " + row.message);
    }
    OneChain nat(Hook::kNatDestination, Accept{});
    CHECK(
        message(nat.set.append(nat.id, any({Dnat{{{address("10.0.0.9"), 0, 0}}, false}}))) ==
        "chain main, rule 1: dnat wants a target with a weight"
    );
    CHECK(bed.set.rule_count() == 0);
}

TEST_CASE("rules are inserted, replaced, moved and removed, and keep their ids", "[rules]") {
    OneChain bed;
    const RuleId a = bed.add(rule({to_port(1)}, {Accept{}}));
    const RuleId c = bed.add(rule({to_port(3)}, {Accept{}}));
    const RuleId b = bed.set.insert(bed.id, 1, rule({to_port(2)}, {Accept{}})).value();
    const RuleId first = bed.set.insert(bed.id, 0, any({})).value();
    CHECK(ids_of(bed.set, bed.id) == std::vector<RuleId>{first, a, b, c});
    REQUIRE(bed.set.move(bed.id, 0, 3));
    CHECK(ids_of(bed.set, bed.id) == std::vector<RuleId>{a, b, c, first});
    REQUIRE(bed.set.move(bed.id, 2, 1));
    CHECK(ids_of(bed.set, bed.id) == std::vector<RuleId>{a, c, b, first});
    const RuleId fresh = bed.set.replace(bed.id, 1, any({Deny{}})).value();
    CHECK(ids_of(bed.set, bed.id) == std::vector<RuleId>{a, fresh, b, first});
    REQUIRE(bed.set.remove(bed.id, 0));
    CHECK(ids_of(bed.set, bed.id) == std::vector<RuleId>{fresh, b, first});
    CHECK(bed.set.find_rule(b) == Place{bed.id, 1});
    CHECK(bed.set.find_rule(bed.set.chain(bed.id)->policy_id) == Place{bed.id, 3});
    CHECK_FALSE(bed.set.find_rule(a));
    const RuleId next = bed.add(any({}));
    CHECK(next.value == bed.set.id_bound() - 1);  // never one that was used
    CHECK(message(bed.set.remove(bed.id, 4)) == "chain main has no rule 5: it has 4");
    CHECK(message(bed.set.move(bed.id, 0, 4)) == "chain main has no rule 5: it has 4");
    CHECK(message(bed.set.replace(bed.id, 4, any({}))) == "chain main has no rule 5: it has 4");
    CHECK(
        message(bed.set.insert(bed.id, 5, any({}))) ==
        "chain main: rule 6 is to follow the last, which is rule 4"
    );
    CHECK(message(bed.set.append(ChainId{9}, any({}))) == "there is no chain with the number 9");
}

TEST_CASE("a rule is removed by what it says (LEGACY S21)", "[rules]") {
    OneChain bed;
    bed.add(rule({to_port(80)}, {Accept{}}));
    bed.add(rule({to_port(81), {RateTest{}}}, {Accept{}}));
    const RuleId second = bed.add(rule({to_port(80)}, {Accept{}}));
    CHECK(
        message(bed.set.remove_equal(bed.id, rule({to_port(80)}, {Deny{}}))) ==
        "chain main has no such rule"
    );
    REQUIRE(bed.set.remove_equal(bed.id, rule({to_port(80)}, {Accept{}})));
    REQUIRE(bed.set.remove_equal(bed.id, rule({to_port(81), {RateTest{}}}, {Accept{}})));
    CHECK(ids_of(bed.set, bed.id) == std::vector<RuleId>{second});
}

TEST_CASE("a copy of a rule set goes its own way", "[rules]") {
    OneChain bed;
    bed.add(any({Accept{}}));
    RuleSet copy = bed.set;
    REQUIRE(copy.flush(bed.id));
    CHECK(bed.set.rule_count() == 1);
    CHECK(copy.rule_count() == 0);
}

TEST_CASE("sets have names, and stay while a rule names them", "[rules][sets]") {
    OneChain bed;
    const SetId id = bed.set.add_set("friends").value();
    CHECK(message(bed.set.add_set("friends")) == "there is a set friends already");
    CHECK(message(bed.set.add_set("")) == "a set's name has 1 to 63 characters");
    CHECK(bed.set.find_set("friends") == id);
    bed.add(any({}));
    bed.add(rule({{AddressTest{Side::kSource, {}, {}, {id}}}}, {}));
    CHECK(
        message(bed.set.remove_set(id)) == "set friends is in use: rule 2 of chain main names it"
    );
    REQUIRE(bed.set.flush(bed.id));
    CHECK(bed.set.remove_set(id));
    CHECK_FALSE(bed.set.find_set("friends"));
    CHECK(message(bed.set.remove_set(id)) == "there is no set with the number 0");
}

TEST_CASE("chains at one hook are asked by priority", "[rules][chains]") {
    RuleSet set;
    const ChainId filter = set.add_built_in("filter", Hook::kForward, 0, Accept{}).value();
    const ChainId mangle = set.add_built_in("mangle", Hook::kForward, -150, Accept{}).value();
    const ChainId other = set.add_built_in("other", Hook::kForward, 0, Accept{}).value();
    CHECK(set.chains_at(Hook::kForward) == std::vector<ChainId>{mangle, filter, other});
    CHECK(set.chains_at(Hook::kEgress).empty());
}

}  // namespace sekisho::rules::test
