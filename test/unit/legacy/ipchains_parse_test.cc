// The grammar of ipchains: what it takes, and what it says of the rest.
#include "chains_support.h"

namespace sekisho::legacy::test {
namespace {

std::string reason(const std::string& line) {
    OldChains bed;
    bed.set("-N user");
    bed.set("-A user -j DENY");
    bed.set("-A input -j user");
    const std::string before = bed.saved();
    const Answer answer = bed.run(line);
    INFO(line);
    CHECK(answer.status == 2);
    CHECK(bed.saved() == before);
    const std::string hint = "\nTry `ipchains -h' for more information.\n";
    REQUIRE(answer.err.ends_with(hint));
    REQUIRE(answer.err.starts_with("ipchains: "));
    return answer.err.substr(10, answer.err.size() - 10 - hint.size());
}

std::string refused(const std::string& line) {
    OldChains bed;
    for (const char* set :
         {"-N user", "-A user -s 10.0.0.1 -j DENY", "-A input -j user", "-N empty"}) {
        bed.set(set);
    }
    const std::string before = bed.saved();
    const Answer answer = bed.run(line);
    INFO(line);
    CHECK(answer.status == 1);
    CHECK(bed.saved() == before);
    REQUIRE(answer.err.starts_with("ipchains: "));
    return answer.err.substr(10, answer.err.size() - 11);
}

ChainRule rule_of(const std::string& options) {
    OldChains bed;
    bed.set("-A input " + options);
    return bed.rule("input");
}

}  // namespace

TEST_CASE(
    "a wrong line of ipchains is told why, ends with 2 and changes nothing",
    "[legacy][ipchains][legacy-c14]"
) {
    struct Row {
        const char* line;
        const char* reason;
    };
    for (const auto& [line, wanted] : {
             Row{"", "no command specified"},
             {"-n", "no command specified"},
             {"-L -A input", "Can't use -A with another command"},
             {"-A input -A output", "Can't use -A with another command"},
             {"-L -L", "Can't use -L, -Z with another command"},
             {"-L input -Z", "-L with -Z does not allow chain to be specified"},
             {"-L extra words", "unknown arguments found on commandline"},
             {"-A input ! -j DENY", "cannot have ! before -j"},
             {"-A input ! ! -y", "multiple consecutive ! not allowed"},
             {"-A input !", "nothing appropriate following !"},
             {"! -L", "unexpected ! flag"},
             {"-A", "option requires an argument -- 'A'"},
             {"-A input -q", "invalid option -- 'q'"},
             {"-A input --nothing", "unrecognized option '--nothing'"},
             {"-M", "-M/--masquerading requires -L/--list or -S/--set"},
             {"-M -S 1 2", "-S requires 3 timeout values"},
             {"-M -S 1 2 x", "invalid timeout value `x' specified"},
             {"-R input", "-R requires a rule number"},
             {"-D input 0", "Invalid rule number `0'"},
             {"-I input x -j DENY", "Invalid rule number `x'"},
             {"-P input", "-P requires a chain and a policy"},
             {"-P user DENY", "Can only set policy in built-in chains."},
             {"-P input RETURN", "Invalid policy `RETURN' for -P"},
             {"-P input deny", "Invalid policy `deny' for -P"},
             {"-P input MASQ", "`-P MASQ' only valid for `forward' chain."},
             {"-A input -p bogus", "unknown protocol `bogus' specified"},
             {"-A input -p ! all", "rule would never match protocol"},
             {"-A input -p tcp -p udp", "multiple -p flags not allowed"},
             {"-A input -s nowhere.example", "host/network `nowhere.example' not found"},
             {"-A input -s 10.0.0.0/99", "invalid mask `99' specified"},
             {"-A input -s 10.0.0.1 80", "can only specify ports for icmp, tcp or udp"},
             {"-A input -p ! tcp -s 10.0.0.1 80", "no ports allowed without specific protocol"},
             {"-A input -p tcp -d 10.0.0.1 bogus", "invalid port/service `bogus' specified"},
             {"-A input -p icmp -s 10.0.0.1 bogus", "invalid ICMP type `bogus' specified"},
             {"-A input -p tcp -d 10.0.0.1 9:1", "invalid range of ports `9:1' specified"},
             {"-A input -y", "-y only allowed with TCP protocol"},
             {"-A input -p ! tcp -y", "-y only allowed with TCP protocol"},
             {"-A input -p tcp -f -y", "-y not allowed with -f"},
             {"-A input -p tcp -f -d 0/0 80", "no ports allowed with -f"},
             {"-A input -j REDIRECT", "redirecting only allowed with TCP or UDP"},
             {"-A output -p tcp -j REDIRECT", "redirect not allowed for output and forward chains"},
             {"-A input -j MASQ", "masquerading not allowed for input and output chains"},
             {"-A input -s ! pair.example",
              "! not allowed with multiple source or destination IP addresses"},
             {"-A input -b -s pair.example",
              "-b not allowed with multiple source or destination IP addresses"},
             {"-R input 1 -s pair.example", "Replacement rule does not specify a unique address"},
             {"-L -j DENY", "Illegal option `-j' with this command"},
             {"-A input -n", "Illegal option `-n' with this command"},
             {"-R input 1 -b", "Illegal option `-b' with this command"},
             {"-N much-too-long", "chain name `much-too-long' too long (must be under 8 chars)"},
             {"-A input -j much-too-long", "Invalid target name `much-too-long' (8 chars max)"},
             {"-A input -t 00 00", "TOS manipulation cannot alter bit 0 (RFC1349)"},
             {"-A input -t 01 18", "TOS manipulation cannot set multiple TOS bits (RFC1349)"},
             {"-A input -t 01", "-t requires 2 hexbyte arguments"},
             {"-A input -m x", "Bad value `x' for -m."},
             {"-A input -o 70000", "-o argument must be 0-65535, not `70000'"},
         }) {
        CHECK(reason(line) == wanted);
    }
}

TEST_CASE(
    "what cannot be done is told, ends with 1 and changes nothing", "[legacy][ipchains][legacy-c14]"
) {
    struct Row {
        const char* line;
        const char* reason;
    };
    for (const auto& [line, wanted] : {
             Row{"-A nowhere -j DENY", "No chain by that name"},
             {"-L nowhere", "No chain by that name"},
             {"-F nowhere", "No chain by that name"},
             {"-Z nowhere", "No chain by that name"},
             {"-C nowhere -s 10.0.0.1 -d 10.0.0.2 -p gre -i eth0", "No chain by that name"},
             {"-A input -j nowhere", "No target by that name"},
             {"-A input -j output", "No target by that name"},
             {"-A input -j deny", "No target by that name"},
             {"-N user", "Chain already exists"},
             {"-N input", "Chain already exists"},
             {"-N DENY", "Chain already exists"},
             {"-X input", "Can't delete built-in chain"},
             {"-X user", "Chain is not empty"},
             {"-D input -j DENY", "Bad rule (does a matching rule exist in that chain?)"},
             {"-D user 2", "Index of deletion too big"},
             {"-R user 2 -j DENY", "Index of replacement too big"},
             {"-I user 3 -j DENY", "Index of insertion too big"},
             {"-D user -s pair.example -j DENY",
              "Bad rule (does a matching rule exist in that chain?)"},
         }) {
        CHECK(refused(line) == wanted);
    }
    OldChains bed;
    bed.set("-N user");
    bed.set("-A input -j user");
    CHECK(bed.run("-X user").err == "ipchains: Can't delete chain with references left\n");
    const Answer loop = bed.run("-A user -j user");
    CHECK(loop.status == 1);
    CHECK(bed.chains.find("user")->entries.empty());
}

TEST_CASE(
    "! turns round addresses, ports, protocol, interface, -y and -f",
    "[legacy][ipchains][legacy-c9]"
) {
    const ChainRule rule =
        rule_of("-p tcp -s ! 10.0.0.0/8 ! 80 -d 192.0.2.1 ! smtp -i ! ppp+ ! -y ! -f -j DENY");
    CHECK(rule.source.inverted);
    CHECK(rule.source_ports == Maybe<PortRange>{{80, 80}, true});
    CHECK_FALSE(rule.destination.inverted);
    CHECK(rule.destination_ports == Maybe<PortRange>{{25, 25}, true});
    CHECK(rule.via == Maybe<std::string>{"ppp+", true});
    CHECK(rule.syn == false);
    CHECK(rule.fragment == false);
    CHECK(rule_of("-p ! udp").protocol == Maybe<uint16_t>{17, true});
    CHECK(rule_of("! -p udp") == rule_of("-p ! udp"));
    CHECK(rule_of("-p tcp ! --sport 53") == rule_of("-p tcp --sport ! 53"));
}

TEST_CASE(
    "ports may be open-ended, and named before their protocol",
    "[legacy][ipchains][legacy-c10][seeds-a7]"
) {
    CHECK(rule_of("-p tcp -s 0/0 5:9").source_ports.value == PortRange{5, 9});
    CHECK(rule_of("-p tcp -s 0/0 :9").source_ports.value == PortRange{0, 9});
    CHECK(rule_of("-p tcp -s 0/0 9:").source_ports.value == PortRange{9, 65535});
    CHECK(rule_of("-p tcp -s 0/0 :").source_ports.value == kAnyPort);
    CHECK(rule_of("-d 0.0.0.0/0 smtp -p tcp").destination_ports.value == PortRange{25, 25});
    CHECK(rule_of("-d 0/0 domain -p 17").destination_ports.value == PortRange{53, 53});
    CHECK(
        rule_of("--dport http -p tcp --sport 1024:").source_ports.value == PortRange{1024, 65535}
    );
}

TEST_CASE(
    "icmp types and codes, by number or by a name that may be short",
    "[legacy][ipchains][legacy-c8]"
) {
    const auto kinds = [](const std::string& options) {
        const ChainRule rule = rule_of("-p icmp " + options);
        return std::pair(rule.source_ports.value, rule.destination_ports.value);
    };
    CHECK(kinds("-s 0/0 8") == std::pair(PortRange{8, 8}, kAnyPort));
    CHECK(kinds("-s 0/0 3 -d 0/0 1:3") == std::pair(PortRange{3, 3}, PortRange{1, 3}));
    CHECK(kinds("-s 0/0 echo-request") == std::pair(PortRange{8, 8}, kAnyPort));
    CHECK(kinds("--icmp-type PONG") == std::pair(PortRange{0, 0}, kAnyPort));
    CHECK(reason("-A input -p icmp --icmp-type host-un").starts_with("Ambiguous ICMP `host-un'"));
    CHECK(kinds("--icmp-type host-unr") == kinds("-s 0/0 3 -d 0/0 1"));
    CHECK(
        reason("-A input -p icmp -s 0/0 echo-re") ==
        "Ambiguous ICMP `echo-re' : `echo-reply' or `echo-request'?"
    );
    CHECK(
        reason("-A input -p icmp --icmp-type ping -d 0/0 0") ==
        "Can't use ICMP name and destination port together"
    );
    CHECK(reason("-A input -p icmp --icmp-type ! ping") == "Can't invert named ICMP types");
    const Answer help = OldChains().run("-h icmp");
    CHECK(help.status == 0);
    CHECK(help.out.starts_with(
        "Valid ICMP Types:\necho-reply (pong)\ndestination-unreachable\n   network-unreachable\n"
    ));
}

TEST_CASE("-t warns of values that may set several bits", "[legacy][ipchains][legacy-c13]") {
    const std::string warning = OldChains().say("-A input -t ff 10");
    CHECK(warning.find("Maximize Throughput TOS (0x08)") != std::string::npos);
    CHECK(OldChains().say("-A input -t ff 10 --no-warnings").empty());
    CHECK(OldChains().say("-A input -t 01 10").empty());
}

TEST_CASE("-C wants a packet described whole", "[legacy][ipchains][legacy-c12]") {
    const std::string good = "-C input -p tcp -s 10.0.0.1 5 -d 10.0.0.2 80 -i eth0";
    CHECK(OldChains().say(good) == "accepted\n");
    const std::string ports = "one port required with source/destination address for -C";
    CHECK(reason("-C input -p tcp -s 10.0.0.1 -d 10.0.0.2 80 -i eth0") == ports);
    CHECK(reason("-C input -p tcp -s 10.0.0.1 5:6 -d 10.0.0.2 80 -i eth0") == ports);
    CHECK(reason("-C input -p icmp -s 10.0.0.1 8 -d 10.0.0.2 -i eth0") == ports);
    CHECK(
        reason("-C input -s 10.0.0.1 -d 10.0.0.2 -i eth0") ==
        "You need to supply the `-p' option for this command"
    );
    CHECK(
        reason("-C input -p gre -s 10.0.0.1 -d 10.0.0.2") ==
        "You need to supply the `-i' option for this command"
    );
    CHECK(reason(good + " -j DENY") == "Illegal option `-j' with this command");
    CHECK(reason("-C input -p ! gre -s 10.0.0.1 -d 10.0.0.2 -i eth0") == "! not allowed with -C");
    CHECK(
        reason("-C input -p icmp -s 10.0.0.1 redirect -d 10.0.0.2 -i eth0") ==
        "Must specify exact ICMP type for testing"
    );
    CHECK(OldChains().say("-C input -p icmp -s 10.0.0.1 ping -d 10.0.0.2 -i eth0") == "accepted\n");
}

}  // namespace sekisho::legacy::test
