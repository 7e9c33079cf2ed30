#include "control/command_table.h"

#include <algorithm>
#include <array>

#include "base/protocol_name.h"
#include "base/text.h"
#include "control/filter.h"
#include "rules/rule_set.h"

namespace sekisho::control {

namespace {

using Words = std::vector<std::string_view>;

const Words kProtocols = [] {
    Words names;
    for (const base::ProtocolName& known : base::kProtocolNames) {
        names.push_back(known.text);
    }
    return names;
}();
const Words kHooks = [] {
    Words names;
    for (unsigned i = 0; i < rules::kHooks; ++i) {
        names.emplace_back(rules::name_of(static_cast<rules::Hook>(i)));
    }
    return names;
}();
const Words kWays = {"forward", "local-in", "local-out"};
const Words kStates = {"new", "established", "related", "invalid", "untracked"};
const Words kFragments = {"whole", "first", "later"};
const Words kDays = {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};

bool is_some(std::string_view text) {
    return !text.empty();
}
bool is_address(std::string_view text) {
    return base::parse_ipv4(text).has_value();
}
bool is_endpoint(std::string_view text) {
    return parse_endpoint(text).has_value();
}
bool is_number(std::string_view text) {
    return base::parse_decimal(text, UINT32_MAX).has_value();
}
bool is_place(std::string_view text) {
    return is_number(text) && text != "0";
}
// A map has both its braces: a shell makes many words of one that is not in quotes.
bool is_whole(std::string_view text) {
    return is_some(text) && (!text.starts_with('{') || text.ends_with('}'));
}
bool is_place_or_rule(std::string_view text) {
    return is_place(text) || (text.starts_with('{') && is_whole(text));
}

constexpr std::array<CommandWord, 5> kFilters{{
    {"subscriber", "<A>", "of one internal address", kWantedAddress, is_address},
    {"realm", "<name>", "of one realm on the internal side", kWantedRealm, is_some},
    {"external",
     "<A[:P]>",
     "of one external address, or address and port",
     kWantedEndpoint,
     is_endpoint},
    {"remote",
     "<A[:P]>",
     "with one remote address, or address and port",
     kWantedEndpoint,
     is_endpoint},
    {"protocol",
     "<protocol>",
     "of one protocol: tcp, udp, icmp, sctp, dccp, udp-lite, gre or esp",
     kWantedProtocol,
     nullptr,
     &kProtocols},
}};

constexpr std::string_view kWantedChain = "the name of a chain";
constexpr std::string_view kWantedPlace = "a rule's number in its chain, from 1";
constexpr std::string_view kWantedRule =
    "a rule, on a shell's command line in quotes: '{protocol: udp, action: deny}'";

constexpr CommandWord kChain{"chain", "<chain>", "of one chain", kWantedChain, is_some};
constexpr CommandWord kRule{"rule", "<rule>", "in the language of the file", kWantedRule, is_whole};
constexpr CommandWord kPosition{
    "position", "<N>", "its number, from 1", kWantedPlace, is_place, nullptr, true};
constexpr CommandWord kTo{
    "to", "<M>", "its number afterwards", kWantedPlace, is_place, nullptr, true};
constexpr CommandWord kPositionOrRule{
    "position",
    "<N|rule>",
    "its number, or what it says",
    "a rule's number, from 1, or a rule, on a shell's command line in quotes: '{protocol: udp, "
    "action: deny}'",
    is_place_or_rule,
    nullptr,
    true,
    "rule"};
constexpr CommandWord kPolicy{
    "policy",
    "<policy>",
    "accept, deny or {reject: ...}",
    "a policy: accept, deny, or on a shell's command line in quotes '{reject: host-unreachable}'",
    is_whole};

constexpr CommandWord kOfList[] = {
    kChain,
    {"hook",
     "<hook>",
     "of the chains at one hook",
     "a hook: ingress, forward, egress, ...",
     nullptr,
     &kHooks},
    {kExactWord, "", "every digit of the counters", ""},
    {"zero", "", "the counters begin anew", ""}};
constexpr CommandWord kToAdd[] = {kChain, kRule};
constexpr CommandWord kToInsert[] = {kChain, kPosition, kRule};
constexpr CommandWord kToDelete[] = {kChain, kPositionOrRule};
constexpr CommandWord kToMove[] = {kChain, kPosition, kTo};
constexpr CommandWord kOfChain[] = {kChain};
constexpr CommandWord kToSetPolicy[] = {kChain, kPolicy};
constexpr CommandWord kWithId[] = {
    {"id", "<id>", "that the rule is to have", "the id of a rule", is_number, nullptr, true}};
constexpr CommandWord kOfCreated[] = {
    {"hook",
     "<hook>",
     "where it stands; without one rules lead to it",
     "a hook: ingress, forward, egress, ...",
     nullptr,
     &kHooks},
    {"priority", "<number>", "lower is asked first", "a whole number", is_some},
    kPolicy};

constexpr CommandWord kOfPacket[] = {
    {"protocol", "<protocol>", "a name or a number", "a protocol", is_some},
    {"source", "<A[:P]>", "whose packet it is", kWantedEndpoint, is_endpoint},
    {"destination", "<A[:P]>", "for whom it is", kWantedEndpoint, is_endpoint},
    {"in-link", "<link>", "by which it arrives", "the name of a link", is_some},
    {"out-link", "<link>", "by which it departs", "the name of a link", is_some},
    {"realm", "<name>", "of the subscriber", kWantedRealm, is_some},
    {"way",
     "<way>",
     "whether it passes, or is for the appliance, or from it",
     "forward, local-in or local-out",
     nullptr,
     &kWays},
    {"state", "<state>", "of its session", "a state", nullptr, &kStates},
    {"translated-source",
     "<A[:P]>",
     "what the NAT makes of the source",
     kWantedEndpoint,
     is_endpoint},
    {"translated-destination",
     "<A[:P]>",
     "what the NAT makes of the destination",
     kWantedEndpoint,
     is_endpoint},
    {"icmp", "<message>", "echo-request, 3/1, ...", "an ICMP message", is_some},
    {"tcp-flags", "<flags>", "syn,ack, ... or none", "TCP flags", is_some},
    {"fragment", "<kind>", "which part of a datagram", "a kind", nullptr, &kFragments},
    {"tos", "<number>", "of the IPv4 header", "a number", is_some},
    {"dscp", "<name>", "instead of tos: ef, af11, ...", "a DSCP", is_some},
    {"ttl", "<number>", "as it arrives", "a number", is_number, nullptr, true},
    {"length", "<bytes>", "of the whole datagram", "a number", is_number, nullptr, true},
    {"mark", "<number>", "that it has", "a number", is_some},
    {"day", "<day>", "of the week", "a day", nullptr, &kDays},
    {"time", "<hh:mm>", "of the day", "a time of day", is_some},
    {"payload", "<patterns>", "that were found", "names of patterns", is_some}};

Command shows(std::string_view object, std::string_view method, std::string_view help) {
    return {"show", object, method, help, false, true, false, false};
}
Command lists(std::string_view object, std::string_view method, std::string_view help) {
    return {"show", object, method, help, true, true, false, true};
}
Command clears(std::string_view object, std::string_view method, std::string_view help) {
    return {"clear", object, method, help, true, false, true, true};
}
Command lists_rules(std::string_view verb, std::string_view object, std::string_view help) {
    Command command{verb, object, "show.rules", help, false, true, false, true};
    command.words = kOfList;
    command.rows = "rules";
    return command;
}
Command changes(
    std::string_view op,
    std::string_view help,
    std::span<const CommandWord> arguments,
    std::span<const CommandWord> words = {}
) {
    Command command{"rules", op, "rules.change", help, false, true, false, false};
    command.arguments = arguments;
    command.words = words;
    command.op = op;
    return command;
}
Command checks() {
    Command command{"rules", "check", "rules.check", "how a packet fares", false, true};
    command.words = kOfPacket;
    return command;
}

std::vector<Command> shown() {
    return {
        shows("status", "show.status", "the appliance, its tables and buffers"),
        shows("links", "show.links", "links, their devices and counters"),
        shows("workers", "show.workers", "worker threads, their queues and load"),
        shows("neighbours", "show.neighbours", "next hops and their link addresses"),
        shows("routes", "show.routes", "connected and static routes"),
        shows("pools", "show.pools", "external addresses, port blocks and ports in use"),
        lists(
            "subscribers", "show.subscribers", "internal addresses with their sessions and ports"
        ),
        lists("mappings", "show.mappings", "internal and external endpoints"),
        lists("sessions", "show.sessions", "mappings with their remote endpoints and states"),
        lists("who", "show.who", "whose an external port is: external A:P"),
        lists_rules("show", "rules", "the rules, and what they have counted"),
        shows("counters", "show.counters", "where the packets have gone"),
        shows("drops", "show.drops", "why packets were dropped, and how many"),
        shows("log", "show.log", "the log of bindings: what was written, lost, is waiting"),
        shows("config", "show.config", "the configuration in effect, with every default"),
    };
}

std::vector<Command> changed() {
    return {
        clears("sessions", "clear.sessions", "end sessions"),
        clears("mappings", "clear.mappings", "end mappings with all their sessions"),
        {"clear",
         "counters",
         "clear.counters",
         "count packets from zero",
         false,
         false,
         false,
         false},
        lists_rules("rules", "list", "the same as show rules, and as rules alone"),
        changes("add", "a rule behind the last of a chain", kToAdd),
        changes("insert", "a rule before the one that has this number", kToInsert),
        changes("delete", "a rule", kToDelete, kWithId),
        changes("replace", "a rule by another one, which counts from zero", kToInsert, kWithId),
        changes("move", "a rule to another place in its chain", kToMove, kWithId),
        checks(),
        changes("flush", "all rules of a chain", kOfChain),
        changes("policy", "what becomes of a packet that no rule decides on", kToSetPolicy),
        changes("create", "a chain", kOfChain, kOfCreated),
        changes("remove", "a chain without a hook, without rules, to which none leads", kOfChain),
        {"compare",
         "",
         "config.compare",
         "what of the configuration's file is not in effect, and how it could be",
         false,
         true,
         false,
         false},
        {"reload",
         "",
         "config.reload",
         "read the configuration's file again and change what has changed",
         false,
         true,
         false,
         false},
        {"help", "", "", "this list", false, false, false, false},
        {"exit", "", "", "leave", false, false, false, false},
        {"quit", "", "", "leave", false, false, false, false},
    };
}

}  // namespace

const std::vector<Command>& commands() {
    static const std::vector<Command> all = [] {
        std::vector<Command> both = shown();
        const std::vector<Command> rest = changed();
        both.insert(both.end(), rest.begin(), rest.end());
        return both;
    }();
    return all;
}

std::span<const CommandWord> filter_words() {
    return kFilters;
}

}  // namespace sekisho::control
