#include "nat/empty_blocks.h"

namespace sekisho::nat {

EmptyBlocks::EmptyBlocks(const ExternalDirectory& directory, size_t pools)
    : directory_(&directory),
      lists_(directory.capacity()),
      heads_(pools * directory.shards(), kNoIndex) {}

uint32_t& EmptyBlocks::head_of(uint32_t external) {
    const ExternalAddress& a = (*directory_)[ExternalIndex{external}];
    return heads_[size_t{a.pool.value} * directory_->shards() + a.home.value];
}

void EmptyBlocks::push(PortBlockTable& blocks, uint32_t block, bool is_rested) {
    PortBlock& b = blocks[block];
    List& list = lists_[b.external];
    if (list.first == kNoIndex) {
        uint32_t& head = head_of(b.external);
        list.previous = kNoIndex;
        list.next = head;
        if (head != kNoIndex) {
            lists_[head].previous = b.external;
        }
        head = b.external;
    }
    b.empty_previous = is_rested ? kNoIndex : list.last;
    b.empty_next = is_rested ? list.first : kNoIndex;
    (b.empty_previous == kNoIndex ? list.first : blocks[b.empty_previous].empty_next) = block;
    (b.empty_next == kNoIndex ? list.last : blocks[b.empty_next].empty_previous) = block;
}

void EmptyBlocks::remove(PortBlockTable& blocks, uint32_t block) {
    const PortBlock& b = blocks[block];
    List& list = lists_[b.external];
    (b.empty_previous == kNoIndex ? list.first : blocks[b.empty_previous].empty_next) =
        b.empty_next;
    (b.empty_next == kNoIndex ? list.last : blocks[b.empty_next].empty_previous) = b.empty_previous;
    if (list.first != kNoIndex) {
        return;
    }
    (list.previous == kNoIndex ? head_of(b.external) : lists_[list.previous].next) = list.next;
    if (list.next != kNoIndex) {
        lists_[list.next].previous = list.previous;
    }
}

uint32_t EmptyBlocks::find_in(
    PortBlockTable& blocks, uint32_t external, RestClock& clock, unsigned& looked
) const {
    for (uint32_t b = lists_[external].first; b != kNoIndex && looked < kLooked;
         b = blocks[b].empty_next) {
        ++looked;
        if (blocks.is_rested(b, clock)) {
            return b;
        }
    }
    return kNoIndex;
}

uint32_t EmptyBlocks::find_rested(
    PortBlockTable& blocks, ExternalIndex external, PoolId pool, ShardId home, RestClock& clock
) const {
    unsigned looked = 0;
    if (external.value != kNoIndex) {
        return find_in(blocks, external.value, clock, looked);
    }
    uint32_t e = heads_[size_t{pool.value} * directory_->shards() + home.value];
    for (; e != kNoIndex && looked < kLooked; e = lists_[e].next) {
        const uint32_t b = find_in(blocks, e, clock, looked);
        if (b != kNoIndex) {
            return b;
        }
    }
    return kNoIndex;
}

}  // namespace sekisho::nat
