#include "nat/home.h"

#include <algorithm>
#include <bit>

#include "nat/shard_pool.h"

namespace sekisho::nat {
namespace {

// Whose ports are all reserved.
std::vector<uint16_t> blocks_without_port(const PoolSettings& pool) {
    const std::vector<uint64_t> bits = reserved_bits(pool);
    const BlockSpan span = block_span(pool);
    const uint32_t size = pool.port_block_size;
    std::vector<uint16_t> numbers;
    for (uint32_t b = span.first; b <= span.last && !bits.empty(); ++b) {
        uint32_t port = std::max<uint32_t>(b * size, pool.ports.first);
        const uint32_t end = std::min((b + 1) * size, pool.ports.last + uint32_t{1});
        while (port < end && (port == 0 || is_reserved(bits, port))) {
            ++port;
        }
        if (port >= end) {
            numbers.push_back(static_cast<uint16_t>(b));
        }
    }
    return numbers;
}

}  // namespace

HomeBlocks::HomeBlocks(
    const NatSettings& settings, const ExternalDirectory& directory, ShardId home
)
    : shards_(directory.shards()), home_(home.value) {
    for (const PoolSettings& pool : settings.pools) {
        // What a formula gives is nobody's to grant.
        const BlockSpan span = pool.port_selection == PortSelection::kDeterministic
                                   ? BlockSpan{1, 0}
                                   : block_span(pool);
        const size_t blocks = span.count();
        pools_.push_back({std::vector<uint32_t>(blocks + 1, kNoIndex), 0, 0, span});
    }
    for (uint32_t e = home_; e < directory.size(); e += shards_) {
        add(directory[ExternalIndex{e}].pool);
    }
    withhold_reserved(settings, 0);
    for (const ExternalDirectory::Reserved& r : directory.reserved()) {
        if (directory[r.external].home == home) {
            reserve(r, true);
        }
    }
    // The last linked comes first in its list: so the lowest address is given first.
    for (size_t a = addresses_.size(); a-- > 0;) {
        link(static_cast<uint32_t>(a));
    }
}

void HomeBlocks::add(PoolId pool) {
    const BlockSpan span = pools_[pool.value].span;
    const auto words = static_cast<uint32_t>(span.last / 64 + 1);
    const auto first_word = static_cast<uint32_t>(free_bits_.size());
    free_bits_.resize(first_word + words, 0);
    fixed_bits_.resize(first_word + words, 0);
    kept_bits_.resize(first_word + words, 0);
    for (uint32_t b = span.first; b <= span.last; ++b) {
        free_bits_[first_word + b / 64] |= uint64_t{1} << (b % 64);
    }
    const auto blocks = static_cast<uint16_t>(span.count());
    addresses_.push_back({first_word, kNoIndex, kNoIndex, blocks, pool});
    pools_[pool.value].free += blocks;
}

void HomeBlocks::open(uint32_t address) {
    Address& a = addresses_[address];
    a.is_open = true;
    pools_[a.pool.value].free += a.free;
    link(address);
}

void HomeBlocks::close(uint32_t address) {
    Address& a = addresses_[address];
    Pool& pool = pools_[a.pool.value];
    unlink(address);
    a.is_open = false;
    pool.free -= a.free;
    lower_most(pool);
}

void HomeBlocks::lower_most(Pool& pool) {
    while (pool.most > 0 && pool.heads[pool.most] == kNoIndex) {
        --pool.most;
    }
}

void HomeBlocks::follow(const NatSettings& settings, const ExternalDirectory& directory) {
    for (uint32_t a = 0; a < addresses_.size(); ++a) {
        const bool is_serving = directory.is_serving(ExternalIndex{a * shards_ + home_});
        if (is_serving != addresses_[a].is_open) {
            is_serving ? open(a) : close(a);
        }
    }
    const auto first = static_cast<uint32_t>(addresses_.size());
    for (uint32_t e = first * shards_ + home_; e < directory.size(); e += shards_) {
        add(directory[ExternalIndex{e}].pool);
    }
    if (addresses_.size() > first) {
        withhold_reserved(settings, first);
        for (size_t a = addresses_.size(); a-- > first;) {
            link(static_cast<uint32_t>(a));
        }
    }
    follow_statics(directory);
}

void HomeBlocks::follow_statics(const ExternalDirectory& directory) {
    const auto is_mine = [&](const ExternalDirectory::Reserved& blocks) {
        return blocks.external.value % shards_ == home_;
    };
    for (const ExternalDirectory::Reserved& blocks : directory.static_change().unfixed) {
        if (is_mine(blocks)) {
            unfix(blocks);
        }
    }
    for (const ExternalDirectory::Reserved& blocks : directory.static_change().fixed) {
        if (is_mine(blocks)) {
            fix(blocks);
        }
    }
}

bool HomeBlocks::is_of_pool(const Address& address, uint16_t block) const {
    const BlockSpan span = pools_[address.pool.value].span;
    return block >= span.first && block <= span.last;
}

// What is out is kept when it comes back.
void HomeBlocks::fix(const ExternalDirectory::Reserved& reserved) {
    const uint32_t address = reserved.external.value / shards_;
    Address& a = addresses_[address];
    for (uint32_t b = reserved.first; b <= reserved.last; ++b) {
        const uint64_t bit = uint64_t{1} << (b % 64);
        const size_t word = a.first_word + b / 64;
        if (!is_of_pool(a, static_cast<uint16_t>(b))) {
            continue;
        }
        fixed_bits_[word] |= bit;
        if ((free_bits_[word] & bit) == 0) {
            continue;
        }
        free_bits_[word] &= ~bit;
        kept_bits_[word] |= bit;
        if (a.is_open) {
            unlink(address);
            --pools_[a.pool.value].free;
        }
        --a.free;
        if (a.is_open) {
            link(address);
            lower_most(pools_[a.pool.value]);
        }
    }
}

void HomeBlocks::unfix(const ExternalDirectory::Reserved& reserved) {
    const uint32_t address = reserved.external.value / shards_;
    const Address& a = addresses_[address];
    for (uint32_t b = reserved.first; b <= reserved.last; ++b) {
        const uint64_t bit = uint64_t{1} << (b % 64);
        const size_t word = a.first_word + b / 64;
        if (!is_of_pool(a, static_cast<uint16_t>(b))) {
            continue;
        }
        fixed_bits_[word] &= ~bit;
        if ((kept_bits_[word] & bit) != 0) {
            kept_bits_[word] &= ~bit;
            make_free(address, static_cast<uint16_t>(b));
        }
    }
}

void HomeBlocks::make_free(uint32_t address, uint16_t block) {
    Address& a = addresses_[address];
    free_bits_[a.first_word + block / 64U] |= uint64_t{1} << (block % 64);
    if (!a.is_open) {
        ++a.free;
        return;
    }
    unlink(address);
    ++a.free;
    ++pools_[a.pool.value].free;
    link(address);
}

uint32_t HomeBlocks::draining(PoolId pool, const ExternalDirectory& directory) const {
    uint32_t count = 0;
    for (uint32_t a = 0; a < addresses_.size() && directory.are_any_draining(); ++a) {
        const ExternalAddress& address = directory[ExternalIndex{a * shards_ + home_}];
        count += address.pool == pool && is_leaving(address.state) ? 1 : 0;
    }
    return count;
}

// Blocks without a port that may be given out, of the addresses from the first on. Before they are linked.
void HomeBlocks::withhold_reserved(const NatSettings& settings, uint32_t first) {
    std::vector<std::vector<uint16_t>> withheld;  // by PoolId
    for (const PoolSettings& pool : settings.pools) {
        withheld.push_back(blocks_without_port(pool));
    }
    for (uint32_t a = first; a < addresses_.size(); ++a) {
        for (const uint16_t number : withheld[addresses_[a].pool.value]) {
            reserve({ExternalIndex{a * shards_ + home_}, number, number}, false);
        }
    }
}

// Before the address is linked. `is_static`: they may be let go.
void HomeBlocks::reserve(const ExternalDirectory::Reserved& reserved, bool is_static) {
    Address& a = addresses_[reserved.external.value / shards_];
    Pool& pool = pools_[a.pool.value];
    const uint32_t last = std::min(reserved.last, pool.span.last);
    for (uint32_t b = std::max(reserved.first, pool.span.first); b <= last; ++b) {
        const uint64_t bit = uint64_t{1} << (b % 64);
        const size_t word = a.first_word + b / 64;
        fixed_bits_[word] |= is_static ? bit : 0;
        if ((free_bits_[word] & bit) != 0) {
            free_bits_[word] &= ~bit;
            kept_bits_[word] |= is_static ? bit : 0;
            --a.free;
            --pool.free;
        }
    }
}

void HomeBlocks::link(uint32_t address) {
    Address& a = addresses_[address];
    Pool& pool = pools_[a.pool.value];
    a.previous = kNoIndex;
    a.next = pool.heads[a.free];
    if (a.next != kNoIndex) {
        addresses_[a.next].previous = address;
    }
    pool.heads[a.free] = address;
    pool.most = std::max<uint32_t>(pool.most, a.free);
}

void HomeBlocks::unlink(uint32_t address) {
    const Address& a = addresses_[address];
    if (a.next != kNoIndex) {
        addresses_[a.next].previous = a.previous;
    }
    if (a.previous != kNoIndex) {
        addresses_[a.previous].next = a.next;
    } else {
        pools_[a.pool.value].heads[a.free] = a.next;
    }
}

ExternalIndex HomeBlocks::find_most(PoolId pool) const {
    const Pool& p = pools_[pool.value];
    if (p.free == 0) {
        return ExternalIndex{kNoIndex};
    }
    return ExternalIndex{p.heads[p.most] * shards_ + home_};
}

uint16_t HomeBlocks::take(ExternalIndex external, uint32_t start) {
    const uint32_t address = external.value / shards_;
    Address& a = addresses_[address];
    if (a.free == 0 || !a.is_open) {
        return kNoBlock;
    }
    Pool& pool = pools_[a.pool.value];
    const uint32_t words = pool.span.last / 64U + 1;
    const uint32_t from = std::min<uint32_t>(start, pool.span.last);
    uint64_t* bits = &free_bits_[a.first_word];
    uint64_t mask = ~uint64_t{0} << (from % 64);
    uint32_t w = from / 64;
    while ((bits[w] & mask) == 0) {
        w = w + 1 == words ? 0 : w + 1;
        mask = ~uint64_t{0};
    }
    const auto bit = static_cast<uint32_t>(std::countr_zero(bits[w] & mask));
    unlink(address);
    bits[w] &= ~(uint64_t{1} << bit);
    --a.free;
    --pool.free;
    link(address);
    lower_most(pool);  // a count moves by one, so this takes one step at most
    return static_cast<uint16_t>(w * 64 + bit);
}

bool HomeBlocks::is_free(ExternalIndex external, uint16_t block) const {
    const Address& a = addresses_[external.value / shards_];
    return (free_bits_[a.first_word + block / 64U] >> (block % 64) & 1) != 0;
}

bool HomeBlocks::is_kept(ExternalIndex external, uint16_t block) const {
    const Address& a = addresses_[external.value / shards_];
    return (kept_bits_[a.first_word + block / 64U] >> (block % 64) & 1) != 0;
}

bool HomeBlocks::give_back(ExternalIndex external, uint16_t block) {
    const uint32_t address = external.value / shards_;
    if (external.value % shards_ != home_ || address >= addresses_.size()) {
        return false;
    }
    const Address& a = addresses_[address];
    if (!is_of_pool(a, block) || is_free(external, block) || is_kept(external, block)) {
        return false;
    }
    const uint64_t bit = uint64_t{1} << (block % 64);
    const size_t word = a.first_word + block / 64U;
    if ((fixed_bits_[word] & bit) != 0) {
        kept_bits_[word] |= bit;
    } else {
        make_free(address, block);
    }
    return true;
}

}  // namespace sekisho::nat
