// Firewall: the packet filter of Linux 2.0, as ipfwadm(8) sets it up: a value.
//
//   Chains    input, output and forward stop at the first rule that agrees, or at their policy; accounting walks to its
//             end (LEGACY S1, S2). rules() says the same in the appliance's model, always in step:
//             input at Hook::kIngress, forward at kForward, output at kEgress. Accounting is asked twice, at arrival
//             with no departing link, and at departure, translated, with no arriving one (S3, S4).
//   Fragments later ones of TCP, UDP and ICMP pass the three firewall chains by a first rule of ours, which no listing
//             shows (S10). Those with an offset of 8 bytes, and packets too short, are the parser's to drop (S10, S13).
//   Links     are found by name and address when a rule is made, and again by follow_links().
//   TOS       both low bits stay as they are: today they are ECN's (S14).
//   Thread    one at a time.
//   Source    LEGACY S1 to S21; SEEDS A1 to A6.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "legacy/appliance.h"
#include "legacy/numbers.h"
#include "rules/rule_set.h"

namespace sekisho::legacy {

enum class Point : uint8_t { kInput, kOutput, kForward, kAccounting };
inline constexpr size_t kPoints = 4;
const char* name_of(Point point);

enum class FirewallProtocol : uint8_t { kAll, kTcp, kUdp, kIcmp };
enum class FirewallPolicy : uint8_t { kAccept, kMasquerade, kDeny, kReject };
// Of accounting: where a rule is asked.
enum class AccountingSide : uint8_t { kBoth, kIn, kOut };
// As ipfwadm's command line has them; "accept/masquerade".
const char* name_of(FirewallProtocol protocol);
const char* name_of(FirewallPolicy policy);
const char* name_of(AccountingSide side);

// Up to ten ports on one side, or ICMP types; none: any.
struct PortList {
    std::optional<rules::Range<uint16_t>> range;  // counts as two
    std::vector<uint16_t> ports;
    size_t count() const { return ports.size() + (range ? 2 : 0); }
    bool is_any() const { return count() == 0; }
    bool has(uint16_t port) const;
    friend bool operator==(const PortList&, const PortList&) = default;
};
inline constexpr size_t kMostPorts = 10;  // of both sides and the redirection

struct FirewallRule {
    HostMask source;
    HostMask destination;
    FirewallProtocol protocol = FirewallProtocol::kAll;
    PortList source_ports;  // of ICMP: types
    PortList destination_ports;
    Ipv4Addr via;                                   // 0.0.0.0: any
    std::string via_name;                           // empty: any
    FirewallPolicy policy = FirewallPolicy::kDeny;  // not of accounting
    std::optional<uint16_t> redirect;               // 0: the packet's own port
    AccountingSide side = AccountingSide::kBoth;
    bool either_way = false;
    bool ack = false;
    bool syn = false;
    bool log = false;
    uint8_t tos_and = 0xff;
    uint8_t tos_xor = 0;

    // As a deletion looks for it: TOS is not compared (LEGACY S21).
    bool is_for_the_same(const FirewallRule& other) const;
    friend bool operator==(const FirewallRule&, const FirewallRule&) = default;
};

struct MasqueradeTimeouts {
    Seconds tcp{900};
    Seconds tcp_fin{120};
    Seconds udp{300};
    friend bool operator==(const MasqueradeTimeouts&, const MasqueradeTimeouts&) = default;
};

class Firewall {
  public:
    struct Entry {
        FirewallRule rule;
        rules::RuleId id;
        rules::RuleTotal zero;  // what its counter had when it was last set to zero
    };

    Firewall();

    // kFirst: a new rule stands before all others.
    enum class End : uint8_t { kFirst, kLast };
    // Fails  the rule could never be: redirection but of accepted TCP or UDP at input, masquerading but at forward
    Result<void> add(Point point, End end, const FirewallRule& rule, const Links& links);
    // The first that is for the same; false: there is none.
    bool remove(Point point, const FirewallRule& rule);
    void flush(Point point);
    // Not of accounting.
    Result<void> set_policy(Point point, FirewallPolicy policy);
    void zero(Point point, const Counts& counts);
    // Rules that name links get those that are there now; what they counted stays with them.
    void follow_links(const Links& links, const Counts& counts);

    const std::vector<Entry>& entries(Point point) const { return at(point).entries; }
    FirewallPolicy policy(Point point) const { return at(point).policy; }
    rules::ChainId chain(Point point) const { return at(point).chain; }
    const rules::RuleSet& rules() const { return set_; }

    MasqueradeTimeouts timeouts;

  private:
    struct Chain {
        rules::ChainId chain;
        FirewallPolicy policy = FirewallPolicy::kAccept;
        std::vector<Entry> entries;
        size_t before = 0;  // rules of ours at its beginning
    };
    void follow_links(Point point, size_t index, const Links& links, const Counts& counts);
    Chain& at(Point point) { return chains_[static_cast<size_t>(point)]; }
    const Chain& at(Point point) const { return chains_[static_cast<size_t>(point)]; }

    rules::RuleSet set_;
    std::array<Chain, kPoints> chains_;
};

// What a rule is in the appliance's model, standing in the chain of `point`.
Result<rules::Rule> translate(Point point, const FirewallRule& rule, const Links& links);
rules::Action translate(Point point, FirewallPolicy policy);

}  // namespace sekisho::legacy
