// The parts of the compiled rules: boxes, matches, the index, and following a change.
#include <memory>
#include <random>

#include "packet/allocation_counter.h"
#include "rules/compiled_rules.h"
#include "rules/covers.h"
#include "rules/flow_residue.h"
#include "support/rules_support.h"

namespace sekisho::rules::test {
namespace {

using Numbers = std::vector<uint32_t>;

Numbers numbers_of(const Matches& matches) {
    return {matches.positions, matches.positions + matches.count};
}

Rule any(std::vector<Action> actions) {
    return rule({}, std::move(actions));
}

struct Compiled {
    std::shared_ptr<const CompiledRules> rules;
    AddressSets sets;
    Rates rates;
    std::unique_ptr<WalkScratch> scratch = std::make_unique<WalkScratch>();
    std::vector<RuleId> spilled;

    explicit Compiled(const RuleSet& set) : rules(CompiledRules::build(set)), rates(set) {}
    void follow(const RuleSet& set) {
        rules = rules->follow(set);
        rates.follow(set);
    }
    Matches match(ChainId chain, const RulePacket& packet) {
        Matches matches;
        rules->match(chain, {&packet, 1}, sets, *scratch, {&matches, 1});
        return matches;
    }
    Walked walk(ChainId chain, const RulePacket& packet) {
        const Matches matches = match(chain, packet);
        spilled.clear();
        Trail trail(
            [](void* to, RuleId id) { static_cast<std::vector<RuleId>*>(to)->push_back(id); },
            &spilled
        );
        Walked walked;
        walked.outcome = rules->walk(chain, packet, matches, {sets, rates, *scratch, trail});
        walked.path.assign(trail.rules().begin(), trail.rules().end());
        CHECK(trail.is_whole() == spilled.empty());
        return walked;
    }
};

// Each a rule of its own, for another address.
void add_many(OneChain& bed, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
        const auto a = Ipv4Addr::from_host(0x0b000000 + 7 * i);
        bed.add(rule({{AddressTest{Side::kDestination, {{a, a}}, {}, {}}}}, {Accept{}}));
    }
}

}  // namespace

TEST_CASE("matches are kept in order, once each, up to the first that ends", "[rules][compiled]") {
    Matches matches;
    matches.clear();
    for (const uint32_t position : {7U, 3U, 9U, 3U, 5U}) {
        matches.add(position, false);
    }
    CHECK(numbers_of(matches) == Numbers{3, 5, 7, 9});
    matches.add(7, true);
    CHECK(numbers_of(matches) == Numbers{3, 5, 7});
    matches.add(8, true);
    matches.add(8, false);
    matches.add(4, false);
    CHECK(numbers_of(matches) == Numbers{3, 4, 5, 7});
    matches.add(1, true);
    CHECK(numbers_of(matches) == Numbers{1});
    CHECK_FALSE(matches.is_cut);
}

TEST_CASE("of more matches than there is room for the first are kept", "[rules][compiled]") {
    Matches matches;
    matches.clear();
    for (uint32_t position = 100; position > 0; --position) {
        matches.add(position, false);
    }
    CHECK(matches.is_cut);
    REQUIRE(matches.count == Matches::kRoom);
    CHECK(matches.positions[0] == 1);
    CHECK(matches.positions[Matches::kRoom - 1] == Matches::kRoom);
    matches.add(2, true);
    CHECK_FALSE(matches.is_cut);
    CHECK(numbers_of(matches) == Numbers{1, 2});
}

