// SessionTable: the sessions of a shard, by 32-bit index. Which flow leads to which session is the
// FlowIndex's business, when one ends the TimingWheel's; the three share the index.
//
//   Shape     an array of 64-byte Sessions in the arena.
//   Life      allocate(), fill, publish() (sets the live mark, last), insert into the index; erase
//             from the index and cancel the timer, release() (clears the live mark first), reused
//             after end_of_burst().
//   Errors    allocate() returns kNoIndex when the table is full; nothing is evicted (RFC 6888
//             REQ-11).
//   Cost      O(1), one line. Thread: the shard's worker.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "flow/record_pool.h"
#include "flow/session.h"

namespace sekisho::flow {

class SessionTable {
  public:
    static constexpr size_t bytes_for(size_t entries) { return entries * sizeof(Session); }

    SessionTable() = default;
    // `sessions`: zeroed, 64-byte aligned, owned by the arena.
    explicit SessionTable(std::span<Session> sessions) : pool_(sessions) {}

    // A session with every byte zero, or kNoIndex.
    uint32_t allocate() {
        const uint32_t index = pool_.allocate();
        if (index != kNoIndex) {
            pool_[index] = Session{};
        }
        return index;
    }

    // Marks a session that is built whole as live. The fence keeps the mark behind the rest of the
    // line, so that a process that dies between the two leaves no half session to the one that
    // re-attaches.
    void publish(uint32_t index) {
        std::atomic_signal_fence(std::memory_order_release);
        pool_[index].flags = static_cast<uint16_t>(pool_[index].flags | kLive);
    }

    void release(uint32_t index) {
        Session& session = pool_[index];
        session.flags = 0;
        session.state = SessionState::kFree;
        std::atomic_signal_fence(std::memory_order_release);
        pool_.release(index);
    }

    void end_of_burst() { pool_.end_of_burst(); }

    Session& operator[](uint32_t index) { return pool_[index]; }
    const Session& operator[](uint32_t index) const { return pool_[index]; }
    uint32_t index_of(const Session& session) const { return pool_.index_of(session); }
    bool has_room() const { return pool_.has_room(); }
    uint32_t size() const { return pool_.size(); }
    uint32_t capacity() const { return pool_.capacity(); }
    void set_limit(uint32_t limit) { pool_.set_limit(limit); }  // record_pool.h
    uint32_t limit() const { return pool_.limit(); }
    uint32_t high_water() const { return pool_.high_water(); }
    void prefetch(uint32_t index) const { pool_.prefetch(index); }

  private:
    RecordPool<Session> pool_;
};

}  // namespace sekisho::flow

namespace sekisho {
using flow::SessionTable;
}
