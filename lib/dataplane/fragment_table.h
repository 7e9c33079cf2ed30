// FragmentTable: what a shard knows of datagrams that come in fragments. Nothing is put together: the first fragment says to
// which flow the others belong, and they go after it one by one.
//
//   Key       source, destination, identification, protocol and realm (RFC 791). Outbound fragments are at home on their
//             subscriber's shard, inbound ones on that of their external address.
//   Life      of a datagram: unknown -> kWaiting (later fragments only: they are held) -> kNoted (the first is being
//             judged) -> kBound (its flow is known: the held ones are ready, others follow at once) or kRefused (the others
//             share its fate). It is forgotten when all its bytes have come, `lifetime` after it was made, or in favour of
//             a newer one.
//   Overlaps  what brings only bytes that have come is a duplicate and dropped. What brings some of them again, or another
//             end, or is a first one of another flow, ends the whole datagram (RFC 5722): no two versions of a byte ever pass,
//             and nobody's later fragments go after a stranger's first one once their own has come.
//   Bounds    `datagrams` in sets of kWays, by a keyed hash of the source: one source cannot crowd out those of other sets,
//             and no more than half of its own. In a full set the oldest goes of those that wait or of those that have their first
//             one, whichever are more: a flood of one kind shortens the time that its own kind has. Held packets: kHeldPerDatagram, an eighth of all in
//             a set, and `held` in all.
//   Owner     the shard's worker; size() and held() may be read by anyone. It owns the packets that it holds, until
//             take_ready() or take_ended() gives them back: both must be empty again after every burst.
//   Cost      a burst without fragments never comes here. take(): a hash, 64 bytes of tags, one entry. Never allocates
//             after it is made.
//   Source    RFC 791, 815, 1858, 3128, 4787 REQ-14, 4963, 5722, 6146 3.4.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/counters.h"
#include "base/drop_reason.h"
#include "base/keyed_hash.h"
#include "base/types.h"
#include "nat/settings.h"
#include "packet/fragment.h"
#include "packet/packet.h"

namespace sekisho::dataplane {

// What a fragment's header says.
struct FragmentFacts {
    uint64_t addresses = 0;  // as FlowKey::addresses
    uint16_t id = 0;         // as it lies in the packet
    uint8_t protocol = 0;
    RealmId realm;
    packet::Extent extent;
    uint32_t ports = 0;  // of a first one, as FlowKey::ports

    bool is_first() const { return extent.begin == 0; }
};

// The flow of a datagram: what its later fragments need to know.
struct FragmentBinding {
    uint32_t ports = 0;       // as FlowKey::ports
    bool has_new_id = false;  // outbound: the identification is replaced
    Be16 new_id;
};

// Marks a later fragment with its flow, and gives it its identification; `l3_offset` of its IPv4 header.
void follow(PacketRef& packet, uint16_t l3_offset, const FragmentBinding& binding);

class FragmentTable {
  public:
    static constexpr unsigned kWays = 32;
    static constexpr uint32_t kHeldPerDatagram = 64;  // 64 KiB in pieces of 1500 bytes are 45

    struct Sizes {
        uint32_t datagrams = 4096;  // rounded up to a power of two of sets
        uint32_t held = 1024;
        Seconds lifetime{2};  // RFC 6146 3.4: FRAGMENT_MIN

        // Of one of `shards`, for what an appliance is set to.
        static Sizes of(const nat::NatSettings& settings, unsigned shards);
    };
    FragmentTable(const Sizes& sizes, const HashSecret& secret);

    struct Outcome {
        enum Kind : uint8_t {
            kNoted,   // a first one: judge it, then bind() or refuse()
            kFollow,  // a later one: goes on, marked by `binding`
            kHeld,    // a later one: the table owns the packet now
            kDropped
        };
        Kind kind = kDropped;
        DropReason reason{};      // kDropped
        FragmentBinding binding;  // kFollow
    };
    // `l3_offset` of the packet's IPv4 header. A packet that is held is marked kCounted.
    Outcome take(const FragmentFacts& facts, PacketRef& packet, uint16_t l3_offset, Tick now);

    // What became of a datagram's first fragment. The held ones are ready then, with marks and identification, or ended.
    // A datagram that was forgotten meanwhile is known again. False: it was refused meanwhile, and the first is too.
    [[nodiscard]] bool bind(const FragmentFacts& first, const FragmentBinding& binding, Tick now);
    void refuse(const FragmentFacts& first, DropReason reason, Tick now);

