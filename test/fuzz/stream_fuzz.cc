// Any bytes as the segments of one direction: what passes was scanned at its place, whatever comes in whatever order.
//
// The input is a run of records of five bytes and a payload: flags, where it begins (two bytes, around the middle of what a
// segment can be about), how long its payload is, and what else happens (an acknowledgement, time). Payload lies in a heap
// block of exactly its size, so that the sanitizer sees every read beyond it.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "packet/views.h"
#include "stream/stream_table.h"

namespace {

using namespace sekisho;          // NOLINT: a test
using namespace sekisho::stream;  // NOLINT

constexpr uint32_t kFirst = 0xffffff00;  // wraps soon

void require(bool holds, const char* what) {
    if (!holds) {
        std::fprintf(stderr, "broken: %s\n", what);
        std::abort();
    }
}

struct Held {
    std::unique_ptr<uint8_t[]> bytes;
    Segment segment;
};

struct Run {
    explicit Run(uint64_t limit)
        : table({2, 6, 6, 4, Seconds{1}}, HashSecret{{1, 2, 3, 4}}),
          index(table.open({{}, limit})),
          limit_(limit) {}

    void take(const Segment& segment) {
        auto copy = std::make_unique<uint8_t[]>(segment.payload.size());
        std::copy(segment.payload.begin(), segment.payload.end(), copy.get());
        Segment own = segment;
        own.payload = {copy.get(), segment.payload.size()};
        held.push_back({std::move(copy), own});
        judge(held.size() - 1);
        drain();
    }

    void judge(size_t number) {
        const Segment segment = held[number].segment;
        const Judgement judgement = table.judge(index, segment);
        if (judgement.kind == Judgement::kPass) {
            pass(segment, judgement);
        } else if (judgement.kind == Judgement::kHold) {
            PacketRef packet;
            packet.handle = reinterpret_cast<void*>(number + 1);
            owned += table.hold(index, segment, packet, now) ? 0 : 1;
        }
    }

    void pass(const Segment& segment, const Judgement& judgement) {
        const uint32_t first = segment.sequence + ((segment.flags & packet::kSyn) != 0 ? 1U : 0U);
        const auto offset = static_cast<size_t>(judgement.fresh.data() - segment.payload.data());
        for (size_t i = 0; i < judgement.fresh.size(); ++i) {
            const auto sequence = static_cast<uint32_t>(first + offset + i);
            require(scanned.emplace(sequence, judgement.fresh[i]).second, "no byte is fresh twice");
        }
        require(scanned.size() <= limit_, "no more is scanned than is wanted");
        require(scanned.size() == table.scanned(index), "all that is fresh is counted");
        const size_t end = size_t{judgement.skip} + judgement.length;
        require(end <= segment.payload.size(), "what passes is part of the segment");
        for (size_t i = judgement.skip; i < end; ++i) {
            const auto at = scanned.find(static_cast<uint32_t>(first + i));
            const bool was_scanned = at != scanned.end();
            require(was_scanned || limit_ != StreamTable::kNoLimit, "what passes was scanned");
            require(!was_scanned || at->second == segment.payload[i], "it is what was scanned");
        }
    }

    void drain() {
        PacketRef packet;
        while (table.take_ready({&packet, 1}) == 1) {
            --owned;
            judge(reinterpret_cast<size_t>(packet.handle) - 1);
        }
        while (table.has_ended()) {
            (void)table.take_ended();
            --owned;
        }
        require(owned == table.held() && owned <= 4, "no more are held than may be");
    }

    StreamTable table;
    StreamIndex index;
    uint64_t limit_;
    std::map<uint32_t, uint8_t> scanned;  // by sequence number
    std::vector<Held> held;
    size_t owned = 0;
    Tick now{0};
};

}  // namespace

// The name is libFuzzer's. NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 1 || size > 65535) {
        return 0;
    }
    Run run(data[0] == 0 ? StreamTable::kNoLimit : uint64_t{data[0]} * 16);
    for (size_t at = 1; at + 5 <= size;) {
        const uint8_t* const record = data + at;
        const size_t length =
            std::min<size_t>(record[3] * (record[0] >> 7 != 0 ? 8U : 1U), size - at - 5);
        const uint32_t from = kFirst + record[1] + record[2] * 256U - 16;
        run.take({from, static_cast<uint8_t>(record[0] & 0x3f), {record + 5, length}});
        if ((record[4] & 1) != 0) {
            (void)run.table.acknowledge(run.index, from + record[4]);
            run.drain();
        }
        run.now = run.now + (record[4] & 0x7eU);
        run.table.advance(run.now, record[4] >> 6);
        run.drain();
        at += 5 + length;
    }
    run.table.close(run.index);
    run.drain();
    require(run.owned == 0, "all is given back in the end");
    return 0;
}