TEST_CASE("a box has the keys between its ends, and no other", "[rules][compiled]") {
    Box box;
    box.first = {0x0a000010, 0xfffffff0, 100 | 0xff00U << 16, 0x00050006};
    box.span = {0x0f, 0x0f, 0 | 0xffU << 16, 0x00ff00ff};
    const Key inside{0x0a000018, 0xffffffff, 100 | 0xff80U << 16, 0xab05cd06};
    CHECK(box.has(inside));
    struct Row {
        uint32_t Key::*lane;
        uint32_t value;
        bool has;
    };
    const std::vector<Row> rows = {
        {&Key::source, 0x0a000010, true},
        {&Key::source, 0x0a00001f, true},
        {&Key::source, 0x0a00000f, false},
        {&Key::source, 0x0a000020, false},
        {&Key::source, 0, false},
        {&Key::destination, 0xfffffff0, true},
        {&Key::destination, 0xffffffef, false},
        {&Key::destination, 0, false},
        {&Key::ports, 100 | 0xff00U << 16, true},
        {&Key::ports, 100 | 0xffffU << 16, true},
        {&Key::ports, 101 | 0xff00U << 16, false},
        {&Key::ports, 99 | 0xff00U << 16, false},
        {&Key::ports, 100 | 0xfeffU << 16, false},
        {&Key::ports, 100, false},
        {&Key::word, 0x00050006, true},
        {&Key::word, 0xff05ff06, true},
        {&Key::word, 0x00050007, false},
        {&Key::word, 0x00040006, false},
    };
    for (const Row& row : rows) {
        INFO(row.value);
        Key key = inside;
        key.*row.lane = row.value;
        CHECK(box.has(key) == row.has);
    }
    CHECK(Box{}.has(inside));
}

TEST_CASE(
    "rules become as few boxes as say the same, or fewer that say less", "[rules][compiled]"
) {
    const auto test = [](Test t) { return Condition{std::move(t)}; };
    const Condition is_tcp = protocol(Protocol::kTcp);
    using enum ConnectionState;
    std::vector<AddressRange> many;
    for (uint32_t i = 0; i < 100; ++i) {
        many.push_back({Ipv4Addr::from_host(i * 256), Ipv4Addr::from_host(i * 256)});
    }
    struct Row {
        const char* what;
        std::vector<Condition> conditions;
        size_t boxes;
        bool is_exact;
    };
    const std::vector<Row> rows = {
        {"nothing asked", {}, 1, true},
        {"a five-tuple",
         {is_tcp, from("10.0.0.0/8"), to("192.0.2.1-192.0.2.9"), to_port(80)},
         1,
         true},
        {"ports without a protocol", {to_port(80)}, 1, false},
        {"ports of a protocol without ports", {protocol(Protocol::kGre), to_port(80)}, 1, false},
        {"not a prefix", {unless(from("10.0.0.0/8"))}, 2, true},
        {"not any address", {unless(from("0.0.0.0/0"))}, 0, true},
        {"a prefix and not part of it", {from("10.0.0.0/8"), unless(from("10.0.0.0/9"))}, 1, true},
        {"prefixes that do not meet", {from("10.0.0.0/8"), from("11.0.0.0/8")}, 0, true},
        {"not a port", {is_tcp, unless(to_port(80))}, 2, true},
        {"either end",
         {test(AddressTest{Side::kEither, {addresses("10.0.0.0/8")}, {}, {}})},
         2,
         true},
        {"neither end",
         {unless(test(AddressTest{Side::kEither, {addresses("10.0.0.0/8")}, {}, {}}))},
         1,
         false},
        {"a set", {test(AddressTest{Side::kSource, {}, {}, {SetId{0}}})}, 1, false},
        {"a mask with a hole",
         {test(AddressTest{Side::kSource, {}, {{address("10.0.0.1"), address("255.0.0.255")}}, {}}
         )},
         1,
         false},
        {"too many addresses", {test(AddressTest{Side::kSource, many, {}, {}})}, 1, false},
        {"an echo request", {test(IcmpTest{{{{8, 8}, {0, 255}}}, false})}, 1, true},
        {"no echo request", {unless(test(IcmpTest{{{{8, 8}, {0, 255}}}, false}))}, 1, false},
        {"two protocols", {test(ProtocolTest{ByteSet::of(6, 17)})}, 2, true},
        {"not a protocol", {unless(is_tcp)}, 1, false},
        {"links", {test(LinkTest{Way::kIn, ByteSet::of(1, 2)})}, 2, true},
        {"either way's link", {test(LinkTest{Way::kEither, ByteSet::of(1)})}, 2, true},
        {"a link that is none", {test(LinkTest{Way::kIn, {}})}, 0, true},
        {"new", {test(StateTest{ByteSet::of(kNew)})}, 1, true},
        {"established or related", {test(StateTest{ByteSet::of(kEstablished, kRelated)})}, 1, true},
        {"any state",
         {test(StateTest{ByteSet::of(kNew, kInvalid, kEstablished, kRelated, kUntracked)})},
         1,
         true},
        {"new or untracked", {test(StateTest{ByteSet::of(kNew, kUntracked)})}, 2, true},
        {"not invalid", {unless(test(StateTest{ByteSet::of(kInvalid)}))}, 2, true},
        {"a realm", {test(RealmTest{ByteSet::of(3)})}, 1, true},
        {"a high realm", {test(RealmTest{ByteSet::of(77)})}, 1, false},
        {"a group", {test(GroupTest{{GroupId{1}}})}, 1, false},
        {"what varies is left to the walk", {test(TtlTest{{0, 1}})}, 1, true},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        const std::vector<RuleBox> boxes = boxes_of(rule(row.conditions, {}));
        CHECK(boxes.size() == row.boxes);
        for (const RuleBox& box : boxes) {
            CHECK(box.is_exact == row.is_exact);
        }
    }
    Rule both_ways = rule({from("10.0.0.0/8"), is_tcp, to_port(80)}, {});
    both_ways.either_way = true;
    CHECK(boxes_of(both_ways).size() == 2);
}

