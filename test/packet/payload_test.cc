// Payload rules on a packet's way: which flows are searched, what a match does, what is held, and that nothing is left behind.
#include "payload_scenario.h"

namespace sekisho::test {
namespace {

using namespace rules;        // NOLINT(google-build-using-namespace)
using namespace rules::test;  // NOLINT(google-build-using-namespace)

constexpr uint16_t kNeedle = 0;
constexpr uint16_t kEarly = 1;

PatternSet patterns() {
    return set_of({literal("needle"), literal("early", false, 12)});
}

// Denied at forward: what has the pattern, to port 80 alone.
struct Denying {
    RuleSet set;
    ChainId chain = set.add_built_in("main", Hook::kForward, 0, Accept{}).value();
    RuleId id;

    explicit Denying(uint16_t pattern = kNeedle, Action action = Deny{})
        : id(set.append(chain, rule({to_port(80), has_pattern(pattern)}, {std::move(action)}))
                 .value()) {}
};

BedOptions usual() {
    BedOptions options;
    options.nat = nat_settings();
    return options;
}

}  // namespace

TEST_CASE("a TCP connection is cut where a pattern is complete, and no other", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        bed.search_for(patterns());
        const Denying rules;
        bed.put_rules(rules.set);
        Connection with(bed, 1000);
        Connection without(bed, 1001);
        Connection elsewhere(bed, 1002, 81);
        for (Connection* const each : {&with, &without, &elsewhere}) {
            each->open();
            each->say("here is a nee", 0, 13);
        }
        const std::string text = "here is a needle and more";
        with.say(text, 13, 16);
        with.say(text, 16, 25);
        without.say("here is a nee? none", 13, 19);
        elsewhere.say(text, 13, 25);
        CHECK(with.got_by_server() == "here is a nee");
        CHECK(without.got_by_server() == "here is a nee? none");
        CHECK(elsewhere.got_by_server() == text);
        CHECK(bed.dropped(DropReason::kDeniedByRule) == 2);
        CHECK(bed.counted(rules.id).packets == 2);
        // What is answered is not searched, and passes.
        with.answer("a needle");
        CHECK(with.got_by_client() == "a needle");
        CHECK(bed.scanned() == 2);
        story.step(bed);
    });
}

namespace {

// A text with the pattern, cut into segments.
struct Cuts {
    const std::string text = "a needle!";
    std::vector<size_t> at;

    void say(Connection& connection, size_t part) const {
        connection.say(text, at[part], at[part + 1]);
    }
};

// All that the server may have got: what stands before the packet on whose bytes the pattern is complete.
void check_cut(TestBed& bed, const Cuts& cuts, Connection& connection) {
    connection.say(cuts.text);  // once more as a whole
    CHECK(connection.got_by_server().find("needle") == std::string::npos);
    CHECK(cuts.text.starts_with(connection.got_by_server()));
    CHECK(connection.contradictions == 0);
    CHECK(bed.totals().held == 0);
}

template <class Say>
void for_every_cut(TestBed& bed, Say say) {
    uint16_t port = 2000;
    Cuts cuts;
    const size_t size = cuts.text.size();
    for (size_t i = 1; i < size; ++i) {
        for (size_t j = i; j < size; ++j) {  // j == i: two segments
            cuts.at = j == i ? std::vector<size_t>{0, i, size} : std::vector<size_t>{0, i, j, size};
            INFO("cut at " << i << " and " << j);
            say(cuts, [&] {
                const uint64_t denied = bed.dropped(DropReason::kDeniedByRule);
                Connection connection(bed, ++port);
                connection.open();
                return std::pair(connection, denied);
            });
        }
    }
}

}  // namespace

TEST_CASE("a pattern is found however its segments are cut and overtake each other", "[packet]") {
    BedOptions options = usual();
    options.shards = 2;
    TestBed bed(options);
    bed.search_for(patterns());
    bed.put_rules(Denying().set);
    for_every_cut(bed, [&](const Cuts& cuts, const auto& open) {
        std::vector<size_t> order(cuts.at.size() - 1);
        std::iota(order.begin(), order.end(), 0U);
        do {
            auto [connection, denied] = open();
            for (const size_t part : order) {
                cuts.say(connection, part);
            }
            CHECK(bed.dropped(DropReason::kDeniedByRule) > denied);
            check_cut(bed, cuts, connection);
        } while (std::next_permutation(order.begin(), order.end()));
    });
}

