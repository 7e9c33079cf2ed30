// Payload rules and fragments: a datagram is searched as a whole, however it is cut and in whatever order its parts come.
#include "fragment_scenario.h"
#include "payload_scenario.h"

namespace sekisho::test {
namespace {

using namespace rules;        // NOLINT(google-build-using-namespace)
using namespace rules::test;  // NOLINT(google-build-using-namespace)

RuleSet denying(Condition port, uint16_t pattern = 0) {
    RuleSet set;
    const ChainId chain = set.add_built_in("main", Hook::kForward, 0, Accept{}).value();
    REQUIRE(set.append(chain, rule({std::move(port), has_pattern(pattern)}, {Deny{}})));
    return set;
}

void set_up(TestBed& bed, const RuleSet& rules) {
    bed.search_for(set_of({literal("needle")}));
    bed.put_rules(rules);
}

BedOptions usual() {
    BedOptions options;
    options.nat = nat_settings();
    return options;
}

// The text with the pattern behind so many other bytes.
std::string text_with(size_t before) {
    return std::string(before, '.') + "needle" + std::string(40, '.');
}
std::string text_without(size_t before) {
    return std::string(before, '.') + "nodule" + std::string(40, '.');
}

Frames in_order_of(const Frames& fragments, unsigned order) {
    Frames frames = fragments;
    if (order == 1) {
        std::ranges::reverse(frames);
    } else if (order == 2) {
        std::rotate(frames.begin(), frames.begin() + 1, frames.end());
    }
    return frames;
}

// What leaves by `link`, joined; empty: nothing.
std::string left_by(TestBed& bed) {
    bed.run();
    const Frames frames = taken(bed);
    if (frames.empty()) {
        return {};
    }
    const Decoded datagram = whole(frames);
    return {datagram.payload.begin(), datagram.payload.end()};
}

}  // namespace

TEST_CASE("a pattern is found wherever its datagram is cut", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        set_up(bed, denying(to_port(80)));
        uint16_t id = 0;
        unsigned from = 5;
        for (const size_t size : {8, 16, 24}) {
            for (size_t before = 0; before < 16; ++before) {
                for (unsigned order = 0; order < 3; ++order) {
                    const auto say = [&](const std::string& text) {
                        const PacketBuilder datagram =
                            udp_out(bed, host(from), 1000, kWeb, 80).ip_id(++id).payload(text);
                        push_all(
                            bed, kInternalLink, in_order_of(split(datagram.bytes(), size), order)
                        );
                        return left_by(bed);
                    };
                    INFO("cut at " << size << ", " << before << " before, order " << order);
                    const uint64_t denied = bed.dropped(DropReason::kDeniedByRule);
                    from = 5 + id % 40;
                    CHECK(say(text_without(before)) == text_without(before));
                    from = 50 + id % 40;
                    CHECK(say(text_with(before)).empty());
                    CHECK(bed.dropped(DropReason::kDeniedByRule) == denied + 1);
                    CHECK(bed.totals().held == 0);
                }
            }
        }
        story.step(bed);
    });
}

TEST_CASE("a segment that comes in fragments is part of its stream", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        set_up(bed, denying(to_port(80)));
        const std::string text = text_with(20);
        uint16_t port = 1000;
        for (size_t cut = 20; cut < 26; ++cut) {
            for (const bool is_late : {false, true}) {
                Connection connection(bed, ++port);
                connection.open();
                const auto in_parts = [&](size_t begin, size_t end) {
                    const ByteVector segment =
                        connection.segment(text, begin, end).ip_id(port).bytes();
                    for (const ByteVector& part : split(segment, 24)) {
                        bed.push(kInternalLink, part);
                    }
                    connection.run();
                };
                INFO("cut at " << cut << (is_late ? ", the first late" : ""));
                if (is_late) {
                    in_parts(cut, text.size());
                    CHECK(bed.totals().held == 1);
                    connection.say(text, 0, cut);
                } else {
                    connection.say(text, 0, cut);
                    CHECK(connection.got_by_server() == text.substr(0, cut));
                    in_parts(cut, text.size());
                }
                CHECK(connection.got_by_server() == text.substr(0, cut));
                CHECK(bed.totals().held == 0);
            }
        }
        CHECK(bed.dropped(DropReason::kDeniedByRule) == 12);
        story.step(bed);
    });
}

TEST_CASE("fragments from outside are searched as a whole, too", "[packet]") {
    run_everywhere(usual(), [](TestBed& bed, Story& story) {
        set_up(bed, denying({PortTest{Side::kSource, {{53, 53}}, false}}));
        outward(bed, udp_out(bed, host(5), 1000, kWeb, 53).payload("ask"));
        uint16_t id = 0;
        const auto say = [&](const std::string& text) {
            const PacketBuilder datagram =
                udp_in(bed, kWeb, 53, host(5), 1000).ip_id(++id).payload(text);
            push_all(bed, kExternalLink, in_order_of(split(datagram.bytes(), 16), id % 3));
            return left_by(bed);
        };
        for (size_t before = 0; before < 9; ++before) {
            CHECK(say(text_without(before)) == text_without(before));
        }
        CHECK(say(text_with(3)).empty());
        CHECK(bed.dropped(DropReason::kDeniedByRule) == 1);
        story.step(bed);
    });
}

TEST_CASE("fragments of what is not searched go on one by one", "[packet]") {
    TestBed bed(usual());
    set_up(bed, denying(to_port(80)));
    push_all(
        bed,
        kInternalLink,
        split(udp_out(bed, host(5), 1000, kWeb, 81).ip_id(1).payload(text_with(3)).bytes(), 16)
    );
    bed.run();
    CHECK(taken(bed).size() == 4);
    CHECK(bed.scanned() == 0);
}

TEST_CASE(
    "an incomplete datagram that would be searched ends, and so does a large one", "[packet]"
) {
    TestBed bed(usual());
    set_up(bed, denying(to_port(80)));
    const auto parts_of = [&](uint16_t id, size_t size) {
        return split(
            udp_out(bed, host(5), 1000, kWeb, 80).ip_id(id).payload_size(size).bytes(), 512
        );
    };
    Frames parts = parts_of(1, 1400);
    parts.pop_back();
    push_all(bed, kInternalLink, parts);
    bed.run();
    CHECK(bed.totals().held == 2);
    bed.advance(2500);
    CHECK(bed.totals().held == 0);
    CHECK(bed.dropped(DropReason::kFragmentTimeout) == 2);
    push_all(bed, kInternalLink, parts_of(2, 3000));
    bed.run();
    CHECK(taken(bed).empty());
    CHECK(bed.totals().held == 0);
    CHECK(bed.dropped(DropReason::kScanOverload) >= 4);
    bed.store().limit(bed.store().in_use() + 3);
    push_all(bed, kInternalLink, parts_of(3, 1400));
    bed.run();
    CHECK(bed.dropped(DropReason::kNoBuffer) == 3);
    bed.store().limit(4096);
    push_all(bed, kInternalLink, parts_of(4, 1400));
    CHECK(left_by(bed).size() == 1400);
}

}  // namespace sekisho::test
