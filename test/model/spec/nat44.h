// Nat44: a NAT by the RFCs, in plain maps: slow, and meant to be read beside them.
//
//   Use       a packet is given to the real NAT; what that made of it is seen; then the same packet is
//             given to receive(), which says what had to become of it. Only two things are the real
//             NAT's to choose, and receive() asks for them: which external endpoint a new mapping
//             has (Choice), and whether a port that has rested between once and twice the quarantine
//             is given out. What it chose is checked: a wrong choice is a complaint.
//   Time      a session is dead once its timeout has passed. Its record may stay until a timer finds
//             it (end_overdue()), and counts until then; a packet of it ends it at once.
//   Source    RFC 4787, 5382, 5508, 6888, 7857; doc/configuration.md and doc/manual.md.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/drop_reason.h"
#include "ports.h"
#include "settings.h"
#include "tcp.h"

namespace sekisho::spec {

struct SessionName {
    Proto protocol = Proto::kUdp;
    Endpoint internal;
    Endpoint remote;
    friend auto operator<=>(const SessionName&, const SessionName&) = default;
};

struct Session {
    Endpoint mapping_remote;  // with its name's internal endpoint: which mapping it uses
    Time last = 0;
    uint64_t packets[2] = {0, 0};  // from inside, from outside
    bool is_permission = false;    // the subscriber has opened it
    Tcp tcp;
};

struct Mapping {
    Endpoint external;
    Address subscriber = 0;
    unsigned policy = 0;
    std::set<SessionName> sessions;
};

// What a packet comes to.
struct Outcome {
    std::optional<std::pair<Side, Packet>> sent;  // where to, and as what
    std::set<DropReason> dropped;                 // otherwise: for one of these reasons
    struct Answer {
        uint8_t type, code;
    };
    std::optional<Answer> answer;  // of the appliance, to its sender
    std::string wrong;             // complaints about choices
};

class Nat44 {
  public:
    // The external endpoint that the real NAT has given to the mapping of such a packet, if any. The
    // remote endpoint is the packet's.
    using Choice = std::function<std::optional<Endpoint>(const SessionName&)>;

    Nat44(const Settings& settings, Choice choice);

    Outcome receive(Side from, const Packet& packet, Time now);
    // Ends the sessions whose time has passed, unless the real NAT still has their record.
    std::string end_overdue(const std::function<bool(const SessionName&)>& is_there, Time now);
    void clear(const SessionName& name, Time now);
    std::string observe_blocks(const std::vector<HeldBlock>& held, Time now);

    const std::map<SessionName, Session>& sessions() const { return sessions_; }
    // Under their internal endpoints; the remote one is zero where it does not count.
    const std::map<SessionName, Mapping>& mappings() const { return mappings_; }
    const std::vector<Ports>& ports() const { return ports_; }
    Time deadline_of(const SessionName& name, const Session& session) const;
    // The session of a packet from outside, dead or alive.
    std::optional<SessionName> find_inbound(
        Proto p, const Endpoint& external, const Endpoint& remote
    ) const;
    bool is_pool(Address a) const;
    bool is_own(Address a) const;  // in its realm, or outside
    bool is_inside_any(Address a) const;

  private:
    using External = std::pair<Proto, Endpoint>;
    struct Bucket {  // of the rate of new sessions, in thousandths
        Time at = 0;
        int64_t tokens = 0;
    };

    // what comes from inside
    Outcome outbound(const Packet& packet, Time now);
    Outcome open(const Packet& packet, const SessionName& name, Time now);
    std::set<DropReason> over_limits(const SessionName& name, unsigned policy, Time now);
    std::set<DropReason> over_mapping_limits(Address subscriber, unsigned policy) const;
    bool is_within(unsigned used[3], unsigned all, unsigned own, Proto p, const Limits& l) const;
    std::set<DropReason> make_mapping(
        const SessionName& key, const SessionName& name, unsigned policy, Outcome& outcome, Time now
    );
    std::string check_choice(
        const SessionName& key, const Endpoint& external, unsigned policy, Time now
    );
    bool may_share(const SessionName& key, const Endpoint& external, unsigned policy) const;
    bool must_share(const SessionName& key, unsigned policy) const;
    Wish wish_of(const SessionName& name, unsigned policy) const;
    Outcome leave(const Packet& translated, Time now);
    // what comes from outside, or from inside to the outside of another subscriber
    Outcome inbound(const Packet& packet, bool is_hairpin, Time now);
    bool claims_inside(const Packet& packet) const;
    Outcome inbound_miss(const Packet& packet, Time now);
    std::set<DropReason> refuses_opening(const SessionName& key, const Mapping& m) const;
    bool admits(const SessionName& key, const Mapping& mapping, const Endpoint& remote) const;
    // ICMP errors
    Outcome error_outbound(const Packet& packet, Time now);
    Outcome error_inbound(const Packet& packet, bool is_hairpin);
    bool knows(const SessionName& name, Time now) const;
    // sessions and mappings
    std::optional<unsigned> policy_of(Address subscriber) const;
    SessionName mapping_key(const SessionName& name, unsigned policy) const;
    Session& make_session(const SessionName& key, const SessionName& name, Side opener, Time now);
    void track(const SessionName& name, Side from, const Packet& packet, Time now);
    // Of several that end in one passage of time nobody knows which was the last.
    // The name is a copy: the caller's may lie in the entry that goes.
    void end_session(SessionName name, Time from, Time now, bool is_order_known = true);
    static bool was_closed(const SessionName& name, const Session& session);
    bool is_dead(const SessionName& name, const Session& session, Time now) const {
        return deadline_of(name, session) <= now;
    }
    void end_if_dead(const SessionName& name, Time now);
    std::vector<SessionName> mappings_at(Proto p, const Endpoint& external) const;
    unsigned sessions_of(Address subscriber, Proto protocol) const;
    unsigned half_open_of(Address subscriber) const;
    unsigned mappings_of(Address subscriber) const;
    std::optional<Address> address_of(Address subscriber) const;
    unsigned ports_in_use_of(Address subscriber, Proto protocol) const;

    const Settings settings_;
    Choice choice_;
    std::vector<Ports> ports_;  // of each pool
    std::map<SessionName, Session> sessions_;
    std::map<SessionName, Mapping> mappings_;
    std::map<External, std::set<SessionName>> by_external_;
    std::map<Address, Bucket> buckets_;
    std::map<unsigned, unsigned> sessions_in_, mappings_in_;  // each part of the NAT
    // By the packet that is looked at: their records are free for the next one only.
    unsigned sessions_freed_ = 0, mappings_freed_ = 0;
    std::map<unsigned, Time> last_refusal_;  // of each pool, for want of ports
};

}  // namespace sekisho::spec
