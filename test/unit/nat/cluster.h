// Several NatShards on one thread, their messages in queues; and short ways to send it packets.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nat/nat_shard.h"
#include "packet/views.h"

namespace sekisho::test {

inline Ipv4Addr addr(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
    return Ipv4Addr::of(a, b, c, d);
}
inline Port port(uint16_t p) {
    return Port::from_host(p);
}

inline const Ipv4Addr kRemote = addr(198, 51, 100, 7);
inline Ipv4Addr subscriber(uint32_t n) {
    return Ipv4Addr::from_host(0x64400000 + n);
}

// One pool of `addresses` addresses from 203.0.113.1 on, one policy for 100.64.0.0/10.
inline nat::NatSettings lab(unsigned addresses = 1) {
    nat::NatSettings s;
    nat::PoolSettings pool;
    pool.name = "main";
    const uint32_t first = addr(203, 0, 113, 1).host();
    pool.addresses = {{Ipv4Addr::from_host(first), Ipv4Addr::from_host(first + addresses - 1)}};
    s.pools = {pool};
    nat::PolicySettings policy;
    policy.name = "subscribers";
    policy.source = {{addr(100, 64, 0, 0), 10}};
    s.policies = {policy};
    return s;
}

struct TableSizes {
    uint32_t sessions = 4096;
    uint32_t mappings = 4096;
    uint32_t subscribers = 1024;
};

class Cluster {
  public:
    explicit Cluster(
        nat::NatSettings settings, unsigned shards = 1, TableSizes sizes = {}, Tick start = {1000}
    )
        : settings_(std::move(settings)),
          directory_(
              settings_,
              shards,
              [shards](Ipv4Addr internal) {
                  return ShardId{static_cast<uint8_t>(internal.host() % shards)};
              }
          ),
          now(start) {
        for (unsigned i = 0; i < shards; ++i) {
            nat::NatShardPlan plan;
            plan.shard = ShardId{static_cast<uint8_t>(i)};
            plan.shards = shards;
            plan.sessions = sizes.sessions;
            plan.mappings = sizes.mappings;
            plan.subscribers = sizes.subscribers;
            plan.secret.words[0] = 0x1234567;
            plan.secret.words[2] = 0x89abcdef01;
            auto made = nat::NatShard::create(plan, settings_, directory_, now);
            if (!made) {
                throw std::runtime_error(made.error().message);
            }
            shards_.push_back(std::move(*made));
            wires_.push_back(std::make_unique<Wire>(Wire{{}, this, i}));
            shards_.back()->connect(wires_.back().get(), wires_.back().get());
        }
    }

    nat::NatShard& shard(size_t i = 0) { return *shards_[i]; }
    size_t shards() const { return shards_.size(); }
    nat::ExternalDirectory& directory() { return directory_; }
    const nat::NatSettings& settings() const { return settings_; }
    // Changes settings while it runs, as the appliance does between two turns.
    void change(
        const std::function<void(nat::NatSettings&)>& change,
        const nat::TableShares& limits,
        const std::vector<Ipv4Addr>& lost = {}
    ) {
        change(settings_);
        directory_.follow(settings_, lost);
        if (auto planned = directory_.plan_statics(settings_); planned && !planned->is_empty()) {
            directory_.follow_statics(settings_, std::move(*planned), now);
        }
        for (auto& s : shards_) {
            if (!settings_.trigger_forwards.empty() && !s->has_originals()) {
                s->give_originals(std::vector<nat::OriginalDestination>(s->session_capacity()));
            }
        }
        for (auto& s : shards_) {
            s->change_settings(limits, now, !lost.empty());
        }
    }
    // Which shard a subscriber belongs to, in these tests.
    unsigned shard_of(Ipv4Addr internal) const {
        return static_cast<unsigned>(internal.host() % shards_.size());
    }

    // Delivers messages until none is under way; FIFO over all rings.
    void deliver() {
        while (!messages_.empty()) {
            deliver_one();
        }
    }
    void deliver_one() {
        const auto [to, message] = messages_.front();
        messages_.pop_front();
        shards_[to]->handle(message, now);
    }
    size_t under_way() const { return messages_.size(); }
    const std::deque<std::pair<unsigned, nat::ShardMessage>>& messages() const { return messages_; }

    // Lets `ms` pass in steps, firing timers.
    void pass(uint64_t ms, uint32_t step = 512) {
        for (uint64_t done = 0; done < ms; done += step) {
            now = now + static_cast<uint32_t>(std::min<uint64_t>(step, ms - done));
            tick();
        }
    }
    void tick() {
        for (auto& s : shards_) {
            s->advance(now, 1000000);
            s->end_of_burst();
        }
        deliver();
        for (auto& s : shards_) {
            s->end_of_burst();
        }
    }