TEST_CASE("the index finds just the boxes that have a key", "[rules][compiled]") {
    std::mt19937_64 random(1);
    const auto draw = [&](uint32_t bound) { return static_cast<uint32_t>(random() % bound); };
    std::vector<OwnedBox> boxes;
    for (uint32_t i = 0; i < 4000; ++i) {
        OwnedBox owned;
        owned.ref = i;
        const uint32_t length = draw(6) * 4;
        owned.box.span.source = length == 0 ? ~0U : (1U << (20 - length)) - 1;
        owned.box.first.source = length == 0 ? 0 : draw(1U << 20) & ~owned.box.span.source;
        owned.box.first.destination = draw(300);
        owned.box.span.destination = draw(3) == 0 ? draw(100) : 0;
        owned.box.first.ports = draw(50) << 16;
        owned.box.span.ports = 0xffff | (draw(2) == 0 ? draw(20) << 16 : 0);
        owned.box.first.word = draw(3);
        owned.box.span.word = draw(2) == 0 ? kProtocolBits : 0;
        boxes.push_back(owned);
    }
    const BoxIndex index(boxes);
    CHECK(index.table_count() > 2);
    const auto probe = std::make_unique<BoxIndex::Probe>();
    for (unsigned round = 0; round < 300; ++round) {
        std::vector<Key> keys(1 + round % BoxIndex::kBurst);
        for (Key& key : keys) {
            const uint32_t source =
                draw(2) == 0 ? draw(1U << 20) : boxes[draw(4000)].box.first.source;
            key = {source, draw(400), draw(65536) | draw(60) << 16, draw(3)};
        }
        index.probe(keys, *probe);
        index.open(keys, *probe);
        for (size_t i = 0; i < keys.size(); ++i) {
            Numbers found;
            const auto add = [&](uint32_t ref) { found.push_back(ref); };
            index.find(keys[i], i, *probe, add, [](uint32_t) { return true; });
            std::ranges::sort(found);
            Numbers wanted;
            for (const OwnedBox& owned : boxes) {
                if (owned.box.has(keys[i])) {
                    wanted.push_back(owned.ref);
                }
            }
            REQUIRE(found == wanted);
        }
    }
}

