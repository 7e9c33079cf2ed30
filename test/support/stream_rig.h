// StreamRig: a sender's segments on their way through a StreamTable to a receiver.
//
// What passes is noted byte by byte, as a receiver would find it; what is held comes back when the table gives it, and is sent
// again as the pipeline does. Packets are numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "packet/views.h"
#include "stream/sequence.h"
#include "stream/stream_table.h"

namespace sekisho::test {

struct SentSegment {
    uint32_t sequence = 0;
    uint8_t flags = packet::kAck;
    std::string payload;

    // A view.
    operator stream::Segment() const {
        return {
            sequence, flags, {reinterpret_cast<const uint8_t*>(payload.data()), payload.size()}};
    }
};

class StreamRig {
  public:
    using Scan = std::function<void(std::span<const uint8_t> fresh, bool is_end)>;

    explicit StreamRig(
        const stream::StreamTable::Sizes& sizes = {},
        const stream::StreamTable::Start& start = {},
        Scan scan = {}
    )
        : table(sizes, HashSecret{{1, 2, 3, 4}}),
          index(table.open(start)),
          scan_(std::move(scan)) {}

    // Judges a segment, and then what it lets go. What became of it itself.
    stream::Judgement send(const SentSegment& segment) {
        const auto judgement = send_one(segment);
        take_back();
        return judgement;
    }
    stream::Judgement send(uint32_t sequence, std::string payload, uint8_t flags = packet::kAck) {
        return send({sequence, flags, std::move(payload)});
    }
    bool acknowledge(uint32_t sequence) {
        const bool is_gap = table.acknowledge(index, sequence);
        take_back();
        return is_gap;
    }

    // The bytes from `sequence` on that a receiver has, up to the first that it lacks.
    std::string received(uint32_t sequence) const {
        std::string text;
        for (auto at = passed.find(sequence); at != passed.end(); at = passed.find(++sequence)) {
            text += at->second;
        }
        return text;
    }

    stream::StreamTable table;
    StreamIndex index;
    std::string scanned;
    std::map<uint32_t, char> scanned_at;  // by sequence number
    std::map<uint32_t, char> passed;      // by sequence number
    bool fin_passed = false;
    bool ended = false;  // all was scanned
    unsigned overwritten =
        0;  // bytes that were scanned again, or passed again otherwise than before
    std::map<DropReason, unsigned> dropped;
    // What passes of each segment, as it passes.
    std::function<void(uint32_t sequence, std::string_view bytes)> deliver;
    Tick now{1000};

  private:
    stream::Judgement send_one(const SentSegment& segment) {
        const auto judgement = table.judge(index, segment);
        switch (judgement.kind) {
            case stream::Judgement::kPass:
                pass(segment, judgement);
                break;
            case stream::Judgement::kHold:
                hold(segment);
                break;
            case stream::Judgement::kDrop:
                ++dropped[judgement.reason];
                break;
        }
        return judgement;
    }

    void pass(const SentSegment& segment, const stream::Judgement& judgement) {
        note_scanned(segment, judgement.fresh);
        ended |= judgement.is_end;
        if (scan_ && (!judgement.fresh.empty() || judgement.is_end)) {
            scan_(judgement.fresh, judgement.is_end);
        }
        const uint32_t first =
            segment.sequence + ((segment.flags & packet::kSyn) != 0 ? 1U : 0U) + judgement.skip;
        for (uint32_t i = 0; i < judgement.length; ++i) {
            const char byte = segment.payload.at(judgement.skip + i);
            const auto [at, is_new] = passed.try_emplace(first + i, byte);
            overwritten += !is_new && at->second != byte ? 1 : 0;
        }
        if (deliver) {
            deliver(
                first, std::string_view(segment.payload).substr(judgement.skip, judgement.length)
            );
        }
        fin_passed |= (segment.flags & packet::kFin) != 0 && !judgement.without_fin;
    }

    void note_scanned(const SentSegment& segment, std::span<const uint8_t> fresh) {
        scanned.append(fresh.begin(), fresh.end());
        const stream::Segment view = segment;
        auto at = static_cast<uint32_t>(
            segment.sequence + ((segment.flags & packet::kSyn) != 0 ? 1U : 0U) +
            static_cast<uint32_t>(fresh.data() - view.payload.data())
        );
        for (const uint8_t byte : fresh) {
            const bool is_new = scanned_at.emplace(at++, static_cast<char>(byte)).second;
            overwritten += is_new ? 0 : 1;
        }
    }

    void hold(const SentSegment& segment) {
        waiting_.push_back(segment);
        PacketRef packet;
        packet.frame_length = 1;
        packet.handle = reinterpret_cast<void*>(waiting_.size());
        const auto refusal = table.hold(index, segment, packet, now);
        if (refusal) {
            ++dropped[*refusal];
        }
    }

    void take_back() {
        PacketRef packet;
        while (table.take_ready({&packet, 1}) == 1) {
            send_one(SentSegment(waiting_.at(reinterpret_cast<size_t>(packet.handle) - 1)));
        }
        while (table.has_ended()) {
            ++dropped[table.take_ended().reason];
        }
    }

    Scan scan_;
    std::vector<SentSegment> waiting_;
};

}  // namespace sekisho::test
