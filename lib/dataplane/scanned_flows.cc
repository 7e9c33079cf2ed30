#include "dataplane/scanned_flows.h"

#include <algorithm>
#include <bit>

#include "packet/views.h"
#include "rules/patterns.h"
#include "stream/trim.h"

namespace sekisho::dataplane {
namespace {

constexpr size_t other_of(size_t direction) {
    return 1 - direction;
}

stream::StreamTable::Sizes table_sizes(const ScannedFlows::Sizes& sizes) {
    stream::StreamTable::Sizes of_table;
    of_table.streams = sizes.streams;
    of_table.blocks = sizes.streams * 32;
    of_table.held = sizes.held;
    return of_table;
}

// What lies behind the transport header; nullopt: it is not all there, or neither TCP nor UDP.
std::optional<std::span<const uint8_t>> payload_of(const PacketRef& ref, const PacketMeta& meta) {
    const packet::Bytes all(ref.data + meta.l3_offset, ref.length - size_t{meta.l3_offset});
    const size_t header = size_t{all[0]} % 16 * 4;
    if (ref.length != ref.frame_length || meta.l3_length > all.size() || header > meta.l3_length) {
        return std::nullopt;
    }
    const packet::Bytes l4 = all.subspan(header, meta.l3_length - header);
    switch (static_cast<Protocol>(all[packet::offset::kIpProtocol])) {
        case Protocol::kTcp:
            if (const auto tcp = packet::TcpView::at(l4)) {
                return l4.subspan(tcp->header_length());
            }
            return std::nullopt;
        case Protocol::kUdp:
            return l4.size() < packet::kUdpHeader ? std::nullopt
                                                  : std::optional(l4.subspan(packet::kUdpHeader));
        default:
            return std::nullopt;
    }
}

bool can_be_searched(Protocol protocol) {
    return protocol == Protocol::kTcp || protocol == Protocol::kUdp;
}

}  // namespace

// Of a TCP segment.
struct ScannedFlows::Facts {
    stream::Segment segment;
    uint32_t acknowledgement = 0;

    bool has(packet::TcpFlag flag) const { return (segment.flags & flag) != 0; }
    uint32_t opening() const { return segment.sequence + 1; }
};

ScannedFlows::ScannedFlows(
    const Sizes& sizes, std::unique_ptr<rules::PayloadScanner> scanner, const HashSecret& secret
)
    : sizes_(sizes),
      scanner_(std::move(scanner)),
      names_(std::make_shared<rules::PatternNames>()),
      streams_(table_sizes(sizes), secret),
      flows_(sizes.streams + 1),  // one more, for what is searched alone
      places_(std::bit_ceil(flows_.size() * 2), kNoIndex) {
    for (auto i = static_cast<uint32_t>(flows_.size()); i-- > 0;) {
        flows_[i].next_free = free_;
        free_ = i;
    }
    found_.reserve(rules::PatternSet::kMost);
}

// --- flows by session ----------------------------------------------------------------------------

// Sessions are numbered one after the other; nobody outside chooses which.
size_t ScannedFlows::home_of(uint32_t session) const {
    return session * size_t{0x9e3779b1} & (places_.size() - 1);
}

uint32_t ScannedFlows::find_flow(uint32_t session) const {
    for (size_t at = home_of(session); places_[at] != kNoIndex;
         at = (at + 1) & (places_.size() - 1)) {
        if (flows_[places_[at]].session == session) {
            return places_[at];
        }
    }
    return kNoIndex;
}

void ScannedFlows::insert(uint32_t flow) {
    size_t at = home_of(flows_[flow].session);
    while (places_[at] != kNoIndex) {
        at = (at + 1) & (places_.size() - 1);
    }
    places_[at] = flow;
}

// What stands behind it moves up, so that no search ends too soon.
void ScannedFlows::erase(uint32_t session) {
    const size_t mask = places_.size() - 1;
    size_t hole = home_of(session);
    while (flows_[places_[hole]].session != session) {
        hole = (hole + 1) & mask;
    }
    for (size_t at = (hole + 1) & mask; places_[at] != kNoIndex; at = (at + 1) & mask) {
        const size_t home = home_of(flows_[places_[at]].session);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            places_[hole] = places_[at];
            hole = at;
        }
    }
    places_[hole] = kNoIndex;
}

uint32_t ScannedFlows::make_flow(bool is_stream) {
    const uint32_t flow = free_;
    if (flow == kNoIndex) {
        return kNoIndex;
    }
    free_ = flows_[flow].next_free;
    flows_[flow] = {};
    flows_[flow].is_stream = is_stream;
    return flow;
}

void ScannedFlows::release_flow(uint32_t index) {
    Flow& flow = flows_[index];
    for (Half& half : flow.half) {
        close(half, DropReason::kStreamOrphan);
    }
    flow.next_free = free_;
    free_ = index;
}

