// The NAT's executable specification: plain maps, slow, obvious; random traffic must agree with it.
//
// The specification does not say which port a mapping gets, only which it may not get: one that is
// in use by the protocol, or that was freed less than the quarantine ago.
#include <map>
#include <optional>
#include <random>
#include <set>
#include <tuple>

#include <catch2/catch.hpp>

#include "nat/nat_shard.h"
#include "packet/views.h"

using namespace sekisho;

namespace {

using Endpoint = std::tuple<Protocol, uint32_t, uint16_t>;  // protocol, address, port
using Remote = std::pair<uint32_t, uint16_t>;

struct SpecSession {
    Tick last;
};
struct SpecMapping {
    Endpoint external;
    std::map<Remote, SpecSession> sessions;
};

class Spec {
  public:
    Spec(const nat::NatSettings& settings, uint32_t max_sessions)
        : settings_(settings), max_sessions_(max_sessions) {}

    uint32_t timeout(Protocol p) const {
        return p == Protocol::kUdp ? settings_.timeouts.udp.ms() : settings_.timeouts.icmp.ms();
    }

    // Ends what has been idle for its timeout.
    void expire(Tick now) {
        for (auto m = mappings_.begin(); m != mappings_.end();) {
            const uint32_t limit = timeout(std::get<0>(m->first));
            std::erase_if(m->second.sessions, [&](const auto& s) {
                return elapsed_ms(s.second.last, now) >= static_cast<int32_t>(limit);
            });
            if (m->second.sessions.empty()) {
                freed_[m->second.external] = now;
                m = mappings_.erase(m);
            } else {
                ++m;
            }
        }
    }

    // Whether some session's timeout has passed, but less than `ms` ago.
    bool has_ended_within(uint32_t ms, Tick now) const {
        for (const auto& [x, m] : mappings_) {
            for (const auto& [y, s] : m.sessions) {
                const int32_t over = elapsed_ms(s.last + timeout(std::get<0>(x)), now);
                if (over >= 0 && over <= static_cast<int32_t>(ms)) {
                    return true;
                }
            }
        }
        return false;
    }

    bool has_session(const Endpoint& x, const Remote& y) const {
        const auto m = mappings_.find(x);
        return m != mappings_.end() && m->second.sessions.contains(y);
    }
    std::optional<Endpoint> external_of(const Endpoint& x) const {
        const auto m = mappings_.find(x);
        return m == mappings_.end() ? std::nullopt : std::optional(m->second.external);
    }
    std::optional<Endpoint> internal_of(const Endpoint& external) const {
        for (const auto& [x, m] : mappings_) {
            if (m.external == external) {
                return x;
            }
        }
        return std::nullopt;
    }
    bool knows_address(const Endpoint& x, uint32_t remote) const {
        const auto& sessions = mappings_.at(x).sessions;
        return std::ranges::any_of(sessions, [&](const auto& s) {
            return s.first.first == remote;
        });
    }
    // Whether a mapping may be given this external endpoint now.
    bool may_give(const Endpoint& x, const Endpoint& external, Tick now) const {
        const auto f = freed_.find(external);
        const uint32_t rest = settings_.pools[0].port_quarantine.ms();
        const bool rests =
            f != freed_.end() && elapsed_ms(f->second, now) < static_cast<int32_t>(rest);
        bool is_paired = true;
        for (const auto& [other, m] : mappings_) {
            is_paired &= std::get<1>(other) != std::get<1>(x) ||
                         std::get<1>(m.external) == std::get<1>(external);
        }
        return !internal_of(external) && !rests && is_paired;
    }
    void open(const Endpoint& x, const Endpoint& external, const Remote& y, Tick now) {
        auto& m = mappings_[x];
        m.external = external;
        m.sessions[y] = {now};
    }
    void refresh(const Endpoint& x, const Remote& y, Tick now) {
        mappings_.at(x).sessions.at(y).last = now;
    }
    size_t session_count() const {
        size_t n = 0;
        for (const auto& [x, m] : mappings_) {
            n += m.sessions.size();
        }
        return n;
    }
    size_t mapping_count() const { return mappings_.size(); }
    uint32_t sessions_of(uint32_t address) const {
        uint32_t n = 0;
        for (const auto& [x, m] : mappings_) {
            n += std::get<1>(x) == address ? static_cast<uint32_t>(m.sessions.size()) : 0;
        }
        return n;
    }
    uint32_t ports_of(uint32_t address) const {
        uint32_t n = 0;
        for (const auto& [x, m] : mappings_) {
            n += std::get<1>(x) == address;
        }
        return n;
    }
    // Why a new flow must be refused, as far as it does not depend on blocks.
    std::optional<DropReason> must_refuse(const Endpoint& x) const {
        const auto& limits = settings_.policies[0].limits;
        if (sessions_of(std::get<1>(x)) >= limits.sessions) {
            return DropReason::kSubscriberSessionLimit;
        }
        if (session_count() >= max_sessions_) {
            return DropReason::kSessionTableFull;
        }
        if (!mappings_.contains(x) && ports_of(std::get<1>(x)) >= limits.ports) {
            return DropReason::kSubscriberPortLimit;
        }
        return std::nullopt;
    }

