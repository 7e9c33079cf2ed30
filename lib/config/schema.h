// The language as data: which maps there are, their keys, and the ranges of their numbers.
//
//   Thread    constant data. A test checks that doc/configuration.md has every key.
//   Source    the shared configuration language; key names follow RFC 8512 where it has one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sekisho::config {

struct Key {
    std::string_view name;
    bool required = false;
};

struct Section {
    std::string_view name;  // as it stands in a message: "a link"
    std::span<const Key> keys;
};

enum class Unit {
    kNone,     // digits only
    kCount,    // k, M: powers of 1000; Ki, Mi: powers of 1024
    kSeconds,  // s, m, h
};

// The range of a number, both ends included, and the RFC that a bound comes from, if one does.
struct NumberRule {
    uint64_t low;
    uint64_t high;
    Unit unit = Unit::kNone;
    std::string_view source = {};
};

inline constexpr Key kTopKeys[] = {
    {"system"},
    {"realms"},
    {"links", true},
    {"routes"},
    {"neighbours"},
    {"multicast"},
    {"pools", true},
    {"policies", true},
    {"static-mappings"},
    {"destination-nat"},
    {"trigger-forwards"},
    {"sets"},
    {"groups"},
    {"patterns"},
    {"payload-search"},
    {"rules"},
    {"rules-change"},
    {"timeouts"},
    {"limits"},
    {"pcp"},
    {"log"},
    {"syslog"},
    {"control"},
};
inline constexpr Key kPcpKeys[] = {
    {"enabled"},
    {"min-lifetime"},
    {"max-lifetime"},
    {"mappings-per-subscriber"},
    {"mappings"},
};
inline constexpr Key kSystemKeys[] = {
    {"name"}, {"workers"}, {"shards"}, {"huge-pages"}, {"idle"}, {"local-host"}};
inline constexpr Key kRealmKeys[] = {{"name", true}, {"side", true}};
inline constexpr Key kLinkKeys[] = {
    {"name", true},
    {"device", true},
    {"realm", true},
    {"addresses", true},
    {"mtu"},
    {"vlan"},
    {"proxy-arp"},
    {"queues"},
};
inline constexpr Key kRouteKeys[] = {{"prefix", true}, {"next-hop", true}, {"realm"}};
inline constexpr Key kNeighbourKeys[] = {{"address", true}, {"mac", true}, {"realm"}};
inline constexpr Key kMulticastKeys[] = {{"groups", true}, {"from", true}, {"to", true}};
inline constexpr Key kPoolKeys[] = {
    {"name", true},
    {"addresses", true},
    {"ports"},
    {"port-block-size"},
    {"blocks-per-subscriber"},
    {"port-selection"},
    {"port-ranges"},
    {"overflow-pool"},
    {"port-quarantine"},
    {"port-quarantine-ports"},
    {"reserved-ports"},
    {"reserved-addresses"},
    {"block-release-delay"},
    {"block-max-age"},
    {"keep-first-block"},
    {"pairing"},
    {"port-parity"},
    {"port-contiguity"},
    {"unsolicited-syn"},
    {"answer-pings"},
};
inline constexpr Key kPolicyKeys[] = {
    {"name", true},
    {"realm"},
    {"source", true},
    {"pool", true},
    {"exempt"},
    {"mapping"},
    {"filtering"},
    {"port-overloading"},
    {"refusal"},
    {"address-only"},
    {"tcp-window"},
    {"tcp-pickup"},
    {"mss-clamp"},
    {"limits"},
};
inline constexpr Key kExemptionKeys[] = {{"destination", true}, {"ports", true}};
inline constexpr Key kStaticMappingKeys[] = {
    {"realm"},
    {"internal-src-address", true},
    {"external-src-address", true},
    {"transport-protocol"},
    {"internal-src-port"},
    {"external-src-port"},
    {"access"},
};
inline constexpr Key kDestinationNatKeys[] = {
    {"name", true},
    {"realm"},
    {"source"},
    {"destination", true},
    {"transport-protocol"},
    {"ports"},
    {"targets", true},
    {"affinity"},
    {"target-realm"},
};
inline constexpr Key kTriggerForwardKeys[] = {
    {"name", true},
    {"realm"},
    {"source"},
    {"external-src-address", true},
    {"ports", true},
    {"transport-protocol"},
    {"trigger-port", true},
    {"trigger-protocol"},
    {"idle"},
    {"access"},
};
inline constexpr Key kTargetKeys[] = {{"address", true}, {"ports"}, {"weight"}};
inline constexpr Key kProtocolKeys[] = {{"tcp"}, {"udp"}, {"icmp"}};
inline constexpr Key kSubscriberLimitKeys[] = {
    {"sessions"},
    {"ports"},
    {"mappings"},
    {"sessions-per-second"},
    {"half-open"},
    {"inbound-openings"},
    {"tcp"},
    {"udp"},
    {"icmp"},
};
inline constexpr Key kProtocolLimitKeys[] = {{"sessions"}, {"ports"}, {"reserve"}};
inline constexpr Key kTimeoutKeys[] = {
    {"tcp-established"},
    {"tcp-transitory"},
    {"tcp-closing"},
    {"udp"},
    {"icmp"},
    {"association"},
    {"tunnel"},
    {"fragment"},
    {"by-remote-port"},
};
inline constexpr Key kPortTimeoutKeys[] = {{"protocol", true}, {"ports", true}, {"timeout", true}};
inline constexpr Key kTableLimitKeys[] = {
    {"sessions"},
    {"mappings"},
    {"subscribers"},
    {"fragments"},
    {"address-only-sessions"},
    {"unreplied-make-room"}};
