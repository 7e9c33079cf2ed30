// A StreamTable between senders and receivers that know nothing of it, against plain maps of bytes.
//
// Honest senders cut their text as they like, lose segments before and behind the table, overtake themselves, send again with
// other cuts, at times one segment alone. All must arrive, and all must have been scanned, once and in order. Dishonest ones
// send any bytes anywhere: whatever a receiver makes of them must be what was scanned there. SEKISHO_LONG=1 does ten times as many.
#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>
#include <string>

#include <catch2/catch.hpp>

#include "stream_rig.h"

using namespace sekisho;
using stream::StreamTable;
using test::SentSegment;
using test::StreamRig;

namespace {

unsigned rounds(unsigned usual) {
    return std::getenv("SEKISHO_LONG") != nullptr ? 10 * usual : usual;
}

class Random {
  public:
    explicit Random(uint64_t seed) : engine_(seed) {}
    uint32_t below(uint32_t bound) { return static_cast<uint32_t>(engine_() % bound); }
    uint32_t from_to(uint32_t first, uint32_t last) { return first + below(last - first + 1); }
    bool one_in(uint32_t n) { return below(n) == 0; }
    std::string text(size_t size) {
        std::string text(size, ' ');
        for (char& c : text) {
            c = static_cast<char>(engine_());
        }
        return text;
    }

  private:
    std::mt19937_64 engine_;
};

// Takes the first copy of each byte, and stands at the first that it lacks. Offsets in the stream.
class Receiver {
  public:
    void take(uint32_t at, std::string_view bytes) {
        for (const char byte : bytes) {
            bytes_.try_emplace(at++, byte);
        }
        while (bytes_.count(next_) != 0) {
            ++next_;
        }
    }
    uint32_t next() const { return next_; }
    const std::map<uint32_t, char>& bytes() const { return bytes_; }

  private:
    std::map<uint32_t, char> bytes_;
    uint32_t next_ = 0;
};

// A connection's one direction. `first`: the sequence number of its first byte.
class Connection {
  public:
    Connection(uint64_t seed, const StreamTable::Sizes& sizes)
        : random_(seed),
          rig_(sizes),
          first_(random_.below(0xffffffff)),
          text_(random_.text(random_.from_to(1, 60000))),
          mss_(random_.from_to(StreamTable::kLongestPiece, 1460)),
          window_(random_.from_to(1, 30) * 1460) {
        rig_.deliver = [this](uint32_t sequence, std::string_view bytes) {
            if (!random_.one_in(loss_)) {
                receiver_.take(sequence - first_, bytes);
            }
        };
    }

    // Until all has arrived, or for so many turns.
    bool run(unsigned turns) {
        rig_.send(first_ - 1, "", packet::kSyn);
        for (; turns > 0 && receiver_.next() < text_.size(); --turns) {
            fill_window();
            move_one();
            if (random_.one_in(4)) {
                acknowledge();
            }
            if (on_the_way_.empty()) {
                acknowledge();
                send_again();
            }
        }
        return receiver_.next() >= text_.size();
    }

    const StreamRig& rig() const { return rig_; }
    const std::string& text() const { return text_; }
    const Receiver& receiver() const { return receiver_; }

  private:
    void send(uint32_t at, uint32_t size) {
        const uint32_t end = std::min<uint32_t>(at + size, static_cast<uint32_t>(text_.size()));
        on_the_way_.push_back({first_ + at, packet::kAck, text_.substr(at, end - at)});
        sent_ = std::max(sent_, end);
    }
    void fill_window() {
        while (sent_ < text_.size() && sent_ < acknowledged_ + window_) {
            send(sent_, random_.one_in(5) ? random_.from_to(1, mss_) : mss_);
        }
    }
    // The next, or one of the next few.
    void move_one() {
        if (on_the_way_.empty()) {
            return;
        }
        const uint32_t ahead = random_.one_in(4) ? 8 : 1;
        const auto chosen =
            on_the_way_.begin() +
            random_.below(std::min<uint32_t>(ahead, static_cast<uint32_t>(on_the_way_.size())));
        const SentSegment segment = *chosen;
        if (!random_.one_in(10)) {  // sometimes it comes twice
            on_the_way_.erase(chosen);
        }
        if (!random_.one_in(loss_)) {
            rig_.send(segment);
        }
    }
    void acknowledge() {
        if (!random_.one_in(loss_)) {
            rig_.acknowledge(first_ + receiver_.next());
            acknowledged_ = std::max(acknowledged_, receiver_.next());
        }
    }
    // The timer: one segment from where the receiver stands, or everything anew, perhaps in other sizes.
    void send_again() {
        if (random_.one_in(3)) {
            mss_ = random_.from_to(StreamTable::kLongestPiece, 1460);
        }
        if (random_.one_in(3)) {
            sent_ = acknowledged_;
            fill_window();
        } else if (acknowledged_ < text_.size()) {
            send(acknowledged_, mss_);
        }
    }

