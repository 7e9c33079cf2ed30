#include "nat/lease.h"

namespace sekisho::nat {
namespace {

constexpr uint32_t kByMapping = 0;
constexpr uint32_t kBySubscriber = 1;

}  // namespace

LeaseTable::LeaseTable(const Memory& memory, const HashSecret& secret, Tick now)
    : records_(memory.records),
      index_(memory.index, memory.records.size() * 2),
      wheel_(memory.wheel, memory.records.size(), now),
      secret_(secret),
      now_(now) {}

uint32_t LeaseTable::find(uint32_t mapping) const {
    if (records_.size() == 0) {
        return kNoIndex;
    }
    const uint32_t value = index_.find(hash_of(mapping, kByMapping), [&](uint32_t v) {
        return (v & 1) == kByMapping && records_[v >> 1].mapping == mapping;
    });
    return value == kNoIndex ? kNoIndex : value >> 1;
}

uint32_t LeaseTable::first_of(uint32_t subscriber) const {
    if (records_.size() == 0) {
        return kNoIndex;
    }
    const uint32_t value = index_.find(hash_of(subscriber, kBySubscriber), [&](uint32_t v) {
        return (v & 1) == kBySubscriber && records_[v >> 1].subscriber == subscriber;
    });
    return value == kNoIndex ? kNoIndex : value >> 1;
}

uint32_t LeaseTable::count_of(uint32_t subscriber) const {
    const uint32_t first = first_of(subscriber);
    return first == kNoIndex ? 0 : records_[first].count;
}

// The new one is its subscriber's first, and takes the former first one's place in the index.
uint32_t LeaseTable::add(uint32_t mapping, uint32_t subscriber, const LeaseNonce& nonce, Tick end) {
    if (!has_room()) {
        return kNoIndex;
    }
    const uint32_t former = first_of(subscriber);
    const uint32_t lease = records_.allocate();
    const uint64_t by_mapping = hash_of(mapping, kByMapping);
    const uint64_t by_subscriber = hash_of(subscriber, kBySubscriber);
    if (former != kNoIndex) {
        index_.erase(by_subscriber, former << 1 | kBySubscriber);
    }
    const bool is_found = index_.insert(by_mapping, lease << 1 | kByMapping) &&
                          index_.insert(by_subscriber, lease << 1 | kBySubscriber);
    if (!is_found) {  // has_room() was wrong: a bug of the index; the list stays as it was
        index_.erase(by_mapping, lease << 1 | kByMapping);
        if (former != kNoIndex) {
            (void)index_.insert(by_subscriber, former << 1 | kBySubscriber);
        }
        records_[lease].state = 0;
        records_.release(lease);
        return kNoIndex;
    }
    Lease& l = records_[lease];
    l = Lease{};
    l.mapping = mapping;
    l.subscriber = subscriber;
    l.end_ms = end.ms;
    l.previous = kNoIndex;
    l.next = former;
    l.nonce = nonce;
    l.count = 1;
    if (former != kNoIndex) {
        records_[former].previous = lease;
        l.count = static_cast<uint16_t>(records_[former].count + 1);
    }
    l.state = 1;
    wheel_.schedule(lease, end);
    return lease;
}

void LeaseTable::renew(uint32_t lease, Tick end) {
    records_[lease].end_ms = end.ms;
    wheel_.schedule(lease, end);
}

void LeaseTable::remove(uint32_t lease) {
    Lease& l = records_[lease];
    const uint32_t first = first_of(l.subscriber);
    const auto left = static_cast<uint16_t>(records_[first].count - 1);
    index_.erase(hash_of(l.mapping, kByMapping), lease << 1 | kByMapping);
    wheel_.cancel(lease);
    if (l.next != kNoIndex) {
        records_[l.next].previous = l.previous;
    }
    if (l.previous != kNoIndex) {
        records_[l.previous].next = l.next;
        records_[first].count = left;
    } else {
        const uint64_t by_subscriber = hash_of(l.subscriber, kBySubscriber);
        index_.erase(by_subscriber, lease << 1 | kBySubscriber);
        if (l.next != kNoIndex) {
            records_[l.next].count = left;
            (void)index_.insert(by_subscriber, l.next << 1 | kBySubscriber);
        }
    }
    l.state = 0;
    records_.release(lease);
}

}  // namespace sekisho::nat