TEST_CASE("memory grows with the rules, whatever they are", "[rules][compiled]") {
    for (const uint32_t count : {100U, 5000U}) {
        OneChain bed;
        for (uint32_t i = 0; i < count; ++i) {  // ranges that overlap each other a lot
            const auto first = static_cast<uint16_t>(i * 5);
            bed.add(rule(
                {protocol(Protocol::kTcp),
                 {PortTest{Side::kSource, {{0, static_cast<uint16_t>(60000 - i)}}, false}},
                 to_port(first, static_cast<uint16_t>(first + 30000))},
                {Accept{}}
            ));
        }
        const Compiled compiled(bed.set);
        CHECK(compiled.rules->bytes() < 160 * count);
    }
}

TEST_CASE("a changed rule is followed at once, and what it hid is seen", "[rules][compiled]") {
    OneChain bed;
    add_many(bed, 500);
    const RuleId hiding = bed.set.insert(bed.id, 100, rule({to_port(80)}, {Deny{}})).value();
    const RuleId hidden = bed.add(any({Accept{}}));
    Compiled compiled(bed.set);
    const RulePacket web = tcp("10.0.0.1", "192.0.2.1", 80);
    CHECK(compiled.walk(bed.id, web).path == std::vector<RuleId>{hiding});
    REQUIRE(bed.set.remove(bed.id, 100));
    compiled.follow(bed.set);
    CHECK_FALSE(compiled.rules->is_settled());
    CHECK(compiled.walk(bed.id, web).path == std::vector<RuleId>{hidden});
    const RuleId fresh = bed.set.insert(bed.id, 0, rule({to_port(80)}, {})).value();
    compiled.follow(bed.set);
    CHECK(compiled.walk(bed.id, web).path == std::vector<RuleId>{fresh, hidden});
    REQUIRE(bed.set.move(bed.id, 500, 0));  // the last to the front
    compiled.follow(bed.set);
    CHECK_FALSE(compiled.rules->is_settled());
    const auto settled = CompiledRules::build(compiled.rules->rules());
    CHECK(settled->is_settled());
    CHECK(settled->bytes() <= compiled.rules->bytes());
}

TEST_CASE(
    "what has changed too much is built anew, and what has not is shared", "[rules][compiled]"
) {
    OneChain bed;
    add_many(bed, 300);
    const ChainId other = bed.set.add_chain("other").value();
    bed.add(other, any({Deny{}}));
    Compiled compiled(bed.set);
    const CompiledChain* const before = &compiled.rules->chain(other);
    add_many(bed, CompiledChain::kMostInFront);
    compiled.follow(bed.set);
    CHECK_FALSE(compiled.rules->is_settled());
    add_many(bed, 1);
    compiled.follow(bed.set);
    CHECK(compiled.rules->is_settled());
    CHECK(&compiled.rules->chain(other) == before);
    REQUIRE(bed.set.flush(other));
    REQUIRE(bed.set.remove_chain(other));
    compiled.follow(bed.set);
    CHECK(compiled.walk(bed.id, tcp("10.0.0.1", "11.0.0.7", 80)).path.size() == 1);
}

TEST_CASE("a path of hundreds of rules is walked to its end", "[rules][compiled]") {
    OneChain bed(Hook::kAccounting, Accept{});
    std::vector<RuleId> wanted;
    for (unsigned i = 0; i < 300; ++i) {
        wanted.push_back(bed.add(any({})));
        bed.add(rule({to_port(81)}, {}));
    }
    wanted.push_back(bed.set.chain(bed.id)->policy_id);
    Compiled compiled(bed.set);
    Walked walked = compiled.walk(bed.id, tcp("10.0.0.1", "192.0.2.1", 80));
    CHECK(walked.path.size() == Trail::kRoom);
    walked.path.insert(walked.path.end(), compiled.spilled.begin(), compiled.spilled.end());
    CHECK(walked.path == wanted);
}