    bool has_ready() const { return ready_.head != kNoIndex; }
    unsigned take_ready(std::span<PacketRef> out);
    bool has_ended() const { return ended_.head != kNoIndex; }
    struct Ended {
        PacketRef packet;
        DropReason reason{};
    };
    Ended take_ended();

    // Forgets datagrams whose time is over, at most `budget`. Returns how many.
    unsigned advance(Tick now, unsigned budget);
    // At the end: all that is held has ended.
    void end_all(DropReason reason);

    size_t size() const { return waiting_.size + settled_.size; }
    size_t held() const { return held_.read(); }  // the ready and the ended ones too
    size_t capacity() const { return entries_.size(); }
    // Packets that a table of these sizes may own.
    static uint32_t most_held(const Sizes& sizes);

  private:
    static constexpr unsigned kSpans = 35;
    enum class State : uint8_t { kFree, kWaiting, kNoted, kBound, kRefused };
    struct Span {
        uint16_t begin;
        uint16_t end;
    };
    struct Chain {  // of nodes
        uint32_t head = kNoIndex;
        uint32_t tail = kNoIndex;
    };
    struct alignas(64) Entry {
        uint64_t addresses;
        uint16_t id;
        uint8_t protocol;
        RealmId realm;
        State state;
        DropReason reason;  // kRefused
        uint8_t spans;
        bool has_end;
        uint16_t end;
        uint16_t held;
        uint32_t first_ports;  // once the first has come
        FragmentBinding binding;
        Tick since;  // made, or its state settled
        Chain chain;
        uint32_t previous;  // in its list
        uint32_t next;
        Span span[kSpans];  // bytes that have come, in order, not touching
    };
    static_assert(sizeof(Entry) == 192);
    struct Node {
        PacketRef packet;
        uint32_t next = kNoIndex;
        uint16_t l3_offset = 0;
        DropReason reason{};
    };
    struct List {  // of entries, the oldest first
        uint32_t head = kNoIndex;
        uint32_t tail = kNoIndex;
        size_t size = 0;
    };

    struct Place {
        uint32_t set;
        uint16_t source;  // a tag of it
    };
    Place place_of(const FragmentFacts& facts) const;
    uint16_t tag_of(const FragmentFacts& facts) const;
    uint32_t find(const FragmentFacts& facts, uint32_t set, Tick now);
    uint32_t find_or_make(const FragmentFacts& facts, Tick now);
    uint32_t free_way(const Place& place);
    uint32_t oldest_in(uint32_t set, uint16_t source) const;
    void forget(uint32_t entry, DropReason reason);
    void settle(uint32_t entry, State state, Tick now);
    void refuse_entry(uint32_t entry, DropReason reason, Tick now);
    bool is_over(const Entry& entry, Tick now) const {
        return elapsed_ms(entry.since, now) >= lifetime_ms_;
    }
    std::optional<DropReason> note(uint32_t entry, const FragmentFacts& facts, Tick now);

    bool hold(uint32_t entry, PacketRef& packet, uint16_t l3_offset);
    bool has_room_in_set(uint32_t entry);
    bool has_room_in_all(uint32_t entry);
    void count_none_held(uint32_t index);
    void end_held(uint32_t entry, DropReason reason);
    void release_held(uint32_t entry);

    static bool has_come(const Entry& entry, const packet::Extent& extent);
    static bool contradicts(const Entry& entry, const packet::Extent& extent);
    static bool is_of_another_flow(const Entry& entry, const FragmentFacts& facts);
    static bool add(Entry& entry, const packet::Extent& extent);
    static bool is_complete(const Entry& entry);

    List& list_of(State state) {
        return state == State::kWaiting || state == State::kNoted ? waiting_ : settled_;
    }
    void append(List& list, uint32_t entry);
    void remove(List& list, uint32_t entry);
    void append(Chain& chain, uint32_t node);
    PacketRef pop(Chain& chain);

    HashSecret secret_;
    int32_t lifetime_ms_;
    uint32_t set_mask_;
    uint32_t most_held_;
    uint32_t most_held_in_set_;
    std::vector<Entry> entries_;     // set by set
    std::vector<uint16_t> tags_;     // of entries_; 0: free
    std::vector<uint16_t> sources_;  // of entries_; 0: free
    std::vector<uint16_t> held_in_set_;
    std::vector<Node> nodes_;
    uint32_t free_node_ = kNoIndex;
    uint32_t waiting_packets_ = 0;  // held in entries
    List waiting_;                  // no first fragment has passed
    List settled_;
    Chain ready_;
    Chain ended_;
    Counter held_;
};

}  // namespace sekisho::dataplane
