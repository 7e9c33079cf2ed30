// The log of bindings against what happened: whoever replays it knows at any time who has which external endpoint.
#include <deque>
#include <map>
#include <random>
#include <set>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/text.h"
#include "scenario.h"

namespace sekisho::test {
namespace {

using nat::Event;
using nat::EventKind;

struct External {  // address, port, protocol
    uint32_t address = 0;
    uint16_t port = 0;
    uint8_t protocol = 0;
    friend auto operator<=>(const External&, const External&) = default;
};
struct Internal {
    uint32_t address = 0;
    uint16_t port = 0;
    friend auto operator<=>(const Internal&, const Internal&) = default;
};
struct BlockRange {
    uint32_t address = 0;
    uint16_t first = 0;
    uint16_t last = 0;  // host order
    friend auto operator<=>(const BlockRange&, const BlockRange&) = default;
};
struct Tenure {
    Internal who;
    Tick begin;
    Tick end;
    bool has_ended = false;
};

// What a reader of the log knows. Complains in words.
class Replay {
  public:
    explicit Replay(unsigned shards) : queues_(shards), sequences_(shards, 0) {}

    void take(TestBed& bed) {
        for (unsigned s = 0; s < bed.shards(); ++s) {
            nat::EventReader reader = bed.shard(s).nat().event_reader();
            for (auto front = reader.front(); !front.empty(); front = reader.front()) {
                for (const Event& event : front) {
                    expect(event.sequence == ++sequences_[s], "a gap in the numbers");
                    queues_[s].push_back(event);
                }
                reader.pop(front.size());
            }
        }
        apply_all();
    }

    std::map<External, Internal> live() const {
        std::map<External, Internal> all;
        for (const auto& [external, tenures] : history_) {
            if (!tenures.back().has_ended) {
                all[external] = tenures.back().who;
            }
        }
        return all;
    }
    const std::map<BlockRange, uint32_t>& blocks() const { return blocks_; }
    // Who had it then: everybody whom the log names.
    std::vector<Internal> who(const External& external, Tick then) const {
        std::vector<Internal> all;
        const auto found = history_.find(external);
        for (const Tenure& t : found == history_.end() ? std::deque<Tenure>{} : found->second) {
            const bool had_begun = elapsed_ms(t.begin, then) >= 0;
            if (had_begun && (!t.has_ended || elapsed_ms(then, t.end) > 0)) {
                all.push_back(t.who);
            }
        }
        return all;
    }
    size_t events = 0, limits = 0, granted = 0, released = 0;
    std::vector<std::string> wrong;

  private:
    void expect(bool holds, const std::string& what) {
        if (!holds && wrong.size() < 10) {
            wrong.push_back(what);
        }
    }

    // Shards write independently, so their lines are put together by time; in the same millisecond a block is released before it
    // is granted.
    void apply_all() {
        for (;;) {
            std::deque<Event>* next = nullptr;
            for (auto& queue : queues_) {
                const bool is_earlier =
                    !queue.empty() && may_apply(queue.front()) &&
                    (next == nullptr ||
                     elapsed_ms({queue.front().tick_ms}, {next->front().tick_ms}) > 0);
                next = is_earlier ? &queue : next;
            }
            if (next == nullptr) {
                break;
            }
            apply(next->front());
            next->pop_front();
        }
        for (auto& queue : queues_) {
            expect(
                queue.empty(),
                fmt::format(
                    "a block is granted that nobody has released: {}",
                    queue.empty() ? "" : describe(queue.front())
                )
            );
        }
    }
    static std::string describe(const Event& e) {
        return fmt::format(
            "#{} at {}: kind {}, {} port {}, of {}",
            e.sequence,
            e.tick_ms,
            static_cast<int>(e.kind),
            Ipv4Addr{e.external_address},
            Port{e.external_port}.host(),
            Ipv4Addr{e.internal_address}
        );
    }
    static BlockRange range_of(const Event& e) {
        return {e.external_address, Port{e.external_port}.host(), Port{e.last_port}.host()};
    }
    bool may_apply(const Event& e) const {
        return e.kind != EventKind::kBlockGranted || !blocks_.contains(range_of(e));
    }
    bool is_in_own_block(const Event& e) const {
        const uint16_t port = Port{e.external_port}.host();
        return std::ranges::any_of(blocks_, [&](const auto& block) {
            return block.first.address == e.external_address && block.first.first <= port &&
                   port <= block.first.last && block.second == e.internal_address;
        });
    }
    void apply(const Event& e) {
        ++events;
        const External external{e.external_address, e.external_port, e.protocol};
        const Internal internal{e.internal_address, e.internal_port};
        switch (e.kind) {
            case EventKind::kMappingCreated:
                expect(is_in_own_block(e), "a mapping outside of its subscriber's blocks");
                expect(!live_.contains(external), "an endpoint that is somebody's is given out");
                live_[external] = internal;
                history_[external].push_back({internal, {e.tick_ms}, {}, false});
                break;
            case EventKind::kMappingEnded:
                expect(
                    live_.contains(external) && live_[external] == internal, "an end of nothing"
                );
                live_.erase(external);
                history_[external].back().end = {e.tick_ms};
                history_[external].back().has_ended = true;
                break;
            case EventKind::kBlockGranted:
                ++granted;
                blocks_[range_of(e)] = e.internal_address;
                break;
            case EventKind::kBlockReleased:
                ++released;
                for (const auto& [used, by] : live_) {
                    const uint16_t port = Port{used.port}.host();
                    const BlockRange range = range_of(e);
                    expect(
                        used.address != range.address || port < range.first || port > range.last,
                        "a block is released with a mapping in it"
                    );
                }
                expect(blocks_.erase(range_of(e)) == 1, "a block is released that nobody has");
                break;
            case EventKind::kLimitReached:
                ++limits;
                break;
            default:
                expect(false, "an event of an unexpected kind");
        }
    }

