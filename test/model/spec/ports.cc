#include "ports.h"

#include <algorithm>

#include <fmt/format.h>

namespace sekisho::spec {
namespace {

constexpr Time kTimerSlack = 3000;  // timers fire in slots of half a second, one after the other

bool will_do(uint16_t port, Wish wish) {
    return wish == Wish::kAny || (port % 2 == 0) == (wish == Wish::kEven);
}

std::string name(const Endpoint& e) {
    const Address a = e.address;
    return fmt::format("{}.{}.{}.{}:{}", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255, e.port);
}

}  // namespace

Ports::Ports(const Pool& pool) : pool_(pool) {
    for (unsigned a = 0; a < pool.addresses && !pool.preserve; ++a) {
        for (unsigned port = pool.first_port; port <= pool.last_port; ++port) {
            if (!pool.reserved.contains(static_cast<uint16_t>(port))) {
                blocks_[{pool.first + a, port / pool.block_size}];
            }
        }
    }
}

// After 255 quarantines the pipeline's epochs may have come round (port_block.h), so nothing is sure.
Chance Ports::has_rested(const std::optional<Freed>& freed, Time now) const {
    if (!freed || pool_.quarantine == 0) {
        return Chance::kSure;
    }
    const Time least = now - freed->to;
    if (least >= 2 * pool_.quarantine && least < 250 * pool_.quarantine) {
        return Chance::kSure;
    }
    return now - freed->from >= pool_.quarantine ? Chance::kMaybe : Chance::kNo;
}

Chance Ports::may_give(Proto protocol, const Endpoint& external, Time now) const {
    if (used_.contains({protocol, external}) || pool_.reserved.contains(external.port)) {
        return Chance::kNo;
    }
    const auto found = freed_.find({protocol, external});
    return has_rested(found == freed_.end() ? std::nullopt : std::optional(found->second), now);
}

Chance Ports::own_port(
    Address subscriber, Proto protocol, Wish wish, Time now, std::optional<Address> at
) const {
    Chance best = Chance::kNo;
    for (const auto& [block, state] : blocks_) {
        if (state.owner != subscriber || (at && block.first != *at)) {
            continue;
        }
        const unsigned first =
            std::max<unsigned>(block.second * pool_.block_size, pool_.first_port);
        const unsigned end = (block.second + 1) * pool_.block_size;
        for (unsigned port = first; port < end && port <= pool_.last_port; ++port) {
            const auto p = static_cast<uint16_t>(port);
            if (will_do(p, wish)) {
                best = std::max(best, may_give(protocol, {block.first, p}, now));
            }
            if (best == Chance::kSure) {
                return best;
            }
        }
    }
    return best;
}

bool Ports::keeps_range(Proto protocol, uint16_t internal, uint16_t external) const {
    return !pool_.keeps_ranges || protocol == Proto::kIcmp ||
           (internal < 1024) == (external < 1024);
}

// Of a subscriber without mappings it is not known whether it is still paired, and with whom.
Chance Ports::single_port(
    std::optional<Address> paired, Proto protocol, uint16_t internal, Wish wish, Time now
) const {
    const bool is_any_enough = paired || !pool_.is_paired;
    Chance all = is_any_enough ? Chance::kNo : Chance::kSure;
    for (Address a = pool_.first; a < pool_.first + pool_.addresses; ++a) {
        Chance best = Chance::kNo;
        for (unsigned p = pool_.first_port; p <= pool_.last_port && best != Chance::kSure; ++p) {
            const auto port = static_cast<uint16_t>(p);
            if (will_do(port, wish) && keeps_range(protocol, internal, port)) {
                best = std::max(best, may_give(protocol, {a, port}, now));
            }
        }
        if (!pool_.is_paired || !paired || a == *paired) {
            all = is_any_enough ? std::max(all, best) : std::min(all, best);
        }
    }
    return all;
}

std::string Ports::check_single(
    std::optional<Address> paired,
    Proto protocol,
    uint16_t internal,
    const Endpoint& external,
    Time now
) const {
    std::string wrong;
    if (!keeps_range(protocol, internal, external.port)) {
        wrong += "the port's range is not kept; ";
    }
    unsigned sure = 0;
    for (Address a = pool_.first; a < pool_.first + pool_.addresses; ++a) {
        const bool counts = !pool_.is_paired || !paired || a == *paired;
        const bool is_in = internal >= pool_.first_port && internal <= pool_.last_port;
        sure += counts && is_in && may_give(protocol, {a, internal}, now) == Chance::kSure ? 1 : 0;
    }
    const unsigned enough = paired || !pool_.is_paired ? 1 : pool_.addresses;
    if (sure >= enough && external.port != internal) {
        wrong += "the port is not preserved; ";
    }
    return wrong;
}

unsigned Ports::blocks_of(Address subscriber) const {
    return static_cast<unsigned>(std::ranges::count_if(blocks_, [&](const auto& b) {
        return b.second.owner == subscriber;
    }));
}

Chance Ports::new_block(Address subscriber, Time now) const {
    const auto own =
        std::ranges::find_if(blocks_, [&](const auto& b) { return b.second.owner == subscriber; });
    Chance best = Chance::kNo;
    for (const auto& [block, state] : blocks_) {
        const bool is_paired =
            !pool_.is_paired || own == blocks_.end() || own->first.first == block.first;
        if (!is_paired || !state.used.empty()) {
            continue;
        }
        best = std::max(best, state.owner ? has_rested(state.rest, now) : Chance::kSure);
    }
    return best;
}

// NOLINTNEXTLINE(readability-function-size): who, what, and which would do
std::string Ports::take(
    Address subscriber, Proto protocol, const Endpoint& external, Wish wish, Time now
) {
    const auto block = blocks_.find(block_of(external));
    const bool is_in_pool = pool_.has(external.address) && external.port >= pool_.first_port &&
                            external.port <= pool_.last_port &&
                            (pool_.preserve || block != blocks_.end());
    if (!is_in_pool) {
        return name(external) + " is none of the pool's";
    }
    std::string wrong;
    if (pool_.reserved.contains(external.port)) {
        wrong += name(external) + " is reserved; ";
    }
    const auto paired = paired_.find(subscriber);
    if (paired != paired_.end() && paired->second != external.address &&
        own_port(subscriber, protocol, wish, now, paired->second) == Chance::kSure) {
        wrong += name(external) + " was given, and there was a port at the paired address; ";
    }
    if (!pool_.preserve && block->second.owner != subscriber) {
        wrong += name(external) + " lies in a block of somebody else's; ";
    }
    if (used_.contains({protocol, external})) {
        wrong += name(external) + " is in use by another mapping; ";
    } else if (may_give(protocol, external, now) == Chance::kNo) {
        wrong += name(external) + " has not rested; ";
    }
    used_.insert({protocol, external});
    if (!pool_.preserve) {
        block->second.used.insert(protocol);
    }
    return wrong;
}

void Ports::release(Proto protocol, const Endpoint& external, bool rests, Time from, Time now) {
    used_.erase({protocol, external});
    const bool has_rest = rests && pool_.quarantine != 0;
    freed_.erase({protocol, external});
    if (has_rest) {
        freed_[{protocol, external}] = {from, now};
    }
    if (pool_.preserve) {
        return;
    }
    Block& block = blocks_.at(block_of(external));
    block.used.erase(block.used.find(protocol));
    block.empty_since = now;
    if (!has_rest) {
        return;
    }
    block.rest = {std::max(from, block.rest ? block.rest->from : from), now};
}

std::string Ports::put_owner(const BlockName& block, std::optional<Address> owner, Time now) {
    Block& state = blocks_.at(block);
    if (state.owner == owner) {
        return "";
    }
    std::string wrong;
    if (state.owner && !state.used.empty()) {
        wrong = fmt::format("block {} was taken away with ports in use; ", block.second);
    } else if (state.owner && has_rested(state.rest, now) == Chance::kNo) {
        wrong = fmt::format("block {} was taken away and had not rested; ", block.second);
    }
    state.owner = owner;
    state.empty_since = now;
    return wrong;
}

// A subscriber is paired with the address of its first block, as long as it has any.
std::string Ports::observe_pairing(const std::map<BlockName, Address>& owners, Time now) {
    constexpr Time kRecallStands = 10;  // what was asked for in vain is not asked for again at once
    std::string wrong;
    std::erase_if(paired_, [&](const auto& p) {
        return std::ranges::none_of(owners, [&](const auto& o) { return o.second == p.first; });
    });
    const auto is_there = [&](const auto& named) {
        const auto& [block, state] = named;
        const auto owner = owners.find(block);
        if (!state.owner || owner == owners.end()) {
            return !state.owner && owner == owners.end();
        }
        return *state.owner == owner->second && state.used.empty() &&
               state.empty_since + kRecallStands < now &&
               has_rested(state.rest, now) == Chance::kSure;
    };
    for (const auto& [block, owner] : owners) {
        const auto known = blocks_.find(block);
        if (known == blocks_.end() || known->second.owner == owner) {
            continue;
        }
        const auto paired = paired_.insert({owner, block.first}).first;
        const bool is_elsewhere = paired->second != block.first;
        const bool was_one_left = std::ranges::any_of(blocks_, [&](const auto& named) {
            return named.first.first == paired->second && is_there(named);
        });
        if (is_elsewhere && was_one_left) {
            wrong += "a block of another address was granted, and the paired one had some; ";
        }
    }
    return wrong;
}

std::string Ports::observe(const std::vector<HeldBlock>& held, Time now) {
    std::string wrong;
    std::map<BlockName, Address> owners;
    std::map<Address, std::pair<Address, unsigned>> paired;  // address and blocks of a subscriber
    for (const HeldBlock& b : held) {
        if (!pool_.has(b.address)) {
            continue;
        }
        if (!owners.insert({{b.address, b.number}, b.subscriber}).second) {
            wrong += fmt::format("block {} is held twice; ", b.number);
        }
        auto& [address, count] = paired.insert({b.subscriber, {b.address, 0}}).first->second;
        const bool is_right = !pool_.is_paired || address == b.address;
        wrong += is_right ? "" : "a subscriber has blocks of two addresses; ";
        wrong += ++count <= pool_.blocks_per_subscriber ? "" : "a subscriber has too many blocks; ";
        wrong += blocks_.contains({b.address, b.number}) ? "" : "a block without ports is held; ";
    }
    if (pool_.is_soft) {
        wrong += observe_pairing(owners, now);
    }
    for (const auto& [block, state] : blocks_) {
        const auto owner = owners.find(block);
        wrong += put_owner(
            block, owner == owners.end() ? std::nullopt : std::optional(owner->second), now
        );
    }
    return wrong;
}

// Of a block's ports.
unsigned Ports::reserved_in(unsigned block) const {
    const auto first = pool_.reserved.lower_bound(static_cast<uint16_t>(block * pool_.block_size));
    unsigned count = 0;
    for (auto port = first; port != pool_.reserved.end() && *port / pool_.block_size == block;
         ++port) {
        ++count;
    }
    return count;
}

std::string Ports::audit(const std::vector<HeldBlock>& held, Time now) const {
    std::string wrong;
    for (const HeldBlock& b : held) {
        const auto found = blocks_.find({b.address, b.number});
        if (found == blocks_.end()) {
            continue;
        }
        const Block& state = found->second;
        for (const Proto p : kProtos) {
            const auto used = static_cast<unsigned>(state.used.count(p));
            const unsigned marked = used + reserved_in(b.number);
            if (b.in_use[p] != used || b.marked[p] != marked) {
                wrong += fmt::format(
                    "block {} counts {} ports in use and has {} marked; {} are, and {} should be; ",
                    b.number,
                    b.in_use[p],
                    b.marked[p],
                    used,
                    marked
                );
            }
        }
        const Time latest =
            state.empty_since + 2 * pool_.quarantine + pool_.release_delay + kTimerSlack;
        if (state.used.empty() && now > latest) {
            wrong += fmt::format("block {} is empty and was not released; ", b.number);
        }
    }
    return wrong;
}

unsigned Ports::in_use_of(Address subscriber, Proto protocol) const {
    unsigned sum = 0;
    for (const auto& [block, state] : blocks_) {
        sum += state.owner == subscriber ? static_cast<unsigned>(state.used.count(protocol)) : 0;
    }
    return sum;
}

std::pair<size_t, size_t> Ports::resting(Time now) const {
    size_t sure = 0;
    size_t may = 0;
    for (const auto& [port, freed] : freed_) {
        if (used_.contains(port) || has_rested(freed, now) == Chance::kSure) {
            continue;
        }
        ++may;
        sure += has_rested(freed, now) == Chance::kNo ? 1 : 0;
    }
    return {sure, may};
}

}  // namespace sekisho::spec
