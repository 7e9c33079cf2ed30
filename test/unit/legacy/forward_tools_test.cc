// ipautofw, ipportfw, ipmasqadm and redir, and what they become.
#include "legacy/forward_tools.h"

#include "legacy_support.h"

namespace sekisho::legacy::test {
namespace {

const Ipv4Addr kExternal = address("203.0.113.5");
const Ipv4Addr kHost = address("192.168.0.9");
const Ipv4Addr kOther = address("192.168.0.10");

struct OldForwards {
    NameTables names = tables();
    Forwards forwards;

    // "TOOL OPTION..."
    Answer run(const std::string& line) {
        Words rest = words(line);
        const std::string tool = rest.front();
        rest.erase(rest.begin());
        if (tool == "ipautofw") {
            return run_ipautofw(rest, forwards, names);
        }
        if (tool == "ipportfw") {
            return run_ipportfw(rest, forwards);
        }
        return tool == "redir" ? run_redir(rest, forwards, names)
                               : run_ipmasqadm(rest, forwards, names);
    }
    void set(const std::string& line) {
        INFO(line);
        CHECK(run(line) == Answer{});
    }
    ForwardSettings settings() const { return settings_of(forwards, kExternal, kInternalRealm); }
};

}  // namespace

TEST_CASE(
    "seed 000's first line gives ports to the last caller, for anybody outside, for 5 idle minutes",
    "[legacy][ipautofw][legacy-f1][legacy-f2][legacy-f4][legacy-f5][seeds-b6]"
) {
    OldForwards bed;
    bed.set("ipautofw -A -r udp 7648 7649 -c udp 7648 -u");
    const ForwardSettings made = bed.settings();
    REQUIRE(made.trigger_forwards.size() == 1);
    CHECK(made.static_mappings.empty());
    nat::TriggerForwardSettings wanted;
    wanted.name = "autofw-1";
    wanted.external = kExternal;
    wanted.tcp = false;
    wanted.ports = {7648, 7649};
    wanted.trigger_protocol = Protocol::kUdp;
    wanted.trigger_port = 7648;
    wanted.idle = Seconds{300};
    wanted.access = nat::TriggerAccess::kAnyone;
    CHECK(made.trigger_forwards[0] == wanted);
}

TEST_CASE(
    "seed 000's second line gives ports to one host",
    "[legacy][ipautofw][legacy-f1][seeds-b5][seeds-b6]"
) {
    OldForwards bed;
    bed.set("ipautofw -A -r udp 7648 7649 -h www.example");
    const ForwardSettings made = bed.settings();
    REQUIRE(made.static_mappings.size() == 1);
    CHECK(made.trigger_forwards.empty());
    nat::StaticMappingSettings wanted;
    wanted.internal = address("192.0.2.80");
    wanted.external = kExternal;
    wanted.tcp = false;
    wanted.internal_ports = wanted.external_ports = {7648, 7649};
    CHECK(made.static_mappings[0] == wanted);
}

TEST_CASE("without -u only whom the caller has called may come", "[legacy][ipautofw][legacy-f5]") {
    OldForwards bed;
    bed.set("ipautofw -A -r tcp 2000 2010 -c tcp 1500");
    bed.set("ipmasqadm autofw -A -r tcp 3000 3010 -c udp 1500 -i");
    REQUIRE(bed.forwards.called.size() == 2);
    // The newest entry is asked first.
    CHECK(bed.forwards.called[0].access == nat::TriggerAccess::kAnyone);
    CHECK(bed.forwards.called[0].control_protocol == Protocol::kUdp);
    CHECK(bed.forwards.called[1].access == nat::TriggerAccess::kContacted);
    CHECK(bed.run("ipautofw -A -r tcp 2000 2010 -c tcp 1500").status == 255);
    bed.set("ipautofw -D -r tcp 2000 2010 -c tcp 1500");
    CHECK(bed.run("ipautofw -D -r tcp 2000 2010 -c tcp 1500").status == 255);
    bed.set("ipautofw -A -p tcp 80 192.168.0.9:8080");
    CHECK(bed.forwards.fixed.front().host_port == 8080);
    bed.set("ipautofw -F");
    CHECK(bed.forwards == Forwards{});
    CHECK(bed.run("ipautofw -A -r tcp 1 2 -h 10.0.0.1 -v").out == "Adding autofwd\n");
}

TEST_CASE("wrong lines of ipautofw are told why", "[legacy][ipautofw]") {
    struct Row {
        const char* line;
        const char* reason;
    };
    for (const auto& [line, reason] : {
             Row{"-X", "Command must be either -A, -D, or -F"},
             {"-F -v", "The flush command does not take options"},
             {"-A", "You must select a type of forwarding (direct, port, or range)"},
             {"-A -r sctp 1 2 -h 10.0.0.1", "protocol must be either tcp or udp"},
             {"-A -r tcp 5 2 -h 10.0.0.1", "Illegal port numbers"},
             {"-A -r tcp 0 2 -h 10.0.0.1", "Illegal port numbers"},
             {"-A -r tcp 1 70000 -h 10.0.0.1", "Illegal port numbers"},
             {"-A -r tcp 1", "Invalid option: something is missing at the end"},
             {"-A -r tcp 1 2 -h nowhere.example", "Invalid IP address: nowhere.example"},
             {"-A -r tcp 1 2",
              "a range goes to a host (-h) or to whoever uses a control port (-c)"},
             {"-A -r tcp 1 2 -r tcp 3 4", "-r, -p and -d cannot be used in conjunction"},
             {"-A -p tcp 1 10.0.0.1", "Illegal port numbers"},
             {"-A -q", "Invalid option: -q"},
             {"-A word", "Invalid option: word"},
         }) {
        OldForwards bed;
        const Answer answer = bed.run(std::string("ipautofw ") + line);
        INFO(line);
        CHECK(answer.status == 1);
        CHECK(answer.err == std::string("ipautofw: ") + reason + "\n");
        CHECK(bed.forwards == Forwards{});
    }
}

TEST_CASE(
    "ipportfw and ipmasqadm portfw forward a port of an address", "[legacy][portfw][seeds-b5]"
) {
    OldForwards bed;
    bed.set("ipportfw -A -t203.0.113.6/80 -R 192.168.0.9/8080");
    bed.set("ipmasqadm portfw -a -P udp -L 203.0.113.6 domain -R 192.168.0.9 53");
    const ForwardSettings made = bed.settings();
    REQUIRE(made.static_mappings.size() == 2);
    CHECK(made.destination_nat.empty());
    nat::StaticMappingSettings web;
    web.internal = kHost;
    web.external = address("203.0.113.6");
    web.udp = false;
    web.internal_ports = {8080, 8080};
    web.external_ports = {80, 80};
    CHECK(made.static_mappings[1] == web);
    CHECK(made.static_mappings[0].udp);
    CHECK(made.static_mappings[0].external_ports == nat::PortRange{53, 53});
    CHECK(
        bed.run("ipportfw -L").out ==
        "prot localaddr            rediraddr               lport    rport  pcnt  pref\n"
        "UDP  203.0.113.6          192.168.0.9                53       53    10    10\n"
        "TCP  203.0.113.6          192.168.0.9                80     8080    10    10\n"
    );
    bed.set("ipportfw -D -t 203.0.113.6/80");
    CHECK(bed.run("ipportfw -D -t 203.0.113.6/80").status == 255);
    CHECK(bed.forwards.fixed.size() == 1);
    bed.set("ipmasqadm portfw -f");
    CHECK(bed.forwards == Forwards{});
}

TEST_CASE("several hosts for a port share it by preference", "[legacy][portfw]") {
    OldForwards bed;
    bed.set("ipmasqadm portfw -a -P tcp -L 203.0.113.6 80 -R 192.168.0.9 8080 -p 30");
    bed.set("ipmasqadm portfw -a -P tcp -L 203.0.113.6 80 -R 192.168.0.10 8080");
    ForwardSettings made = bed.settings();
    CHECK(made.static_mappings.empty());
    REQUIRE(made.destination_nat.size() == 1);
    const nat::DestinationNatSettings& rule = made.destination_nat[0];
    CHECK(rule.is_inbound);
    CHECK(rule.destination == std::vector<Ipv4Prefix>{{address("203.0.113.6"), 32}});
    CHECK(rule.ports == nat::PortRange{80, 80});
    CHECK((rule.tcp && !rule.udp));
    CHECK(
        rule.targets ==
        std::vector<nat::TargetSettings>{{kOther, {8080, 8080}, 10}, {kHost, {8080, 8080}, 30}}
    );
    // One host's port from two outside: a static mapping has one, the other is a rule.
    OldForwards twice;
    twice.set("ipportfw -A -t 203.0.113.6/80 -R 192.168.0.9/8080");
    twice.set("ipportfw -A -t 203.0.113.6/81 -R 192.168.0.9/8080");
    made = twice.settings();
    CHECK(made.static_mappings.size() == 1);
    CHECK(made.destination_nat.size() == 1);
}

TEST_CASE("the same host and port twice is one target, as the newest has it", "[legacy][portfw]") {
    OldForwards bed;
    bed.set("ipmasqadm portfw -a -P tcp -L 203.0.113.6 80 -R 192.168.0.9 8080 -p 30");
    bed.set("redir --laddr=203.0.113.6 --lport=80 --caddr=192.168.0.9 --cport=8080");
    bed.set("ipmasqadm portfw -a -P tcp -L 203.0.113.6 80 -R 192.168.0.9 8080 -p 20");
    bed.set("ipmasqadm portfw -a -P tcp -L 203.0.113.6 80 -R 192.168.0.10 8080");
    const ForwardSettings made = bed.settings();
    REQUIRE(made.destination_nat.size() == 1);
    CHECK(
        made.destination_nat[0].targets ==
        std::vector<nat::TargetSettings>{{kOther, {8080, 8080}, 10}, {kHost, {8080, 8080}, 20}}
    );
}

TEST_CASE(
    "each tool lists and flushes its own entries, and leaves those of the others",
    "[legacy][portfw][ipautofw][redir]"
) {
    OldForwards bed;
    bed.set("ipportfw -A -t 203.0.113.6/80 -R 192.168.0.9/8080");
    bed.set("ipautofw -A -r udp 5000 5009 -h 192.168.0.9");
    bed.set("redir --lport=2525 --caddr=192.168.0.9 --cport=25");
    CHECK(
        bed.run("ipmasqadm portfw -l").out ==
        "prot localaddr            rediraddr               lport    rport  pcnt  pref\n"
        "TCP  203.0.113.6          192.168.0.9                80     8080    10    10\n"
    );
    OldForwards flushed = bed;
    flushed.set("ipmasqadm portfw -f");
    CHECK(flushed.forwards.fixed.size() == 2);
    flushed.set("ipmasqadm autofw -F");
    REQUIRE(flushed.forwards.fixed.size() == 1);
    CHECK(flushed.forwards.fixed[0].ports.first == 2525);
    bed.set("ipautofw -F");
    CHECK(bed.forwards.fixed.size() == 2);
    // What redir would end with its process, nobody else's range.
    bed.set("ipautofw -A -r tcp 5000 5000 -h 192.168.0.9");
    CHECK(bed.run("ipportfw -D -t 0.0.0.0/5000").status == 255);
    bed.set("ipportfw -D -t 0.0.0.0/2525");
    CHECK(bed.forwards.fixed.size() == 2);
    // The same ports by two tools are of one host, once.
    bed.set("redir --lport=5000 --caddr=192.168.0.9 --cport=5000");
    const ForwardSettings made = bed.settings();
    REQUIRE(made.destination_nat.size() == 1);
    CHECK(made.destination_nat[0].targets.size() == 1);
}

TEST_CASE("wrong lines of ipportfw and portfw are told why, with 2", "[legacy][portfw]") {
    struct Row {
        const char* line;
        const char* error;
    };
    for (const auto& [line, error] : {
             Row{"ipportfw -A -D", "ipportfw: multiple commands specified\n"},
             {"ipportfw -A -t 10.0.0.1/80", "ipportfw: insufficient options specified\n"},
             {"ipportfw -A -R 10.0.0.1/80", "ipportfw: insufficient options specified\n"},
             {"ipportfw -A -t 10.0.0.1 -R 10.0.0.1/80",
              "ipportfw: illegal local address/port specified\n"},
             {"ipportfw -A -t 10.0.0.1/0 -R 10.0.0.1/80",
              "ipportfw: illegal local address/port specified\n"},
             {"ipportfw -A -t 10.0.0.1/1 -R host/80", "ipportfw: illegal destination specified\n"},
             {"ipportfw -A -t 10.0.0.1/1 -u 10.0.0.1/1",
              "ipportfw: multiple protocols specified\n"},
             {"ipportfw -D -t 10.0.0.1/1 -R 10.0.0.1/1",
              "ipportfw: incompatible options specified\n"},
             {"ipportfw -C -t 10.0.0.1/1", "ipportfw: incompatible options specified\n"},
             {"ipportfw -L more", "ipportfw: unknown arguments found on commandline\n"},
             {"ipmasqadm portfw -a -P sctp", "portfw: invalid protocol specified\n"},
             {"ipmasqadm portfw -a -P tcp -L 10.0.0.1",
              "portfw: illegal local address/port specified\n"},
             {"ipmasqadm portfw -a -P tcp -L 10.0.0.1 80",
              "portfw: insufficient options specified\n"},
             {"ipmasqadm portfw -a -p 0", "portfw: illegal preference value specified\n"},
             {"ipmasqadm mfw -A -m 0 -r 10.0.0.1", "mfw: insufficient options specified\n"},
             {"ipmasqadm mfw -A -m 5", "mfw: insufficient options specified\n"},
             {"ipmasqadm mfw -F -m 5", "mfw: incompatible options specified\n"},
             {"ipmasqadm mfw -A -r nowhere.example", "mfw: illegal destination specified\n"},
         }) {
        OldForwards bed;
        const Answer answer = bed.run(line);
        INFO(line);
        CHECK(answer.status == 2);
        CHECK(answer.err == error);
        CHECK(bed.forwards == Forwards{});
    }
    CHECK(OldForwards().run("ipmasqadm nothing").status == 1);
    CHECK(OldForwards().run("ipportfw -h").status == 0);
}

TEST_CASE("mfw sends marked packets to hosts, by preference", "[legacy][mfw]") {
    OldForwards bed;
    bed.set("ipmasqadm mfw -A -m 7 -r 192.168.0.9 8080");
    bed.set("ipmasqadm mfw -A -m 7 -r 192.168.0.10 -p 20");
    bed.set("ipmasqadm mfw -A -m 8 -r 192.168.0.9");
    rules::RuleSet set;
    const rules::ChainId chain =
        set.add_built_in("mfw", rules::Hook::kNatDestination, 0, rules::Accept{}).value();
    for (const rules::Rule& rule : rules_of_marks(bed.forwards)) {
        REQUIRE(set.append(chain, rule));
    }
    rules::RulePacket packet = tcp("198.51.100.1", 5, "203.0.113.5", 80);
    CHECK(walk(set, chain, packet).outcome.disposition == rules::Disposition::kAccept);
    packet.mark = 7;
    const rules::Outcome outcome = walk(set, chain, packet).outcome;
    REQUIRE(outcome.disposition == rules::Disposition::kDnat);
    const rules::Dnat wanted{{{kOther, 0, 20}, {kHost, 8080, 10}}, false};
    CHECK(*outcome.action == rules::Action{wanted});
    // From outside, where the links are known by which that comes.
    const std::vector<rules::Rule> outside =
        rules_of_marks(bed.forwards, rules::ByteSet::of(uint8_t{1}));
    CHECK(outside[1].conditions.size() == 2);
    CHECK(
        std::get<rules::LinkTest>(outside[1].conditions[1].test).links ==
        rules::ByteSet::of(uint8_t{1})
    );
    bed.set("ipmasqadm mfw -E -m 7 -r 192.168.0.10 -p 0");
    CHECK(std::get<rules::Dnat>(rules_of_marks(bed.forwards)[1].actions[0]).targets.size() == 1);
    CHECK(
        bed.run("ipmasqadm mfw -L").out ==
        "fwmark   rediraddr               rport  pcnt  pref\n"
        "8        192.168.0.9                 0    10    10\n"
        "7        192.168.0.10                0     0     0\n"
        "7        192.168.0.9              8080    10    10\n"
    );
    bed.set("ipmasqadm mfw -D -m 7");
    CHECK(bed.forwards.marks.size() == 1);
    CHECK(bed.run("ipmasqadm mfw -D -m 7").status == 255);
    bed.set("ipmasqadm mfw -F");
    CHECK(rules_of_marks(bed.forwards).empty());
}

TEST_CASE("redir becomes a forward of a port", "[legacy][redir][seeds-b5]") {
    OldForwards bed;
    bed.set("redir --lport=80 --caddr=192.168.0.9 --cport=8080 --syslog --name=web");
    bed.set("redir --laddr=203.0.113.6 --lport smtp --caddr www.example --cport 25");
    const ForwardSettings made = bed.settings();
    REQUIRE(made.static_mappings.size() == 2);
    CHECK(made.static_mappings[1].external == kExternal);
    CHECK(made.static_mappings[1].internal == kHost);
    CHECK(made.static_mappings[1].internal_ports == nat::PortRange{8080, 8080});
    CHECK_FALSE(made.static_mappings[1].udp);
    CHECK(made.static_mappings[0].external == address("203.0.113.6"));
    CHECK(made.static_mappings[0].external_ports == nat::PortRange{25, 25});
    for (const char* wrong : {
             "redir --lport=80 --cport=80",
             "redir --caddr=10.0.0.1 --cport=80",
             "redir --lport=0 --caddr=10.0.0.1 --cport=80",
             "redir --lport=80 --caddr=nowhere.example --cport=80",
             "redir --inetd --caddr=10.0.0.1 --cport=80",
             "redir --bogus",
             "redir 80",
             "redir --lport=80 --caddr=192.168.0.9 --cport=8080",
         }) {
        const Answer answer = bed.run(wrong);
        INFO(wrong);
        CHECK(answer.status == 1);
        CHECK(answer.err.starts_with("redir: "));
    }
    CHECK(bed.forwards.fixed.size() == 2);
}

}  // namespace sekisho::legacy::test
