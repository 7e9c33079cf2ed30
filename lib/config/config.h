// The configuration as values: what a file says once it has been checked whole.
//
//   Thread    immutable after load(). Source: shared configuration language, doc/configuration.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/types.h"
#include "nat/settings.h"

namespace sekisho::config {

enum class HugePages : uint8_t { kAuto, kRequired, kNever };
enum class IdleMode : uint8_t { kAdaptive, kBusy };  // what a worker does when nothing arrives
enum class Side : uint8_t { kInternal, kExternal };

struct SystemSettings {
    std::string name = "sekisho";
    std::vector<unsigned> worker_cpus;    // one worker each, never empty
    bool worker_cpus_given = false;       // the file named CPUs; otherwise they were chosen
    unsigned shards = 0;                  // default: one a worker; never fewer than workers
    HugePages huge_pages = HugePages::kAuto;
    IdleMode idle = IdleMode::kAdaptive;
};

struct RealmSettings {
    std::string name;
    Side side = Side::kInternal;
    RealmId id;
};

enum class DeviceKind : uint8_t { kPci, kAfXdp, kAfPacket, kTap, kPcap, kMemif, kVhost, kVirtioUser, kPcapLoop, kNull, kFlowgen };

struct DeviceSettings {
    DeviceKind kind = DeviceKind::kAfPacket;
    std::vector<std::string> arguments;   // split at commas: IF | NAME | IN,OUT | ADDR
    std::string text;                     // as written
};

struct InterfaceAddress {  // an own address of the appliance and the prefix that is on the link
    Ipv4Addr address;
    uint8_t prefix_length = 32;
    Ipv4Prefix on_link() const;
};

struct LinkSettings {
    std::string name;
    DeviceSettings device;
    RealmId realm;
    Side side = Side::kInternal;
    std::vector<InterfaceAddress> addresses;
    uint16_t mtu = 1500;
    std::vector<uint16_t> vlans;          // outermost first: none, one tag, or two (QinQ)
    bool proxy_arp = false;
    unsigned queues = 0;                  // 0: one a worker, or as many as the device has
};

struct RouteSettings {
    Ipv4Prefix prefix;
    Ipv4Addr next_hop;
    LinkId link;                          // the link whose prefix holds the next hop
};

struct ControlSettings {
    std::string socket = "/run/sekisho/sekisho.sock";
};

struct Config {
    SystemSettings system;
    std::vector<RealmSettings> realms;    // internal and external always exist
    std::vector<LinkSettings> links;      // by LinkId
    std::vector<RouteSettings> routes;
    nat::NatSettings nat;
    ControlSettings control;
    std::string source_text;              // the file as it was read, for `show config`
};

// One mistake: where, what was found, what was wanted. Line and column count from 1.
struct Mistake {
    std::string file;
    int line = 0;
    int column = 0;
    std::string found;
    std::string wanted;
    std::string text() const;  // file:line:column: found ..., wanted ...
};

struct Checked {
    std::optional<Config> config;      // empty if there is a mistake
    std::vector<Mistake> mistakes;     // in the order of the file
};

// What the machine has, as far as the configuration depends on it; tests pass their own.
struct MachineFacts {
    std::vector<unsigned> cpus;        // usable CPU numbers
    static MachineFacts of_this_machine();
};

// Reads and checks a whole file; touches nothing. Cost: start-up. Thread: any.
Checked load(const std::string& path, const MachineFacts& machine);
Checked parse(const std::string& text, const std::string& file_name, const MachineFacts& machine);

}  // namespace sekisho::config
