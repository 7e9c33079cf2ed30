// Settings: what an operator sets, as far as the specification knows it.
//
//   Units     milliseconds and counts; 0 is no limit where that is said.
//   Source    doc/configuration.md; RFC 4787, 5382, 5508, 6888, 7857.
#pragma once

#include <array>
#include <functional>
#include <set>
#include <vector>

#include "packet.h"

namespace sekisho::spec {

// For how many remote endpoints one mapping serves, or who may send to it (RFC 4787 4.1, 5).
enum class Dependence : uint8_t { kNone, kAddress, kAddressAndPort };

template <class T>
struct ByProto {
    std::array<T, 3> values{};
    T& operator[](Proto p) { return values[static_cast<size_t>(p)]; }
    const T& operator[](Proto p) const { return values[static_cast<size_t>(p)]; }
};

struct Pool {
    Address first = 0;
    unsigned addresses = 1;
    uint16_t first_port = 1024;
    uint16_t last_port = 65535;
    unsigned block_size = 64;
    unsigned blocks_per_subscriber = 4;
    bool sequential = false;
    bool preserve = false;  // the internal port where it is free; no blocks
    bool keeps_ranges =
        false;              // below 1024 to below 1024, others to others; of a pool that preserves
    bool is_paired = true;  // all of a subscriber's mappings have one address
    bool is_soft = false;   // not paired, but others only while that one has nothing left
    std::set<uint16_t> reserved{};  // nobody gets them
    bool parity = false;
    bool contiguity = false;
    Time quarantine = 120'000;
    Time release_delay = 60'000;

    bool has(Address a) const { return a >= first && a < first + addresses; }
};

struct ProtoLimits {
    unsigned sessions = 0;  // 0: no limit of its own
    unsigned ports = 0;     // 0: the same
    unsigned reserve = 0;
};

struct Limits {
    unsigned sessions = 4096;
    unsigned ports = 2048;
    unsigned sessions_per_second = 0;  // 0: no limit
    unsigned inbound_openings = 16;
    unsigned mappings = 0;   // 0: no limit
    unsigned half_open = 0;  // 0: no limit
    ByProto<ProtoLimits> of;
};

struct Policy {
    Address source = 0;  // a prefix
    unsigned length = 0;
    unsigned pool = 0;
    ByProto<Dependence> mapping;
    ByProto<Dependence> filtering;
    bool overloading = false;
    uint8_t refusal_code = 1;  // of Destination Unreachable; 0: silent
    Limits limits;

    bool covers(Address a) const { return ((a ^ source) >> (32 - length)) == 0; }
};

struct Timeouts {
    Time established = 7'440'000;
    Time transitory = 240'000;
    Time closing = 60'000;
    Time udp = 300'000;
    Time icmp = 60'000;
};

struct Settings {
    std::vector<Pool> pools;
    std::vector<Policy> policies;  // the first that covers an address decides
    Timeouts timeouts;
    unsigned sessions = 4096;  // the tables of each part of the NAT
    unsigned mappings = 4096;
    std::function<unsigned(Address)> part_of;  // which part a subscriber belongs to
    std::vector<Address> own;                  // the appliance's addresses, the one outside last
    unsigned realms = 1;                       // inside: address spaces of their own
    std::function<bool(Address)> is_routed_inside;  // in the address's realm
};

}  // namespace sekisho::spec
