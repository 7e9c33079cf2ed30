// Random rule sets and packets through the linear matcher and through the compiled one: the two agree, in outcome and path.
//
//   Runs      SEKISHO_LONG=1: 1 000 rule sets, 10 000 packets each; SEKISHO_SEED=N: a single rule set, N.
#include <cstdlib>
#include <memory>
#include <string>

#include <catch2/catch.hpp>

#include "rules/compiled_rules.h"
#include "rules/flow_residue.h"
#include "rules/linear.h"
#include "rules_traffic.h"

namespace sekisho::test {
namespace {

using namespace rules;

#ifdef __SANITIZE_ADDRESS__
constexpr unsigned kSets = 200;
constexpr unsigned kPackets = 600;
#else
constexpr unsigned kSets = 400;
constexpr unsigned kPackets = 2'400;
#endif
constexpr unsigned kSetsOfLong = 1'000;
constexpr unsigned kPacketsOfLong = 10'000;

bool is_long() {
    const char* text = std::getenv("SEKISHO_LONG");
    return text != nullptr && std::string(text) == "1";
}

std::vector<uint64_t> seeds() {
    if (const char* text = std::getenv("SEKISHO_SEED")) {
        return {std::stoull(text)};
    }
    std::vector<uint64_t> all(is_long() ? kSetsOfLong : kSets);
    for (size_t i = 0; i < all.size(); ++i) {
        all[i] = i;
    }
    return all;
}

// Small ones mostly; in large ones the tables are used.
size_t size_of(uint64_t seed) {
    return seed % 20 == 0 ? 1'000 : seed % 4 == 0 ? 200 : 1 + seed % 60;
}

void spill(void* context, RuleId rule) {
    static_cast<std::vector<RuleId>*>(context)->push_back(rule);
}

bool is_same(const Outcome& a, const Outcome& b) {
    return a.disposition == b.disposition && a.no_track == b.no_track && a.tos == b.tos &&
           a.mark == b.mark && a.by == b.by && (a.action == nullptr) == (b.action == nullptr) &&
           (a.action == nullptr || *a.action == *b.action);
}

// Both matchers, each with rates of its own.
class Pair {
  public:
    explicit Pair(const RuleSet& set)
        : linear_rates_(set), compiled_rates_(set), scratch_(std::make_unique<WalkScratch>()) {}

    void follow(const RuleSet& set) {
        linear_rates_.follow(set);
        compiled_rates_.follow(set);
    }

    // `packets` packets in bursts of all sizes.
    void agree(RulesTraffic& traffic, const CompiledRules& compiled, unsigned packets) {
        for (unsigned done = 0; done < packets;) {
            std::vector<RulePacket> burst(1 + done % kRuleBurst);
            for (RulePacket& packet : burst) {
                packet = traffic.packet();
            }
            std::vector<Matches> matches(burst.size());
            compiled.match(traffic.chain(), burst, traffic.sets(), *scratch_, matches);
            for (size_t i = 0; i < burst.size(); ++i) {
                agree(traffic, compiled, burst[i], matches[i]);
            }
            done += static_cast<unsigned>(burst.size());
        }
    }

    uint64_t matched() const { return matched_; }
    uint64_t walked() const { return walked_; }
    uint64_t for_flow() const { return for_flow_; }
    size_t longest() const { return longest_; }

  private:
    void agree(
        RulesTraffic& traffic,
        const CompiledRules& compiled,
        const RulePacket& packet,
        const Matches& matches
    ) {
        const ChainId chain = traffic.chain();
        const Walked wanted =
            walk_linear(traffic.set(), chain, packet, traffic.sets(), linear_rates_);
        std::vector<RuleId> rest;
        Trail trail(spill, &rest);
        const Outcome found = compiled.walk(
            chain, packet, matches, {traffic.sets(), compiled_rates_, *scratch_, trail}
        );
        std::vector<RuleId> path(trail.rules().begin(), trail.rules().end());
        path.insert(path.end(), rest.begin(), rest.end());
        ++walked_;
        longest_ = std::max(longest_, path.size());
        const RuleId policy = traffic.set().chain(chain)->policy_id;
        for_flow_ += trail.is_for_flow() ? 1 : 0;
        matched_ += path.front() != policy ? 1 : 0;
        if (path != wanted.path || !is_same(found, wanted.outcome) ||
            trail.is_for_flow() != wanted.is_for_flow) {
            INFO("packet " << walked_ << " of " << traffic.set().rule_count() << " rules");
            CHECK(path == wanted.path);
            CHECK(trail.is_for_flow() == wanted.is_for_flow);
            REQUIRE(is_same(found, wanted.outcome));
        }
    }

