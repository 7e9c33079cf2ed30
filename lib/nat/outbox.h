// Outbox: messages that found no room in their ring, in order, until they do.
//
//   Law       messages to one shard keep their order: while some wait, later ones wait behind them.
//             Nothing is lost: the number of messages under way is bounded by the callers (one
//             request a waiting subscriber, kMaxRecalls recalls a home), and `capacity` covers it.
//   Cost      O(1) a message. Thread: the shard's worker.
#pragma once

#include <cstdint>
#include <vector>

#include "base/types.h"
#include "nat/messages.h"

namespace sekisho::nat {

class Outbox {
  public:
    Outbox() = default;
    Outbox(unsigned shards, size_t capacity) : nodes_(capacity), queues_(shards) {
        for (uint32_t i = 0; i < capacity; ++i) {
            nodes_[i].next = i + 1 < capacity ? i + 1 : kNoIndex;
        }
        free_ = capacity == 0 ? kNoIndex : 0;
        room_ = capacity;
    }

    void connect(MessageSink* sink) { sink_ = sink; }
    // How many more messages can wait.
    size_t room() const { return room_; }

    // False only if the bound was broken: a bug.
    [[nodiscard]] bool send(ShardId to, const ShardMessage& message) {
        Queue& q = queues_[to.value];
        if (q.first == kNoIndex && sink_ != nullptr && sink_->send(to, message)) {
            return true;
        }
        if (free_ == kNoIndex) {
            return false;
        }
        const uint32_t n = free_;
        free_ = nodes_[n].next;
        --room_;
        nodes_[n] = {message, kNoIndex};
        (q.first == kNoIndex ? q.first : nodes_[q.last].next) = n;
        q.last = n;
        return true;
    }

    // Tries again, queue by queue.
    void flush() {
        if (room_ == nodes_.size() || sink_ == nullptr) {
            return;
        }
        for (size_t s = 0; s < queues_.size(); ++s) {
            Queue& q = queues_[s];
            while (q.first != kNoIndex &&
                   sink_->send(ShardId{static_cast<uint8_t>(s)}, nodes_[q.first].message)) {
                const uint32_t n = q.first;
                q.first = nodes_[n].next;
                nodes_[n].next = free_;
                free_ = n;
                ++room_;
            }
        }
    }

  private:
    struct Node {
        ShardMessage message;
        uint32_t next = kNoIndex;
    };
    struct Queue {
        uint32_t first = kNoIndex;
        uint32_t last = kNoIndex;
    };
    MessageSink* sink_ = nullptr;
    std::vector<Node> nodes_;
    std::vector<Queue> queues_;
    uint32_t free_ = kNoIndex;
    size_t room_ = 0;
};

}  // namespace sekisho::nat
