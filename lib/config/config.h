// The configuration as values: what a file says once it has been checked whole.
//
// A file is read in three steps, none of which stops at its first mistake: the text becomes a tree
// with places (yaml_tree.h, where only broken YAML ends the matter), the tree is read against the
// schema (schema.h, values.h, read_*.cc), and what must hold between values is checked (check*.cc).
// Only a file without a mistake gives a Config.
//
//   Thread    immutable after load(). Source: shared configuration language, doc/configuration.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "config/rules_settings.h"
#include "nat/settings.h"

namespace sekisho::config {

enum class HugePages : uint8_t { kAuto, kRequired, kNever };
enum class IdleMode : uint8_t { kAdaptive, kBusy };  // what a worker does when nothing arrives
enum class Side : uint8_t { kInternal, kExternal };

struct SystemSettings {
    std::string name = "sekisho";
    std::vector<unsigned> worker_cpus;  // one worker each, never empty
    bool worker_cpus_given = false;     // the file named CPUs; otherwise they were chosen
    unsigned shards = 0;                // default: one a worker; never fewer than workers
    HugePages huge_pages = HugePages::kAuto;
    IdleMode idle = IdleMode::kAdaptive;
    friend bool operator==(const SystemSettings&, const SystemSettings&) = default;
};

struct RealmSettings {
    std::string name;
    Side side = Side::kInternal;
    RealmId id;
    friend bool operator==(const RealmSettings&, const RealmSettings&) = default;
};

enum class DeviceKind : uint8_t {
    kPci,
    kAfXdp,
    kAfPacket,
    kTap,
    kPcap,
    kMemif,
    kVhost,
    kVirtioUser,
    kPcapLoop,
    kNull,
    kFlowgen
};

struct DeviceSettings {
    DeviceKind kind = DeviceKind::kAfPacket;
    std::vector<std::string> arguments;  // split at commas: IF | NAME | IN,OUT | ADDR ...
    std::string text;                    // as written
    friend bool operator==(const DeviceSettings&, const DeviceSettings&) = default;
};

struct InterfaceAddress {  // an own address of the appliance and the prefix that is on the link
    Ipv4Addr address;
    uint8_t prefix_length = 32;
    Ipv4Prefix on_link() const;
    friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

struct LinkSettings {
    std::string name;
    DeviceSettings device;
    RealmId realm;
    Side side = Side::kInternal;
    std::vector<InterfaceAddress> addresses;
    uint16_t mtu = 1500;
    std::vector<uint16_t> vlans;  // outermost first: none, one tag, or two (QinQ)
    bool proxy_arp = false;
    unsigned queues = 0;  // 0: one a worker, or as many as the device has
    friend bool operator==(const LinkSettings&, const LinkSettings&) = default;
};

struct RouteSettings {
    Ipv4Prefix prefix;
    Ipv4Addr next_hop;
    LinkId link;  // the link whose prefix holds the next hop
    friend bool operator==(const RouteSettings&, const RouteSettings&) = default;
};

struct NeighbourSettings {  // one whose link address is written down: never asked for by ARP
    Ipv4Addr address;
    MacAddr mac;
    LinkId link;  // the link whose prefix holds the address
    friend bool operator==(const NeighbourSettings&, const NeighbourSettings&) = default;
};

// Groups whose packets go on, as they are, from one link to one on the internal side.
struct MulticastSettings {
    Ipv4Prefix groups;
    LinkId from;
    LinkId to;
    friend bool operator==(const MulticastSettings&, const MulticastSettings&) = default;
};

struct ControlSettings {
    std::string socket = "/run/sekisho/sekisho.sock";
    friend bool operator==(const ControlSettings&, const ControlSettings&) = default;
};

// Where the log of bindings goes; what it tells is in nat.events.
struct LogSettings {
    std::string file;  // empty: no log
    friend bool operator==(const LogSettings&, const LogSettings&) = default;
};

// Where lines of rules that log go (RFC 5424): a Unix socket of datagrams, or UDP (RFC 5426).
struct SyslogSettings {
    std::string socket = "/dev/log";  // empty: by UDP
    Ipv4Addr address{};
    uint16_t port = 514;
    uint8_t facility = 3;  // RFC 5424, table 1; 3: daemon
    friend bool operator==(const SyslogSettings&, const SyslogSettings&) = default;
};

struct Config {
    SystemSettings system;
    std::vector<RealmSettings>
        realms;                       // by RealmId: 0 external, 1 internal, then those of the file
    std::vector<LinkSettings> links;  // by LinkId
    std::vector<RouteSettings> routes;
    std::vector<NeighbourSettings> neighbours;
    std::vector<MulticastSettings> multicast;
    nat::NatSettings nat;
    RulesSettings rules;
    PayloadSearchSettings payload_search;
    LogSettings log;
    SyslogSettings syslog;
    ControlSettings control;
    std::string source_text;  // the file as it was read, for `show config`
    friend bool operator==(const Config&, const Config&) = default;
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
    std::optional<Config> config;   // empty if there is a mistake
    std::vector<Mistake> mistakes;  // in the order of the file, those of files that it names last
    // What is allowed and yet makes no sense: rules that no packet reaches.
    std::vector<Mistake> warnings;
};

// What the machine has, as far as the configuration depends on it; tests pass their own.
struct MachineFacts {
    std::vector<unsigned> cpus;  // usable CPU numbers
    // The files that the configuration names: read_file.h.
    std::function<Result<std::string>(const std::string& path, size_t most)> read_file = {};

    static MachineFacts of_this_machine();
    // For files that are only read: as if it had every CPU.
    static MachineFacts of_any_machine();
};

// Reads and checks a whole file; touches nothing. Cost: start-up. Thread: any.
Checked load(const std::string& path, const MachineFacts& machine);
Checked parse(const std::string& text, const std::string& file_name, const MachineFacts& machine);

// The configuration in effect, defaults included, in the language of the file: parse(to_yaml(c))
// gives c again (but for source_text).
std::string to_yaml(const Config& config);

}  // namespace sekisho::config
