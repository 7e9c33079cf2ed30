// EventLog: what a shard tells its log, and how much may be made while the log is behind.
//
//   Law       (on-log-loss: refuse) nothing that is logged is made unless the ring has room for it, and
//             no end is ever lost: what ends while the ring is full stays as a record, out of every
//             index, its port not free, in the list of pending ends, until its event is written. So
//             the object's own record is the slot for its end (ADR 0005). While an end is pending,
//             nothing that is logged is made. Sessions that are there are not touched.
//   Law       (on-log-loss: count) nothing waits. An event that finds no room is counted; the next
//             that finds some is preceded by a kLost that tells how many.
//   Room      kept for others: one event for each block that has been asked for (`waits`), as its
//             grant may come at any time; and what the packet in hand may still need.
//   Cost      a comparison for each thing that is made; packets of known sessions never come here.
//   Thread    the shard's worker; the counters may be read by anyone.
#pragma once

#include <cstdint>
#include <span>

#include "base/counters.h"
#include "base/drop_reason.h"
#include "base/types.h"
#include "nat/event.h"
#include "nat/event_ring.h"
#include "nat/settings.h"

namespace sekisho::nat {

// Which classes tell of a session. Of an address-only protocol neither its mapping nor a block tells without the remote
// address whose it was: several subscribers have one at a time.
constexpr EventClass session_class(Protocol protocol) {
    return static_cast<EventClass>(
        kLogSessions | (is_address_only(protocol) ? unsigned{kLogMappings} | kLogBlocks : 0U)
    );
}

// Of mappings that rules have led inside (forward.cc).
inline constexpr auto kLogForwarded = static_cast<EventClass>(unsigned{kLogMappings} | kLogBlocks);

class EventLog {
  public:
    // A start wants this much room beyond `waits`: another block's release, its own block, its
    // mapping and session, and one more. An end leaves what a start that is under way may need.
    static constexpr uint32_t kRoomToStart = 5;
    static constexpr uint32_t kRoomAfterEnd = 3;
    static constexpr uint32_t kTellAgainMs = 60'000;  // a limit that is reached over and over

    // Without it nothing is logged.
    void open(std::span<std::byte> memory, const EventSettings& settings) {
        writer_ = EventWriter(memory);
        logged_ = settings.logged;
        refuses_ = settings.on_loss == OnLogLoss::kRefuse;
    }
    bool logs(EventClass events) const { return (logged_ & events) != 0; }
    bool is_on() const { return logged_ != 0; }

    // Whether something of this kind may be made now.
    bool may_start(EventClass events, uint32_t waits) {
        return !logs(events) || !refuses_ ||
               (pending_ == 0 && writer_.room(waits + kRoomToStart) >= waits + kRoomToStart);
    }
    // Whether the event of an end may be written now; otherwise it must wait.
    bool may_end(uint32_t waits) { return !refuses_ || (pending_ == 0 && has_room_for_end(waits)); }
    bool has_room_for_end(uint32_t waits) {
        return writer_.room(waits + kRoomAfterEnd + 1) > waits + kRoomAfterEnd;
    }
    // Room was asked for, or the event may be lost.
    void write(const Event& event);
    // Between bursts: tells of what was lost as soon as there is room, whether or not more follows.
    void write_lost(Tick now) {
        if (lost_ != 0 && writer_.room(1) != 0) {
            write_lost_now(now.ms);
        }
    }
    void note_pending(int change) {
        pending_ = static_cast<uint32_t>(static_cast<int64_t>(pending_) + change);
        pending_seen_.set(pending_);
    }
    // Whether a limit that was told of at `told_at` is to be told of again.
    bool is_due(bool was_told, uint32_t told_at, Tick now) const {
        const int32_t ago = elapsed_ms(Tick{told_at}, now);
        return !was_told || ago < 0 || ago >= static_cast<int32_t>(kTellAgainMs);
    }

    const EventRing& ring() const { return writer_; }
    uint64_t lost() const { return lost_in_all_.read(); }
    uint64_t pending() const { return pending_seen_.read(); }
    // Lost, and no kLost tells of it yet.
    uint64_t untold() const { return untold_.read(); }

  private:
    void write_lost_now(uint32_t now_ms);

    EventWriter writer_;
    uint8_t logged_ = 0;
    bool refuses_ = true;
    uint32_t pending_ = 0;
    uint32_t lost_since_ = 0;  // tick
    uint64_t lost_ = 0;        // not told of yet
    Counter lost_in_all_;
    Counter pending_seen_;
    Counter untold_;  // lost_
};

}  // namespace sekisho::nat
