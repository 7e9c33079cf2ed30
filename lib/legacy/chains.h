// Chains: the packet filter of Linux 2.2, as ipchains(8) sets it up: a value.
//
//   Points    input, forward and output, which always are, and user-defined chains. rules() says the same in the
//             appliance's model, always in step: input at Hook::kIngress, forward at kForward, output at kEgress.
//   Thrice    a user-defined chain stands three times in rules(), once for each point from which it may be reached: there
//             -i is the arriving or the departing link (LEGACY C6), REJECT another code (C15), and MASQ and REDIRECT
//             are only what they can be (elsewhere they accept). A rule's count is that of all three.
//   Loops     are refused when the rule that closes one is made; the original finds them when a packet runs in one.
//   TOS       both low bits stay as they are: today they are ECN's.
//   Thread    one at a time.
//   Source    LEGACY C1 to C18; SEEDS A7.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "legacy/appliance.h"
#include "legacy/firewall.h"
#include "legacy/numbers.h"
#include "rules/rule_set.h"

namespace sekisho::legacy {

// A condition that may be turned round by '!'.
template <class T>
struct Maybe {
    T value{};
    bool inverted = false;
    friend bool operator==(const Maybe&, const Maybe&) = default;
};
using PortRange = rules::Range<uint16_t>;
inline constexpr PortRange kAnyPort{0, 65535};

struct ChainRule {
    Maybe<HostMask> source;
    Maybe<HostMask> destination;
    Maybe<uint16_t> protocol;                      // 0: all; above 255: none
    Maybe<PortRange> source_ports{kAnyPort};       // of ICMP: types
    Maybe<PortRange> destination_ports{kAnyPort};  // of ICMP: codes
    Maybe<std::string> via;        // empty: any; a '+' at its end: all that begin so
    std::optional<bool> syn;       // false: turned round
    std::optional<bool> fragment;  // the same
    bool log = false;
    uint8_t tos_and = 0xff;
    uint8_t tos_xor = 0;
    std::optional<uint32_t> mark;
    std::optional<uint16_t> copy_size;  // -o: kept, and shown, without effect
    std::string target;                 // empty: the walk goes on
    uint16_t redirect = 0;              // of REDIRECT; 0: the packet's own port

    // With its addresses and ports exchanged, ICMP types as they are (LEGACY C7).
    ChainRule exchanged() const;
    friend bool operator==(const ChainRule&, const ChainRule&) = default;
};

enum class ChainPoint : uint8_t { kInput, kForward, kOutput };
inline constexpr size_t kChainPoints = 3;
inline constexpr size_t kLongestChainName = 8;

class Chains {
  public:
    using Ids = std::array<rules::RuleId, kChainPoints>;  // kNoRule where it does not stand
    struct Entry {
        ChainRule rule;
        Ids ids;
        rules::RuleTotal zero;  // what its counter had when it was last set to zero
    };
    struct Chain {
        std::string name;
        std::optional<ChainPoint> point;  // none: user-defined
        std::string policy;               // of a built-in chain
        std::array<rules::ChainId, kChainPoints> at{};
        std::vector<Entry> entries;
        rules::RuleTotal policy_zero;
    };

    Chains();

    // All fail with a sentence of the original's meaning, and change nothing then (LEGACY C14).
    Result<void> create(const std::string& name);
    Result<void> remove_chain(std::string_view name);
    Result<void> set_policy(std::string_view name, const std::string& policy);
    // `index` from 0; kEnd: behind all others.
    static constexpr size_t kEnd = ~size_t{0};
    Result<void> insert(
        std::string_view chain, size_t index, const ChainRule& rule, const Links& links
    );
    Result<void> replace(
        std::string_view chain, size_t index, const ChainRule& rule, const Links& links
    );
    Result<void> remove(std::string_view chain, size_t index);
    Result<void> remove_equal(std::string_view chain, const ChainRule& rule);
    Result<void> flush(std::string_view name);
    Result<void> zero(std::string_view name, const Counts& counts);
    void follow_links(const Links& links, const Counts& counts);

    // In the order of listings: the built-in ones first.
    const std::vector<Chain>& all() const { return chains_; }
    const Chain* find(std::string_view name) const;
    size_t references_to(std::string_view name) const;
    const rules::RuleSet& rules() const { return set_; }
    static rules::RuleTotal count_of(const Entry& entry, const Counts& counts);
    rules::RuleTotal policy_count_of(const Chain& chain, const Counts& counts) const;

    MasqueradeTimeouts timeouts;

  private:
    Result<Chain*> need(std::string_view name);
    Result<rules::Rule> translate(ChainPoint point, const ChainRule& rule, const Links& links)
        const;
    // The rule as it is to stand at each point of the chain.
    Result<std::vector<std::pair<size_t, rules::Rule>>> translate_for(
        const Chain& chain, const ChainRule& rule, const Links& links
    ) const;
    // A new chain, from the first of the points at which it was to stand.
    void take_back(const Chain& chain, size_t points);
    // A rule, from each point at which it stands.
    void take_back(const Chain& chain, size_t index, const Ids& ids);
    void follow_links(Chain& chain, size_t index, const Links& links, const Counts& counts);

    rules::RuleSet set_;
    std::vector<Chain> chains_;
};

// Whether a target is one of the original's own, none of a chain.
bool is_own_target(std::string_view target);

}  // namespace sekisho::legacy