    Random random_;
    StreamRig rig_;
    uint32_t first_;
    std::string text_;
    uint32_t mss_;
    uint32_t window_;
    uint32_t loss_ = random_.from_to(5, 60);  // one in so many, each way
    Receiver receiver_;
    std::deque<SentSegment> on_the_way_;
    uint32_t acknowledged_ = 0;
    uint32_t sent_ = 0;
};

// Whether each of the bytes, by sequence numbers, is what the text has there.
bool is_from(const std::map<uint32_t, char>& bytes, uint32_t first, const std::string& text) {
    return std::ranges::all_of(bytes, [&](const auto& byte) {
        const uint32_t at = byte.first - first;
        return at < text.size() && byte.second == text[at];
    });
}

void check_honest(uint64_t seed, const StreamTable::Sizes& sizes) {
    INFO("seed " << seed);
    Connection connection(seed, sizes);
    REQUIRE(connection.run(200000));
    const StreamRig& rig = connection.rig();
    REQUIRE(rig.scanned == connection.text());
    REQUIRE(rig.overwritten == 0);
    REQUIRE(rig.dropped.count(DropReason::kStreamContradiction) == 0);
    REQUIRE(is_from(connection.receiver().bytes(), 0, connection.text()));
}

// Any bytes, anywhere near, with any flags, acknowledged at will.
void check_dishonest(uint64_t seed) {
    INFO("seed " << seed);
    Random random(seed);
    const uint32_t first = random.below(0xffffffff);
    const uint32_t width = random.from_to(4, 3000);
    StreamRig rig({1, 8, 8, 16, Seconds{4}});
    rig.send(first - 1, "", packet::kSyn);
    for (unsigned i = 0; i < 200; ++i) {
        const uint32_t at = random.below(width);
        constexpr uint8_t kFlags[] = {
            packet::kAck, packet::kAck, packet::kAck | packet::kFin, packet::kSyn, packet::kRst};
        // Few different bytes: what comes again is often the same.
        const std::string payload(
            random.below(std::min(width, 1460U)), random.one_in(9) ? 'b' : 'a'
        );
        const uint8_t flags = random.one_in(8) ? kFlags[random.below(5)] : kFlags[0];
        rig.send(first + at, payload, flags);
        if (random.one_in(3)) {
            rig.acknowledge(first + random.below(width));
        }
        rig.now = rig.now + random.below(100);
        rig.table.advance(rig.now, random.below(4));
    }
    REQUIRE(rig.overwritten == 0);
    REQUIRE(std::ranges::includes(rig.scanned_at, rig.passed));
    REQUIRE(rig.table.scanned(rig.index) == rig.scanned.size());
}

}  // namespace

TEST_CASE("what honest senders send arrives and was scanned, once and in order", "[stream]") {
    for (uint64_t seed = 1; seed <= rounds(150); ++seed) {
        check_honest(seed, {});
    }
}

TEST_CASE("so it is where a stream has only what it is guaranteed", "[stream]") {
    for (uint64_t seed = 1; seed <= rounds(100); ++seed) {
        check_honest(seed, {1, 0, 0, 8, Seconds{4}});
    }
}

TEST_CASE("whatever is sent, no byte passes that was not scanned at its place", "[stream]") {
    for (uint64_t seed = 1; seed <= rounds(2000); ++seed) {
        check_dishonest(seed);
    }
}
