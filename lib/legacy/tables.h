// Tables: the packet filter of Linux 2.4 and later, as iptables(8) sets it up: a value.
//
//   Points    raw and mangle PREROUTING stand at Hook::kIngress, POSTROUTING of mangle at kEgress, the INPUT, FORWARD and
//             OUTPUT chains of filter, mangle and raw at kLocalIn, kForward and kLocalOut, by priority as in Linux; nat
//             PREROUTING at kNatDestination, POSTROUTING at kNatSource. To nat INPUT and OUTPUT no packet comes here.
//   Names     in rules() a chain is called "TABLE.CHAIN".
//   Strings   of -m string are looked for in what a direction of a flow carries, wherever it is cut, so none has a place in a packet.
//   SNAT      goes to a pool of the appliance: who makes a rule says which pool has just those addresses and ports.
//   Thread    one at a time.
//   Source    LEGACY I1 to I10; SEEDS A8.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "legacy/appliance.h"
#include "legacy/chains.h"
#include "legacy/numbers.h"
#include "rules/patterns.h"
#include "rules/rule_set.h"

namespace sekisho::legacy {

enum class Table : uint8_t { kFilter, kNat, kMangle, kRaw };
inline constexpr size_t kTables = 4;
const char* name_of(Table table);
std::optional<Table> table_named(std::string_view name);

// What -m names, in the order of the command line.
struct TcpFlags {
    uint8_t mask = 0;
    uint8_t set = 0;
    friend bool operator==(const TcpFlags&, const TcpFlags&) = default;
};
struct PortMatch {  // -m tcp, -m udp
    Maybe<PortRange> source{kAnyPort};
    Maybe<PortRange> destination{kAnyPort};
    std::optional<Maybe<TcpFlags>> flags;  // of tcp
    friend bool operator==(const PortMatch&, const PortMatch&) = default;
};
struct IcmpMatch {  // -m icmp
    Maybe<rules::IcmpKind> kind;
    friend bool operator==(const IcmpMatch&, const IcmpMatch&) = default;
};
struct StateMatch {  // -m state, -m conntrack
    bool is_conntrack = false;
    Maybe<rules::ByteSet> states;
    friend bool operator==(const StateMatch&, const StateMatch&) = default;
};
struct LimitMatch {
    uint32_t packets = 3;
    Seconds period{3600};
    uint32_t burst = 5;
    friend bool operator==(const LimitMatch&, const LimitMatch&) = default;
};
struct MultiportMatch {
    Maybe<std::vector<PortRange>> ports;
    rules::Side side = rules::Side::kEither;
    friend bool operator==(const MultiportMatch&, const MultiportMatch&) = default;
};
struct MarkMatch {
    Maybe<rules::MarkTest> mark;
    friend bool operator==(const MarkMatch&, const MarkMatch&) = default;
};
struct CommentMatch {
    std::string text;
    friend bool operator==(const CommentMatch&, const CommentMatch&) = default;
};
struct RangeMatch {  // -m iprange
    std::optional<Maybe<rules::AddressRange>> source;
    std::optional<Maybe<rules::AddressRange>> destination;
    friend bool operator==(const RangeMatch&, const RangeMatch&) = default;
};
struct LengthMatch {
    Maybe<PortRange> length{kAnyPort};
    friend bool operator==(const LengthMatch&, const LengthMatch&) = default;
};
struct TtlMatch {
    enum class How : uint8_t { kEqual, kMore, kLess };
    Maybe<uint8_t> ttl;
    std::optional<How> how;  // none only while it is read
    friend bool operator==(const TtlMatch&, const TtlMatch&) = default;
};
struct TosMatch {
    Maybe<rules::TosTest> tos;
    friend bool operator==(const TosMatch&, const TosMatch&) = default;
};
inline constexpr uint16_t kEndOfPacket = 65535;
struct StringMatch {
    Maybe<std::string> text;  // the bytes that are looked for
    bool ignores_case = false;
    std::string algorithm = "bm";
    uint16_t from = 0;  // of a packet, where a match may begin
    uint16_t to = kEndOfPacket;
    friend bool operator==(const StringMatch&, const StringMatch&) = default;
};
using Match = std::variant<
    PortMatch,
    IcmpMatch,
    StateMatch,
    LimitMatch,
    MultiportMatch,
    MarkMatch,
    CommentMatch,
    RangeMatch,
    LengthMatch,
    TtlMatch,
    TosMatch,
    StringMatch>;

// What -j names. A chain, ACCEPT, DROP, RETURN and NOTRACK want nothing more than their name.
struct LogTarget {
    uint8_t level = 4;
    std::string prefix;
    friend bool operator==(const LogTarget&, const LogTarget&) = default;
};
struct RejectTarget {
    std::string with = "icmp-port-unreachable";
    friend bool operator==(const RejectTarget&, const RejectTarget&) = default;
};
// SNAT, DNAT, MASQUERADE, REDIRECT: to addresses (but for the last two) and ports; 0: as they are.
struct NatTarget {
    rules::AddressRange to;
    PortRange ports{0, 0};
    friend bool operator==(const NatTarget&, const NatTarget&) = default;
};
struct MarkTarget {
    uint32_t value = 0;
    uint32_t mask = 0xffffffff;
    friend bool operator==(const MarkTarget&, const MarkTarget&) = default;
};
struct TosTarget {  // TOS and DSCP: of the bits of `mask`, those of `value`
    uint8_t value = 0;
    uint8_t mask = 0xff;
    friend bool operator==(const TosTarget&, const TosTarget&) = default;
};
using TargetOptions =
    std::variant<std::monostate, LogTarget, RejectTarget, NatTarget, MarkTarget, TosTarget>;

struct TableRule {
    Maybe<HostMask> source;
    Maybe<HostMask> destination;
    Maybe<uint8_t> protocol;  // 0: all
    Maybe<std::string> in;    // empty: any; a '+' at its end: all that begin so
    Maybe<std::string> out;
    std::optional<bool> fragment;  // false: turned round
    std::vector<Match> matches;
    std::string target;  // empty: the walk goes on
    bool goes = false;   // -g, not -j
    TargetOptions options;
    friend bool operator==(const TableRule&, const TableRule&) = default;
};

// What a rule needs of the machine when it is made.
struct TableContext {
    Links links;
    PoolFinder pool_of;
};

inline constexpr size_t kLongestTableChainName = 28;

class Tables {
  public:
    struct Entry {
        TableRule rule;
        rules::RuleId id;
        rules::RuleTotal zero;  // what its counter had when it was last set to zero
    };
    struct Chain {
        std::string name;
        bool is_built_in = false;
        std::string policy;  // of a built-in chain
        rules::ChainId id;
        std::vector<Entry> entries;
        rules::RuleTotal policy_zero;
    };

