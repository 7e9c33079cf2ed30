// FragmentTable against a model of maps and byte sets that has no bounds; what is asked here stays within those of the table.
#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include <catch2/catch.hpp>

#include "fragment_rig.h"

namespace sekisho::dataplane {
namespace {

using Outcome = FragmentTable::Outcome;

constexpr size_t kLongest = 1024;
constexpr int32_t kLifetime = 2000;
constexpr uint64_t kMostParts = 35;

struct Datagram {
    enum State { kWaiting, kNoted, kBound, kRefused } state = kWaiting;
    DropReason reason{};
    uint32_t ports = 0;
    std::vector<bool> come = std::vector<bool>(kLongest + 1);
    std::optional<uint16_t> end;
    Tick since;
    std::vector<uint64_t> held;

    size_t count(size_t from, size_t to) const {
        return static_cast<size_t>(std::count(
            come.begin() + static_cast<std::ptrdiff_t>(from),
            come.begin() + static_cast<std::ptrdiff_t>(to),
            true
        ));
    }
    size_t parts() const {
        size_t parts = 0;
        for (size_t i = 0; i < kLongest; ++i) {
            parts += come[i] && (i == 0 || !come[i - 1]) ? 1 : 0;
        }
        return parts;
    }
    bool is_complete() const { return end && count(0, *end) == *end; }
};

class Model {
  public:
    using Key = std::pair<uint32_t, uint16_t>;  // source and id

    Outcome::Kind take(
        const Key& key, const packet::Extent& x, uint64_t number, Tick now, DropReason& reason
    ) {
        Datagram& d = find_or_make(key, now);
        if (const auto why = judge(d, x, now)) {
            reason = *why;
            return Outcome::kDropped;
        }
        if (x.begin == 0) {
            d.state = Datagram::kNoted;
            return Outcome::kNoted;
        }
        if (d.state == Datagram::kBound) {
            forget_if_complete(key);
            return Outcome::kFollow;
        }
        d.held.push_back(number);
        return Outcome::kHeld;
    }
    bool bind(const Key& key, const packet::Extent& x, uint32_t ports, Tick now) {
        Datagram& d = find_or_make(key, now);
        if (d.state == Datagram::kRefused) {
            return false;
        }
        std::fill(d.come.begin() + x.begin, d.come.begin() + x.end, true);
        if (d.state != Datagram::kBound) {
            d.state = Datagram::kBound;
            d.ports = ports;
            d.since = now;
            for (const uint64_t number : d.held) {
                ready.emplace_back(number, ports);
            }
            d.held.clear();
            forget_if_complete(key);
        }
        return true;
    }
    void refuse(const Key& key, DropReason reason, Tick now) {
        expire(key, now);
        const auto found = all.find(key);
        if (found != all.end() && found->second.state == Datagram::kNoted) {
            refuse(found->second, reason, now);
        }
    }
    void advance(Tick now) {
        std::vector<Key> keys;
        for (const auto& [key, d] : all) {
            keys.push_back(key);
        }
        for (const Key& key : keys) {
            expire(key, now);
        }
    }

    std::map<Key, Datagram> all;
    Given ready;
    Given ended;

