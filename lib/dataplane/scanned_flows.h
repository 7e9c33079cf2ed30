// ScannedFlows: the flows whose payload rules search (rules/payload_scanner.h), and what was found in them so far; one shard's.
//
//   Which     a direction of a session is scanned from the first packet on whose flow's walk comes to a chain where a rule with a
//             payload condition may agree, whatever varies from packet to packet (rules/flow_residue.h); until the session ends.
//   TCP       each direction is a stream (stream/stream_table.h): what comes too early is held and comes again, what contradicts is
//             dropped, so no byte leaves unscanned. Both directions of a session are looked at as soon as one is scanned,
//             since acknowledgements are part of it. A connection that begins anew on the same ports, or elsewhere than it seemed, as the
//             other end's SYN with ACK says, is scanned anew. Nothing begins with a segment outside of its connection's window.
//   UDP       each datagram is a stream of its own, whose finds stay its direction's.
//   Fragments of a datagram that would be searched are put together first (assembler.h); the whole packet comes again.
//   Alone     what has no session (exempt, untracked, to the appliance itself, inbound by a mapping alone) is searched packet by packet.
//   Full      `streams` directions are scanned at most. Beyond, and where a payload does not lie in one buffer, packets that
//             would have to be searched are dropped as kScanOverload, or pass unsearched: `drops_when_full`.
//   Change    other rules: streams go on, if these may ask for their payload too; follow(). One is picked up anew where these rules' patterns
//             may lie behind what is all that was to be scanned. Rules without payload conditions end all of them.
//   Owner     the shard's worker. It owns the packets that it holds, until take_ready() or take_ended() gives them back: both
//             must be empty again after every burst. held() and size() may be read by anyone.
//   Cost      of a scanned packet: a hash look-up, a checksum, its digest and the scanner. Never allocates after it is made.
//   Source    ARCHITECTURE 5; doc/adr/0008.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/counters.h"
#include "dataplane/assembler.h"
#include "dataplane/payload_finder.h"
#include "flow/session.h"
#include "packet/batch.h"
#include "rules/pattern_names.h"
#include "rules/payload_scanner.h"
#include "stream/stream_table.h"

namespace sekisho::dataplane {

class ScannedFlows final : public PayloadFinder {
  public:
    struct Sizes {
        uint32_t streams = 1024;  // directions
        uint32_t held = 1024;     // packets
        bool drops_when_full = true;
    };
    // `scanner`: of as many streams.
    ScannedFlows(
        const Sizes& sizes, std::unique_ptr<rules::PayloadScanner> scanner, const HashSecret& secret
    );

    // Other rules name the patterns; their scanner follows them apart. While the worker rests.
    void follow(std::shared_ptr<const rules::PatternNames> names) {
        names_ = std::move(names);
        ++generation_;
    }

    // The packet that the rules are asked about next. `session`: the one that keeps what they say; nullptr: none, or none yet.
    struct Subject {
        PacketRef* ref = nullptr;
        PacketMeta* meta = nullptr;
        const flow::Session* session = nullptr;
        bool comes_first = false;  // its session is not made yet
        Tick now;
        bool is_out_of_window =
            false;  // of its connection: nothing begins with it, and it is not held
    };
    void take_up(const Subject& subject);
    // Searches it if its session is scanned. False: its verdict is there.
    bool scan_known();
    bool find(rules::RulePacket& packet) override;
    // Takes a later fragment whose first one waits here to be searched: true, and its verdict is there.
    bool take_fragment(PacketRef& ref, PacketMeta& meta, Tick now);
    // Whether something of the session is scanned.
    bool is_scanned(SessionIndex session) const { return find_flow(session.value) != kNoIndex; }
    // Whether all packets of the session are to be looked at.
    bool needs_all(SessionIndex session) const;
    // The rules were asked: did some ask for the payload? A direction that other rules had scanned ends if these do not.
    void note_asked(bool has_met_payload);
    // There are no more packets to ask about for now.
    void let_go() {
        drop_pending();
        subject_ = {};
    }
    // Whether this packet was taken up last.
    bool is_about(const PacketRef& ref) const { return subject_.ref == &ref; }
    // What was begun for a first packet is its session's from now on.
    void keep_for(SessionIndex session);

    void end_of_session(SessionIndex session);
    // None is scanned any more.
    void end_all(DropReason reason);

    bool has_ready() const { return streams_.has_ready(); }
    unsigned take_ready(std::span<PacketRef> out) { return streams_.take_ready(out); }
    bool has_ended() const { return streams_.has_ended() || fragments_.has_ended(); }
    Assembler::Ended take_ended();
    unsigned advance(Tick now, unsigned budget) {
        return streams_.advance(now, budget) + fragments_.advance(now);
    }
    Assembler& fragments() { return fragments_; }

    size_t held() const { return streams_.held() + fragments_.held(); }
    uint64_t size() const { return size_.read(); }  // directions
    uint32_t capacity() const { return sizes_.streams; }
    uint64_t overloads() const { return overloads_.read(); }
    rules::PayloadScanner& scanner() { return *scanner_; }

  private:
    struct Half {
        rules::ScanSlot slot{kNoIndex};  // kNoIndex: not scanned
        StreamIndex stream{kNoIndex};    // of TCP
        uint32_t opening = 0;            // the byte behind its SYN
        uint32_t next_opening = 0;       // behind a SYN that was another
        uint32_t generation = 0;         // of the rules that had it scanned
        uint64_t limit = 0;              // of its stream
        bool has_opening = false;
        bool has_next_opening = false;
    };
    struct Flow {
        uint32_t session = kNoIndex;
        uint32_t next_free = kNoIndex;
        bool is_stream = false;
        std::array<Half, 2> half;  // by Direction
    };
    struct Facts;  // of the packet at hand

    size_t home_of(uint32_t session) const;
    uint32_t find_flow(uint32_t session) const;
    void insert(uint32_t flow);
    void erase(uint32_t session);
    uint32_t make_flow(bool is_stream);
    void release_flow(uint32_t flow);
    stream::StreamTable::Start start_of(Direction direction) const;
    bool open(Flow& flow, Direction direction, stream::StreamTable::Start start);
    void close(Half& half, DropReason reason);
    void restart(Flow& flow, Direction other, uint32_t acknowledgement);
    uint64_t limit() const;
    void extend(Half& half);
    bool has_scanned(const Flow& flow) const;
    bool may_search(const Half& half, const Facts& facts) const;
    bool overload();
    bool stop(DropReason reason);
    bool begin();
    bool search(Flow& flow);
    bool hold_fragment();
    bool search_segment(Flow& flow, const Facts& facts);
    void note_openings(Flow& flow, const Facts& facts);
    void acknowledge(Flow& flow, const Facts& facts);
    bool judge(Flow& flow, const Facts& facts);
    void trim(const stream::Judgement& judgement);
    void set_found(std::span<const rules::PatternId> found);
    void drop_pending();

    Sizes sizes_;
    std::unique_ptr<rules::PayloadScanner> scanner_;
    std::shared_ptr<const rules::PatternNames> names_;
    stream::StreamTable streams_;
    Assembler fragments_;
    std::vector<Flow> flows_;
    std::vector<uint32_t> places_;  // flow by session; kNoIndex: free
    uint32_t free_ = kNoIndex;
    uint32_t pending_ = kNoIndex;  // flow of a first packet, whose session is not made yet
    uint32_t generation_ = 0;      // of the rules
    Subject subject_;
    bool is_searched_ = false;             // the packet at hand
    std::vector<rules::PatternId> found_;  // in it
    Counter size_;
    Counter overloads_;
};

}  // namespace sekisho::dataplane