    Tables();

    // All fail with a sentence of the original's meaning, and change nothing then.
    Result<void> create(Table table, const std::string& name);
    Result<void> remove_chain(Table table, std::string_view name);
    Result<void> rename(Table table, std::string_view name, const std::string& to);
    Result<void> set_policy(Table table, std::string_view name, const std::string& policy);
    static constexpr size_t kEnd = ~size_t{0};
    Result<void> insert(
        Table table,
        std::string_view chain,
        size_t index,
        const TableRule& rule,
        const TableContext& context
    );
    Result<void> replace(
        Table table,
        std::string_view chain,
        size_t index,
        const TableRule& rule,
        const TableContext& context
    );
    Result<void> remove(Table table, std::string_view chain, size_t index);
    // The first that is equal.
    Result<size_t> find_equal(Table table, std::string_view chain, const TableRule& rule) const;
    Result<void> flush(Table table, std::string_view name);
    // `had`: what the counters are to show then.
    void set_count(Table table, std::string_view chain, size_t index, rules::RuleTotal had);
    Result<void> zero(Table table, std::string_view name, const Counts& counts);
    void follow_links(const TableContext& context, const Counts& counts);

    // The built-in ones first.
    const std::vector<Chain>& chains(Table table) const { return at(table); }
    const Chain* find(Table table, std::string_view name) const;
    size_t references_to(Table table, std::string_view name) const;
    rules::RuleTotal policy_count_of(const Chain& chain, const Counts& counts) const;
    const rules::RuleSet& rules() const { return set_; }
    // What those rules look for in payloads, by rules::PatternId. One that no rule names may become another.
    const std::vector<rules::Pattern>& patterns() const { return patterns_; }

  private:
    std::vector<Chain>& at(Table table) { return chains_[static_cast<size_t>(table)]; }
    const std::vector<Chain>& at(Table table) const { return chains_[static_cast<size_t>(table)]; }
    Result<Chain*> need(Table table, std::string_view name);
    void follow_links(Table table, Chain& chain, const TableContext& context, const Counts& counts);
    void follow_links(
        Table table, Chain& chain, size_t index, const TableContext& context, const Counts& counts
    );
    Result<rules::Rule> translate(Table table, const TableRule& rule, const TableContext& context);
    Result<void> translate(const std::vector<Match>& matches, std::vector<rules::Condition>& made);
    Result<rules::PatternId> pattern_of(const StringMatch& match);

    rules::RuleSet set_;
    std::vector<rules::Pattern> patterns_;
    std::array<std::vector<Chain>, kTables> chains_;
};

// Targets that are none of a chain.
bool is_table_target(std::string_view target);

}  // namespace sekisho::legacy