  private:
    void expire(const Key& key, Tick now) {
        const auto found = all.find(key);
        if (found != all.end() && elapsed_ms(found->second.since, now) >= kLifetime) {
            end(found->second, DropReason::kFragmentTimeout);
            all.erase(found);
        }
    }
    Datagram& find_or_make(const Key& key, Tick now) {
        expire(key, now);
        const auto [place, made] = all.try_emplace(key);
        if (made) {
            place->second.since = now;
        }
        return place->second;
    }
    void end(Datagram& d, DropReason reason) {
        for (const uint64_t number : d.held) {
            ended.emplace_back(number, static_cast<uint32_t>(reason));
        }
        d.held.clear();
    }
    void refuse(Datagram& d, DropReason reason, Tick now) {
        end(d, reason);
        d.state = Datagram::kRefused;
        d.reason = reason;
        d.since = now;
    }
    std::optional<DropReason> judge(Datagram& d, const packet::Extent& x, Tick now) {
        if (d.state == Datagram::kRefused) {
            return d.reason;
        }
        const size_t there = d.count(x.begin, x.end);
        const bool all_there = there == size_t{x.end} - x.begin;
        const bool wrong_end = x.more ? d.end && x.end >= *d.end
                                      : (d.end && *d.end != x.end) || d.count(x.end, kLongest) > 0;
        if (wrong_end || (there > 0 && !all_there)) {
            refuse(d, DropReason::kOverlappingFragment, now);
            return DropReason::kOverlappingFragment;
        }
        if (all_there) {
            return DropReason::kDuplicateFragment;
        }
        std::fill(d.come.begin() + x.begin, d.come.begin() + x.end, true);
        if (d.parts() > kMostParts) {
            refuse(d, DropReason::kFragmentOverflow, now);
            return DropReason::kFragmentOverflow;
        }
        if (!x.more) {
            d.end = x.end;
        }
        return std::nullopt;
    }
    void forget_if_complete(const Key& key) {
        if (all.at(key).is_complete()) {
            all.erase(key);
        }
    }
};

Given sorted(Given given) {
    std::sort(given.begin(), given.end());
    return given;
}

}  // namespace

#ifdef __SANITIZE_ADDRESS__  // there each fragment costs a hundred times as much, and shows nothing new
constexpr uint64_t kFragments = 100'000;
#else
constexpr uint64_t kFragments = 3'000'000;
#endif

TEST_CASE(
    "the table of fragments agrees with its model, over millions of fragments",
    "[fragments][random][model][rfc4787-req14a][pitfall-17]"
) {
    FragmentTable::Sizes sizes;
    sizes.datagrams = 1 << 14;
    sizes.held = 1 << 16;
    FragmentTable table(sizes, kSecret);
    Model model;
    Packets packets;
    Tick now{0xfffff000};  // the clock wraps on the way
    uint64_t state = 20;
    const auto draw = [&](uint32_t below) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        return static_cast<uint32_t>(state >> 33) % below;
    };
    std::vector<FragmentFacts> noted;
    uint64_t agreed[4] = {};
    for (uint64_t number = 1; number <= kFragments; ++number) {
        const uint32_t source = 1 + draw(25);
        const auto id = static_cast<uint16_t>(draw(4));
        const Model::Key key{source, id};
        // Mostly pieces of one plan, as senders cut; some of any size.
        const uint32_t step = draw(24) == 0 ? 8 * (1 + draw(20)) : 64;
        const auto begin =
            static_cast<uint16_t>(step * draw(static_cast<uint32_t>(kLongest / step / 2)));
        const auto end = static_cast<uint16_t>(begin + step);
        const bool more = draw(12) != 0;
        const FragmentFacts f = facts(source, id, begin, end, more);
        PacketRef packet = packets.make(number);
        DropReason reason{};
        const Outcome outcome = table.take(f, packet, 0, now);
        const Outcome::Kind expected = model.take(key, f.extent, number, now, reason);
        REQUIRE(outcome.kind == expected);
        if (expected == Outcome::kDropped) {
            REQUIRE(outcome.reason == reason);
        }
        if (expected == Outcome::kFollow && model.all.contains(key)) {
            REQUIRE(outcome.binding.ports == model.all.at(key).ports);
        }
        ++agreed[expected];
        if (expected == Outcome::kNoted) {
            noted.push_back(f);
        }
        if (!noted.empty() && draw(3) == 0) {
            const size_t chosen = draw(static_cast<uint32_t>(noted.size()));
            const FragmentFacts first = noted[chosen];
            noted.erase(noted.begin() + static_cast<std::ptrdiff_t>(chosen));
            const Model::Key its{static_cast<uint32_t>(first.addresses), first.id};
            const bool known = model.all.contains(its) &&
                               model.all.at(its).state == Datagram::kNoted &&
                               elapsed_ms(model.all.at(its).since, now) < kLifetime;
            if (draw(8) == 0) {
                table.refuse(first, DropReason::kFiltered, now);
                model.refuse(its, DropReason::kFiltered, now);
            } else if (known) {
                const uint32_t ports = draw(1 << 30);
                REQUIRE(
                    table.bind(first, {ports, false, {}}, now) ==
                    model.bind(its, first.extent, ports, now)
                );
            }
        }
        if (draw(10) == 0) {
            now = now + draw(100);
            table.advance(now, 1 << 20);
            model.advance(now);
        }
        REQUIRE(sorted(take_ready(table)) == sorted(model.ready));
        REQUIRE(sorted(take_ended(table)) == sorted(model.ended));
        model.ready.clear();
        model.ended.clear();
        REQUIRE(table.size() == model.all.size());
    }
    for (const uint64_t count : agreed) {
        CHECK(count > kFragments / 300);  // each outcome was met
    }
}

}  // namespace sekisho::dataplane
