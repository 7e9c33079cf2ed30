#include "nat/single_ports.h"

#include <algorithm>
#include <bit>

#include "nat/shard_pool.h"

namespace sekisho::nat {

SinglePorts::SinglePorts(
    const NatSettings& settings, const ExternalDirectory& directory, ShardId home
)
    : shards_(directory.shards()), home_(home.value) {
    const bool has_any = std::ranges::any_of(settings.pools, has_single_ports);
    for (uint32_t e = home.value; has_any && e < directory.size(); e += shards_) {
        const PoolSettings& pool = settings.pools[directory[ExternalIndex{e}].pool.value];
        Address& address = addresses_.emplace_back();
        if (has_single_ports(pool)) {
            add(pool, address);
        }
    }
    for (std::vector<uint64_t>& kind : may_have_) {
        kind.resize(addresses_.size() / 64 + 1);
    }
    for (size_t p = 0; p < settings.pools.size(); ++p) {
        const PoolId pool{static_cast<uint16_t>(p)};
        const uint32_t begin = directory.first_of(pool).value;
        const uint32_t skipped = (home_ + shards_ - begin % shards_) % shards_;
        const auto all = static_cast<uint32_t>(directory.count_of(pool));
        const uint32_t count = all > skipped ? (all - skipped + shards_ - 1) / shards_ : 0;
        parts_.push_back({(begin + skipped) / shards_, count});
    }
    std::vector<StaticEntry> entries = directory.statics().entries();
    for (size_t i = 0; i < directory.triggers().size(); ++i) {
        for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
            entries.push_back(directory.triggers().entry(i));
            entries.back().protocol = protocol;
        }
    }
    for (const StaticEntry& entry : entries) {
        const ExternalIndex external = directory.find(entry.external);
        if (has_any && external.value != kNoIndex && directory[external].home == home) {
            fix(external, entry);
        }
    }
}

void SinglePorts::add(const PoolSettings& pool, Address& address) {
    const PortRange ports = single_ports(pool);
    const std::vector<uint64_t> reserved = reserved_bits(pool);
    address.first_word = bits_.size();
    address.words = ports.last / 64U + 1;
    bits_.resize(bits_.size() + kProtocolSlots * words_of_slot(address.words), 0);
    for (unsigned slot = 0; slot < kProtocolSlots; ++slot) {
        mark_range_free(maps_of(address, slot), ports, reserved);
    }
}

void SinglePorts::mark_range_free(
    const Maps& maps, PortRange ports, const std::vector<uint64_t>& reserved
) {
    for (uint32_t port = ports.first; port <= ports.last; ++port) {
        if (!is_reserved(reserved, port)) {
            mark_free(maps, port);
        }
    }
}

void SinglePorts::follow_statics(const ExternalDirectory& directory) {
    const auto is_mine = [&](ExternalIndex external) {
        return !addresses_.empty() && external.value % shards_ == home_ &&
               external.value / shards_ < addresses_.size();
    };
    for (const auto& [external, entry] : directory.static_change().let_go) {
        if (is_mine(external)) {
            unfix(directory, external, entry);
        }
    }
    for (const auto& [external, entry] : directory.static_change().added) {
        if (is_mine(external)) {
            fix(external, entry);
        }
    }
}

void SinglePorts::fix(ExternalIndex external, const StaticEntry& entry) {
    Address& address = address_of(external);
    const auto [first, last] = entry.external_ports();
    for (uint32_t port = first; port <= last && port / 64 < address.words; ++port) {
        fix_port(address, protocol_slot(entry.protocol), port);
    }
}

// What is free or rests is here; the rest is out, or reserved.
void SinglePorts::fix_port(Address& address, unsigned slot, uint32_t port) {
    const auto number = static_cast<uint32_t>(&address - addresses_.data());
    Fixed& fixed = fixed_[number * kProtocolSlots + slot];
    fixed.fixed.resize(address.words);
    fixed.kept.resize(address.words);
    const Maps maps = maps_of(address, slot);
    const uint64_t bit = uint64_t{1} << (port % 64);
    const size_t word = port / 64;
    fixed.fixed[word] |= bit;
    if (((maps.free[word] | maps.now[word] | maps.before[word]) & bit) != 0) {
        fixed.kept[word] |= bit;
        mark_taken(maps, port);
        maps.now[word] &= ~bit;
        maps.before[word] &= ~bit;
    }
}