bool ScannedFlows::needs_all(SessionIndex session) const {
    const uint32_t flow = find_flow(session.value);
    return flow != kNoIndex && flows_[flow].is_stream;
}

void ScannedFlows::keep_for(SessionIndex session) {
    if (pending_ == kNoIndex) {
        return;
    }
    flows_[pending_].session = session.value;
    insert(pending_);
    pending_ = kNoIndex;
}

void ScannedFlows::drop_pending() {
    if (pending_ != kNoIndex) {
        release_flow(pending_);
        pending_ = kNoIndex;
    }
}

void ScannedFlows::end_of_session(SessionIndex session) {
    const uint32_t flow = find_flow(session.value);
    if (flow != kNoIndex) {
        erase(session.value);
        release_flow(flow);
    }
}

void ScannedFlows::end_all(DropReason reason) {
    drop_pending();
    fragments_.end_all(reason);
    for (uint32_t& place : places_) {
        if (place == kNoIndex) {
            continue;
        }
        for (Half& half : flows_[place].half) {
            close(half, reason);
        }
        release_flow(place);
        place = kNoIndex;
    }
}

// --- directions ----------------------------------------------------------------------------------

// By what is known of the other direction's last segment, where it is picked up.
stream::StreamTable::Start ScannedFlows::start_of(Direction direction) const {
    stream::StreamTable::Start start;
    const flow::Session* const session = subject_.session;
    const uint16_t known =
        direction == Direction::kOutbound ? flow::kHasAckInbound : flow::kHasAckOutbound;
    if (session != nullptr && (session->flags & known) != 0) {
        start.acknowledged = session->tcp_ack[other_of(static_cast<size_t>(direction))];
    }
    return start;
}

uint64_t ScannedFlows::limit() const {
    return names_->first_bytes != 0 ? names_->first_bytes : stream::StreamTable::kNoLimit;
}

bool ScannedFlows::open(Flow& flow, Direction direction, stream::StreamTable::Start start) {
    Half& half = flow.half[static_cast<size_t>(direction)];
    half.generation = generation_;
    half.slot = scanner_->open();
    if (half.slot.value == kNoIndex) {
        return false;
    }
    if (flow.is_stream) {
        start.limit = half.limit = limit();
        half.stream = streams_.open(start);
    }
    size_.add(1);
    return true;
}

void ScannedFlows::close(Half& half, DropReason reason) {
    if (half.slot.value == kNoIndex) {
        return;
    }
    scanner_->close(half.slot);
    if (half.stream.value != kNoIndex) {
        streams_.close(half.stream, reason);
    }
    half = {};
    size_.set(size_.read() - 1);
}

// To what the rules in force are after, if that is more than what was to be scanned. Nobody has looked at what lies between.
void ScannedFlows::extend(Half& half) {
    const bool is_short = half.slot.value != kNoIndex && half.stream.value != kNoIndex &&
                          half.generation != generation_ && half.limit < limit();
    if (!is_short) {
        return;
    }
    stream::StreamTable::Start start = start_of(subject_.meta->direction);
    start.limit = half.limit = limit();
    streams_.close(half.stream, DropReason::kStreamOrphan);
    half.stream = streams_.open(start);
    scanner_->restart(half.slot);
}

// Both ends have begun anew: the other side has acknowledged a SYN that was not the stream's.
void ScannedFlows::restart(Flow& flow, Direction other, uint32_t acknowledgement) {
    for (const Direction direction : {Direction::kOutbound, Direction::kInbound}) {
        Half& half = flow.half[static_cast<size_t>(direction)];
        if (half.slot.value == kNoIndex) {
            half = {};
            continue;
        }
        close(half, DropReason::kStreamOrphan);
        stream::StreamTable::Start start;
        if (direction == other) {
            start.acknowledged = acknowledgement;
        }
        (void)open(flow, direction, start);  // there is room: it was just given back
    }
}

// --- the packet at hand --------------------------------------------------------------------------

void ScannedFlows::take_up(const Subject& subject) {
    drop_pending();
    subject_ = subject;
    is_searched_ = false;
    found_.clear();
}

void ScannedFlows::note_asked(bool has_met_payload) {
    if (subject_.session == nullptr || subject_.ref->fragment != 0) {
        return;
    }
    const uint32_t session = subject_.meta->session_index;
    const uint32_t index = find_flow(session);
    if (index == kNoIndex) {
        return;
    }
    Flow& flow = flows_[index];
    Half& half = flow.half[static_cast<size_t>(subject_.meta->direction)];
    if (half.slot.value == kNoIndex || half.generation == generation_) {
        return;
    }
    half.generation = generation_;
    if (!has_met_payload) {
        close(half, DropReason::kStreamOrphan);
    }
    if (std::ranges::all_of(flow.half, [](const Half& h) { return h.slot.value == kNoIndex; })) {
        end_of_session({session});
    }
}