    Rates linear_rates_;
    Rates compiled_rates_;
    std::unique_ptr<WalkScratch> scratch_;
    uint64_t matched_ = 0;
    uint64_t walked_ = 0;
    uint64_t for_flow_ = 0;
    size_t longest_ = 0;
};

}  // namespace

TEST_CASE("the compiled rules decide as the linear matcher does", "[rules][model]") {
    uint64_t matched = 0;
    uint64_t walked = 0;
    uint64_t for_flow = 0;
    size_t longest = 0;
    size_t tables = 0;
    for (const uint64_t seed : seeds()) {
        INFO("SEKISHO_SEED=" << seed);
        RulesTraffic traffic(seed);
        traffic.make(size_of(seed));
        Pair pair(traffic.set());
        const auto compiled = CompiledRules::build(traffic.set());
        pair.agree(traffic, *compiled, is_long() ? kPacketsOfLong : kPackets);
        matched += pair.matched();
        walked += pair.walked();
        for_flow += pair.for_flow();
        longest = std::max(longest, pair.longest());
        tables = std::max(tables, compiled->chain(traffic.chain()).table_count());
    }
    INFO(matched << " of " << walked << ", longest " << longest << ", tables " << tables);
    CHECK((std::getenv("SEKISHO_SEED") != nullptr || matched > walked / 2));
    CHECK((std::getenv("SEKISHO_SEED") != nullptr || tables > 3));
    CHECK(
        (std::getenv("SEKISHO_SEED") != nullptr ||
         (for_flow > walked / 4 && for_flow < walked - walked / 10))
    );
    CHECK((std::getenv("SEKISHO_SEED") != nullptr || longest > Matches::kRoom + 30));
}

TEST_CASE(
    "a change followed, and the whole built anew, decide as the linear matcher does",
    "[rules][model]"
) {
    for (const uint64_t seed : seeds()) {
        INFO("SEKISHO_SEED=" << seed);
        RulesTraffic traffic(seed + 1'000'000);
        traffic.make(size_of(seed));
        Pair pair(traffic.set());
        auto compiled = CompiledRules::build(traffic.set());
        for (unsigned round = 0; round < 8; ++round) {
            for (unsigned n = 0; n < 1 + round * round; ++n) {
                traffic.change();
            }
            compiled = compiled->follow(traffic.set());
            pair.follow(traffic.set());
            pair.agree(traffic, *compiled, is_long() ? kPacketsOfLong / 8 : kPackets / 16);
        }
        compiled = CompiledRules::build(compiled->rules());
        CHECK(compiled->is_settled());
        pair.agree(traffic, *compiled, is_long() ? kPacketsOfLong / 8 : kPackets / 16);
    }
}

TEST_CASE(
    "a flow's residue decides for each of its packets as the linear matcher does",
    "[rules][model][residue]"
) {
    uint64_t made = 0;
    uint64_t refused = 0;
    uint64_t differing = 0;  // from the first packet of their flow
    for (const uint64_t seed : seeds()) {
        INFO("SEKISHO_SEED=" << seed);
        RulesTraffic traffic(seed + 2'000'000);
        traffic.make(size_of(seed));
        const auto compiled = CompiledRules::build(traffic.set());
        const auto scratch = std::make_unique<WalkScratch>();
        Rates linear_rates(traffic.set());
        Rates residue_rates(traffic.set());
        for (unsigned flow = 0; flow < (is_long() ? kPacketsOfLong : kPackets) / 8; ++flow) {
            RulePacket packet = traffic.packet();
            FlowResidue residue;
            const ChainId chain = traffic.chain();
            if (!residue.make(*compiled, chain, packet, traffic.sets(), scratch->match)) {
                ++refused;
                continue;
            }
            ++made;
            std::vector<RuleId> first;
            for (unsigned n = 0; n < 6; ++n) {
                Trail trail;
                const Outcome found =
                    residue.run(packet, {traffic.sets(), residue_rates, *scratch, trail});
                const Walked wanted =
                    walk_linear(traffic.set(), chain, packet, traffic.sets(), linear_rates);
                const auto path = trail.rules();
                const bool is_first = n == 0 || std::ranges::equal(path, first);
                if (!std::ranges::equal(path, wanted.path) || !is_same(found, wanted.outcome) ||
                    (wanted.is_for_flow && !is_first)) {
                    INFO("flow " << flow << ", packet " << n);
                    CHECK(std::vector<RuleId>(path.begin(), path.end()) == wanted.path);
                    REQUIRE(is_same(found, wanted.outcome));
                    REQUIRE(is_first);
                }
                first = n == 0 ? wanted.path : first;
                differing += is_first ? 0 : 1;
                packet = traffic.next_of(packet);
            }
        }
    }
    INFO(made << " made, " << refused << " refused, " << differing << " differing");
    CHECK(made > refused);
    CHECK((std::getenv("SEKISHO_SEED") != nullptr || differing > made / 10));
}

}  // namespace sekisho::test