  private:
    const nat::NatSettings& settings_;
    uint32_t max_sessions_;
    std::map<Endpoint, SpecMapping> mappings_;
    std::map<Endpoint, Tick> freed_;
};

nat::NatSettings model_settings(nat::FilteringBehaviour filtering) {
    nat::NatSettings s;
    nat::PoolSettings pool;
    pool.addresses = {{Ipv4Addr::of(203, 0, 113, 1), Ipv4Addr::of(203, 0, 113, 2)}};
    pool.ports = {1024, 1024 + 16 * 64 - 1};
    pool.port_block_size = 64;
    pool.blocks_per_subscriber = 4;
    s.pools = {pool};
    nat::PolicySettings policy;
    policy.source = {{Ipv4Addr::of(100, 64, 0, 0), 10}};
    policy.filtering = filtering;
    policy.limits.sessions = 60;
    policy.limits.ports = 40;
    s.policies = {policy};
    return s;
}

class Run {
  public:
    Run(nat::FilteringBehaviour filtering, uint32_t seed)
        : settings_(model_settings(filtering)),
          directory_(settings_, 1),
          spec_(settings_, kSessions),
          random_(seed),
          now_{0xffffffff - 600'000} {
        nat::NatShardPlan plan;
        plan.sessions = plan.mappings = kSessions;
        plan.subscribers = 100;
        plan.secret.words[1] = seed;
        auto shard = nat::NatShard::create(plan, settings_, directory_, now_);
        REQUIRE(shard);
        shard_ = std::move(*shard);
    }

    void step() {
        if (draw(20) == 0) {
            // Timers fire up to a slot late: go on to a time when none can be due but not fired.
            now_ = now_ + 512 * (1 + draw(draw(10) == 0 ? 900 : 20));
            while (spec_.has_ended_within(kLateMs, now_)) {
                now_ = now_ + 512;
            }
            for (int i = 0; i < 4; ++i) {
                shard_->advance(now_, 100000);
            }
            shard_->end_of_burst();
            spec_.expire(now_);
            REQUIRE(shard_->session_count() == spec_.session_count());
            REQUIRE(shard_->mapping_count() == spec_.mapping_count());
        }
        draw(4) == 0 ? inbound() : outbound();
        shard_->end_of_burst();
    }
    unsigned made = 0, refused = 0, admitted = 0, filtered = 0;

  private:
    static constexpr uint32_t kSessions = 700;
    static constexpr uint32_t kLateMs = 1024;
    uint32_t draw(uint32_t n) { return static_cast<uint32_t>(random_()) % n; }