// But for ports that another entry has.
void SinglePorts::unfix(
    const ExternalDirectory& directory, ExternalIndex external, const StaticEntry& entry
) {
    Address& address = address_of(external);
    const unsigned slot = protocol_slot(entry.protocol);
    const uint32_t number = external.value / shards_;
    const auto found = fixed_.find(number * kProtocolSlots + slot);
    if (found == fixed_.end()) {
        return;
    }
    const Maps maps = maps_of(address, slot);
    const auto [first, last] = entry.external_ports();
    for (uint32_t port = first; port <= last && port / 64 < address.words; ++port) {
        const uint64_t bit = uint64_t{1} << (port % 64);
        const Port external_port = Port::from_host(static_cast<uint16_t>(port));
        if (directory.is_fixed(entry.external, external_port, entry.protocol)) {
            continue;
        }
        found->second.fixed[port / 64] &= ~bit;
        if ((found->second.kept[port / 64] & bit) != 0) {
            found->second.kept[port / 64] &= ~bit;
            mark_free(maps, port);
            may_have_[kind_of(slot, port)][number / 64] |= uint64_t{1} << (number % 64);
        }
    }
}

bool SinglePorts::keep(ExternalIndex external, unsigned slot, uint16_t port) {
    const auto found = fixed_.find(external.value / shards_ * kProtocolSlots + slot);
    const uint64_t bit = uint64_t{1} << (port % 64);
    if (found == fixed_.end() || (found->second.fixed[port / 64U] & bit) == 0) {
        return false;
    }
    found->second.kept[port / 64U] |= bit;
    return true;
}

SinglePorts::Maps SinglePorts::maps_of(const Address& address, unsigned slot) {
    const uint32_t words = address.words;
    uint64_t* first = bits_.data() + address.first_word + slot * words_of_slot(words);
    return {first, first + words, first + 2 * size_t{words}, first + 3 * size_t{words}, words};
}

void SinglePorts::mark_free(const Maps& maps, uint32_t port) {
    maps.free[port / 64] |= uint64_t{1} << (port % 64);
    maps.summary[port / 4096] |= uint64_t{1} << (port / 64 % 64);
}

void SinglePorts::mark_taken(const Maps& maps, uint32_t port) {
    maps.free[port / 64] &= ~(uint64_t{1} << (port % 64));
    if (maps.free[port / 64] == 0) {
        maps.summary[port / 4096] &= ~(uint64_t{1} << (port / 64 % 64));
    }
}

// What rested before is free in the next epoch, all that rested in any later one.
void SinglePorts::look(Address& address, const RestClock& clock) {
    const uint32_t passed = clock.epochs() - address.epoch;
    if (passed == 0) {
        return;
    }
    address.epoch = clock.epochs();
    for (unsigned slot = 0; slot < kProtocolSlots; ++slot) {
        const Maps maps = maps_of(address, slot);
        for (uint32_t w = 0; w < maps.words; ++w) {
            const uint64_t kept = passed == 1 ? maps.now[w] : 0;
            maps.free[w] |= maps.before[w] | (maps.now[w] & ~kept);
            maps.before[w] = kept;
            maps.now[w] = 0;
            maps.summary[w / 64] |= uint64_t{maps.free[w] != 0} << (w % 64);
        }
    }
}

// Through the summary, so that full words cost nothing.
uint32_t SinglePorts::find(const Maps& maps, uint32_t from, uint32_t to, PortWish parity) {
    uint64_t mask = ~uint64_t{0} << (from % 64);
    for (uint32_t w = from / 64; w <= to / 64;) {
        const uint64_t free = granted(maps.free[w], parity) & mask;
        if (free != 0) {
            const uint32_t port = w * 64 + static_cast<uint32_t>(std::countr_zero(free));
            return port <= to ? port : kNoPort;
        }
        mask = ~uint64_t{0};
        ++w;
        while (w < maps.words && (maps.summary[w / 64] >> (w % 64)) == 0) {
            w = (w / 64 + 1) * 64;
        }
        if (w < maps.words) {
            w += static_cast<uint32_t>(std::countr_zero(maps.summary[w / 64] >> (w % 64)));
        }
    }
    return kNoPort;
}

bool SinglePorts::is_free(
    ExternalIndex external, unsigned slot, uint16_t port, const RestClock& clock
) {
    Address& address = address_of(external);
    if (port / 64U >= address.words) {
        return false;
    }
    look(address, clock);
    return (maps_of(address, slot).free[port / 64U] >> (port % 64) & 1) != 0;
}

