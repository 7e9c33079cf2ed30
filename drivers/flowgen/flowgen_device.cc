#include "flowgen/flowgen_device.h"

#include <algorithm>

#include "packet/build.h"

namespace sekisho::flowgen {
namespace {

constexpr size_t kMostAnswers = 64;
constexpr std::array<uint16_t, 12> kImix = {
    64, 594, 64, 64, 594, 64, 1514, 64, 594, 64, 64, 594};  // 7 : 4 : 1
constexpr uint32_t kFirstSequence = 1000;

MacAddr make_mac(unsigned device, uint8_t end) {
    return {{2, 0x66, 0x67, 0, static_cast<uint8_t>(device), end}};
}

// ICMP type, or TCP flags of a frame in an open session.
uint8_t usual_kind(Protocol protocol, Direction direction) {
    if (protocol == Protocol::kIcmp) {
        return direction == Direction::kOutbound ? packet::kIcmpEchoRequest
                                                 : packet::kIcmpEchoReply;
    }
    return packet::kAck;
}

uint8_t opening_kind(Protocol protocol, Direction direction) {
    if (protocol == Protocol::kIcmp) {
        return usual_kind(protocol, direction);
    }
    return direction == Direction::kOutbound ? packet::kSyn : packet::kSyn | packet::kAck;
}

}  // namespace

FlowgenQueue::FlowgenQueue(
    const FlowgenPlan& plan, const MacAddr& appliance, const MacAddr& station
)
    : profile_(plan.profile),
      flows_(plan.profile),
      rotation_(*plan.rotation),
      link_(plan.first_link),
      peer_(plan.peer),
      station_(station),
      direction_(
          plan.profile.role == FlowgenRole::kSubscribers ? Direction::kOutbound
                                                         : Direction::kInbound
      ),
      checker_({plan.profile.role, &flows_, station, appliance, &endpoints_, &answered_}),
      order_(plan.profile.flows, plan.profile.seed + plan.index) {
    make_templates(appliance, station);
    answers_.reserve(kMostAnswers);
    set_checks(plan.profile.check_all ? Checks::kAll : Checks::kSample);
}

FlowgenQueue::~FlowgenQueue() {
    look_at_sample();
    discard_prepared();
    rotation_.store().free(answers_);
}

Result<void> FlowgenQueue::create_tables() {
    if (profile_.role == FlowgenRole::kSubscribers) {
        answered_.resize(flows_.flows());
        return {};
    }
    auto table = EndpointTable::create(flows_.flows());
    if (!table) {
        return tl::unexpected(table.error());
    }
    endpoints_ = std::move(*table);
    return {};
}

void FlowgenQueue::make_templates(const MacAddr& appliance, const MacAddr& station) {
    for (unsigned i = 0; i < kSizes; ++i) {
        PacketRef& shape = shapes_[i];
        shape.length = shape.frame_length = profile_.size == 0 ? kImix[i] : profile_.size;
        shape.headroom = packet::kBufferHeadroom;
        shape.in_link = link_;
    }
    const Protocol other =
        profile_.protocol == config::FlowgenProtocol::kEsp ? Protocol::kEsp : Protocol::kIcmp;
    for (const Protocol protocol : {Protocol::kUdp, Protocol::kTcp, other}) {
        Templates& t = templates_[place_of(protocol)];
        for (unsigned i = 0; i < kSizes; ++i) {
            const uint16_t size = profile_.size == 0 ? kImix[i] : profile_.size;
            const uint8_t usual = usual_kind(protocol, direction_);
            const uint8_t opening = opening_kind(protocol, direction_);
            t.usual[i] = make_template(protocol, size, appliance, station, usual);
            t.opening[i] = make_template(protocol, size, appliance, station, opening);
        }
    }
}

unsigned FlowgenQueue::place_of(Protocol protocol) {
    return protocol == Protocol::kUdp ? 0 : protocol == Protocol::kTcp ? 1 : 2;
}

// Both ends count passes from the same number, so that a session's sequence numbers go forward; nobody repeats a byte that
// the other end could want.
void FlowgenQueue::number_templates(uint32_t pass) {
    numbered_pass_ = pass;
    const uint32_t sequence = kFirstSequence + pass * uint32_t{kTagLength};
    for (unsigned i = 0; i < kSizes; ++i) {
        Templates& t = templates_[place_of(Protocol::kTcp)];
        set_sequence(t.usual[i], sequence, sequence);
        set_sequence(t.opening[i], sequence, direction_ == Direction::kOutbound ? 0 : sequence);
    }
}

void FlowgenQueue::set_checks(Checks checks) {
    look_at_sample();
    check_interval_ = checks == Checks::kAll ? 1 : checks == Checks::kSample ? kSampleEvery : 0;
    until_check_ = check_interval_;
}

void FlowgenQueue::set_translated(bool translated) {
    look_at_sample();
    checker_.set_translated(translated);
}

void FlowgenQueue::limit_flows(uint32_t count, uint32_t first) {
    send_nothing();
    first = std::min(first, flows_.flows() - 1);
    count = std::clamp(count, 1U, flows_.flows() - first);
    order_ = PassOrder(count, profile_.seed + count, first);
}

void FlowgenQueue::forget() {
    look_at_sample();
    std::fill(answered_.begin(), answered_.end(), false);
    endpoints_.clear();
}

void FlowgenQueue::send_nothing() {
    sending_ = Sending::kNothing;
    discard_prepared();
}

void FlowgenQueue::send_pass() {
    discard_prepared();
    sending_ = Sending::kPass;
    prime();
}

void FlowgenQueue::send_endlessly() {
    discard_prepared();
    sending_ = Sending::kEndless;
    prime();
}

void FlowgenQueue::discard_prepared() {
    for (unsigned i = ready_first_; i < ready_first_ + ready_count_; ++i) {
        rotation_.put(ready_[i]);
    }
    Chosen& chosen = bursts_[latest_];
    for (unsigned i = 0; i < chosen.count; ++i) {
        rotation_.put(chosen.buffers[i]);
    }
    ready_count_ = chosen.count = 0;
}

void FlowgenQueue::prime() {
    order_.start_pass();
    ++pass_;
    sent_before_pass_ = counters_.sent.read();
    advance();
    advance();
}

// Sessions and buffers of the burst after the next.
void FlowgenQueue::choose(Chosen& chosen) {
    chosen.count = 0;
    if (sending_ == Sending::kNothing) {
        return;
    }
    const unsigned room = rotation_.take(chosen.buffers);
    counters_.no_buffers.add(room == 0 ? 1 : 0);
    const auto sessions = std::span(chosen.sessions).first(room);
    chosen.count = order_.take(sessions);
    if (chosen.count == 0 && room > 0 && sending_ == Sending::kEndless) {
        order_.start_pass();
        ++pass_;
        chosen.count = order_.take(sessions);
    }
    chosen.pass = pass_;
    for (unsigned i = chosen.count; i < room; ++i) {
        rotation_.put(chosen.buffers[i]);
    }
}

// Asks for what the next burst needs and writes the one that was chosen last time.
void FlowgenQueue::advance() {
    const Chosen& now = bursts_[latest_];
    latest_ ^= 1;
    Chosen& next = bursts_[latest_];
    choose(next);
    for (unsigned i = 0; i < next.count; ++i) {
        __builtin_prefetch(next.buffers[i].data, 1);
    }
    for (unsigned i = 0; i < next.count && direction_ == Direction::kInbound; ++i) {
        endpoints_.prefetch(next.sessions[i]);
    }
    if (now.count > 0 && now.pass != numbered_pass_) {
        number_templates(now.pass);
    }
    const bool mixed = flows_.is_mixed();
    if (profile_.role == FlowgenRole::kSubscribers) {
        mixed ? build<FlowgenRole::kSubscribers, true>(now)
              : build<FlowgenRole::kSubscribers, false>(now);
    } else {
        mixed ? build<FlowgenRole::kInternet, true>(now)
              : build<FlowgenRole::kInternet, false>(now);
    }
}

// Whether there is anything to send it to; `opens`: nothing has been sent to it yet (Internet), or nothing has come back
// (subscribers).
template <FlowgenRole kRole>
[[gnu::always_inline]] inline bool FlowgenQueue::address_frame(
    uint32_t session, FrameAddresses& addresses, bool& opens
) {
    const Ends ends = flows_.ends_of(session);
    if constexpr (kRole == FlowgenRole::kSubscribers) {
        addresses = {ends.internal, ends.remote, ends.internal_port, ends.remote_port};
        opens = false;
        return true;
    }
    Endpoint& known = endpoints_[session];
    addresses = {ends.remote, known.address, ends.remote_port, known.port};
    opens = known.answered == 0;
    if (opens) [[unlikely]] {
        known.answered = known.learnt;
    }
    return known.learnt != 0;
}

template <FlowgenRole kRole, bool kMixed>
void FlowgenQueue::build(const Chosen& chosen) {
    unsigned written = 0;
    const Protocol only = flows_.protocol_of(0);
    unsigned place = size_place_;
    for (unsigned i = 0; i < chosen.count; ++i) {
        const uint32_t session = chosen.sessions[i];
        const Protocol protocol = kMixed ? flows_.protocol_of(session) : only;
        FrameAddresses addresses;
        bool opens = false;
        if (!address_frame<kRole>(session, addresses, opens)) [[unlikely]] {
            rotation_.put(chosen.buffers[i]);
            continue;
        }
        if (kRole == FlowgenRole::kSubscribers && protocol == Protocol::kTcp) {
            opens = !answered_[session];
        }
        if (protocol == Protocol::kIcmp && kRole == FlowgenRole::kInternet) {
            addresses.source_port = addresses.destination_port;
        }
        const Templates& templates = templates_[place_of(protocol)];
        const FrameTemplate& t = opens ? templates.opening[place] : templates.usual[place];
        write_frame(
            chosen.buffers[i].data, t, addresses, Tag{session, chosen.pass & 0x7fffffff, direction_}
        );
        PacketRef& packet = ready_[written++];
        packet = shapes_[place];
        packet.data = chosen.buffers[i].data;
        packet.handle = chosen.buffers[i].handle;
        packet.headroom = headroom_of(packet.handle);
        place = place + 1 == kSizes ? 0 : place + 1;
    }
    size_place_ = place;
    ready_count_ = written;
    ready_first_ = 0;
}

unsigned FlowgenQueue::receive(std::span<PacketRef> out) {
    if (!answers_.empty()) [[unlikely]] {
        return give_answers(out);
    }
    const auto count = static_cast<unsigned>(std::min<size_t>(out.size(), ready_count_));
    uint64_t bytes = 0;
    for (unsigned i = 0; i < count; ++i) {
        out[i] = ready_[ready_first_ + i];
        bytes += out[i].frame_length;
    }
    counters_.sent.add(count);
    counters_.sent_bytes.add(bytes);
    ready_count_ -= count;
    ready_first_ += count;
    if (ready_count_ == 0 && sending_ != Sending::kNothing) {
        advance();
    }
    return count;
}

unsigned FlowgenQueue::give_answers(std::span<PacketRef> out) {
    const auto count = static_cast<unsigned>(std::min(out.size(), answers_.size()));
    std::copy_n(answers_.begin(), count, out.begin());
    answers_.erase(answers_.begin(), answers_.begin() + count);
    return count;
}

// Whether its buffer may go round unchecked.
inline bool FlowgenQueue::is_known(const PacketRef& packet) const {
    const bool is_peers = packet.in_link == peer_ && (packet.flags & packet::kGenerated) == 0;
    return is_peers || checker_.is_ours(packet);
}

unsigned FlowgenQueue::send(std::span<PacketRef> packets) {
    uint64_t bytes = 0;
    uint64_t usual = 0;
    look_at_sample();
    for (const PacketRef& packet : packets) {
        bytes += packet.frame_length;
        if (packet.length < config::kFlowgenLeastSize || packet.length != packet.frame_length)
            [[unlikely]] {
            take_unusual(packet);
            continue;
        }
        ++usual;
        if (--until_check_ == 0) [[unlikely]] {
            take_to_check(packet);
            continue;
        }
        if (!is_known(packet)) [[unlikely]] {
            look_at(packet);
            continue;
        }
        rotation_.put(packet);
    }
    counters_.received.add(usual);
    counters_.received_bytes.add(bytes);
    return static_cast<unsigned>(packets.size());
}

// A sample waits for the next call, when what it needs is near.
void FlowgenQueue::take_to_check(const PacketRef& packet) {
    until_check_ = check_interval_;
    if (check_interval_ == 1 || sample_.handle != nullptr) {
        look_at(packet);
        return;
    }
    sample_ = packet;
    checker_.prefetch(packet);
}

void FlowgenQueue::look_at_sample() {
    if (sample_.handle != nullptr) [[unlikely]] {
        look_at(sample_);
        sample_ = {};
    }
}

// A frame of somebody else, or one that was spoilt, may have bytes anywhere, so its buffer does not go round.
void FlowgenQueue::look_at(const PacketRef& packet) {
    if (checker_.check(packet) <= Fault::kPayload) {
        rotation_.store().free({&packet, 1});
        return;
    }
    rotation_.put(packet);
}

// An ARP request becomes its own answer: whatever address is asked for is here. Announcements are none.
void FlowgenQueue::take_unusual(const PacketRef& packet) {
    counters_.others.add(1);
    const packet::Bytes frame{packet.data, packet.length};
    const auto ethernet = packet::EthernetView::at(frame);
    const bool is_arp = ethernet && ethernet->type() == packet::kEtherArp;
    const auto arp = is_arp ? packet::ArpView::at(ethernet->payload()) : std::nullopt;
    if (!arp) {
        checker_.faults().add(Fault::kForeign);
    }
    if (!arp || arp->operation() != packet::ArpView::kRequest || arp->sender() == arp->target() ||
        answers_.size() == kMostAnswers) {
        rotation_.store().free({&packet, 1});
        return;
    }
    packet::ArpMessage answer;
    answer.operation = packet::ArpView::kReply;
    answer.sender_mac = station_;
    answer.sender = arp->target();
    answer.target_mac = arp->sender_mac();
    answer.target = arp->sender();
    PacketRef reply = packet;
    reply.in_link = link_;
    reply.flags = reply.hops = 0;
    reply.next_hop = {};
    packet::build_arp(reply, answer.target_mac, {}, answer);
    answers_.push_back(reply);
}

Result<std::unique_ptr<FlowgenDevice>> FlowgenDevice::create(const FlowgenPlan& plan) {
    std::unique_ptr<FlowgenDevice> device(new FlowgenDevice);
    device->mac_ = make_mac(plan.index, 0);
    device->station_ = make_mac(plan.index, 1);
    device->queue_ = std::make_unique<FlowgenQueue>(plan, device->mac_, device->station_);
    if (auto made = device->queue_->create_tables(); !made) {
        return tl::unexpected(made.error());
    }
    return device;
}

// As the appliance sees it: what the far end found wrong was sent wrong.
dataplane::DeviceStats FlowgenDevice::stats() const {
    const FlowgenCounters& c = queue_->counters();
    dataplane::DeviceStats stats;
    stats.rx_packets = c.sent.read();
    stats.rx_bytes = c.sent_bytes.read();
    stats.tx_packets = c.received.read() + c.others.read();
    stats.tx_bytes = c.received_bytes.read();
    stats.tx_errors = queue_->checker().faults().total();
    stats.no_buffer = c.no_buffers.read();
    return stats;
}

}  // namespace sekisho::flowgen
