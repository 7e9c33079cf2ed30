#include "stream/piece_pool.h"

#include <algorithm>
#include <cassert>

namespace sekisho::stream {

PiecePool::PiecePool(uint32_t blocks, uint32_t streams, uint32_t most)
    : blocks_(std::max(blocks, kGuaranteed * streams)), most_(std::max(most, kGuaranteed)) {
    for (uint32_t i = block_count(); i-- > 0;) {
        blocks_[i].next = free_;
        free_ = i;
    }
    free_blocks_ = block_count();
}

void PiecePool::open(Chain& chain) {
    chain = {};
    promised_ += kGuaranteed;
    assert(promised_ <= free_blocks_);
}

void PiecePool::close(Chain& chain) {
    while (!is_empty(chain)) {
        release_head(chain);
    }
    promised_ -= kGuaranteed;
}

bool PiecePool::has_room(const Chain& chain, uint32_t pieces) const {
    const uint32_t in_tail = chain.tail == kNoIndex ? 0 : kPerBlock - chain.back;
    if (pieces <= in_tail) {
        return true;
    }
    const uint32_t wanted = (pieces - in_tail + kPerBlock - 1) / kPerBlock;
    if (chain.blocks + wanted > most_) {
        return false;
    }
    const uint32_t own = chain.blocks < kGuaranteed ? kGuaranteed - chain.blocks : 0;
    return wanted <= own || wanted - own <= free_blocks_ - promised_;
}

void PiecePool::add(Chain& chain, Piece piece) {
    if (chain.tail == kNoIndex || chain.back == kPerBlock) {
        const uint32_t block = free_;
        free_ = blocks_[block].next;
        --free_blocks_;
        promised_ -= chain.blocks < kGuaranteed ? 1 : 0;
        blocks_[block].next = kNoIndex;
        (chain.tail == kNoIndex ? chain.head : blocks_[chain.tail].next) = block;
        chain.tail = block;
        chain.back = 0;
        ++chain.blocks;
    }
    Block& block = blocks_[chain.tail];
    block.digests[chain.back] = piece.digest;
    block.lengths[chain.back] = piece.length;
    ++chain.back;
}

void PiecePool::pop_front(Chain& chain) {
    ++chain.front;
    const bool is_last = chain.head == chain.tail;
    if (chain.front == (is_last ? chain.back : kPerBlock)) {
        release_head(chain);
    }
}

void PiecePool::release_head(Chain& chain) {
    const uint32_t block = chain.head;
    chain.head = blocks_[block].next;
    chain.front = 0;
    if (chain.head == kNoIndex) {
        chain.tail = kNoIndex;
        chain.back = 0;
    }
    blocks_[block].next = free_;
    free_ = block;
    ++free_blocks_;
    --chain.blocks;
    promised_ += chain.blocks < kGuaranteed ? 1 : 0;
}

}  // namespace sekisho::stream