    void outbound() {
        const Protocol p = draw(2) == 0 ? Protocol::kUdp : Protocol::kIcmp;
        const uint32_t address = Ipv4Addr::of(100, 64, 0, static_cast<uint8_t>(draw(40))).raw;
        const Endpoint x{p, address, Port::from_host(static_cast<uint16_t>(1 + draw(50))).raw};
        const uint16_t y = p == Protocol::kIcmp ? uint16_t{0} : static_cast<uint16_t>(1 + draw(3));
        const Remote remote{Ipv4Addr::of(198, 51, 100, static_cast<uint8_t>(draw(3))).raw, y};
        const FlowKey key =
            FlowKey::of({address}, {remote.first}, {std::get<2>(x)}, {y}, p, kInternalRealm);
        const PacketKind kind = p == Protocol::kIcmp ? PacketKind::kIcmpQuery : PacketKind::kUdp;
        const bool is_known = spec_.has_session(x, remote);
        if (p == Protocol::kIcmp && y != 0) {
            return;
        }
        const auto r = shard_->make_outbound(key, kind, 0, now_);
        if (is_known) {
            REQUIRE(r.kind == nat::MakeResult::kMade);
        } else if (const auto reason = spec_.must_refuse(x)) {
            REQUIRE(r.kind == nat::MakeResult::kRefused);
            REQUIRE(r.reason == *reason);
        }
        if (r.kind == nat::MakeResult::kRefused) {
            ++refused;
            return;
        }
        ++made;
        const Session& s = shard_->session(r.session);
        const Endpoint external{p, s.external_address, s.external_port};
        const auto before = spec_.external_of(x);
        REQUIRE((before ? *before == external : spec_.may_give(x, external, now_)));
        shard_->track(r.session, Direction::kOutbound, nullptr, now_);
        spec_.open(x, external, remote, now_);
    }

    void inbound() {
        const Protocol p = Protocol::kUdp;
        const uint32_t address = Ipv4Addr::of(203, 0, 113, static_cast<uint8_t>(1 + draw(2))).raw;
        const uint16_t port = Port::from_host(static_cast<uint16_t>(1024 + draw(16 * 64))).raw;
        const auto y = static_cast<uint16_t>(1 + draw(3));
        const Remote remote{Ipv4Addr::of(198, 51, 100, static_cast<uint8_t>(draw(4))).raw, y};
        const FlowKey key = FlowKey::of({remote.first}, {address}, {y}, {port}, p, kExternalRealm);
        const auto a = shard_->admit_inbound(key, PacketKind::kUdp, 0, now_);
        const auto x = spec_.internal_of({p, address, port});
        if (!x) {
            REQUIRE(a.kind == nat::AdmitResult::kRefused);
            REQUIRE(a.reason == DropReason::kNoMapping);
        } else if (spec_.has_session(*x, remote)) {
            REQUIRE(a.kind == nat::AdmitResult::kSession);
            shard_->track(a.session, Direction::kInbound, nullptr, now_);
            spec_.refresh(*x, remote, now_);
        } else if (is_admitted(*x, remote)) {
            ++admitted;
            REQUIRE(a.kind == nat::AdmitResult::kMappingOnly);
            REQUIRE(shard_->mapping(a.mapping).internal_port == std::get<2>(*x));
        } else {
            ++filtered;
            REQUIRE(a.reason == DropReason::kFiltered);
        }
    }
    bool is_admitted(const Endpoint& x, const Remote& remote) const {
        switch (settings_.policies[0].filtering.udp) {
            case nat::FilteringBehaviour::kEndpointIndependent:
                return true;
            case nat::FilteringBehaviour::kAddressDependent:
                return spec_.knows_address(x, remote.first);
            case nat::FilteringBehaviour::kAddressAndPortDependent:
                return false;
        }
        return false;
    }

    nat::NatSettings settings_;
    nat::ExternalDirectory directory_;
    Spec spec_;
    std::mt19937 random_;
    Tick now_;
    std::unique_ptr<nat::NatShard> shard_;
};

}  // namespace

TEST_CASE("random traffic agrees with the specification", "[nat][model][rfc4787-req1]") {
    using enum nat::FilteringBehaviour;
    for (const auto filtering :
         {kEndpointIndependent, kAddressDependent, kAddressAndPortDependent}) {
        for (uint32_t seed = 1; seed <= 3; ++seed) {
            CAPTURE(static_cast<int>(filtering), seed);
            Run run(filtering, seed);
            for (int i = 0; i < 15000; ++i) {
                run.step();
            }
            CHECK(run.made > 1000);
            CHECK(run.refused > 100);
            CHECK(run.admitted + run.filtered > 20);
        }
    }
}