bool ScannedFlows::stop(DropReason reason) {
    subject_.meta->verdict = Verdict::kDrop;
    subject_.meta->reason = reason;
    return false;
}

bool ScannedFlows::overload() {
    overloads_.add(1);
    return !sizes_.drops_when_full || stop(DropReason::kScanOverload);
}

Assembler::Ended ScannedFlows::take_ended() {
    if (fragments_.has_ended()) {
        return fragments_.take_ended();
    }
    const auto ended = streams_.take_ended();
    return {ended.packet, ended.reason};
}

// A first one; the others of its datagram come behind it.
bool ScannedFlows::hold_fragment() {
    PacketRef& ref = *subject_.ref;
    if ((ref.fragment & packet::kLaterFragment) != 0) {
        return stop(DropReason::kFragmentOrphan);
    }
    const auto refused = fragments_.hold(ref, subject_.meta->l3_offset, subject_.now);
    if (refused) {
        return stop(*refused);
    }
    subject_.meta->verdict = Verdict::kKept;
    return false;
}

bool ScannedFlows::take_fragment(PacketRef& ref, PacketMeta& meta, Tick now) {
    if (!fragments_.expects(ref, meta.l3_offset)) {
        return false;
    }
    const auto refused = fragments_.hold(ref, meta.l3_offset, now);
    meta.verdict = refused ? Verdict::kDrop : Verdict::kKept;
    meta.reason = refused.value_or(meta.reason);
    return true;
}

bool ScannedFlows::scan_known() {
    if (subject_.session == nullptr) {
        return true;
    }
    const uint32_t flow = find_flow(subject_.meta->session_index);
    if (flow == kNoIndex) {
        return true;
    }
    Half& half = flows_[flow].half[static_cast<size_t>(subject_.meta->direction)];
    const bool is_scanned = half.slot.value != kNoIndex;
    extend(half);
    if (subject_.ref->fragment != 0) {
        return !is_scanned || hold_fragment();
    }
    return (!is_scanned && !flows_[flow].is_stream) || search(flows_[flow]);
}

bool ScannedFlows::find(rules::RulePacket& packet) {
    const bool may_begin = !is_searched_ && !subject_.is_out_of_window;
    if (may_begin && can_be_searched(static_cast<Protocol>(packet.protocol))) {
        if (!begin()) {
            return subject_.meta->verdict != Verdict::kDrop &&
                   subject_.meta->verdict != Verdict::kKept;
        }
        packet.length = subject_.meta->l3_length;
        if (subject_.meta->kind == PacketKind::kTcp) {
            packet.tcp_flags = subject_.meta->tcp_flags;
        }
    }
    packet.patterns = found_;
    return true;
}

// Of the packet at hand; false: it was not searched.
bool ScannedFlows::begin() {
    if (subject_.ref->fragment != 0) {
        return hold_fragment();
    }
    const PacketMeta& meta = *subject_.meta;
    const bool is_alone = subject_.session == nullptr && !subject_.comes_first;
    const bool is_stream = meta.kind == PacketKind::kTcp && !is_alone;
    const uint32_t known =
        subject_.session != nullptr ? find_flow(meta.session_index) : uint32_t{kNoIndex};
    const uint32_t flow = known == kNoIndex ? make_flow(is_stream) : known;
    if (flow == kNoIndex) {
        (void)overload();
        return false;
    }
    if (!open(flows_[flow], meta.direction, start_of(meta.direction))) {
        if (known == kNoIndex) {
            release_flow(flow);
        }
        (void)overload();
        return false;
    }
    if (known == kNoIndex && subject_.session == nullptr) {
        pending_ = flow;
    } else if (known == kNoIndex) {
        flows_[flow].session = meta.session_index;
        insert(flow);
    }
    return search(flows_[flow]);
}

bool ScannedFlows::search(Flow& flow) {
    is_searched_ = true;
    const PacketRef& ref = *subject_.ref;
    const PacketMeta& meta = *subject_.meta;
    const auto payload = payload_of(ref, meta);
    if (!payload) {
        // What follows it in a stream would wait for it.
        return flow.is_stream ? stop(DropReason::kScanOverload) : overload();
    }
    Half& half = flow.half[static_cast<size_t>(meta.direction)];
    if (!flow.is_stream) {
        set_found(scanner_->scan_datagram(half.slot, *payload));
        return true;
    }
    Facts facts;
    facts.segment = *stream::segment_of(ref, meta.l3_offset);
    facts.acknowledgement =
        Be32{packet::load<uint32_t>(ref.data + meta.l4_offset + packet::offset::kTcpAck)}.host();
    return search_segment(flow, facts);
}

