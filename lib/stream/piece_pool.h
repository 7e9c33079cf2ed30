// PiecePool: what is remembered of the bytes that a stream has scanned and that may come again: for each piece of them, in
// order, its length and its digest.
//
//   Shape     blocks of one cache line, kPerBlock pieces each, in one array that is made at start; a stream's blocks are a chain,
//             filled at its end and emptied at its front.
//   Bounds    kGuaranteed blocks are there for every stream that is open, whatever the others do; beyond that one has up to
//             `most` while there are more than what is promised to the others.
//   Errors    add(): false, nothing is changed.
//   Cost      add: a step a piece. A walk: a step a piece. Never allocates after it is made.
//   Owner     one worker.
#pragma once

#include <cstdint>
#include <vector>

#include "base/types.h"

namespace sekisho::stream {

class PiecePool {
  public:
    static constexpr unsigned kPerBlock = 10;
    static constexpr uint32_t kGuaranteed = 4;

    struct Piece {
        uint16_t length = 0;  // at least 1
        uint32_t digest = 0;
    };
    // A stream's chain. 16 bytes; a value of its owner, who opens and closes it.
    struct Chain {
        uint32_t head = kNoIndex;
        uint32_t tail = kNoIndex;
        uint32_t blocks = 0;
        uint16_t front = 0;  // of head: the first piece that is still there
        uint16_t back = 0;   // of tail: behind the last
    };

    // `blocks`: raised to kGuaranteed for each of `streams`.
    PiecePool(uint32_t blocks, uint32_t streams, uint32_t most);

    // At most `streams` are open at a time.
    void open(Chain& chain);
    void close(Chain& chain);

    // Whether so many pieces more have room.
    bool has_room(const Chain& chain, uint32_t pieces) const;
    // has_room() was asked.
    void add(Chain& chain, Piece piece);
    bool is_empty(const Chain& chain) const { return chain.head == kNoIndex; }
    Piece front(const Chain& chain) const { return at({chain.head, chain.front}); }
    void pop_front(Chain& chain);

    // A walk from the front: while not is_end().
    struct Place {
        uint32_t block;
        uint16_t piece;
    };
    static Place begin(const Chain& chain) { return {chain.head, chain.front}; }
    static bool is_end(const Chain& chain, Place place) {
        return place.block == kNoIndex || (place.block == chain.tail && place.piece == chain.back);
    }
    Place next(Place place) const {
        return place.piece + 1U < kPerBlock
                   ? Place{place.block, static_cast<uint16_t>(place.piece + 1)}
                   : Place{blocks_[place.block].next, 0};
    }
    Piece at(Place place) const {
        const Block& block = blocks_[place.block];
        return {block.lengths[place.piece], block.digests[place.piece]};
    }

    uint32_t free_blocks() const { return free_blocks_; }
    uint32_t block_count() const { return static_cast<uint32_t>(blocks_.size()); }
    uint64_t bytes() const { return blocks_.size() * sizeof(Block); }

  private:
    struct alignas(64) Block {
        uint32_t digests[kPerBlock];
        uint16_t lengths[kPerBlock];
        uint32_t next;
    };
    static_assert(sizeof(Block) == 64);

    void release_head(Chain& chain);

    std::vector<Block> blocks_;
    uint32_t most_;
    uint32_t free_ = kNoIndex;
    uint32_t free_blocks_ = 0;
    uint32_t promised_ = 0;  // to streams that have fewer than kGuaranteed
};

}  // namespace sekisho::stream