    std::vector<std::deque<Event>> queues_;
    std::vector<uint64_t> sequences_;
    std::map<External, Internal> live_;
    std::map<External, std::deque<Tenure>> history_;
    std::map<BlockRange, uint32_t> blocks_;
};

BedOptions logged(unsigned shards) {
    BedOptions options;
    options.shards = shards;
    options.workers = shards > 2 ? 2 : shards;
    options.subscribers = 128;
    options.nat = nat_settings("203.0.113.1", "203.0.113.2");
    auto& pool = options.nat.pools[0];
    pool.ports = {1024, 1024 + 8 * 64 - 1};
    pool.port_block_size = 64;
    pool.blocks_per_subscriber = 3;
    pool.port_quarantine = {20};
    pool.block_release_delay = {10};
    options.nat.policies[0].limits.ports = 60;
    options.nat.events = {
        nat::kLogMappings | nat::kLogBlocks | nat::kLogLimits, 128, nat::OnLogLoss::kRefuse};
    return options;
}

struct Seen {  // a packet that has left
    External external;
    Internal internal;
    Tick when;
};

class Run {
  public:
    Run(unsigned shards, uint32_t seed) : bed_(logged(shards)), replay_(shards), random_(seed) {}

    void phase(unsigned steps, bool is_drained) {
        for (unsigned i = 0; i < steps; ++i) {
            step();
            if (is_drained) {
                drain();
                REQUIRE(replay_.wrong == std::vector<std::string>{});
                compare();
            }
        }
    }
    // The logger catches up: until no end waits any more.
    void drain() {
        replay_.take(bed_);
        while (pending() > 0) {
            bed_.run();
            replay_.take(bed_);
        }
    }
    // What the log says is what there is.
    void compare() {
        std::map<External, Internal> mappings;
        for (const nat::MappingView& view : bed_.mappings()) {
            const nat::Mapping& m = view.mapping;
            mappings[{m.external_address, m.external_port, m.protocol}] = {
                m.internal_address, m.internal_port};
        }
        REQUIRE(replay_.live() == mappings);
        REQUIRE(blocks() == replay_.blocks());
    }
    // Each packet that has left was its sender's, by the log, and nobody else's.
    void check_history() {
        for (const Seen& seen : seen_) {
            CAPTURE(seen.external.port, seen.when.ms);
            REQUIRE(replay_.who(seen.external, seen.when) == std::vector<Internal>{seen.internal});
        }
        seen_.clear();
    }
    uint64_t pending() {
        uint64_t sum = 0;
        for (unsigned s = 0; s < bed_.shards(); ++s) {
            sum += bed_.shard(s).nat().log().pending();
            REQUIRE(bed_.shard(s).nat().log().lost() == 0);
        }
        return sum;
    }
    TestBed& bed() { return bed_; }
    const Replay& replay() const { return replay_; }
    size_t seen_in_all = 0;

  private:
    uint32_t draw(uint32_t n) { return static_cast<uint32_t>(random_()) % n; }

