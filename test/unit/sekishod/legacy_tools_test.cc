#include "sekishod/legacy_tools.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "control/command_grammar.h"
#include "fake_inspector.h"
#include "sekishod/rules_changer.h"

namespace sekisho::daemon {
namespace {

// What is in force, with counters that the test sets.
struct FakeRules final : control::RulesAccess {
    explicit FakeRules(config::Config& config)
        : running(config), changer(config, [this](const auto& /*next*/, const auto& adopt) {
              adopt();
              ++puts;
              return Result<std::chrono::nanoseconds>(std::chrono::nanoseconds{1});
          }) {}
    Result<std::chrono::nanoseconds> change(
        const std::string& /*what*/, const control::MakeRules& make
    ) override {
        return changer.change(make);
    }
    std::vector<rules::RuleTotal> counted() override { return totals; }
    std::vector<rules::RuleTotal> since_zero(
        std::span<const rules::RuleId> /*rules*/,
        std::span<const rules::RuleTotal> /*counted*/,
        bool /*zeroes*/
    ) override {
        return {};
    }
    Named named() override { return {}; }
    // So many packets for every rule of a chain.
    void count(const std::string& chain, uint64_t packets) {
        const rules::RuleSet& set = running.rules.set;
        totals.resize(set.id_bound());
        for (const rules::RulePtr& rule : set.chain(set.find_chain(chain).value())->rules) {
            totals[rule->id.value].packets += packets;
        }
    }

    config::Config& running;
    RulesChanger changer;
    std::vector<rules::RuleTotal> totals;
    int puts = 0;
};

// As a file could have it.
config::Config checked_config() {
    config::Config config = test::small_config();
    config.system.shards = 1;
    return config;
}

struct Bed {
    config::Config config = checked_config();
    test::FakeInspector inspector{config};
    FakeRules rules{config};
    std::vector<nat::NatSettings> changed;
    LegacyTools tools{{config, rules, inspector, [this](const nat::NatSettings& settings) {
                           changed.push_back(settings);
                           config.nat = settings;
                           return Result<void>{};
                       }}};

