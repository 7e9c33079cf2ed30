// The grammar of ipfwadm: what it takes, and what it says of the rest.
#include <fmt/format.h>

#include "firewall_support.h"

namespace sekisho::legacy::test {
namespace {

Ipfwadm parsed(const std::string& line) {
    const NameTables names = tables();
    const auto command = parse_ipfwadm(words(line), names, "ipfwadm");
    INFO(line);
    REQUIRE(command);
    return *command;
}

std::string reason(const std::string& line) {
    OldFirewall bed;
    bed.set("-I -a deny -S 10.0.0.0/8");
    const std::vector<Words> before = commands_of(bed.firewall);
    const Answer answer = bed.run(line);
    INFO(line);
    CHECK(answer.status == 2);
    CHECK(answer.out.empty());
    CHECK(commands_of(bed.firewall) == before);
    const std::string hint = "\nTry `ipfwadm -h' for more information.\n";
    REQUIRE(answer.err.ends_with(hint));
    REQUIRE(answer.err.starts_with("ipfwadm: "));
    return answer.err.substr(9, answer.err.size() - 9 - hint.size());
}

}  // namespace

TEST_CASE(
    "a wrong line is told why, ends with 2 and changes nothing", "[legacy][ipfwadm][legacy-s31]"
) {
    struct Row {
        const char* line;
        const char* reason;
    };
    for (const auto& [line, wanted] : {
             Row{"", "no command specified"},
             {"-I", "no command specified"},
             {"-l", "missing -A, -F, -I, -O, or -M flag"},
             {"-I -O -l", "multiple categories specified"},
             {"-I -l -f", "multiple commands specified"},
             {"-I -a accept -d accept", "multiple commands specified"},
             {"-I -l extra", "unknown arguments found on commandline"},
             {"-I -q", "invalid option -- 'q'"},
             {"-I -a accept -S", "option requires an argument -- 'S'"},
             {"-A sideways -l", "invalid direction \"sideways\" specified"},
             {"-I -a allow", "invalid policy \"allow\" specified"},
             {"-I -a", "policy required for firewall entries"},
             {"-A -a accept", "no policy allowed with non-firewall entries"},
             {"-A -p accept", "specify either -F, -I, or -O for changing the policy"},
             {"-A -c", "specify either -F, -I, or -O for checking a packet"},
             {"-M -f", "-M only allowed in combination with -s or -l command"},
             {"-I -s 1 2 3", "setting masquerading timeouts requires -M flag"},
             {"-M -s 1 2", "-s requires 3 timeout values"},
             {"-M -s 1 2 x", "invalid timeout value \"x\" specified"},
             {"-I -l -b", "bidirectional flag (-b) only allowed with insert/append/delete"},
             {"-I -l -o", "kernel print flag (-o) only allowed with insert/append/delete"},
             {"-I -l -r", "port redirection (-r) only allowed with insert/append/delete"},
             {"-I -l -t ff 00", "tos values (-t) only allowed with insert/append/delete"},
             {"-I -l -P tcp", "no protocol (-P) allowed with this command"},
             {"-I -f -V 10.0.0.1", "no interface address (-V) allowed with this command"},
             {"-I -z -W eth0", "no interface name (-W) allowed with this command"},
             {"-I -p deny -S 10.0.0.1", "no source address (-S) allowed with this command"},
             {"-I -l -D 10.0.0.1", "no destination address (-D) allowed with this command"},
             {"-I -a deny -W \x1b[31m", "invalid interface name \"\x1b[31m\" specified"},
             {"-I -a deny -P sctp", "invalid protocol \"sctp\" specified"},
             {"-I -a deny -P tcp -P udp", "multiple -P flags not allowed"},
             {"-I -a deny -t ff", "-t requires 2 hexbyte arguments"},
             {"-I -a deny -t 100 0", "invalid hexbyte \"100\" specified"},
             {"-I -a deny -t ff g", "invalid hexbyte \"g\" specified"},
             {"-I -a deny -S nowhere.example", "host/network \"nowhere.example\" not found"},
             {"-I -a deny -S 10.0.0.0/33", "invalid mask \"33\" specified"},
             {"-I -a deny -V nowhere.example", "host \"nowhere.example\" not found"},
             {"-I -a deny -V pair.example",
              "hostname \"pair.example\" does not specify a unique address"},
         }) {
        CHECK(reason(line) == wanted);
    }
}

TEST_CASE("ports are for tcp and udp, icmp types for -S", "[legacy][ipfwadm][legacy-s9]") {
    CHECK(reason("-I -a deny -S any/0 25") == "no ports allowed without specific protocol");
    CHECK(
        reason("-I -a deny -P icmp -D any/0 8") == "ICMP types only allowed with -S, not with -D"
    );
    CHECK(reason("-I -a deny -P icmp -S any/0 echo") == "invalid ICMP type \"echo\" specified");
    CHECK(reason("-I -a deny -P udp -D any/0 smtp") == "invalid port/service \"smtp\" specified");
    CHECK(
        parsed("-I -a deny -P icmp -S any/0 8 0").rule.source_ports.ports ==
        std::vector<uint16_t>{8, 0}
    );
}

TEST_CASE(
    "ten ports at most, a range counts two, one range a side",
    "[legacy][ipfwadm][legacy-s27][seeds-a3]"
) {
    const Ipfwadm command = parsed("-I -a deny -D any/0 7 5:9 smtp -S any/0 1:2 3 -P tcp");
    CHECK(command.rule.source_ports == PortList{{{1, 2}}, {3}});
    CHECK(command.rule.destination_ports == PortList{{{5, 9}}, {7, 25}});
    CHECK(
        parsed("-I -a deny -P tcp -S any/0 1 2 3 4 5 -D any/0 1 2 3 4:5")
            .rule.source_ports.count() == 5
    );
    const std::string too_many = "too many ports specified (maximum 10)";
    CHECK(reason("-I -a deny -P tcp -S any/0 1 2 3 4 5 -D any/0 1 2 3 4 5:6") == too_many);
    CHECK(reason("-I -a deny -P tcp -S any/0 1 2 3 4 5 6 7 8 9 10 11") == too_many);
    CHECK(reason("-I -a deny -P tcp -S any/0 1:2 3:4") == "multiple ranges not allowed");
    CHECK(reason("-I -a deny -P tcp -S any/0 5:3") == "invalid range of ports (5 > 3)");
    for (const char* wrong : {"65536", ":5", "5:", "-5:6", "1:2:3"}) {
        const Answer answer =
            OldFirewall().run(fmt::format("-I -a deny -P tcp -S any/0 {}", wrong));
        CHECK(answer.status == 2);
    }
    CHECK(
        reason("-I -a accept -P tcp -S any/0 1 2 3 4 5 6 7 8 9 10 -r 8080") ==
        "too many ports specified (maximum 9 when using -r option)"
    );
}

TEST_CASE("policies, protocols and directions may be shortened", "[legacy][ipfwadm][legacy-s28]") {
    CHECK(parsed("-I -a acc").rule.policy == FirewallPolicy::kAccept);
    CHECK(parsed("-I -i r").rule.policy == FirewallPolicy::kReject);
    CHECK(parsed("-F -a m").rule.policy == FirewallPolicy::kMasquerade);
    CHECK(parsed("-I -a d -P t").rule.protocol == FirewallProtocol::kTcp);
    CHECK(parsed("-I -a d -P i").rule.protocol == FirewallProtocol::kIcmp);
    CHECK(parsed("-I -a d -P a").rule.protocol == FirewallProtocol::kAll);
    CHECK(parsed("-A i -a").rule.side == AccountingSide::kIn);
    CHECK(parsed("-A out -l").rule.side == AccountingSide::kOut);
    CHECK(parsed("-A b -l").rule.side == AccountingSide::kBoth);
    CHECK(parsed("-A -l").rule.side == AccountingSide::kBoth);
}

TEST_CASE("with mask 0 the address says nothing", "[legacy][ipfwadm][legacy-s29]") {
    CHECK(parsed("-I -a deny -S any/0").sources == std::vector<HostMask>{{}});
    CHECK(parsed("-I -a deny -S no.such.host/0.0.0.0").sources == std::vector<HostMask>{{}});
    const HostMask holes{address("10.0.0.1"), address("255.0.0.255")};
    CHECK(parsed("-I -a deny -S 10.9.9.1/255.0.0.255").sources == std::vector{holes});
    const HostMask inside{address("192.168.0.0"), address("255.255.0.0")};
    CHECK(parsed("-I -a deny -S inside/16").sources == std::vector{inside});
}

TEST_CASE(
    "a name with several addresses is every combination", "[legacy][ipfwadm][legacy-s30][seeds-a3]"
) {
    OldFirewall bed;
    bed.set("-I -a deny -S pair.example -D pair.example");
    CHECK(bed.firewall.entries(Point::kInput).size() == 4);
    bed.set("-I -d deny -S pair.example -D pair.example");
    CHECK(bed.firewall.entries(Point::kInput).empty());
    // Equal behind their mask, they count once.
    bed.set("-I -a deny -S pair.example/24");
    REQUIRE(bed.firewall.entries(Point::kInput).size() == 1);
    CHECK(bed.rule(Point::kInput).source.address == address("192.0.2.0"));
}

TEST_CASE(
    "masquerading is for what -F accepts, but not for icmp", "[legacy][ipfwadm][legacy-s16]"
) {
    CHECK(parsed("-F -a accept -m").rule.policy == FirewallPolicy::kMasquerade);
    CHECK(parsed("-F -a masquerade") == parsed("-F -a accept -m"));
    CHECK(parsed("-F -p masquerade").rule.policy == FirewallPolicy::kMasquerade);
    CHECK(reason("-I -a accept -m") == "masquerading only allowed in combination with -F");
    CHECK(reason("-F -a deny -m") == "masquerading only allowed with policy accept");
    CHECK(reason("-F -a accept -m -P icmp") == "masquerading not allowed with protocol ICMP");
    CHECK(reason("-F -a masquerade -P icmp") == "masquerading not allowed with protocol ICMP");
    CHECK(reason("-F -a masquerade -m") == "multiple -m flags not allowed");
}

TEST_CASE("redirection is for tcp and udp that -I accepts", "[legacy][ipfwadm][legacy-s19]") {
    CHECK(parsed("-I -a accept -P tcp -D any/0 80 -r 3128").rule.redirect == 3128);
    CHECK(parsed("-I -a accept -P tcp -r").rule.redirect == 0);
    CHECK(parsed("-I -a accept -P tcp -r http").rule.redirect == 80);
    CHECK(reason("-O -a accept -P tcp -r 80") == "redirecting only allowed in combination with -I");
    CHECK(reason("-I -a accept -P icmp -r 80") == "redirecting not allowed with protocol ICMP");
    OldFirewall bed;
    for (const char* line : {"-I -a deny -P tcp -r 80", "-I -a accept -r 80"}) {
        const Answer answer = bed.run(line);
        CHECK(answer.status == 255);
        CHECK(answer.err.starts_with("ipfwadm: "));
        CHECK(bed.firewall.entries(Point::kInput).empty());
    }
}

TEST_CASE("a check wants a packet described whole", "[legacy][ipfwadm][legacy-s22]") {
    const std::string rest = " -V 192.168.255.1 -W eth0";
    const std::string good = "-I -c -P tcp -S 10.0.0.1 5 -D 10.0.0.2 25";
    CHECK(parsed(good + rest).command == Ipfwadm::Command::kCheck);
    CHECK(reason(good + " -W eth0") == "interface address (-V) required for this command");
    CHECK(reason(good + " -V 10.0.0.1") == "interface name (-W) required for this command");
    CHECK(
        reason("-I -c -S 1.2.3.4 5 -D 1.2.3.4 5" + rest) ==
        "protocol (-P) required for this command"
    );
    CHECK(
        reason("-I -c -P all -S 1.2.3.4 -D 1.2.3.4" + rest) ==
        "specific protocol required for check command"
    );
    CHECK(
        reason("-I -c -P tcp -D 1.2.3.4 5" + rest) ==
        "source address (-S) required for this command"
    );
    CHECK(
        reason("-I -c -P tcp -S 1.2.3.4 5" + rest) ==
        "destination address (-D) required for this command"
    );
    CHECK(
        reason("-I -c -P tcp -S 1.2.3.4 -D 1.2.3.4 5" + rest) ==
        "one port required with source/destination address"
    );
    CHECK(
        reason("-I -c -P icmp -S 1.2.3.4 -D 1.2.3.4" + rest) ==
        "ICMP type required after source address"
    );
}

TEST_CASE("help is no mistake", "[legacy][ipfwadm]") {
    const Answer answer = OldFirewall().run("-h");
    CHECK(answer.status == 0);
    CHECK(answer.err.empty());
    CHECK(answer.out.starts_with("Usage: ipfwadm -A "));
}

}  // namespace sekisho::legacy::test
