#include "stream/stream_table.h"

#include <catch2/catch.hpp>

#include "packet/allocation_counter.h"
#include "stream_rig.h"

namespace sekisho::stream {
namespace {

using test::SentSegment;
using test::StreamRig;

constexpr uint8_t kAck = packet::kAck, kSyn = packet::kSyn, kFin = packet::kFin;

std::string text_of(size_t size, char from = 'a') {
    std::string text(size, ' ');
    for (size_t i = 0; i < size; ++i) {
        text[i] = static_cast<char>(from + static_cast<char>(i * 7 % 23));
    }
    return text;
}

// A stream that has begun with a SYN; its first byte has `first`.
struct Opened : StreamRig {
    explicit Opened(uint32_t first, const StreamTable::Sizes& sizes = {}) : StreamRig(sizes) {
        REQUIRE(send(first - 1, "", kSyn).kind == Judgement::kPass);
    }
};

void judge_or_hold(StreamTable& table, StreamIndex stream, const Segment& segment) {
    PacketRef packet;
    if (table.judge(stream, segment).kind == Judgement::kHold) {
        (void)table.hold(stream, segment, packet, Tick{1});
    }
}

constexpr StreamTable::Sizes kTight = {1, 0, 0, 4, Seconds{4}};  // what is guaranteed, no more

}  // namespace

TEST_CASE("segments in order are fresh and pass whole", "[stream]") {
    Opened rig(1000);
    for (uint32_t i = 0; i < 10; ++i) {
        const SentSegment segment{1000 + i * 5, kAck, "abcd" + std::to_string(i)};
        CHECK(rig.send(segment).is_whole(segment));
    }
    CHECK(rig.scanned == "abcd0abcd1abcd2abcd3abcd4abcd5abcd6abcd7abcd8abcd9");
    CHECK(rig.received(1000) == rig.scanned);
    CHECK(rig.table.scanned(rig.index) == 50);
}

TEST_CASE("a segment that comes too early waits for those before it", "[stream]") {
    Opened rig(1000);
    CHECK(rig.send(1010, "third").kind == Judgement::kHold);
    CHECK(rig.send(1005, "secnd").kind == Judgement::kHold);
    CHECK(rig.send(1020, "fifth").kind == Judgement::kHold);
    CHECK(rig.passed.empty());
    CHECK(rig.table.held() == 3);
    CHECK(rig.send(1000, "first").kind == Judgement::kPass);
    CHECK(rig.scanned == "firstsecndthird");
    CHECK(rig.table.held() == 1);
    rig.send(1015, "forth");
    CHECK(rig.scanned == "firstsecndthirdforthfifth");
    CHECK(rig.received(1000) == rig.scanned);
    CHECK(rig.table.held() == 0);
}

TEST_CASE("sequence numbers wrap", "[stream]") {
    const uint32_t first = 0xfffffff0;
    Opened rig(first);
    const std::string text = text_of(4000);
    for (uint32_t at = 0; at < text.size(); at += 400) {  // each pair exchanged
        const uint32_t other = at / 400 % 2 == 0 ? at + 400 : at - 400;
        rig.send(first + other, text.substr(other, 400));
    }
    CHECK(rig.scanned == text);
    CHECK(rig.received(first) == text);
}

TEST_CASE("a retransmission passes if it is what was scanned", "[stream]") {
    Opened rig(1000);
    const std::string text = text_of(1460);
    rig.send(1000, text);
    const SentSegment again{1000, kAck, text};
    CHECK(rig.send(again).is_whole(again));
    CHECK(rig.scanned == text);
    std::string other = text;
    SECTION("it differs in the first byte") {
        other.front() ^= 1;
    }
    SECTION("it differs in the middle") {
        other[700] ^= 0x40;
    }
    SECTION("it differs in the last byte") {
        other.back() ^= 0x20;
    }
    const Judgement judgement = rig.send(1000, other);
    CHECK(judgement.kind == Judgement::kDrop);
    CHECK(judgement.reason == DropReason::kStreamContradiction);
    CHECK(rig.overwritten == 0);
}

TEST_CASE("a retransmission joined of several segments passes", "[stream]") {
    Opened rig(1000);
    const std::string text = text_of(600);
    for (uint32_t at = 0; at < 600; at += 100) {
        rig.send(1000 + at, text.substr(at, 100));
    }
    const SentSegment joined{1100, kAck, text.substr(100, 400)};
    CHECK(rig.send(joined).is_whole(joined));
    const SentSegment on{1500, kAck, text.substr(500) + "and more"};
    CHECK(rig.send(on).is_whole(on));
    CHECK(rig.scanned == text + "and more");
}

TEST_CASE("of a retransmission that is cut anew the whole pieces pass", "[stream]") {
    Opened rig(1000);
    const std::string text = text_of(1460);
    rig.send(1000, text);
    // Now of segments of 536 bytes, from where the receiver stands.
    uint32_t stands = 1000;
    for (unsigned tries = 0; tries < 5 && stands < 2460; ++tries) {
        const Judgement judgement = rig.send(stands, text.substr(stands - 1000, 536));
        REQUIRE(judgement.kind == Judgement::kPass);
        CHECK(judgement.skip == 0);
        REQUIRE(judgement.length > 0);
        stands += judgement.length;
    }
    CHECK(stands == 2460);
    // Cut at both ends.
    const Judgement middle = rig.send(1100, text.substr(100, 1300));
    CHECK(middle.skip == 412);
    CHECK(middle.length == 512);
    CHECK(rig.scanned == text);
}

TEST_CASE("of a segment that is old and new only what can be told passes", "[stream]") {
    Opened rig(1000);
    rig.send(1000, "0123456789");
    const Judgement judgement = rig.send(1005, "?????new");
    CHECK(judgement.kind == Judgement::kPass);
    CHECK(judgement.skip == 5);
    CHECK(judgement.length == 3);
    CHECK(rig.received(1000) == "0123456789new");
    CHECK(rig.scanned == "0123456789new");
    CHECK(rig.send(1000, "0123456789nothing").kind == Judgement::kDrop);
    CHECK(rig.send(1000, "0123456789new, now").kind == Judgement::kPass);
    CHECK(rig.received(1000) == "0123456789new, now");
}

TEST_CASE("what is acknowledged passes no more, but its segment is answered", "[stream]") {
    Opened rig(1000);
    rig.send(1000, "first");
    rig.send(1005, "second");
    rig.acknowledge(1005);
    for (const char* const payload : {"first", "other"}) {
        const Judgement judgement = rig.send(1000, payload);
        CHECK(judgement.kind == Judgement::kPass);
        CHECK(judgement.length == 0);
        CHECK(judgement.skip == 0);
    }
    CHECK(rig.send(1000, "firstsecond").skip == 5);
    CHECK(rig.send(1000, "firstSECOND").kind == Judgement::kDrop);
    rig.acknowledge(1008);  // within a piece: that is kept
    CHECK(rig.send(1005, "second").length == 6);
}

TEST_CASE("keep-alives and probes of a closed window pass", "[stream]") {
    Opened rig(1000);
    rig.send(1000, "hello");
    rig.acknowledge(1005);
    CHECK(rig.send(1004, "").kind == Judgement::kPass);
    const Judgement keep_alive = rig.send(1004, "x");  // a byte of no meaning
    CHECK(keep_alive.kind == Judgement::kPass);
    CHECK(keep_alive.length == 0);
    for (unsigned i = 0; i < 3; ++i) {
        CHECK(rig.send(1005, "w").length == 1);
    }
    const SentSegment all{1005, kAck, "world"};
    CHECK(rig.send(all).is_whole(all));
    CHECK(rig.scanned == "helloworld");
}

TEST_CASE("a FIN passes where the stream ends", "[stream]") {
    Opened rig(1000);
    SECTION("with the last bytes") {
        CHECK(rig.send(1000, "bye", kAck | kFin).is_end);
    }
    SECTION("alone") {
        rig.send(1000, "bye");
        CHECK(rig.send(1003, "", kAck | kFin).is_end);
    }
    SECTION("before the bytes before it") {
        CHECK(rig.send(1003, "", kAck | kFin).kind == Judgement::kHold);
        CHECK(!rig.fin_passed);
        rig.send(1000, "bye");
    }
    CHECK(rig.ended);
    CHECK(rig.fin_passed);
    CHECK(rig.table.is_scanned(rig.index));
    CHECK(!rig.table.is_over(rig.index));
    CHECK(!rig.send(1000, "bye", kAck | kFin).without_fin);
    CHECK(rig.send(1003, "more").reason == DropReason::kStreamContradiction);
    CHECK(rig.send(1003, "", kAck | kFin).kind == Judgement::kPass);
    rig.acknowledge(1004);
    CHECK(rig.table.is_over(rig.index));
    CHECK(rig.scanned == "bye");
}

TEST_CASE("a FIN in the middle of what was scanned does not pass", "[stream]") {
    Opened rig(1000);
    rig.send(1000, "onetwo");
    CHECK(rig.send(1000, "one", kAck | kFin).without_fin);
    CHECK(rig.send(1003, "", kAck | kFin).without_fin);
    CHECK(!rig.fin_passed);
    CHECK(!rig.ended);
    CHECK(rig.send(1006, "three", kAck | kFin).is_end);
}

TEST_CASE("data in a SYN is the stream's first", "[stream]") {
    StreamRig rig;
    const SentSegment opening{999, kSyn, "early"};
    CHECK(rig.send(opening).is_whole(opening));
    CHECK(rig.send(opening).is_whole(opening));
    CHECK(rig.send(999, "other", kSyn).kind == Judgement::kDrop);
    CHECK(rig.send(1000, "early").length == 5);  // the receiver took only the SYN
    rig.send(1005, "late");
    CHECK(rig.scanned == "earlylate");
    // Another SYN is heard, and brings no bytes.
    const Judgement another = rig.send(5000, "smuggled", kSyn);
    CHECK(another.kind == Judgement::kPass);
    CHECK(another.length == 0);
    CHECK(rig.scanned == "earlylate");
}

TEST_CASE("before its first byte a stream follows a SYN that is acknowledged", "[stream]") {
    Opened rig(1000);
    rig.send(4999, "", kSyn);
    rig.send(8999, "", kSyn);
    rig.send(9000, "hello");  // not yet
    CHECK(rig.scanned.empty());
    rig.acknowledge(9000);
    CHECK(rig.scanned == "hello");
    CHECK(rig.send(9005, " world").kind == Judgement::kPass);
    CHECK(rig.send(1000, "other").length == 0);
    rig.send(8999, "", kSyn);  // its own, late
    rig.send(9049, "", kSyn);  // too late
    rig.acknowledge(9050);
    CHECK(rig.send(9050, "WORLD").kind == Judgement::kHold);
    CHECK(rig.scanned == "hello world");
}

TEST_CASE("a RST passes, but no text in it", "[stream]") {
    Opened rig(1000);
    rig.send(1000, "hello");
    const Judgement judgement = rig.send(1005, "text", packet::kRst);
    CHECK(judgement.kind == Judgement::kPass);
    CHECK(judgement.length == 0);
    CHECK(rig.scanned == "hello");
}

TEST_CASE("a stream without its SYN begins at what it shows first", "[stream]") {
    StreamRig rig;
    rig.send(7000, "");  // says nothing of where its bytes begin
    rig.send(5000, "hello");
    rig.send(5005, "world");
    CHECK(rig.scanned == "helloworld");
    CHECK(rig.send(4990, "before the").length == 0);
    CHECK(rig.send(4990, "before thehello").skip == 10);
    CHECK(!rig.acknowledge(5020));  // what never passed
    CHECK(rig.send(5010, "!").length == 1);
}

TEST_CASE("a stream that is picked up begins where its receiver stands", "[stream]") {
    StreamRig rig({}, {.acknowledged = 5000});
    CHECK(rig.send(5020, "third").kind == Judgement::kHold);
    SECTION("what is missing comes again") {
        rig.send(5000, "first and ");
        rig.send(5010, "second and");
        CHECK(rig.scanned == "first and second andthird");
    }
    SECTION("it has passed before") {
        CHECK(rig.acknowledge(5020));
        CHECK(rig.scanned == "third");
        CHECK(!rig.acknowledge(5025));
        CHECK(!rig.acknowledge(5026));
    }
    SECTION("it has passed in part") {
        rig.send(5000, "first and ");
        CHECK(rig.acknowledge(5020));
        CHECK(rig.scanned == "first and third");
    }
    SECTION("more is acknowledged than was ever there") {
        CHECK(!rig.acknowledge(5100));
        CHECK(rig.scanned.empty());
    }
}

TEST_CASE("what lies behind the limit passes as it comes", "[stream]") {
    StreamRig rig({}, {.acknowledged = {}, .limit = 10});
    rig.send(999, "", kSyn);
    const SentSegment behind{1010, kAck, "any order"};
    CHECK(rig.send(behind).kind == Judgement::kHold);  // the receiver may begin elsewhere
    CHECK(rig.received(1010).empty());
    rig.acknowledge(1000);
    CHECK(rig.send(behind).is_whole(behind));
    CHECK(rig.send(1005, "fghij").kind == Judgement::kHold);
    const SentSegment across{1000, kAck, "abcdefghijKLM"};
    CHECK(rig.send(across).is_whole(across));
    CHECK(rig.scanned == "abcdefghij");
    CHECK(rig.table.is_scanned(rig.index));
    CHECK(rig.send(1000, "abcdefghijXYZ").kind == Judgement::kPass);
    CHECK(rig.send(1000, "abcdeFghijKLM").kind == Judgement::kDrop);
    CHECK(!rig.table.is_over(rig.index));
    rig.acknowledge(1013);
    CHECK(rig.table.is_over(rig.index));
}

TEST_CASE(
    "where the receiver says that it stands a stream begins, whatever comes first", "[stream]"
) {
    StreamRig rig({}, {.acknowledged = 5000, .limit = 10});
    CHECK(rig.send(4000, "old").length == 0);
    CHECK(!rig.table.has_begun(rig.index));
    CHECK(rig.send(4998, "xxfirst").length == 5);  // without what is old
    CHECK(rig.scanned == "first");
    rig.send(5000, "first bytes");
    CHECK(rig.scanned == "first byte");
    CHECK_FALSE(rig.table.begins_elsewhere(rig.index, 1));
}

TEST_CASE("a stream that contradicts itself again and again passes no more", "[stream]") {
    Opened rig(1000);
    rig.send(1000, "hello");
    for (unsigned i = 0; i < StreamTable::kMostContradictions; ++i) {
        CHECK(rig.send(1005 + i, "x").kind == Judgement::kPass);
        CHECK(rig.send(1000, "jello").kind == Judgement::kDrop);
    }
    CHECK(rig.send(1000, "hello").kind == Judgement::kDrop);
    CHECK(rig.send(1013, "more").reason == DropReason::kStreamContradiction);
    CHECK(rig.send(1013, "").kind == Judgement::kPass);  // acknowledges only
}

TEST_CASE("what is under way is bounded, and what is acknowledged makes room", "[stream]") {
    Opened rig(1000, kTight);
    const uint32_t most = StreamTable::kGuaranteedPieces;
    for (uint32_t i = 0; i < most; ++i) {
        REQUIRE(rig.send(1000 + i, "x").kind == Judgement::kPass);
    }
    const Judgement judgement = rig.send(1000 + most, "y");
    CHECK(judgement.kind == Judgement::kDrop);
    CHECK(judgement.reason == DropReason::kStreamInFlight);
    // All of it in one segment with something new: the old part gets on.
    const Judgement joined = rig.send(1000, std::string(most, 'x') + "y", kAck | kFin);
    CHECK(joined.kind == Judgement::kPass);
    CHECK(joined.length == most);
    CHECK(joined.without_fin);
    CHECK(!rig.ended);
    rig.acknowledge(1000 + PiecePool::kPerBlock);
    CHECK(rig.send(1000 + most, "y", kAck | kFin).is_end);
    CHECK(rig.scanned == std::string(most, 'x') + "y");
}

TEST_CASE("held segments are bounded in number, distance and time", "[stream]") {
    Opened rig(1000, kTight);
    for (uint32_t i = 1; i <= 4; ++i) {
        CHECK(rig.send(1000 + 10 * i, "0123456789").kind == Judgement::kHold);
    }
    CHECK(rig.table.held() == 4);
    rig.send(1010, "0123");  // is there
    CHECK(rig.dropped[DropReason::kStreamDuplicate] == 1);
    rig.send(1050, "0123456789");
    CHECK(rig.dropped[DropReason::kStreamHeldOverflow] == 1);
    CHECK(rig.send(1001 + StreamTable::kFarthest, "x").kind == Judgement::kDrop);
    CHECK(rig.table.advance(rig.now + 3999, 100) == 0);
    CHECK(rig.table.advance(rig.now + 4000, 3) == 3);
    CHECK(rig.table.advance(rig.now + 4000, 3) == 1);
    rig.send(1000, "");
    CHECK(rig.dropped[DropReason::kStreamHeldTimeout] == 4);
    CHECK(rig.table.held() == 0);
}

TEST_CASE("a closed stream gives everything back, and its place is used again", "[stream]") {
    Opened rig(1000, kTight);
    CHECK(rig.table.open({}).value == kNoIndex);
    rig.send(1000, text_of(1000));
    rig.send(3000, "held");
    rig.table.close(rig.index);
    CHECK(rig.table.size() == 0);
    CHECK(rig.table.take_ended().reason == DropReason::kStreamOrphan);
    CHECK(rig.table.held() == 0);
    rig.index = rig.table.open({});
    rig.scanned.clear();
    rig.send(77, text_of(1000, 'B'));
    CHECK(rig.scanned == text_of(1000, 'B'));
    rig.send(3000, "held");
    rig.table.end_all(DropReason::kShutdown);
    CHECK(rig.table.take_ended().reason == DropReason::kShutdown);
}

TEST_CASE("no segment allocates memory", "[stream]") {
    StreamTable table({2, 0, 0, 8, Seconds{4}}, HashSecret{{1, 2, 3, 4}});
    const std::string text = text_of(1460);
    const Segment segments[] = {
        {999, kSyn, {}},
        {1000, kAck, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}},
        {1000, kAck, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}},
        {5000, kAck, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}},
    };
    size_t taken = 0;
    {
        const test::Counting counting;
        const size_t before = test::allocations();
        const StreamIndex stream = table.open({});
        for (const Segment& segment : segments) {
            judge_or_hold(table, stream, segment);
        }
        table.acknowledge(stream, 2460);
        table.close(stream);
        taken = test::allocations() - before;
    }
    CHECK(taken == 0);
    CHECK(table.held() == 1);
    CHECK(table.has_ended());
}

}  // namespace sekisho::stream