TEST_CASE("a pattern is found in segments that overlap and come again", "[packet]") {
    TestBed bed(usual());
    bed.search_for(patterns());
    bed.put_rules(Denying().set);
    for_every_cut(bed, [&](const Cuts& cuts, const auto& open) {
        const size_t size = cuts.text.size();
        const size_t i = cuts.at[1];
        const size_t j = cuts.at[cuts.at.size() - 2];
        const std::vector<std::vector<std::pair<size_t, size_t>>> ways{
            {{0, j}, {i, size}},
            {{i, size}, {i, j}, {0, j}},
            {{0, i}, {0, i}, {0, j}, {0, size}, {i, j}},
            {{j, size}, {j, size}, {i, size}, {0, i}}};
        for (const auto& way : ways) {
            auto [connection, denied] = open();
            for (const auto& [begin, end] : way) {
                connection.say(cuts.text, begin, end);
            }
            CHECK(bed.dropped(DropReason::kDeniedByRule) > denied);
            check_cut(bed, cuts, connection);
        }
        // Other bytes for what has passed already.
        auto [connection, denied] = open();
        connection.say(cuts.text, 0, i);
        connection.say(std::string(size, '#'), 0, j);
        connection.say(std::string(size, '#'), i, j);
        connection.say(cuts.text, i, size);
        CHECK(connection.got_by_server().find("needle") == std::string::npos);
        CHECK(connection.contradictions == 0);
    });
}

TEST_CASE("what comes too early is held, and let go when its time is over", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        bed.search_for(patterns());
        bed.put_rules(Denying().set);
        const std::string text = "first second third";
        Connection late(bed, 1000);
        late.open();
        late.say(text, 13, 18);
        late.say(text, 6, 13);
        late.say(text, 6, 13);
        CHECK(bed.totals().held == 2);
        CHECK(bed.dropped(DropReason::kStreamDuplicate) == 1);
        CHECK(late.got_by_server().empty());
        late.say(text, 0, 6);
        CHECK(bed.totals().held == 0);
        CHECK(late.got_by_server() == text);
        Connection never(bed, 1001);
        never.open();
        never.say(text, 6, 18);
        CHECK(bed.totals().held == 1);
        bed.advance(4100);
        CHECK(bed.totals().held == 0);
        CHECK(bed.dropped(DropReason::kStreamHeldTimeout) == 1);
        never.say(text);
        CHECK(never.got_by_server() == text);
        story.step(bed);
    });
}

TEST_CASE("what is scanned and held ends with its session", "[packet]") {
    BedOptions options = usual();
    run_everywhere(options, [](TestBed& bed, Story& story) {
        bed.search_for(patterns());
        bed.put_rules(Denying().set);
        Connection connection(bed, 1000);
        connection.open();
        connection.say("some text", 5, 9);
        outward(bed, udp_out(bed, host(6), 1000, kWeb, 80).payload("a datagram"));
        CHECK(bed.scanned() == 2);
        CHECK(bed.totals().held == 1);
        for (unsigned i = 0; i < bed.shards(); ++i) {
            nat::NatShard& nat = bed.shard(i).nat();
            for (uint32_t k = 0; k < nat.session_high_water(); ++k) {
                if ((nat.session(SessionIndex{k}).flags & flow::kLive) != 0) {
                    nat.clear_session(SessionIndex{k}, bed.now());
                }
            }
        }
        bed.run();
        CHECK(bed.scanned() == 0);
        CHECK(bed.totals().held == 0);
        CHECK(bed.dropped(DropReason::kStreamOrphan) == 1);
        story.step(bed);
    });
}

TEST_CASE("idle sessions give back what they were scanned with", "[packet]") {
    TestBed bed(usual());
    bed.search_for(patterns());
    bed.put_rules(Denying().set);
    for (uint16_t port = 1000; port < 1050; ++port) {
        outward(bed, udp_out(bed, host(5), port, kWeb, 80).payload("a datagram"));
    }
    CHECK(bed.scanned() == 50);
    bed.advance(400'000);
    CHECK(bed.session_count() == 0);
    CHECK(bed.scanned() == 0);
}

TEST_CASE("each datagram is searched by itself, the first of a flow too", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        bed.search_for(patterns());
        bed.put_rules(Denying().set);
        const auto say = [&](unsigned from, std::string_view text) {
            return udp_out(bed, host(from), 1000, kWeb, 80).payload(text);
        };
        check_refused(bed, kInternalLink, say(5, "a needle"), DropReason::kDeniedByRule);
        CHECK(bed.session_count() == 0);
        CHECK(bed.scanned() == 0);
        outward(bed, say(6, "a nee"));
        outward(bed, say(6, "dle"));
        check_refused(bed, kInternalLink, say(6, "needle"), DropReason::kDeniedByRule);
        check_refused(bed, kInternalLink, say(6, "anything"), DropReason::kDeniedByRule);
        inward(bed, udp_in(bed, kWeb, 80, host(6), 1000).payload("needle"));
        outward(bed, udp_out(bed, host(6), 1000, kWeb, 81).payload("needle"));
        CHECK(bed.scanned() == 1);
        story.step(bed);
    });
}

TEST_CASE("a rejected connection is reset at its sender", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        bed.search_for(patterns());
        bed.put_rules(Denying(kNeedle, Reject{.by_tcp_reset = true}).set);
        Connection connection(bed, 1000);
        connection.open();
        connection.say("nee", 0, 3);
        CHECK(connection.resets == 0);
        connection.say("needle", 3, 6);
        CHECK(connection.resets == 1);
        story.step(bed);
    });
}