    void step() {
        if (draw(6) == 0) {
            bed_.advance(draw(3) == 0 ? 200'000 + draw(400'000) : draw(20'000));
        }
        const Ipv4Addr from = host(5 + draw(24));
        for (uint32_t n = 1 + draw(40); n > 0; --n) {
            const auto x = static_cast<uint16_t>(1000 + draw(60));
            const std::string who = fmt::format("{} {}", from.raw, x);
            if (draw(3) == 0) {
                bed_.push_internal(
                    tcp_out(bed_, from, x, "192.0.2.1", 80, packet::kSyn).payload(who)
                );
            } else {
                bed_.push_internal(udp_out(bed_, from, x, "192.0.2.1", 53).payload(who));
            }
        }
        bed_.run();
        for (const auto& sent : bed_.take()) {
            note(decode(sent.bytes));
        }
    }
    void note(const Decoded& packet) {
        if (packet.payload.empty() || packet.protocol == 1) {
            return;
        }
        const std::string who(packet.payload.begin(), packet.payload.end());
        const auto blank = who.find(' ');
        const Internal internal{
            static_cast<uint32_t>(std::stoul(who.substr(0, blank))),
            Port::from_host(static_cast<uint16_t>(std::stoul(who.substr(blank + 1)))).raw};
        const External external{
            packet.source.raw, Port::from_host(packet.source_port).raw, packet.protocol};
        seen_.push_back({external, internal, bed_.now()});
        ++seen_in_all;
    }
    std::map<BlockRange, uint32_t> blocks() {
        std::map<BlockRange, uint32_t> all;
        for (unsigned s = 0; s < bed_.shards(); ++s) {
            const nat::NatShard& shard = bed_.shard(s).nat();
            std::vector<nat::BlockView> views(256);
            std::vector<nat::SubscriberView> people(256);
            uint32_t cursor = 0;
            size_t filled = 0;
            REQUIRE_FALSE(shard.list_blocks(cursor, 256, views, filled));
            for (size_t i = 0; i < filled; ++i) {
                const auto first = static_cast<uint16_t>(views[i].number * 64);
                const uint32_t address = bed_.directory()[views[i].external].address.raw;
                all[{address, first, static_cast<uint16_t>(first + 63)}] =
                    shard.subscriber_address(views[i].subscriber).raw;
            }
        }
        return all;
    }

    TestBed bed_;
    Replay replay_;
    std::mt19937 random_;
    std::vector<Seen> seen_;
};

}  // namespace

TEST_CASE(
    "whoever replays the log knows who has which endpoint, now and then",
    "[packet][log][log-full][rfc6888-req14][pitfall-30]"
) {
    const unsigned shards = GENERATE(1U, 2U, 3U, 8U);
    const uint32_t seed = GENERATE(1U, 2U);
    CAPTURE(shards, seed);
    Run run(shards, seed);
    uint64_t most_pending = 0;
    for (int round = 0; round < 4; ++round) {
        run.phase(60, true);
        run.phase(40, false);  // nobody reads the rings
        most_pending = std::max(most_pending, run.pending());
        run.bed().advance(700'000);  // and all that was open ends
        most_pending = std::max(most_pending, run.pending());
        REQUIRE(run.bed().mappings().empty());
        run.drain();
        REQUIRE(run.replay().wrong == std::vector<std::string>{});
        run.compare();
        run.check_history();
    }
    CHECK(run.seen_in_all > 1000);
    CHECK(run.replay().granted > 20);
    CHECK(run.replay().released > 10);
    CHECK(run.replay().limits > 0);
    CHECK(most_pending > 10);
    CHECK(run.bed().dropped(DropReason::kLogFull) > 0);
    CHECK(run.bed().dropped(DropReason::kPoolExhausted) > 0);
    CHECK(run.bed().imbalance().empty());
}

TEST_CASE(
    "with the ring full the packets of known sessions pass, and those of new ones are dropped",
    "[packet][log][log-full]"
) {
    BedOptions options = logged(1);
    options.nat.events.ring = 16;
    TestBed bed(options);
    for (uint16_t x = 1; x <= 30; ++x) {
        bed.push_internal(udp_out(bed, host(5), x, "192.0.2.1", 53));
    }
    bed.run();
    const size_t known = bed.take().size();
    CHECK(known > 5);
    CHECK(bed.dropped(DropReason::kLogFull) == 30 - known);
    bed.push_external(udp_in(bed, "192.0.2.1", 53, host(5), 1));
    bed.run();
    bed.take();  // the subscriber's link address is known from here on
    for (int round = 0; round < 50; ++round) {
        for (uint16_t x = 1; x <= known; ++x) {
            bed.push_internal(udp_out(bed, host(5), x, "192.0.2.1", 53));
            bed.push_external(udp_in(bed, "192.0.2.1", 53, host(5), x));
        }
        bed.run();
        REQUIRE(bed.take().size() == 2 * known);
        bed.pass(60'000);
    }
    CHECK(bed.shard(0).nat().log().ring().written() == known + 1);
    CHECK(bed.dropped(DropReason::kLogFull) == 30 - known);
}

}  // namespace sekisho::test