    legacy::Answer run(const std::string& line, const std::string& hosts = "") {
        control::LegacyCall call;
        call.hosts = hosts;
        for (const std::string& word : control::split_words(line)) {
            call.call.words.push_back(word);
        }
        call.call.tool = call.call.words.front();
        call.call.words.erase(call.call.words.begin());
        control::LegacyAnswer answer = tools.call(call);
        unknown = answer.unknown_hosts;
        return answer.answer;
    }
    void set(const std::string& line) {
        const legacy::Answer answer = run(line);
        INFO(line << ": " << answer.err);
        REQUIRE(answer.status == 0);
    }
    // The packets of the first rule of a chain.
    std::string count_of(const std::string& chain) {
        const std::string listed = run("ipchains -L " + chain + " -v -x").out;
        const size_t line = listed.find('\n', listed.find('\n') + 1) + 1;
        const size_t number = listed.find_first_not_of(' ', line);
        return listed.substr(number, listed.find(' ', number) - number);
    }
    // A reload whose file has one more chain, before all others: jumps have other numbers.
    void reload_with_chain(const std::string& name) {
        config::Config wanted = config;
        wanted.rules = {};
        REQUIRE(wanted.rules.set.add_chain(name));
        REQUIRE(tools.add_to(wanted));
        wanted.rules.set.take_over(config.rules.set);
        config.rules = wanted.rules;
        rules.totals.resize(config.rules.set.id_bound());
        tools.settle();
    }
    const rules::Chain* chain(const std::string& name) const {
        const auto id = config.rules.set.find_chain(name);
        return id ? config.rules.set.chain(*id) : nullptr;
    }
    std::vector<std::string> unknown;
};

}  // namespace

TEST_CASE("rules of a tool stand beside the configuration's, under its name", "[legacy]") {
    Bed bed;
    const auto own =
        bed.config.rules.set.add_built_in("own", rules::Hook::kIngress, 0, rules::Accept{});
    REQUIRE(own);
    CHECK(bed.run("ipchains -L").status == 0);
    CHECK(bed.rules.puts == 0);
    bed.set("ipchains -A input -s 100.64.0.5 -j DENY");
    CHECK(bed.rules.puts == 1);
    REQUIRE(bed.chain("ipchains:input") != nullptr);
    CHECK(bed.chain("ipchains:input")->rules.size() == 1);
    CHECK(bed.chain("own") != nullptr);
    CHECK(bed.chain("ipfwadm:input") == nullptr);
    bed.set("ipchains -L");
    CHECK(bed.rules.puts == 1);
    bed.set("sekisho-legacy clear");
    CHECK(bed.chain("ipchains:input")->rules.empty());
    bed.set("ipfwadm -I -a deny -S 100.64.0.5");
    CHECK(bed.chain("ipfwadm:input")->rules.size() == 2);  // one of them passes later fragments
}

TEST_CASE("what a rule has counted is its own, whatever stood there before", "[legacy]") {
    Bed bed;
    bed.set("ipchains -A input -s 100.64.0.5 -j DENY");
    bed.rules.count("ipchains:input", 5);
    CHECK(bed.count_of("input") == "5");
    bed.set("ipchains -L -Z");
    CHECK(bed.count_of("input") == "0");
    bed.rules.count("ipchains:input", 2);
    CHECK(bed.count_of("input") == "2");
    // The same once more, so that nothing needs to be put in force: it counts from nothing all the same.
    bed.set("ipchains -R input 1 -s 100.64.0.5 -j DENY");
    CHECK(bed.count_of("input") == "0");
    bed.rules.count("ipchains:input", 4);
    CHECK(bed.count_of("input") == "4");
    bed.set("ipchains -F input");
    bed.set("ipchains -A input -s 100.64.0.5 -j DENY");
    CHECK(bed.count_of("input") == "0");
    bed.rules.count("ipchains:input", 1);
    CHECK(bed.count_of("input") == "1");
}

TEST_CASE("a reload keeps the tools' rules and what they have counted", "[legacy]") {
    Bed bed;
    bed.set("ipchains -N user");
    bed.set("ipchains -A user -p tcp -j DENY");
    bed.set("ipchains -A input -s 100.64.0.5 -j user");
    bed.rules.count("ipchains:input", 5);
    bed.rules.count("ipchains:user.input", 3);

    bed.reload_with_chain("of-the-file");
    CHECK(bed.chain("of-the-file") != nullptr);
    CHECK(bed.count_of("input") == "5");
    CHECK(bed.count_of("user") == "3");
    bed.rules.count("ipchains:input", 2);
    CHECK(bed.count_of("input") == "7");
    bed.set("ipchains -A input -j DENY");
    CHECK(bed.count_of("input") == "7");
}

TEST_CASE("what answers pass by is none of the tool's rules, and stays with a reload", "[legacy]") {
    Bed bed;
    bed.set("ipchains -A forward -s 100.64.0.5 -j DENY");
    REQUIRE(bed.chain("ipchains:forward")->rules.size() == 3);
    const rules::RuleId passing = bed.chain("ipchains:forward")->rules[0]->id;
    const auto& link = bed.chain("ipchains:forward")->rules[0]->conditions.at(0).test;
    CHECK(std::get<rules::LinkTest>(link).links == rules::ByteSet::of(uint8_t{1}));
    bed.rules.count("ipchains:forward", 5);
    CHECK(
        bed.run("ipchains-save").out ==
        ":input ACCEPT\n:forward ACCEPT\n:output ACCEPT\n"
        "-A forward -s 100.64.0.5/255.255.255.255 -d 0.0.0.0/0.0.0.0 -j DENY\n"
    );

    bed.reload_with_chain("of-the-file");
    CHECK(bed.count_of("forward") == "5");
    CHECK(bed.chain("ipchains:forward")->rules[0]->id == passing);

    bed.set("ipchains -I forward 1 -s 100.64.0.6 -j DENY");
    CHECK(bed.count_of("forward") == "0");
    CHECK(bed.chain("ipchains:forward")->rules[0]->id == passing);
    bed.set("ipchains -D forward 1");
    CHECK(bed.count_of("forward") == "5");
    bed.set("ipchains -D forward 1");
    CHECK(bed.chain("ipchains:forward")->rules.empty());
}

TEST_CASE("rules that name links follow a reload", "[legacy]") {
    Bed bed;
    bed.set("ipfwadm -I -a deny -V 192.0.2.77");
    const auto links = [&bed] {
        const rules::Rule& rule = *bed.chain("ipfwadm:input")->rules.at(1);
        return std::get<rules::LinkTest>(rule.conditions.at(0).test).links;
    };
    CHECK(links().is_empty());
    bed.config.links[1].addresses = {{Ipv4Addr::of(192, 0, 2, 77), 24}};
    bed.tools.settle();
    CHECK(links().has(1));
}

TEST_CASE(
    "what -m string looks for stands behind the file's patterns, and goes with it", "[legacy]"
) {
    Bed bed;
    bed.config.rules.patterns.push_back({"own", "mine", false, 0});
    const auto names = [&bed] {
        std::string text;
        for (const config::PatternSettings& pattern : bed.config.rules.patterns) {
            text += pattern.name + "=" + pattern.text + " ";
        }
        return text;
    };
    const auto asked = [&bed] {
        std::string text;
        for (const rules::RulePtr& rule : bed.chain("iptables:filter.FORWARD")->rules) {
            const auto& test = std::get<rules::PayloadTest>(rule->conditions.back().test);
            text += bed.config.rules.patterns.at(test.pattern.value).text + " ";
        }
        return text;
    };
    bed.set("iptables -A FORWARD -m string --string one -j DROP");
    bed.set("iptables -A FORWARD -m string --string two -j DROP");
    CHECK(names() == "own=mine iptables:string-1=one iptables:string-2=two ");
    CHECK(asked() == "one two ");
    // Forwards are checked as a file's, in which no such name could stand.
    bed.set("ipportfw -A -t203.0.113.0/80 -R 100.64.0.21/80");

    config::Config wanted = bed.config;
    wanted.rules = {};
    wanted.nat.static_mappings.clear();
    wanted.rules.patterns = {{"a", "A", false, 0}, {"b", "B", false, 0}, {"c", "C", true, 0}};
    REQUIRE(bed.tools.add_to(wanted));
    wanted.rules.set.take_over(bed.config.rules.set);
    bed.config.rules = wanted.rules;
    bed.tools.settle();
    CHECK(names() == "a=A b=B c=C iptables:string-1=one iptables:string-2=two ");
    CHECK(asked() == "one two ");

    bed.set("iptables -D FORWARD 1");
    bed.set("iptables -A FORWARD -m string ! --string three --icase -j DROP");
    CHECK(names() == "a=A b=B c=C iptables:string-1=(?i)three iptables:string-2=two ");
    CHECK(asked() == "two (?i)three ");
    bed.set("iptables -F");
    CHECK(names() == "a=A b=B c=C ");
}

TEST_CASE("names of the tools' chains are not a file's", "[legacy]") {
    Bed bed;
    config::Config wanted = bed.config;
    REQUIRE(wanted.rules.set.add_chain("iptables:mine"));
    bed.config.rules = wanted.rules;
    const legacy::Answer answer = bed.run("iptables -P INPUT DROP");
    CHECK(answer.status == 1);
    CHECK(answer.err.find("iptables:mine") != std::string::npos);
    CHECK(bed.run("iptables -S").out == "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n");
    // As long as nobody calls that tool such a name is anybody's.
    CHECK(bed.tools.add_to(wanted));
    bed.config.rules.set = {};
    bed.set("iptables -P INPUT DROP");
    const auto added = bed.tools.add_to(wanted);
    REQUIRE_FALSE(added);
    CHECK(added.error().message.find("iptables:mine") != std::string::npos);
}

TEST_CASE("hosts that nobody knows are named, and looked up by who asks", "[legacy]") {
    Bed bed;
    CHECK(bed.run("ipchains -A input -s nobody.invalid -j DENY").status == 2);
    CHECK(bed.unknown == std::vector<std::string>{"nobody.invalid"});
    const std::string hosts = "100.64.0.8 nobody.invalid\n100.64.0.9 nobody.invalid\n";
    CHECK(bed.run("ipchains -A input -s nobody.invalid -j DENY", hosts).status == 0);
    CHECK(bed.unknown.empty());
    CHECK(bed.chain("ipchains:input")->rules.size() == 2);
}

TEST_CASE("timeouts and the limit of sessions are the appliance's", "[legacy]") {
    Bed bed;
    bed.config.nat.limits.sessions = 1000;
    LegacyTools tools({bed.config, bed.rules, bed.inspector, [&bed](const auto& settings) {
                           bed.changed.push_back(settings);
                           return Result<void>{};
                       }});
    const auto run = [&tools](const legacy::Words& words) {
        return tools.call({{"sekisho-legacy", words, ""}, ""}).answer;
    };
    CHECK(run({"set", "ip_conntrack_max", "500"}).status == 0);
    REQUIRE(bed.changed.size() == 1);
    CHECK(bed.changed[0].limits.sessions == 500);
    CHECK(run({"set", "ip_conntrack_max", "1001"}).status != 0);
    CHECK(bed.changed.size() == 1);
    CHECK(tools.call({{"ipfwadm", {"-M", "-s", "0", "0", "120"}, ""}, ""}).answer.status == 0);
    CHECK(bed.changed.back().timeouts.udp == Seconds{120});
    CHECK(bed.changed.back().timeouts.tcp_established == bed.config.nat.timeouts.tcp_established);
}

TEST_CASE("forwards stand behind the file's, and go as they came", "[legacy][portfw][ipautofw]") {
    Bed bed;
    nat::StaticMappingSettings own;
    own.internal = Ipv4Addr::of(100, 64, 0, 20);
    own.external = Ipv4Addr::of(203, 0, 113, 9);
    own.internal_ports = own.external_ports = {80, 80};
    bed.config.nat.static_mappings = {own};
    const nat::NatSettings before = bed.config.nat;
    bed.set("ipportfw -A -t203.0.113.9/8080 -R 100.64.0.21/80");
    bed.set("ipmasqadm autofw -A -r udp 7648 7649 -c udp 7648 -u");
    bed.set("redir --lport=2525 --caddr=100.64.0.21 --cport=25");
    REQUIRE(bed.config.nat.static_mappings.size() == 3);
    CHECK(bed.config.nat.static_mappings[0] == own);
    // Where no address is named: no pool has the link's own.
    CHECK(bed.config.nat.static_mappings[1].external == Ipv4Addr::of(203, 0, 113, 0));
    CHECK(bed.config.nat.trigger_forwards.size() == 1);
    CHECK(bed.changed.size() == 3);
    CHECK(bed.run("ipportfw -L").out.find("8080") != std::string::npos);
    CHECK(bed.changed.size() == 3);
    bed.set("ipportfw -D -t203.0.113.9/8080");
    CHECK(bed.config.nat.static_mappings.size() == 2);
    // Two hosts share a port.
    bed.set("ipmasqadm portfw -a -P tcp -L 203.0.113.9 81 -R 100.64.0.21 80");
    bed.set("ipmasqadm portfw -a -P tcp -L 203.0.113.9 81 -R 100.64.0.22 80");
    CHECK(bed.config.nat.destination_nat.size() == 1);
    bed.set("sekisho-legacy clear");
    CHECK(bed.config.nat == before);
}

TEST_CASE(
    "a forward that the file could not have is refused in the tool's name",
    "[legacy][portfw][ipautofw]"
) {
    Bed bed;
    nat::StaticMappingSettings own;
    own.internal = Ipv4Addr::of(100, 64, 0, 20);
    own.external = Ipv4Addr::of(203, 0, 113, 9);
    own.internal_ports = own.external_ports = {80, 80};
    bed.config.nat.static_mappings = {own};
    struct Row {
        const char* line;
        const char* reason;
    };
    for (const auto& [line, reason] : {
             Row{"ipportfw -A -t203.0.113.9/80 -R 100.64.0.21/80",
                 "ipportfw: found 203.0.113.9:80, of which the static mapping has a part"},
             {"ipportfw -A -t203.0.114.9/80 -R 100.64.0.21/80", "203.0.114.9, which no pool has"},
             {"ipmasqadm portfw -a -P udp -L 203.0.113.9 81 -R 10.0.0.1 80", "no policy covers"},
             {"ipautofw -A -r tcp 79 80 -h 203.0.113.9", "ipautofw: "},
             {"ipmasqadm mfw -A -m 5 -r 100.64.0.21", "ipmasqadm: "},
         }) {
        INFO(line);
        const legacy::Answer answer = bed.run(line);
        INFO(answer.err);
        CHECK(answer.status == 255);
        CHECK(answer.err.find(reason) != std::string::npos);
    }
    CHECK(bed.changed.empty());
    CHECK(bed.config.nat.static_mappings.size() == 1);
    const std::string listed = bed.run("ipportfw -L").out;
    CHECK(std::ranges::count(listed, '\n') == 1);
    CHECK(bed.run("modprobe ip_masq_ftp").status == 0);
}

TEST_CASE("forwards by marks are rules for what comes from outside", "[legacy][mfw]") {
    Bed bed;
    bed.config.nat.has_destination_rules = true;
    bed.set("ipmasqadm mfw -A -m 5 -r 100.64.0.21 80");
    const rules::Chain* chain = bed.chain("ipmasqadm:mfw");
    REQUIRE(chain != nullptr);
    CHECK(chain->hook == rules::Hook::kNatDestination);
    REQUIRE(chain->rules.size() == 1);
    const rules::RuleId id = chain->rules[0]->id;
    // The rules of others change: it stays the rule that it was.
    bed.set("ipchains -A input -p tcp -m 5");
    CHECK(bed.chain("ipmasqadm:mfw")->rules.at(0)->id == id);
    config::Config wanted = bed.config;
    wanted.rules = {};
    REQUIRE(bed.tools.add_to(wanted));
    const auto there = wanted.rules.set.find_chain("ipmasqadm:mfw");
    REQUIRE(there);
    CHECK(wanted.rules.set.chain(*there)->rules.size() == 1);
    bed.set("ipmasqadm mfw -D -m 5");
    CHECK(bed.chain("ipmasqadm:mfw")->rules.empty());
    // A chain of that name that the file has is not ours.
    Bed other;
    other.config.nat.has_destination_rules = true;
    REQUIRE(other.config.rules.set.add_chain("ipmasqadm:mfw"));
    CHECK(other.run("ipmasqadm mfw -A -m 5 -r 100.64.0.21 80").status == 255);
}

TEST_CASE("a reload keeps the tools' forwards, where the outside is by then", "[legacy][portfw]") {
    Bed bed;
    bed.set("ipautofw -A -r tcp 80 81 -h 100.64.0.21");
    config::Config wanted = bed.config;
    wanted.nat.static_mappings.clear();
    wanted.nat.pools[0].addresses = {{Ipv4Addr::of(203, 0, 114, 0), Ipv4Addr::of(203, 0, 114, 0)}};
    REQUIRE(bed.tools.add_to(wanted));
    REQUIRE(wanted.nat.static_mappings.size() == 1);
    CHECK(wanted.nat.static_mappings[0].external == Ipv4Addr::of(203, 0, 114, 0));
    bed.config = wanted;
    bed.tools.settle();
    bed.set("ipautofw -F");
    CHECK(bed.config.nat.static_mappings.empty());
    // One that the file has come to forbid.
    bed.set("ipautofw -A -r tcp 80 81 -h 100.64.0.21");
    wanted.nat.policies[0].source = {{Ipv4Addr::of(10, 0, 0, 0), 8}};
    wanted.nat.static_mappings.clear();
    const auto added = bed.tools.add_to(wanted);
    REQUIRE_FALSE(added);
    CHECK(added.error().message.find("no policy covers") != std::string::npos);
}

TEST_CASE("names of forwards that the file has given away are not taken", "[legacy][portfw]") {
    Bed bed;
    nat::DestinationNatSettings own;
    own.name = "portfw-1";
    own.realm = kExternalRealm;
    own.destination = {{Ipv4Addr::of(203, 0, 113, 8), 32}};
    own.udp = false;
    own.ports = {80, 80};
    own.is_inbound = true;
    own.target_realm = kInternalRealm;
    own.targets = {{Ipv4Addr::of(100, 64, 0, 30), {0, 0}, 1}};
    bed.config.nat.destination_nat = {own};
    nat::TriggerForwardSettings called;
    called.name = "autofw-1";
    called.external = Ipv4Addr::of(203, 0, 113, 8);
    called.ports = {90, 90};
    called.trigger_port = 90;
    bed.config.nat.trigger_forwards = {called};
    const nat::NatSettings before = bed.config.nat;
    bed.set("ipmasqadm portfw -a -P tcp -L 203.0.113.9 81 -R 100.64.0.21 80");
    bed.set("ipmasqadm portfw -a -P tcp -L 203.0.113.9 81 -R 100.64.0.22 80");
    bed.set("ipautofw -A -r udp 7648 7649 -c udp 7648 -u");
    REQUIRE(bed.config.nat.destination_nat.size() == 2);
    CHECK(bed.config.nat.destination_nat[1].name == "portfw-2");
    REQUIRE(bed.config.nat.trigger_forwards.size() == 2);
    CHECK(bed.config.nat.trigger_forwards[1].name == "autofw-2");
    // A reload finds them by these names again.
    config::Config wanted = bed.config;
    wanted.nat = before;
    REQUIRE(bed.tools.add_to(wanted));
    CHECK(wanted.nat == bed.config.nat);
    bed.config = wanted;
    bed.tools.settle();
    bed.set("sekisho-legacy clear");
    CHECK(bed.config.nat == before);
}

TEST_CASE("a forward of an address that has gone rests until it comes back", "[legacy][portfw]") {
    Bed bed;
    const nat::NatSettings before = bed.config.nat;
    const std::vector<nat::AddressRange> first = bed.config.nat.pools[0].addresses;
    bed.set("ipportfw -A -t203.0.113.9/8080 -R 100.64.0.21/80");
    bed.set("ipportfw -A -t203.0.113.9/8081 -R 100.64.0.22/80");
    bed.set("redir --lport=2525 --caddr=100.64.0.21 --cport=25");
    const auto reload = [&bed, &before](const std::vector<nat::AddressRange>& addresses) {
        config::Config wanted = bed.config;
        wanted.nat = before;
        wanted.nat.pools[0].addresses = addresses;
        REQUIRE(bed.tools.add_to(wanted));
        bed.config = wanted;
        bed.tools.settle();
    };
    reload({{Ipv4Addr::of(203, 0, 114, 0), Ipv4Addr::of(203, 0, 114, 3)}});
    REQUIRE(bed.config.nat.static_mappings.size() == 1);
    CHECK(bed.config.nat.static_mappings[0].external_ports.first == 2525);
    CHECK(bed.run("ipportfw -L").out.find("8081") != std::string::npos);
    // Others come and go meanwhile, but no new one at such an address.
    bed.set("ipportfw -A -t203.0.114.1/8080 -R 100.64.0.21/8080");
    CHECK(bed.config.nat.static_mappings.size() == 2);
    CHECK(bed.run("ipportfw -A -t203.0.113.9/8082 -R 100.64.0.21/82").status == 255);
    bed.set("ipportfw -D -t203.0.113.9/8081");
    bed.set("ipportfw -D -t203.0.114.1/8080");
    CHECK(bed.config.nat.static_mappings.size() == 1);
    reload(first);
    REQUIRE(bed.config.nat.static_mappings.size() == 2);
    CHECK(bed.run("sekisho-legacy clear").status == 0);
    CHECK(bed.config.nat == before);
}

}  // namespace sekisho::daemon