inline constexpr Key kSetKeys[] = {{"name", true}, {"addresses"}, {"file"}};
inline constexpr Key kGroupKeys[] = {{"name", true}, {"realm"}, {"prefixes", true}};
inline constexpr Key kPatternKeys[] = {{"name", true}, {"literal"}, {"regex"}, {"first-bytes"}};
inline constexpr Key kPayloadSearchKeys[] = {{"streams"}, {"when-full"}};
inline constexpr Key kChainKeys[] = {{"name", true}, {"hook"}, {"priority"}, {"policy"}, {"rules"}};
inline constexpr Key kRuleKeys[] = {
    {"action"},
    {"and"},
    {"comment"},
    {"either-way"},
    {"protocol"},
    {"not-protocol"},
    {"source"},
    {"not-source"},
    {"destination"},
    {"not-destination"},
    {"address"},
    {"not-address"},
    {"source-port"},
    {"not-source-port"},
    {"destination-port"},
    {"not-destination-port"},
    {"port"},
    {"not-port"},
    {"icmp"},
    {"not-icmp"},
    {"in-link"},
    {"not-in-link"},
    {"out-link"},
    {"not-out-link"},
    {"link"},
    {"not-link"},
    {"tcp"},
    {"not-tcp"},
    {"tcp-flags"},
    {"not-tcp-flags"},
    {"fragment"},
    {"not-fragment"},
    {"tos"},
    {"not-tos"},
    {"dscp"},
    {"not-dscp"},
    {"length"},
    {"not-length"},
    {"ttl"},
    {"not-ttl"},
    {"state"},
    {"not-state"},
    {"realm"},
    {"not-realm"},
    {"group"},
    {"not-group"},
    {"payload"},
    {"not-payload"},
    {"time"},
    {"not-time"},
    {"rate"},
    {"not-rate"},
    {"mark"},
    {"not-mark"},
};
// What `and` may have: the conditions only.
inline constexpr std::span<const Key> kRuleConditionKeys = std::span(kRuleKeys).subspan(4);
inline constexpr Key kRulePortsKeys[] = {{"ports", true}, {"later-fragments"}};
inline constexpr Key kRuleIcmpKeys[] = {{"kinds", true}, {"later-fragments"}};
inline constexpr Key kTcpFlagsKeys[] = {{"mask", true}, {"set", true}, {"others"}};
inline constexpr Key kRuleTimeKeys[] = {{"days"}, {"from"}, {"to"}};
inline constexpr Key kRuleRateKeys[] = {{"packets", true}, {"per"}, {"burst"}};
inline constexpr Key kActionKeys[] = {
    {"accept"},
    {"deny"},
    {"reject"},
    {"log"},
    {"jump"},
    {"goto"},
    {"return"},
    {"masquerade"},
    {"snat"},
    {"dnat"},
    {"redirect"},
    {"no-track"},
    {"set-tos"},
    {"set-dscp"},
    {"set-mark"},
    {"police"},
};
inline constexpr Key kRejectKeys[] = {{"icmp"}, {"tcp-reset"}};
inline constexpr Key kRuleLogKeys[] = {{"level"}, {"prefix"}, {"per-minute"}, {"style"}};
inline constexpr Key kMasqueradeKeys[] = {{"ports", true}};
inline constexpr Key kDnatKeys[] = {{"targets", true}, {"affinity"}};
inline constexpr Key kDnatTargetKeys[] = {{"address", true}, {"port"}, {"weight"}};
inline constexpr Key kSetTosKeys[] = {{"keep"}, {"flip"}};
inline constexpr Key kPoliceKeys[] = {{"bytes-per-second", true}, {"burst", true}};
inline constexpr Key kLogKeys[] = {{"file", true}, {"events"}, {"ring"}, {"on-log-loss"}};
inline constexpr Key kSyslogKeys[] = {{"to"}, {"facility"}};
inline constexpr Key kControlKeys[] = {{"socket"}};

