#include "dataplane/held_list.h"

namespace sekisho::dataplane {

HeldList::HeldList(size_t capacity) : nodes_(capacity) {
    for (size_t i = 0; i < capacity; ++i) {
        nodes_[i].next = free_;
        free_ = static_cast<uint32_t>(i);
    }
}

void HeldList::append(Chain& chain, uint32_t node) {
    nodes_[node].next = kNoIndex;
    if (chain.head == kNoIndex) {
        chain.head = node;
    } else {
        nodes_[chain.tail].next = node;
    }
    chain.tail = node;
}

bool HeldList::hold(SubscriberIndex subscriber, const PacketRef& packet) {
    if (free_ == kNoIndex) {
        return false;
    }
    uint32_t held = 0;
    Chain& chain = chain_of(subscriber);
    for (uint32_t i = chain.head; i != kNoIndex; i = nodes_[i].next) {
        held += nodes_[i].subscriber == subscriber ? 1 : 0;
    }
    if (held >= kPerSubscriber) {
        return false;
    }
    const uint32_t node = free_;
    free_ = nodes_[node].next;
    nodes_[node].packet = packet;
    nodes_[node].subscriber = subscriber;
    append(chain, node);
    size_.add(1);
    return true;
}

void HeldList::release(SubscriberIndex subscriber) {
    Chain& chain = chain_of(subscriber);
    uint32_t node = chain.head;
    chain = Chain{};
    while (node != kNoIndex) {
        const uint32_t next = nodes_[node].next;
        append(nodes_[node].subscriber == subscriber ? ready_ : chain, node);
        node = next;
    }
}

void HeldList::release_all() {
    for (Chain& chain : chains_) {
        uint32_t node = chain.head;
        chain = Chain{};
        while (node != kNoIndex) {
            const uint32_t next = nodes_[node].next;
            append(ready_, node);
            node = next;
        }
    }
}

unsigned HeldList::take_ready(std::span<PacketRef> out) {
    unsigned taken = 0;
    while (taken < out.size() && ready_.head != kNoIndex) {
        const uint32_t node = ready_.head;
        ready_.head = nodes_[node].next;
        out[taken++] = nodes_[node].packet;
        nodes_[node].next = free_;
        free_ = node;
    }
    size_.set(size_.read() - taken);
    return taken;
}

}  // namespace sekisho::dataplane
