// HeldList: packets that wait until their subscriber's next port block is granted or refused.
//
//   Bounds    `capacity` packets in all, kPerSubscriber for each subscriber, so that one starves none of the others.
//   Order     a subscriber's packets come out in the order in which they went in.
//   Owner     the shard's worker; size() may be read by anyone. It owns its packets.
//   Cost      hold(): a walk over the subscriber's hash chain, at most capacity entries, usually none. Never allocates
//             after it is made.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/counters.h"
#include "base/types.h"
#include "packet/packet.h"

namespace sekisho::dataplane {

class HeldList {
  public:
    static constexpr uint32_t kPerSubscriber = 64;

    explicit HeldList(size_t capacity);

    // False: a bound is reached; the packet stays the caller's.
    [[nodiscard]] bool hold(SubscriberIndex subscriber, const PacketRef& packet);
    // The subscriber's packets are to be judged anew: they move behind those that are ready already.
    void release(SubscriberIndex subscriber);
    // All packets are ready; for the end.
    void release_all();
    bool has_ready() const { return ready_.head != kNoIndex; }
    // Takes the oldest ready packets; returns how many.
    unsigned take_ready(std::span<PacketRef> out);
    size_t size() const { return size_.read(); }

  private:
    struct Node {
        PacketRef packet;
        SubscriberIndex subscriber{kNoIndex};
        uint32_t next = kNoIndex;
    };
    struct Chain {
        uint32_t head = kNoIndex;
        uint32_t tail = kNoIndex;
    };
    void append(Chain& chain, uint32_t node);
    Chain& chain_of(SubscriberIndex subscriber) {
        return chains_[subscriber.value % chains_.size()];
    }

    std::vector<Node> nodes_;
    std::array<Chain, 256> chains_;
    Chain ready_;
    uint32_t free_ = kNoIndex;
    Counter size_;
};

}  // namespace sekisho::dataplane
