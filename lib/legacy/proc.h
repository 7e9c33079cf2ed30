// The files of /proc/net that earlier kernels had for masquerading and packet filters, in their columns.
//
//   Bounds    of sessions as many as were given; a number that is too long for its column makes the line longer.
//   Cost      control code; linear. Thread: pure.
//   Source    LEGACY S26; SEEDS C1; seeds 002 (3.7, 3.8) and 004.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "legacy/appliance.h"
#include "legacy/chains.h"

namespace sekisho::legacy {

// ip_masquerade of Linux 2.2: a header, then a line of 128 bytes for each session.
std::string ip_masquerade_header();
std::string ip_masquerade_line(const MasqueradedSession& session);

// A session as ip_conntrack of Linux 2.4 tells it: of TCP with its state, else ASSURED or not.
struct TrackedSession {
    MasqueradedSession session;
    Ipv4Addr external;         // the source that the far end sees
    std::string_view state;    // of TCP: "ESTABLISHED"
    bool is_answered = false;  // else UNREPLIED
    bool is_assured = false;
};
std::string ip_conntrack_line(const TrackedSession& session);

// ip_fwchains of Linux 2.2: a line a rule; ip_fwnames: one a chain.
std::string ip_fwchains(const Chains& chains, const Counts& counts);
std::string ip_fwnames(const Chains& chains, const Counts& counts);

}  // namespace sekisho::legacy