TEST_CASE("only so many flows are scanned, and more are dropped or pass", "[packet]") {
    for (const bool drops : {true, false}) {
        TestBed bed(usual());
        bed.search_for(patterns(), {.streams = 2, .held = 16, .drops_when_full = drops});
        bed.put_rules(Denying().set);
        for (unsigned n = 5; n < 9; ++n) {
            bed.push_internal(udp_out(bed, host(n), 1000, kWeb, 80).payload("text"));
        }
        bed.push_internal(udp_out(bed, host(9), 1000, kWeb, 81).payload("text"));
        bed.run();
        CHECK(bed.take().size() == (drops ? 3 : 5));
        CHECK(bed.dropped(DropReason::kScanOverload) == (drops ? 2 : 0));
        CHECK(bed.scanned() == 2);
    }
}

TEST_CASE("streams go on when the rules change, and end when none asks any more", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        bed.search_for(patterns());
        bed.put_rules(Denying().set);
        const std::string text = "a nee dle and a needle";
        Connection connection(bed, 1000);
        connection.open();
        connection.say(text, 0, 5);
        Denying again;
        REQUIRE(again.set.append(again.chain, rule({to_port(81)}, {Deny{}})));
        bed.put_rules(again.set);
        connection.say(text, 5, 19);
        connection.say(text, 20, 22);
        CHECK(connection.got_by_server() == text.substr(0, 19));
        CHECK(bed.totals().held == 1);
        bed.put_rules(again.set);
        connection.say(text, 19, 20);
        connection.say(text, 20, 22);
        CHECK(
            connection.got_by_server() == text.substr(0, 20)
        );  // what was held has the pattern's end
        connection.say(text, 22, 22);
        RuleSet none;
        (void)none.add_built_in("main", Hook::kForward, 0, Accept{});
        bed.put_rules(none);
        CHECK(bed.scanned() == 0);
        connection.say(text, 20, 22);
        CHECK(connection.got_by_server() == text);
        story.step(bed);
    });
}

TEST_CASE("a flow that changed rules do not ask about any more is scanned no more", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        bed.search_for(patterns());
        bed.put_rules(Denying().set);
        const std::string text = "a needle and a pin";
        Connection connection(bed, 1000);
        connection.open();
        connection.say(text, 0, 5);
        CHECK(bed.scanned() == 1);
        RuleSet elsewhere;
        const ChainId chain = elsewhere.add_built_in("main", Hook::kForward, 0, Accept{}).value();
        REQUIRE(elsewhere.append(chain, rule({to_port(81), has_pattern(kNeedle)}, {Deny{}})));
        bed.put_rules(elsewhere);
        connection.say(text, 5, 18);
        CHECK(connection.got_by_server() == text);
        CHECK(bed.scanned() == 0);
        Connection other(bed, 1001, 81);
        other.open();
        other.say(text);
        CHECK(other.got_by_server().empty());
        story.step(bed);
    });
}

TEST_CASE("a connection that begins anew on the same ports is scanned anew", "[packet]") {
    TestBed bed(usual());
    bed.search_for(patterns());
    bed.put_rules(Denying().set);
    Connection first(bed, 1000);
    first.open();
    first.say("harmless", 0, 8, packet::kAck | packet::kFin);
    first.push(first.server(packet::kAck | packet::kFin)
                   .sequence(Connection::kServer)
                   .acknowledgement(Connection::kClient + 9));
    first.push(first.client(packet::kAck)
                   .sequence(Connection::kClient + 9)
                   .acknowledgement(Connection::kServer + 1));
    CHECK(first.got_by_server() == "harmless");
    Connection second(bed, 1000);
    constexpr uint32_t kNew = 0x40000000;
    second.push(second.client(packet::kSyn).sequence(kNew - 1));
    second.push(second.server(packet::kSyn | packet::kAck).sequence(77).acknowledgement(kNew));
    second.push(second.client(packet::kAck).sequence(kNew).acknowledgement(78));
    const auto say = [&](uint32_t at, std::string_view text) {
        return second.client(packet::kAck).sequence(kNew + at).acknowledgement(78).payload(text);
    };
    bed.push_internal(say(0, "a nee"));
    bed.run();
    CHECK(decode(bed.take().at(0).bytes).payload.size() == 5);
    check_refused(bed, kInternalLink, say(5, "dle"), DropReason::kDeniedByRule);
    CHECK(bed.scanned() == 1);
}

TEST_CASE("a damaged segment is no part of what is scanned", "[packet]") {
    TestBed bed(usual());
    bed.search_for(patterns());
    bed.put_rules(Denying().set);
    Connection connection(bed, 1000);
    connection.open();
    const std::string text = "a needle";
    ByteVector damaged = connection.segment("a poodle", 0, 8).bytes();
    damaged.back() ^= 1;
    connection.push(damaged);
    CHECK(bed.dropped(DropReason::kBadTransportChecksum) == 1);
    connection.say(text, 0, 5);
    connection.say(text, 5, 8);
    CHECK(connection.got_by_server() == "a nee");
}

}  // namespace sekisho::test