bool SinglePorts::take(
    ExternalIndex external, unsigned slot, uint16_t port, const RestClock& clock
) {
    if (!is_free(external, slot, port, clock)) {
        return false;
    }
    mark_taken(maps_of(address_of(external), slot), port);
    return true;
}

uint16_t SinglePorts::take_any(
    ExternalIndex external, const SingleWish& wish, uint16_t start, const RestClock& clock
) {
    Address& address = address_of(external);
    look(address, clock);
    const Maps maps = maps_of(address, wish.slot);
    const uint32_t end = std::min<uint32_t>(wish.range.last + 1U, maps.words * 64);
    const uint32_t from = std::min<uint32_t>(start, end);
    uint32_t port = from < end ? find(maps, from, end - 1, wish.parity) : kNoPort;
    if (port == kNoPort && from > wish.range.first) {
        port = find(maps, wish.range.first, from - 1, wish.parity);
    }
    if (port == kNoPort) {
        const uint32_t at = external.value / shards_;
        for (uint32_t kinds = kinds_of(wish); kinds != 0; kinds &= kinds - 1) {
            may_have_[static_cast<size_t>(std::countr_zero(kinds))][at / 64] &=
                ~(uint64_t{1} << (at % 64));
        }
        return 0;
    }
    mark_taken(maps, port);
    return static_cast<uint16_t>(port);
}

uint32_t SinglePorts::kinds_of(const SingleWish& wish) {
    uint32_t kinds = 0;
    for (const uint32_t port : {0U, 1U, uint32_t{kFirstHighPort}, kFirstHighPort + 1U}) {
        const bool is_low = port < kFirstHighPort;
        const bool is_in =
            is_low ? wish.range.first < kFirstHighPort : wish.range.last >= kFirstHighPort;
        const bool has_parity =
            wish.parity == PortWish::kAny || (port % 2 != 0) == (wish.parity == PortWish::kOdd);
        kinds |= uint32_t{is_in && has_parity} << kind_of(wish.slot, port);
    }
    return kinds;
}

uint64_t SinglePorts::candidates(uint32_t kinds, size_t word) const {
    uint64_t bits = 0;
    for (; kinds != 0; kinds &= kinds - 1) {
        bits |= may_have_[static_cast<size_t>(std::countr_zero(kinds))][word];
    }
    return bits;
}

// What rested in the epochs before may be free by now.
void SinglePorts::give_all_a_chance(Part& part, uint32_t epoch) {
    part.epoch = epoch;
    for (std::vector<uint64_t>& kind : may_have_) {
        for (uint32_t i = part.first; i < part.first + part.count; ++i) {
            kind[i / 64] |= uint64_t{1} << (i % 64);
        }
    }
}

// `end` or above: there is none.
uint32_t SinglePorts::find_address(uint32_t kinds, uint32_t from, uint32_t end) const {
    uint64_t mask = ~uint64_t{0} << (from % 64);
    for (uint32_t word = from / 64; word * 64 < end; ++word) {
        const uint64_t bits = candidates(kinds, word) & mask;
        if (bits != 0) {
            return word * 64 + static_cast<uint32_t>(std::countr_zero(bits));
        }
        mask = ~uint64_t{0};
    }
    return end;
}

ExternalIndex SinglePorts::next_address(
    PoolId pool, const SingleWish& wish, const RestClock& clock
) {
    Part& part = parts_[pool.value];
    const uint32_t end = part.first + part.count;
    if (part.epoch != clock.epochs()) {
        give_all_a_chance(part, clock.epochs());
    }
    const uint32_t kinds = kinds_of(wish);
    uint32_t found =
        part.hand < part.count ? find_address(kinds, part.first + part.hand, end) : end;
    found = found < end ? found : find_address(kinds, part.first, end);
    if (found >= end) {
        return {kNoIndex};
    }
    part.hand = found - part.first + 1;
    return {found * shards_ + home_};
}

void SinglePorts::release(
    ExternalIndex external, unsigned slot, uint16_t port, bool rests, RestClock& clock
) {
    Address& address = address_of(external);
    look(address, clock);
    if (!fixed_.empty() && keep(external, slot, port)) [[unlikely]] {
        return;
    }
    const Maps maps = maps_of(address, slot);
    if (rests) {
        maps.now[port / 64U] |= uint64_t{1} << (port % 64);
        clock.add_resting(1);
    } else {
        const uint32_t at = external.value / shards_;
        mark_free(maps, port);
        may_have_[kind_of(slot, port)][at / 64] |= uint64_t{1} << (at % 64);
    }
}

}  // namespace sekisho::nat