    // A first packet from inside; waits for blocks as the dataplane would.
    nat::MakeResult open(
        Protocol protocol,
        Ipv4Addr internal,
        uint16_t internal_port,
        Ipv4Addr remote = kRemote,
        uint16_t remote_port = 80
    ) {
        const PacketKind kind = kind_of(protocol);
        const uint16_t y = protocol == Protocol::kIcmp ? uint16_t{0} : remote_port;
        const FlowKey key =
            FlowKey::of(internal, remote, port(internal_port), port(y), protocol, kInternalRealm);
        nat::NatShard& s = shard(shard_of(internal));
        const uint8_t flags = protocol == Protocol::kTcp ? uint8_t{packet::kSyn} : uint8_t{0};
        nat::MakeResult r = s.make_outbound(key, kind, flags, now);
        for (int i = 0; r.kind == nat::MakeResult::kHold && i < 4; ++i) {
            deliver();
            r = s.make_outbound(key, kind, flags, now);
        }
        return r;
    }
    Session& session_of(const nat::MakeResult& r, Ipv4Addr internal) {
        return shard(shard_of(internal)).session(r.session);
    }
    nat::AdmitResult inbound(
        const Session& like, Ipv4Addr remote, uint16_t remote_port, uint8_t flags = packet::kSyn
    ) {
        const auto protocol = static_cast<Protocol>(like.protocol);
        const uint16_t y = protocol == Protocol::kIcmp ? uint16_t{0} : remote_port;
        const FlowKey key = FlowKey::of(
            remote, {like.external_address}, port(y), {like.external_port}, protocol, kExternalRealm
        );
        return shard(shard_of({like.internal_address}))
            .admit_inbound(key, kind_of(protocol), flags, now);
    }

    static PacketKind kind_of(Protocol p) {
        return p == Protocol::kTcp   ? PacketKind::kTcp
               : p == Protocol::kUdp ? PacketKind::kUdp
                                     : PacketKind::kIcmpQuery;
    }

    std::vector<nat::BlockView> blocks(size_t shard_number) {
        std::vector<nat::BlockView> all(4096);
        uint32_t cursor = 0;
        size_t filled = 0;
        const bool more = shard(shard_number).list_blocks(cursor, 0xffffffff, all, filled);
        if (more) {
            throw std::runtime_error("more blocks than the test reckons with");
        }
        all.resize(filled);
        return all;
    }

    // Whether former static mappings may be let go by the next change.
    bool have_rested() {
        return directory_.have_rested(
            settings_,
            [this](uint32_t block) {
                uint32_t sessions = 0;
                for (auto& s : shards_) {
                    sessions += s->sessions_of_static(block);
                }
                return sessions;
            },
            now
        );
    }

    // Nothing if every block of the pools is in exactly one place: at home, free or kept for static mappings, held by one shard
    // whose owner byte says so, or under way; else what is wrong.
    std::string audit();

  private:
    struct Wire final : nat::MessageSink, nat::WaitListener {
        Wire(std::vector<uint32_t> w, Cluster* c, unsigned s)
            : waits_over(std::move(w)), cluster(c), self(s) {}
        bool send(ShardId to, const nat::ShardMessage& message) override {
            if (cluster->messages_.size() >= cluster->room) {
                return false;
            }
            cluster->messages_.emplace_back(to.value, message);
            return true;
        }
        void wait_is_over(SubscriberIndex s) override {
            waits_over.push_back(s.value);
            ++cluster->waits_over;
        }
        std::vector<uint32_t> waits_over;
        Cluster* cluster;
        unsigned self;
    };

    nat::NatSettings settings_;
    nat::ExternalDirectory directory_;
    std::vector<std::unique_ptr<nat::NatShard>> shards_;
    std::vector<std::unique_ptr<Wire>> wires_;
    std::deque<std::pair<unsigned, nat::ShardMessage>> messages_;

  public:
    Tick now;
    size_t room = ~size_t{0};  // of all rings together
    unsigned waits_over = 0;
};

inline std::string Cluster::audit() {
    std::vector<std::vector<int>> seen(directory_.size(), std::vector<int>(1024, 0));
    for (size_t s = 0; s < shards_.size(); ++s) {
        for (const nat::BlockView& b : blocks(s)) {
            ++seen[b.external.value][b.number];
            if (directory_.holder_of(b.external, b.number) != s) {
                return "a held block's owner byte names another shard";
            }
        }
    }
    for (const auto& [to, message] : messages_) {
        if (message.kind == nat::MessageKind::kBlockGrant ||
            message.kind == nat::MessageKind::kBlockReturn) {
            ++seen[message.external.value][message.block];
        }
    }
    for (uint32_t e = 0; e < directory_.size(); ++e) {
        const auto& address = directory_[ExternalIndex{e}];
        const nat::BlockSpan span = nat::block_span(settings_.pools[address.pool.value]);
        for (uint16_t b = span.first; b <= span.last; ++b) {
            seen[e][b] += shards_[address.home.value]->is_at_home({e}, b);
            if (seen[e][b] != 1) {
                return "block " + std::to_string(b) + " of address " + std::to_string(e) +
                       " is in " + std::to_string(seen[e][b]) + " places";
            }
        }
    }
    return {};
}

}  // namespace sekisho::test