inline constexpr Section kTop{"the file", kTopKeys};
inline constexpr Section kSystem{"system", kSystemKeys};
inline constexpr Section kRealm{"a realm", kRealmKeys};
inline constexpr Section kLink{"a link", kLinkKeys};
inline constexpr Section kRoute{"a route", kRouteKeys};
inline constexpr Section kNeighbour{"a neighbour", kNeighbourKeys};
inline constexpr Section kMulticast{"an entry of multicast", kMulticastKeys};
inline constexpr Section kPool{"a pool", kPoolKeys};
inline constexpr Section kPolicy{"a policy", kPolicyKeys};
inline constexpr Section kExemption{"an exemption", kExemptionKeys};
inline constexpr Section kStaticMapping{"a static mapping", kStaticMappingKeys};
inline constexpr Section kDestinationNat{"a rule of destination-nat", kDestinationNatKeys};
inline constexpr Section kTriggerForward{"a trigger forward", kTriggerForwardKeys};
inline constexpr Section kTarget{"a target", kTargetKeys};
inline constexpr Section kProtocols{"a setting by protocol", kProtocolKeys};
inline constexpr Section kSubscriberLimits{"a policy's limits", kSubscriberLimitKeys};
inline constexpr Section kProtocolLimits{"a protocol's limits", kProtocolLimitKeys};
inline constexpr Section kTimeouts{"timeouts", kTimeoutKeys};
inline constexpr Section kPortTimeout{"a timeout by remote port", kPortTimeoutKeys};
inline constexpr Section kTableLimits{"limits", kTableLimitKeys};
inline constexpr Section kPcp{"pcp", kPcpKeys};
inline constexpr Section kSet{"a set", kSetKeys};
inline constexpr Section kGroup{"a group", kGroupKeys};
inline constexpr Section kPattern{"a pattern", kPatternKeys};
inline constexpr Section kPayloadSearch{"payload-search", kPayloadSearchKeys};
inline constexpr Section kChain{"a chain", kChainKeys};
inline constexpr Section kRule{"a rule", kRuleKeys};
inline constexpr Section kRuleConditions{"further conditions", kRuleConditionKeys};
inline constexpr Section kRulePorts{"ports of a rule", kRulePortsKeys};
inline constexpr Section kRuleIcmp{"icmp of a rule", kRuleIcmpKeys};
inline constexpr Section kTcpFlags{"tcp-flags", kTcpFlagsKeys};
inline constexpr Section kRuleTime{"time of a rule", kRuleTimeKeys};
inline constexpr Section kRuleRate{"a rate", kRuleRateKeys};
inline constexpr Section kAction{"an action", kActionKeys};
inline constexpr Section kReject{"reject", kRejectKeys};
inline constexpr Section kRuleLog{"log of a rule", kRuleLogKeys};
inline constexpr Section kMasquerade{"masquerade", kMasqueradeKeys};
inline constexpr Section kDnat{"dnat", kDnatKeys};
inline constexpr Section kDnatTarget{"a target of dnat", kDnatTargetKeys};
inline constexpr Section kSetTos{"set-tos", kSetTosKeys};
inline constexpr Section kPolice{"police", kPoliceKeys};
inline constexpr Section kLog{"log", kLogKeys};
inline constexpr Section kSyslog{"syslog", kSyslogKeys};
inline constexpr Section kControl{"control", kControlKeys};

