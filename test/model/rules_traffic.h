// Random rule sets with conditions and actions of every kind, and packets near the borders of what their rules say.
#pragma once

#include <memory>
#include <random>
#include <vector>

#include "rules/address_set.h"
#include "rules/rule_set.h"

namespace sekisho::test {

class RulesTraffic {
  public:
    explicit RulesTraffic(uint64_t seed);

    // Chains, rules and sets; `rules`: about how many in all.
    void make(size_t rules);
    // Inserts, removes, replaces or moves a rule, or changes a set.
    void change();

    const rules::RuleSet& set() const { return set_; }
    const rules::AddressSets& sets() const { return sets_; }
    rules::ChainId chain() const { return chains_.front(); }
    rules::RulePacket packet();
    // Another packet of its flow: what varies is another's.
    rules::RulePacket next_of(rules::RulePacket packet);

  private:
    uint64_t draw(uint64_t least, uint64_t most) {
        return std::uniform_int_distribution<uint64_t>(least, most)(random_);
    }
    bool chance(unsigned in_hundred) { return draw(1, 100) <= in_hundred; }
    template <class T>
    const T& one_of(const std::vector<T>& values) {
        return values[draw(0, values.size() - 1)];
    }

    Ipv4Addr address();
    rules::AddressRange range();
    uint16_t port();
    rules::Range<uint16_t> ports();
    rules::Side side();
    rules::ByteSet bytes(unsigned bound);
    rules::AddressTest address_test();
    rules::PortTest port_test();
    rules::IcmpTest icmp_test();
    rules::Test varying_test();
    rules::Test test();
    rules::Action effect();
    rules::Action deciding(size_t chain);
    rules::Rule rule(size_t chain);
    void add_rule();
    void change_set();

    Ipv4Addr near(const rules::AddressTest& test);
    void follow(const rules::Condition& condition, rules::RulePacket& packet);
    rules::RulePacket any_packet();

    std::mt19937_64 random_;
    rules::RuleSet set_;
    rules::AddressSets sets_;
    std::vector<std::shared_ptr<rules::AddressSet>> tables_;
    std::vector<rules::ChainId> chains_;  // a rule leads only to one behind its own
    unsigned condition_share_ = 0;        // of conditions beside addresses, ports and protocol
    unsigned wide_share_ = 0;             // of rules that ask for no address
    unsigned deciding_share_ = 0;         // of rules that decide
    std::vector<Ipv4Addr> addresses_;     // that rules have named, and their neighbours
    std::vector<uint16_t> ports_;
    std::vector<rules::PatternId> patterns_;
    uint32_t now_ = 0;
};

}  // namespace sekisho::test
