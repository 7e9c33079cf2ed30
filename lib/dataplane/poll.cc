// What other threads have sent to a shard: messages, hand-offs, answers of the slow path, requests of the control thread.
#include "dataplane/shard.h"
#include "packet/build.h"

namespace sekisho::dataplane {
namespace {

constexpr unsigned kHandOffsAPoll = 8;   // bursts from each shard: its worker may have many queues
constexpr unsigned kMessagesAPoll = 64;  // from each shard
constexpr unsigned kBackAPoll = 64;
constexpr uint32_t kTimersAPoll = 64;

}  // namespace

unsigned Shard::poll(Tick now) {
    unsigned work = 0;
    work += poll_messages(now);
    work += resume_held(now);
    work += poll_hand_offs(now);
    work += poll_back(now);
    work += poll_control(now);
    nat_->advance(now, kTimersAPoll);
    nat_->end_of_burst();
    work += resume_held(now);
    work += answer_unsolicited_syns(now);
    work += fragments_.advance(now, kTimersAPoll);
    work += scanned_ != nullptr ? scanned_->advance(now, kTimersAPoll) : 0;
    free_ended();
    free_now();
    work += resume_kept(now);
    sweep();
    gauges_.sessions.set(nat_->session_count());
    gauges_.mappings.set(nat_->mapping_count());
    gauges_.subscribers.set(nat_->subscriber_count());
    return work;
}

// Messages are always taken, whatever the way out looks like: the NAT keeps what finds no room, and two shards that waited
// for each other's room would wait for ever. Who was waiting for a block runs before the next message is looked at, because
// that may be the recall of this very block.
unsigned Shard::poll_messages(Tick now) {
    unsigned handled = 0;
    for (unsigned from = 0; from < tables_.shards; ++from) {
        auto& ring = plan_.fabric->message(ShardId{static_cast<uint8_t>(from)}, tables_.self);
        nat::ShardMessage message;
        for (unsigned n = 0; n < kMessagesAPoll && ring.pop(message); ++n) {
            nat_->handle(message, now);
            resume_held(now);
            ++handled;
        }
    }
    return handled;
}

unsigned Shard::poll_hand_offs(Tick now) {
    unsigned taken = 0;
    const auto run_burst = [&](auto& ring) {
        const size_t count = ring.pop(std::span(other_.batch.ref));
        if (count == 0) {
            return false;
        }
        other_.batch.count = static_cast<uint32_t>(count);
        run_loaded(Origin::kHandedOff, now);
        resume_kept(now);
        taken += static_cast<unsigned>(count);
        return true;
    };
    for (unsigned from = 0; from < tables_.shards; ++from) {
        auto& ring = plan_.fabric->hand_off(ShardId{static_cast<uint8_t>(from)}, tables_.self);
        for (unsigned n = 0; n < kHandOffsAPoll && run_burst(ring); ++n) {
        }
    }
    return taken;
}

// A packet may have to wait again, so the number of passes is bounded.
unsigned Shard::resume_held(Tick now) {
    unsigned resumed = 0;
    for (size_t bound = held_.size(); resumed < bound && held_.has_ready();) {
        const unsigned count = held_.take_ready(std::span(other_.batch.ref));
        other_.batch.count = count;
        run_loaded(Origin::kResumed, now);
        resume_kept(now);
        resumed += count;
    }
    return resumed;
}

// Those whose first fragment has come; none of them waits here again. A first one may come out of resume_held(), too.
unsigned Shard::resume_kept(Tick now) {
    unsigned resumed = 0;
    while (fragments_.has_ready()) {
        const unsigned count = fragments_.take_ready(std::span(other_.batch.ref));
        other_.batch.count = count;
        run_loaded(Origin::kResumed, now);
        resumed += count;
    }
    return resumed + (scanned_ != nullptr ? resume_streams(now) : 0);
}

// Datagrams that are whole, and segments that follow what has passed now. Each may be what others wait for.
unsigned Shard::resume_streams(Tick now) {
    unsigned resumed = 0;
    while (scanned_->fragments().has_complete() || scanned_->has_ready()) {
        other_.batch.count = scanned_->take_ready(std::span(other_.batch.ref));
        put_together();
        resumed += other_.batch.count;
        run_loaded(Origin::kResumed, now);
    }
    return resumed;
}

// What is whole, as far as there is room in the burst.
void Shard::put_together() {
    Assembler& fragments = scanned_->fragments();
    while (fragments.has_complete() && other_.batch.count < kBurst) {
        const auto pieces = fragments.take_complete();
        PacketRef whole = plan_.store->allocate();
        if (whole.handle == nullptr) {
            counters_.drop(DropReason::kNoBuffer, pieces.size());
        } else {
            join(pieces, whole);
            counters_.consumed.add(pieces.size());
            counters_.generated.add(1);
            other_.batch.ref[other_.batch.count++] = whole;
        }
        for (const Assembler::Piece& piece : pieces) {
            free_later(piece.packet);
        }
    }
}

unsigned Shard::poll_back(Tick now) {
    auto& ring = plan_.fabric->back(tables_.self);
    Back back;
    unsigned taken = 0;
    while (taken < kBackAPoll && ring.pop(back)) {
        ++taken;
        take_back(back);
        if (own_count_ == kBurst) {
            run_answers(now);
        }
    }
    run_answers(now);
    return taken;
}

void Shard::run_answers(Tick now) {
    if (own_count_ > 0) {
        load(other_, std::span(own_).first(own_count_));
        own_count_ = 0;
        run_own(other_, now);
        run_again(now);
    }
    free_now();
}

void Shard::take_back(const Back& back) {
    count_back(back);
    switch (back.kind) {
        case Back::kNeighbour:
            hops_.put(back.update);
            return;
        case Back::kSend:
        case Back::kAnswer:
        case Back::kGeneratedSend:
            return take_answer(back);
        case Back::kConsumed:
        case Back::kDropped:
        case Back::kFree:
            return free_later(back.packet);
        case Back::kArpRequest:
            return send_arp_request(back);
    }
}

void Shard::count_back(const Back& back) {
    if (back.kind == Back::kConsumed || back.kind == Back::kAnswer) {
        counters_.consumed.add(1);
    }
    if (back.kind == Back::kAnswer || back.kind == Back::kGeneratedSend) {
        counters_.generated.add(1);
    }
    if (back.kind == Back::kDropped) {
        counters_.drop(static_cast<DropReason>(back.reason));
    }
}

// An ARP frame is complete; an IPv4 packet is still to be routed.
void Shard::take_answer(const Back& back) {
    if (back.l3_offset == 0) {
        plan_.transmitter->transmit(links_[back.packet.in_link.value].device, back.packet);
        return;
    }
    own_[own_count_++] = back.packet;
}

// The slow path has no buffers; it asks again when there was none here.
void Shard::send_arp_request(const Back& back) {
    PacketRef packet = plan_.store->allocate();
    if (packet.handle == nullptr) {
        return;
    }
    const Link& link = plan_.network->link(back.update.entry.link);
    packet::ArpMessage message;
    message.sender_mac = link.mac;
    message.sender = back.sender;
    message.target = back.update.entry.address;
    packet::build_arp(packet, back.update.entry.mac, link.vlans, message);
    packet.in_link = back.update.entry.link;
    packet.flags = packet::kGenerated | packet::kCounted;
    counters_.generated.add(1);
    plan_.transmitter->transmit(static_cast<unsigned>(link.device), packet);
}

}  // namespace sekisho::dataplane