bool ScannedFlows::search_segment(Flow& flow, const Facts& facts) {
    if (!stream::has_right_checksum(*subject_.ref, subject_.meta->l3_offset)) {
        return stop(DropReason::kBadTransportChecksum);
    }
    if (!subject_.is_out_of_window) {
        note_openings(flow, facts);
    }
    if (!subject_.is_out_of_window && facts.has(packet::kAck)) {
        acknowledge(flow, facts);
    }
    const Half& half = flow.half[static_cast<size_t>(subject_.meta->direction)];
    if (!may_search(half, facts)) {
        return stop(DropReason::kTcpOutOfWindow);
    }
    is_searched_ =
        half.slot.value != kNoIndex;  // else it was only looked at for the other direction
    return !is_searched_ || judge(flow, facts);
}

// Whether it is no stream that would begin with a segment out of its window.
bool ScannedFlows::may_search(const Half& half, const Facts& facts) const {
    const bool has_substance =
        !facts.segment.payload.empty() || facts.has(packet::kSyn) || facts.has(packet::kFin);
    return !subject_.is_out_of_window || half.slot.value == kNoIndex || !has_substance ||
           streams_.has_begun(half.stream);
}

bool ScannedFlows::has_scanned(const Flow& flow) const {
    return std::ranges::any_of(flow.half, [this](const Half& half) {
        return half.slot.value != kNoIndex && streams_.scanned(half.stream) > 0;
    });
}

// Of both directions, whichever is scanned: where one begins anew, the other does.
void ScannedFlows::note_openings(Flow& flow, const Facts& facts) {
    if (!facts.has(packet::kSyn)) {
        return;
    }
    const auto d = static_cast<size_t>(subject_.meta->direction);
    Half& other = flow.half[other_of(d)];
    if (facts.has(packet::kAck)) {
        const bool is_next = other.has_next_opening && facts.acknowledgement == other.next_opening;
        const bool is_elsewhere = other.slot.value != kNoIndex &&
                                  streams_.begins_elsewhere(other.stream, facts.acknowledgement);
        if (is_next || is_elsewhere) {
            restart(flow, static_cast<Direction>(other_of(d)), facts.acknowledgement);
        }
        if (is_next || is_elsewhere || !other.has_opening) {
            other.opening = facts.acknowledgement;
            other.has_opening = true;
        }
    }
    Half& half = flow.half[d];
    if (!half.has_opening && !has_scanned(flow)) {
        half.opening = facts.opening();
        half.has_opening = true;
    } else if (!half.has_opening || half.opening != facts.opening()) {
        half.next_opening = facts.opening();
        half.has_next_opening = true;
    }
}

void ScannedFlows::acknowledge(Flow& flow, const Facts& facts) {
    Half& other = flow.half[other_of(static_cast<size_t>(subject_.meta->direction))];
    if (other.slot.value != kNoIndex && streams_.acknowledge(other.stream, facts.acknowledgement)) {
        scanner_->restart(other.slot);
    }
}

bool ScannedFlows::judge(Flow& flow, const Facts& facts) {
    Half& half = flow.half[static_cast<size_t>(subject_.meta->direction)];
    const stream::Judgement judgement = streams_.judge(half.stream, facts.segment);
    switch (judgement.kind) {
        case stream::Judgement::kDrop:
            return stop(judgement.reason);
        case stream::Judgement::kHold:
            if (subject_.is_out_of_window) {
                return stop(DropReason::kTcpOutOfWindow);
            }
            if (const auto refused =
                    streams_.hold(half.stream, facts.segment, *subject_.ref, subject_.now)) {
                return stop(*refused);
            }
            subject_.meta->verdict = Verdict::kKept;
            return false;
        case stream::Judgement::kPass:
            break;
    }
    const bool is_news = !judgement.fresh.empty() || judgement.is_end;
    set_found(
        is_news ? scanner_->scan(half.slot, judgement.fresh, judgement.is_end)
                : scanner_->found(half.slot)
    );
    if (!judgement.is_whole(facts.segment)) {
        trim(judgement);
    }
    return true;
}

void ScannedFlows::trim(const stream::Judgement& judgement) {
    PacketRef& ref = *subject_.ref;
    PacketMeta& meta = *subject_.meta;
    stream::trim_segment(ref, meta.l3_offset, judgement);
    meta.l3_length = static_cast<uint16_t>(ref.length - meta.l3_offset);
    meta.tcp_flags = ref.data[meta.l4_offset + packet::offset::kTcpFlags];
}

void ScannedFlows::set_found(std::span<const rules::PatternId> found) {
    found_.clear();
    for (const rules::PatternId id : found) {
        const auto names = (*names_)(id);
        found_.insert(found_.end(), names.begin(), names.end());
    }
    std::ranges::sort(found_);
}

}  // namespace sekisho::dataplane