inline constexpr const Section* kSections[] = {
    &kTop,
    &kSystem,
    &kRealm,
    &kLink,
    &kRoute,
    &kNeighbour,
    &kMulticast,
    &kPool,
    &kPolicy,
    &kExemption,
    &kStaticMapping,
    &kDestinationNat,
    &kTarget,
    &kTriggerForward,
    &kProtocols,
    &kSubscriberLimits,
    &kProtocolLimits,
    &kTimeouts,
    &kPortTimeout,
    &kTableLimits,
    &kPcp,
    &kSet,
    &kGroup,
    &kPattern,
    &kPayloadSearch,
    &kChain,
    &kRule,
    &kRuleConditions,
    &kRulePorts,
    &kRuleIcmp,
    &kTcpFlags,
    &kRuleTime,
    &kRuleRate,
    &kAction,
    &kReject,
    &kRuleLog,
    &kMasquerade,
    &kDnat,
    &kDnatTarget,
    &kSetTos,
    &kPolice,
    &kLog,
    &kSyslog,
    &kControl,
};

inline constexpr size_t kMaxRealms = 64;
inline constexpr size_t kMaxLinks = 255;  // LinkId has 8 bits
inline constexpr size_t kMaxLinkAddresses = 64;
inline constexpr size_t kMaxNeighbours = 4096;
inline constexpr size_t kMaxMulticast = 1024;
inline constexpr size_t kMaxPools = 1024;
inline constexpr size_t kMaxPolicies = 1024;
inline constexpr size_t kMaxStaticMappings = 65536;
inline constexpr size_t kMaxDestinationNat = 1024;
inline constexpr size_t kMaxTriggerForwards = 64;
inline constexpr size_t kMaxSets = 4096;
inline constexpr size_t kMaxSetAddresses = size_t{1} << 20;  // in the file, and of those beside it
inline constexpr size_t kMaxSetFile = size_t{64} << 20;      // bytes
inline constexpr size_t kMaxSetPath = 4095;
inline constexpr size_t kMaxGroups = 4096;
inline constexpr size_t kMaxPatterns = 12288;
inline constexpr size_t kMaxPatternBytes = 4096;
inline constexpr size_t kMaxChains = 4096;
inline constexpr size_t kMaxDnatTargets = 256;
inline constexpr size_t kMaxFurther = 256;            // maps under `and`
inline constexpr size_t kMaxLogPrefix = 64;           // bytes
inline constexpr size_t kMaxRules = size_t{1} << 20;  // of a chain
inline constexpr size_t kMaxComment = 255;            // bytes
// Over all pools. RFC 6888 REQ-3 wants none; this one catches a slip such as /2 for /28 before
// memory does.
inline constexpr size_t kMaxPoolAddresses = size_t{1} << 20;
inline constexpr unsigned kMaxShards = 64;
inline constexpr size_t kMaxSocketPath = 107;  // sun_path of Linux, with its final zero