TEST_CASE(
    "a set changes under compiled rules without building them anew", "[rules][compiled][sets]"
) {
    OneChain bed;
    const SetId id = bed.set.add_set("friends").value();
    add_many(bed, 100);
    bed.add(rule({{AddressTest{Side::kSource, {}, {}, {id}}}}, {Accept{}}));
    Compiled compiled(bed.set);
    const auto table = std::make_shared<AddressSet>(HashSecret{{5, 6, 7, 8}});
    compiled.sets.put(id, table);
    const RulePacket packet = tcp("10.0.0.1", "192.0.2.1", 80);
    CHECK(compiled.walk(bed.id, packet).outcome.disposition == Disposition::kDeny);
    table->insert({address("10.0.0.0"), 24});
    CHECK(compiled.walk(bed.id, packet).outcome.disposition == Disposition::kAccept);
}

TEST_CASE("nothing is allocated while rules are matched and walked", "[rules][compiled]") {
    OneChain bed;
    const ChainId user = bed.set.add_chain("user").value();
    const SetId id = bed.set.add_set("friends").value();
    add_many(bed, 500);
    bed.add(rule({{AddressTest{Side::kSource, {}, {}, {id}}}}, {Log{}, SetMark{1, 1}}));
    bed.add(rule({{RateTest{100, Seconds{1}, 100}}, {TtlTest{{0, 255}}}}, {Jump{user}}));
    add_many(bed, 100);
    for (unsigned i = 0; i < 100; ++i) {
        bed.add(user, any({}));
    }
    bed.add(user, any({Return{}}));
    bed.add(any({Police{1000, 1000}, Reject{}}));
    Compiled compiled(bed.set);
    const auto table = std::make_shared<AddressSet>(HashSecret{{5, 6, 7, 8}});
    table->insert({address("10.0.0.0"), 24});
    compiled.sets.put(id, table);
    const std::vector<RulePacket> packets(kRuleBurst, tcp("10.0.0.1", "192.0.2.1", 80));
    std::vector<Matches> matches(packets.size());
    const auto trail = std::make_unique<Trail>();
    const size_t before = sekisho::test::allocations();
    size_t walked = 0;
    {
        const sekisho::test::Counting counting;
        compiled.rules->match(bed.id, packets, compiled.sets, *compiled.scratch, matches);
        for (size_t i = 0; i < packets.size(); ++i) {
            trail->clear();
            compiled.rules->walk(
                bed.id,
                packets[i],
                matches[i],
                {compiled.sets, compiled.rates, *compiled.scratch, *trail}
            );
            walked += trail->is_whole() ? 0 : 1;
        }
    }
    CHECK(sekisho::test::allocations() == before);
    CHECK(walked == packets.size());
}

