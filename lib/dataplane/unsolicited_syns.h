// UnsolicitedSyns: the SYNs from outside that nothing inside has asked for, until their time has passed (RFC 5382 REQ-4).
//
//   Why       two ends that open a connection at once need the SYN that comes too early to be dropped in silence: an error
//             would end the attempt. So nobody is answered before kHoldMs have passed, and then only if there is still no
//             such connection.
//   Holds     a copy of the packet's first bytes, all that an error quotes; the packet itself ends as a drop when it comes.
//   Meanwhile who has had its connection while it waited is never answered, though it has ended: end_of_session().
//   Order     first in, first out: all wait equally long.
//   Bounds    kMost in all, kMostOfSource from sources of one keyed hash: one source cannot take the places of all others.
//             What finds no place is never answered. A SYN sent again while it is held has one place.
//   Owner     the shard's worker; size() and answered() may be read by anyone.
//   Cost      note(): two hashed slots and a copy of kQuoted bytes. Never allocates after it is made: 146 KiB.
//   Source    RFC 5382 REQ-4, RFC 1812 4.3.2.3 (what an error quotes).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/counters.h"
#include "base/keyed_hash.h"
#include "base/mutation.h"
#include "packet/batch.h"

namespace sekisho::dataplane {

class UnsolicitedSyns {
  public:
    // Six seconds at least, by anybody's clock: a tick is a whole millisecond, the burst that a SYN came with was opened
    // before it was read, and the rate of the cycle counter is an estimate.
    static constexpr uint32_t kHoldMs = 6100;
    static constexpr uint32_t kMost = 1024;
    static constexpr uint16_t kMostOfSource = 32;
    static constexpr size_t kQuoted = 96;

    struct Syn {
        FlowKey key;
        uint64_t hash = 0;
        Tick at;
        uint16_t source_class = 0;
        uint16_t before = 0;  // the one before it with the same place, or kNone
        LinkId link;
        bool solicited = false;
        uint8_t length = 0;                  // of `bytes`
        std::array<uint8_t, kQuoted> bytes;  // from the IPv4 header on
    };

    explicit UnsolicitedSyns(const HashSecret& secret);

    // An inbound SYN that is being dropped.
    void note(const PacketRef& packet, const PacketMeta& meta, Tick now);
    // A TCP session whose inbound packets have this key has ended.
    void end_of_session(const FlowKey& inbound, uint64_t hash);
    // The oldest one if its time has passed, else nullptr.
    const Syn* due(Tick now) const {
        const Syn& oldest = syns_[first_];
        const int32_t hold = is_mutated(Mutation::kRfc5382Req4) ? 0 : int32_t{kHoldMs};
        return size_.read() > 0 && elapsed_ms(oldest.at, now) >= hold ? &oldest : nullptr;
    }
    // Ends the oldest one.
    void end_oldest(bool answered);

    size_t size() const { return size_.read(); }
    uint64_t answered() const { return answered_.read(); }

  private:
    static constexpr uint16_t kNone = 0xffff;
    static constexpr size_t kPlaces = 2048;  // of place_
    static constexpr size_t kClasses = 1024;

    // kNone: it is not held.
    uint16_t find(const FlowKey& key, uint64_t hash) const;
    uint32_t age_order(uint16_t at) const { return (at + kMost - first_) % kMost; }

    HashSecret secret_;
    std::vector<Syn> syns_;        // a ring
    std::vector<uint16_t> place_;  // by hash: the last one of it, or kNone; Syn::before leads on
    std::vector<uint16_t> of_source_;  // by source class: how many are held
    uint32_t first_ = 0;
    Counter size_;
    Counter answered_;
};

}  // namespace sekisho::dataplane
