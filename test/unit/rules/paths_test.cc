// Paths are interned and counted; residues; rates.
#include "rules/paths.h"

#include "rules/residue.h"
#include "support/rules_support.h"

namespace sekisho::rules::test {
namespace {

const HashSecret kSecret{{1, 2, 3, 4}};

std::vector<RuleId> ids(std::initializer_list<uint32_t> values) {
    std::vector<RuleId> list;
    for (const uint32_t value : values) {
        list.push_back(RuleId{value});
    }
    return list;
}

}  // namespace

TEST_CASE("a path has one number, by its rules in order", "[rules][paths]") {
    Paths paths(16, 64, kSecret);
    const PathId a = paths.find_or_make(ids({1, 2, 3}));
    const PathId b = paths.find_or_make(ids({3, 2, 1}));
    const PathId none = paths.find_or_make({});
    CHECK(a != b);
    CHECK(a != none);
    CHECK(paths.find_or_make(ids({1, 2, 3})) == a);
    CHECK(paths.find_or_make({}) == none);
    CHECK(paths.size() == 3);
    CHECK(std::ranges::equal(paths.rules_of(b), ids({3, 2, 1})));
}

TEST_CASE("what does not fit has no number, and what is there keeps its own", "[rules][paths]") {
    Paths few(2, 64, kSecret);
    const PathId a = few.find_or_make(ids({1}));
    CHECK(few.find_or_make(ids({2})) != kNoPath);
    CHECK(few.find_or_make(ids({3})) == kNoPath);
    CHECK(few.find_or_make(ids({1})) == a);
    Paths small(16, 5, kSecret);
    CHECK(small.find_or_make(ids({1, 2, 3})) != kNoPath);
    CHECK(small.find_or_make(ids({1, 2, 4})) == kNoPath);
    CHECK(small.find_or_make(ids({7, 8})) != kNoPath);
}

TEST_CASE(
    "a rule's count is the sum over its paths and what was counted by itself", "[rules][paths]"
) {
    Paths paths(16, 64, kSecret);
    RuleCounts counts(5);
    paths.count_of(paths.find_or_make(ids({0, 2}))).add(3, 300);
    paths.count_of(paths.find_or_make(ids({2, 4}))).add(1, 40);
    counts.of(RuleId{2}).add(10, 1000);
    const std::vector<RuleTotal> totals = total_by_rule(paths, counts);
    CHECK(totals == std::vector<RuleTotal>{{3, 300}, {0, 0}, {14, 1340}, {0, 0}, {1, 40}});
}

TEST_CASE("rules that read what varies inside a flow leave a residue", "[rules][residue]") {
    const auto fields = [](std::vector<Condition> conditions, std::vector<Action> actions = {}) {
        return varying_fields(rule(std::move(conditions), std::move(actions)));
    };
    using Names = std::vector<std::string>;
    CHECK(fields({}).empty());
    CHECK(fields({from("10.0.0.0/8"), to_port(80), protocol(Protocol::kTcp)}).empty());
    CHECK(fields({{StateTest{ByteSet::of(ConnectionState::kNew)}}}).empty());
    CHECK(fields({{LinkTest{}}, {RealmTest{}}, {GroupTest{}}, {IcmpTest{}}}).empty());
    CHECK(fields({{TtlTest{}}}) == Names{"ttl"});
    CHECK(fields({{LengthTest{}}, {TosTest{}}}) == Names{"length", "tos"});
    CHECK(fields({{TcpFlagsTest{}}, {TcpFlagsTest{}}}) == Names{"tcp-flags"});
    CHECK(fields({{FragmentTest{}}}) == Names{"fragments"});
    CHECK(fields({{RateTest{}}, {TimeTest{}}}) == Names{"rate", "time"});
    CHECK(fields({{MarkTest{}}, {PayloadTest{}}}) == Names{"mark", "payload"});
    CHECK(fields({}, {Police{1000, 1000}}) == Names{"police"});
    CHECK(fields({}, {SetTos{}, Accept{}}).empty());

    OneChain bed;
    bed.add(rule({from("10.0.0.0/8")}, {Accept{}}));
    const RuleId ttl = bed.add(rule({{TtlTest{{0, 1}}}}, {Deny{}}));
    const std::vector<ResidueRule> residue = residue_of(bed.set);
    REQUIRE(residue.size() == 1);
    CHECK(residue[0].rule == ttl);
    CHECK(residue[0].place == Place{bed.id, 1});
}

TEST_CASE("a walk that asks no rule with a residue is that of its whole flow", "[rules][residue]") {
    OneChain bed;
    bed.add(rule({from("10.9.0.0/16"), {TtlTest{{0, 1}}}}, {Deny{}}));
    bed.add(rule({to_port(80)}, {Accept{}}));
    bed.add(rule({{LengthTest{{{0, 40}}}}}, {Accept{}}));
    struct Row {
        const char* what;
        RulePacket packet;
        bool is_for_flow;
    };
    const std::vector<Row> rows = {
        {"the rule is for others", tcp("10.1.0.1", "192.0.2.1", 80), true},
        {"it is asked and does not agree", tcp("10.9.0.1", "192.0.2.1", 80), false},
        {"a later one is asked", tcp("10.1.0.1", "192.0.2.1", 81), false},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        CHECK(bed.walk(row.packet).is_for_flow == row.is_for_flow);
    }
    OneChain policed;
    policed.add(rule({}, {Police{1000, 1000}, Accept{}}));
    CHECK_FALSE(policed.walk(rows[0].packet).is_for_flow);
}

TEST_CASE("a rate lets its burst pass and then its packets a period", "[rules][rate]") {
    OneChain bed;
    bed.add(rule({{RateTest{2, Seconds{1}, 3}}}, {Accept{}}));
    Rates rates(bed.set);
    const auto passes = [&](uint32_t ms) {
        RulePacket packet = tcp("10.0.0.1", "192.0.2.1", 80);
        packet.now = Tick{ms};
        const Walked walked = walk_linear(bed.set, bed.id, packet, bed.sets, rates);
        return walked.outcome.disposition == Disposition::kAccept;
    };
    const uint32_t start = 0xffffff00;  // the clock goes round on the way
    CHECK(passes(start));
    CHECK(passes(start));
    CHECK(passes(start));
    CHECK_FALSE(passes(start));
    CHECK_FALSE(passes(start + 499));
    CHECK(passes(start + 500));
    CHECK_FALSE(passes(start + 999));
    CHECK(passes(start + 1000));
    CHECK(passes(start + 100'000));
    CHECK(passes(start + 100'000));
    CHECK(passes(start + 100'000));
    CHECK_FALSE(passes(start + 100'000));
}

TEST_CASE(
    "only what agrees with all else takes of a rate; negated it is the rest", "[rules][rate]"
) {
    OneChain bed;
    bed.add(rule({{RateTest{1, Seconds{1}, 1}}, from("10.0.0.0/8")}, {Accept{}}));
    Rates rates(bed.set);
    const auto disposition = [&](const char* source) {
        const RulePacket packet = tcp(source, "192.0.2.1", 80);
        return walk_linear(bed.set, bed.id, packet, bed.sets, rates).outcome.disposition;
    };
    CHECK(disposition("11.0.0.1") == Disposition::kDeny);
    CHECK(disposition("10.0.0.1") == Disposition::kAccept);
    CHECK(disposition("10.0.0.1") == Disposition::kDeny);

    OneChain negated;
    negated.add(rule({unless({RateTest{1, Seconds{1}, 1}})}, {Reject{}}));
    Rates other(negated.set);
    const RulePacket packet = tcp("10.0.0.1", "192.0.2.1", 80);
    const auto walk = [&] {
        return walk_linear(negated.set, negated.id, packet, negated.sets, other)
            .outcome.disposition;
    };
    CHECK(walk() == Disposition::kDeny);
    CHECK(walk() == Disposition::kReject);
}

TEST_CASE("shards share a rate, and a change leaves the credit of what stays", "[rules][rate]") {
    OneChain bed;
    bed.add(rule({{RateTest{10, Seconds{1}, 8}}}, {Accept{}}));
    Rates quarter(bed.set, 4);
    unsigned passed = 0;
    for (unsigned i = 0; i < 20; ++i) {
        passed += quarter.take_packet(0, Tick{5}) ? 1 : 0;
    }
    CHECK(passed == 2);
    bed.add(rule({{RateTest{10, Seconds{1}, 8}}}, {Accept{}}));
    quarter.follow(bed.set);
    CHECK_FALSE(quarter.take_packet(0, Tick{5}));
    CHECK(quarter.take_packet(1, Tick{5}));
}

}  // namespace sekisho::rules::test