TEST_CASE("a quick test holds just where its condition agrees", "[rules][compiled][residue]") {
    std::mt19937_64 random(1);
    const auto draw = [&](unsigned bound) { return static_cast<uint8_t>(random() % bound); };
    const AddressSets sets;
    unsigned quick = 0;
    std::vector<QuickTest> side_by_side;
    for (unsigned round = 0; round < 20'000; ++round) {
        const uint8_t mask = draw(256);
        const uint8_t value = mask & draw(256);
        const auto low = static_cast<uint16_t>(draw(100));
        const std::vector<Test> tests = {
            TcpFlagsTest{mask, value, draw(2) == 0},
            TosTest{mask, value},
            TtlTest{{draw(64), static_cast<uint8_t>(64 + draw(64))}},
            LengthTest{{{low, static_cast<uint16_t>(low + draw(200))}}},
            LengthTest{{{0, low}, {200, 300}}},
            FragmentTest{draw(2) == 0, draw(2) == 0, draw(2) == 0},
            MarkTest{3, 1},
        };
        const Condition condition{tests[round % tests.size()], draw(2) == 0};
        RulePacket packet = draw(2) == 0 ? tcp("10.0.0.1", "10.0.0.2", 1) : icmp(8, 0);
        packet.fragment = static_cast<FragmentKind>(draw(3));
        packet.tcp_flags = draw(256);
        packet.tos = draw(256);
        packet.ttl = draw(140);
        packet.length = static_cast<uint16_t>(draw(250) * 2);
        if (const auto test = quick_test_of(rule({from("0.0.0.0/0"), condition}, {}))) {
            ++quick;
            REQUIRE(test->holds(VaryingFields(packet)) == covers(condition, packet, sets, false));
            side_by_side.push_back(*test);
        }
        QuickTests together;
        uint32_t wanted = 0;
        const size_t count = std::min<size_t>(side_by_side.size(), draw(QuickTests::kMost + 1));
        for (const QuickTest& test : std::span(side_by_side).last(count)) {
            wanted |= static_cast<uint32_t>(test.holds(VaryingFields(packet))) << together.size();
            together.add(test);
        }
        REQUIRE(together.holding(VaryingFields(packet)) == wanted);
    }
    CHECK(quick > 10'000);
    CHECK_FALSE(quick_test_of(rule({{TtlTest{}}, {TosTest{}}}, {})));
    CHECK_FALSE(quick_test_of(rule({}, {})));
}

TEST_CASE("a flow's residue asks what varies, for each packet", "[rules][compiled][residue]") {
    OneChain bed;
    const ChainId user = bed.set.add_chain("user").value();
    add_many(bed, 100);  // for others
    const RuleId log = bed.add(rule({from("10.0.0.0/8")}, {Log{}}));
    const RuleId jump = bed.add(rule({{TtlTest{{0, 9}}}}, {Jump{user}}));
    const RuleId accept = bed.add(rule({to_port(80)}, {Accept{}}));
    const RuleId longer = bed.add(user, rule({{LengthTest{{{100, 65535}}}}}, {Return{}}));
    const RuleId deny = bed.add(user, any({Deny{}}));
    Compiled compiled(bed.set);
    RulePacket packet = tcp("10.0.0.1", "192.0.2.1", 80);
    FlowResidue residue;
    REQUIRE(residue.make(*compiled.rules, bed.id, packet, compiled.sets, compiled.scratch->match));
    CHECK(residue.size() == 5);
    struct Row {
        uint8_t ttl;
        uint16_t length;
        std::vector<RuleId> path;
        Disposition disposition;
    };
    const std::vector<Row> rows = {
        {64, 60, {log, accept}, Disposition::kAccept},
        {9, 60, {log, jump, deny}, Disposition::kDeny},
        {9, 100, {log, jump, longer, accept}, Disposition::kAccept},
        {10, 100, {log, accept}, Disposition::kAccept},
    };
    for (const Row& row : rows) {
        packet.ttl = row.ttl;
        packet.length = row.length;
        Trail trail;
        const size_t before = sekisho::test::allocations();
        Outcome outcome;
        {
            const sekisho::test::Counting counting;
            outcome =
                residue.run(packet, {compiled.sets, compiled.rates, *compiled.scratch, trail});
        }
        CHECK(sekisho::test::allocations() == before);
        CHECK(outcome.disposition == row.disposition);
        CHECK(std::ranges::equal(trail.rules(), row.path));
    }
}

TEST_CASE("a flow that meets too many rules has no residue", "[rules][compiled][residue]") {
    OneChain bed;
    for (unsigned i = 0; i < FlowResidue::kMost; ++i) {
        bed.add(any({}));
    }
    const RulePacket packet = tcp("10.0.0.1", "192.0.2.1", 80);
    FlowResidue residue;
    Compiled fits(bed.set);
    CHECK(residue.make(*fits.rules, bed.id, packet, fits.sets, fits.scratch->match));
    bed.add(any({}));
    Compiled over(bed.set);
    CHECK_FALSE(residue.make(*over.rules, bed.id, packet, over.sets, over.scratch->match));
}

}  // namespace sekisho::rules::test