// Frames lie in one buffer of 2048 bytes: 14 of Ethernet, 8 of two VLAN tags, room for an ICMP
// error to be built.
inline constexpr uint64_t kMaxMtuWithoutJumbo = 1982;
inline constexpr NumberRule kMtu{576, 9216};
inline constexpr NumberRule kVlan{1, 4094, Unit::kNone, "IEEE 802.1Q"};
inline constexpr NumberRule kQueues{1, kMaxShards};
inline constexpr NumberRule kCpuNumber{0, 65535};
inline constexpr NumberRule kBlockSize{64, 32768, Unit::kCount};
inline constexpr NumberRule kBlocksPerSubscriber{1, 255};
inline constexpr NumberRule kPortQuarantine{0, 86400, Unit::kSeconds};
inline constexpr NumberRule kBlockMaxAge{0, 604800, Unit::kSeconds};
inline constexpr NumberRule kBlockReleaseDelay{0, 86400, Unit::kSeconds};
inline constexpr NumberRule kSubscriberSessions{1, 134217728, Unit::kCount};
inline constexpr NumberRule kSubscriberPorts{1, 1048576, Unit::kCount};
inline constexpr NumberRule kSubscriberRate{0, 1000000, Unit::kCount};
inline constexpr NumberRule kTriggerPort{1, 65535};
inline constexpr NumberRule kTriggerIdle{1, 86400, Unit::kSeconds};
inline constexpr NumberRule kTargetWeight{0, 65535};
inline constexpr NumberRule kOwnLimit{0, 134217728, Unit::kCount};  // 0: none of its own
inline constexpr NumberRule kMssClamp{536, 9176};  // RFC 9293 3.7.1: what every host takes
inline constexpr NumberRule kInboundOpenings{0, 65535, Unit::kCount};
inline constexpr NumberRule kTcpEstablished{7440, 604800, Unit::kSeconds, "RFC 5382 REQ-5"};
inline constexpr NumberRule kTcpTransitory{240, 604800, Unit::kSeconds, "RFC 5382 REQ-5"};
inline constexpr NumberRule kTcpClosing{
    1, 604800, Unit::kSeconds};  // RFC 7857 2.1 lets it go below 4 minutes
inline constexpr NumberRule kUdp{120, 604800, Unit::kSeconds, "RFC 4787 REQ-5"};
inline constexpr NumberRule kWellKnownUdp{1, 604800, Unit::kSeconds};  // RFC 4787 REQ-5 a
inline constexpr uint16_t kLastWellKnownPort = 1023;                   // RFC 6335 6
inline constexpr NumberRule kAssociation{7440, 604800, Unit::kSeconds, "RFC 5597"};
inline constexpr NumberRule kTunnel{60, 604800, Unit::kSeconds};
inline constexpr NumberRule kIcmp{60, 604800, Unit::kSeconds, "RFC 5508 REQ-2"};
inline constexpr NumberRule kFragment{2, 120, Unit::kSeconds, "RFC 6146 3.4"};
inline constexpr NumberRule kSessions{1, 134217728, Unit::kCount};
inline constexpr NumberRule kMappings{1, 134217728, Unit::kCount};
inline constexpr NumberRule kSubscribers{1, 16777216, Unit::kCount};
inline constexpr NumberRule kFragments{512, 65536, Unit::kCount};
inline constexpr NumberRule kAddressOnlySessions{1, 1048576, Unit::kCount};
inline constexpr NumberRule kPcpLifetime{
    1, 1209600, Unit::kSeconds};  // within half of the clock's round
inline constexpr NumberRule kPcpOfSubscriber{1, 1024, Unit::kCount};
inline constexpr NumberRule kPcpMappings{1, 16777216, Unit::kCount};
// A ring keeps a place for every block that is on its way to the shard, 1024 at most.
inline constexpr NumberRule kLogRing{2048, 16777216, Unit::kCount};
inline constexpr size_t kMaxLogPath = 4095;
inline constexpr NumberRule kRatePackets{1, 1000000000, Unit::kCount};
inline constexpr NumberRule kRatePeriod{1, 604800, Unit::kSeconds};
inline constexpr NumberRule kRateBurst{1, 1000000, Unit::kCount};
inline constexpr NumberRule kLogLines{0, UINT32_MAX, Unit::kCount};
inline constexpr NumberRule kFirstBytes{1, 1073741824, Unit::kCount};
inline constexpr NumberRule kScannedStreams{64, 1048576, Unit::kCount};
inline constexpr uint64_t kMaxIcmpCode = 15;  // of destination unreachable
inline constexpr uint64_t kMaxDscp = 63;      // RFC 2474
inline constexpr NumberRule kRulePort{1, 65535};
inline constexpr NumberRule kDnatWeight{0, UINT32_MAX};
inline constexpr NumberRule kPoliceRate{1, 1000000000000, Unit::kCount};
inline constexpr NumberRule kPoliceBurst{1, UINT32_MAX, Unit::kCount};

std::string list_keys(const Section& section);  // a, b and c; negations go without saying

// The key of `section` that `written` was most likely meant to be; all of them if none is near.
std::string nearest_key(const Section& section, std::string_view written);

}  // namespace sekisho::config
