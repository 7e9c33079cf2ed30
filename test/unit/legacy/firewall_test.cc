// How packets fare in the firewall of Linux 2.0.
#include "firewall_support.h"
#include "rules/action.h"

namespace sekisho::legacy::test {
namespace {

using rules::Disposition;
using rules::kAck;
using rules::kFin;
using rules::kRst;
using rules::kSyn;
using Numbers = std::vector<size_t>;

const rules::RulePacket kWeb = tcp("10.0.0.1", 40000, "192.0.2.1", 80);
const rules::RulePacket kMail = tcp("10.0.0.1", 40000, "192.0.2.1", 25);

}  // namespace

TEST_CASE(
    "the first rule that agrees decides, without one the policy, which is accept at first",
    "[legacy][ipfwadm][legacy-s1]"
) {
    OldFirewall bed;
    for (const Point point : {Point::kInput, Point::kOutput, Point::kForward}) {
        CHECK(bed.fate(point, kWeb) == Disposition::kAccept);
    }
    bed.set("-F -a accept -P tcp -D any/0 80");
    bed.set("-F -a reject -P tcp");
    bed.set("-F -p deny");
    CHECK(bed.fate(Point::kForward, kWeb) == Disposition::kAccept);
    CHECK(bed.fate(Point::kForward, kMail) == Disposition::kReject);
    CHECK(bed.fate(Point::kForward, udp("10.0.0.1", 5, "192.0.2.1", 5)) == Disposition::kDeny);
    bed.set("-F -i deny -P tcp -D any/0 80");
    CHECK(bed.fate(Point::kForward, kWeb) == Disposition::kDeny);
    bed.set("-F -f");
    bed.set("-F -p accept");
    CHECK(bed.fate(Point::kForward, kWeb) == Disposition::kAccept);
    CHECK(bed.firewall.entries(Point::kForward).empty());
}

TEST_CASE("accounting counts by every rule that agrees", "[legacy][ipfwadm][legacy-s2]") {
    OldFirewall bed;
    bed.set("-A -a -P tcp");
    bed.set("-A -a -P udp");
    bed.set("-A -a -S 10.0.0.0/8");
    bed.set("-A -a -P tcp -D any/0 80");
    CHECK(bed.agreeing(Point::kAccounting, arriving(kWeb, 0)) == Numbers{1, 3, 4});
    CHECK(bed.agreeing(Point::kAccounting, arriving(kMail, 0)) == Numbers{1, 3});
}

TEST_CASE(
    "an accounting rule for both directions counts at arrival and at departure, others at one",
    "[legacy][ipfwadm][legacy-s3][legacy-s4][seeds-a1]"
) {
    OldFirewall bed;
    bed.set("-A both -a -P tcp");
    bed.set("-A in -a -P tcp");
    bed.set("-A out -a -P tcp");
    bed.set("-A both -a -W eth0");
    bed.set("-A both -a -V 203.0.113.7");
    bed.set("-A out -a -W eth0");
    CHECK(bed.agreeing(Point::kAccounting, arriving(kWeb, 0)) == Numbers{1, 2, 4});
    CHECK(bed.agreeing(Point::kAccounting, departing(kWeb, 1)) == Numbers{1, 3, 5});
    CHECK(bed.agreeing(Point::kAccounting, departing(kWeb, 0)) == Numbers{1, 3, 4, 6});
}

TEST_CASE("-V is the interface's address, -W its name", "[legacy][ipfwadm][legacy-s6]") {
    OldFirewall bed;
    bed.set("-I -a deny -V 192.168.255.1");
    bed.set("-I -a reject -W ppp0");
    bed.set("-I -a deny -W ppp1");
    CHECK(bed.fate(Point::kInput, arriving(kWeb, 0)) == Disposition::kDeny);
    CHECK(bed.fate(Point::kInput, arriving(kWeb, 1)) == Disposition::kReject);
    CHECK(bed.fate(Point::kInput, arriving(kWeb, 2)) == Disposition::kAccept);
    bed.set("-F -a deny -V 203.0.113.7 -W eth0");  // no interface has both
    bed.set("-F -a reject -W ppp0");
    rules::RulePacket forwarded = departing(kWeb, 1);
    forwarded.in_link = LinkId{0};
    CHECK(bed.fate(Point::kForward, forwarded) == Disposition::kReject);
    std::swap(forwarded.in_link, forwarded.out_link);
    CHECK(bed.fate(Point::kForward, forwarded) == Disposition::kAccept);
    bed.set("-O -a deny -V 10.0.0.2");
    CHECK(bed.fate(Point::kOutput, departing(kWeb, 2)) == Disposition::kDeny);
    CHECK(bed.fate(Point::kOutput, departing(kWeb, 1)) == Disposition::kAccept);
}

TEST_CASE(
    "a link that appears is found by the rules that name it", "[legacy][ipfwadm][legacy-s6]"
) {
    OldFirewall bed;
    bed.set("-I -a accept -P udp");
    bed.set("-I -a deny -W ppp1 -P tcp");
    const auto& entries = bed.firewall.entries(Point::kInput);
    const rules::RuleId first = entries[0].id;
    bed.appliance.count(entries[1].id, 7, 700);
    bed.appliance.all.push_back({"ppp1", LinkId{9}, {}});
    CHECK(bed.fate(Point::kInput, arriving(kWeb, 9)) == Disposition::kAccept);
    bed.firewall.follow_links(bed.appliance.links(), bed.appliance.counts());
    CHECK(bed.fate(Point::kInput, arriving(kWeb, 9)) == Disposition::kDeny);
    CHECK(entries[0].id == first);
    bed.appliance.count(entries[1].id, 1, 50);
    CHECK(
        count_since(bed.appliance.counts(), entries[1].id, entries[1].zero) ==
        rules::RuleTotal{8, 750}
    );
}

TEST_CASE(
    "-y is SYN without ACK, -k is ACK, and what is no whole TCP packet takes no notice",
    "[legacy][ipfwadm][legacy-s7]"
) {
    OldFirewall bed;
    bed.set("-I -a deny -y");
    bed.set("-I -a reject -k");
    struct Row {
        uint8_t flags;
        Disposition fate;
    };
    for (const auto& [flags, fate] : {
             Row{kSyn, Disposition::kDeny},
             {kSyn | kFin, Disposition::kDeny},
             {kSyn | kRst, Disposition::kDeny},
             {kSyn | kAck, Disposition::kReject},
             {kAck, Disposition::kReject},
             {kFin | kAck, Disposition::kReject},
             {kRst, Disposition::kAccept},
             {0, Disposition::kAccept},
         }) {
        CHECK(bed.fate(Point::kInput, with_flags(kWeb, flags)) == fate);
    }
    CHECK(bed.fate(Point::kInput, udp("10.0.0.1", 5, "192.0.2.1", 5)) == Disposition::kDeny);
    OldFirewall counting;
    counting.set("-A -a -P tcp -y");
    counting.set("-A -a -P tcp -k");
    CHECK(counting.agreeing(Point::kAccounting, later_fragment(kWeb)) == Numbers{1, 2});
}

TEST_CASE(
    "-b agrees with either direction, ports where addresses agreed", "[legacy][ipfwadm][legacy-s8]"
) {
    OldFirewall bed;
    bed.set("-I -a deny -b -P tcp -S 10.0.0.0/8 -D 192.0.2.0/24 80");
    CHECK(bed.fate(Point::kInput, kWeb) == Disposition::kDeny);
    CHECK(bed.fate(Point::kInput, tcp("192.0.2.1", 80, "10.0.0.1", 40000)) == Disposition::kDeny);
    CHECK(bed.fate(Point::kInput, tcp("192.0.2.1", 40000, "10.0.0.1", 80)) == Disposition::kAccept);
    CHECK(bed.fate(Point::kInput, tcp("10.0.0.1", 80, "192.0.2.1", 40000)) == Disposition::kAccept);
    bed.set("-O -a deny -b -P icmp -S 10.0.0.0/8 8");
    CHECK(bed.fate(Point::kOutput, icmp("10.0.0.1", "192.0.2.1", 8)) == Disposition::kDeny);
    CHECK(bed.fate(Point::kOutput, icmp("192.0.2.1", "10.0.0.1", 8)) == Disposition::kDeny);
    CHECK(bed.fate(Point::kOutput, icmp("192.0.2.1", "10.0.0.1", 0)) == Disposition::kAccept);
}

TEST_CASE("icmp types are looked at, codes never", "[legacy][ipfwadm][legacy-s9]") {
    OldFirewall bed;
    bed.set("-I -a deny -P icmp -S any/0 3 8:11 300");
    for (const uint8_t code : {uint8_t{0}, uint8_t{1}, uint8_t{13}}) {
        CHECK(
            bed.fate(Point::kInput, icmp("10.0.0.1", "192.0.2.1", 3, code)) == Disposition::kDeny
        );
        CHECK(
            bed.fate(Point::kInput, icmp("10.0.0.1", "192.0.2.1", 11, code)) == Disposition::kDeny
        );
        CHECK(
            bed.fate(Point::kInput, icmp("10.0.0.1", "192.0.2.1", 12, code)) == Disposition::kAccept
        );
    }
    CHECK(
        bed.fate(Point::kInput, icmp("10.0.0.1", "192.0.2.1", 300 % 256)) == Disposition::kAccept
    );
}

TEST_CASE(
    "later fragments of tcp, udp and icmp pass every firewall chain untranslated",
    "[legacy][ipfwadm][legacy-s10][seeds-a6]"
) {
    OldFirewall bed;
    for (const char* line :
         {"-I -p deny", "-O -p reject", "-F -p accept -m", "-I -a deny", "-F -a masquerade"}) {
        bed.set(line);
    }
    for (const Point point : {Point::kInput, Point::kOutput, Point::kForward}) {
        for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp}) {
            const auto fragment = later_fragment(packet(protocol, "10.0.0.1", "192.0.2.1"));
            CHECK(bed.fate(point, fragment) == Disposition::kAccept);
            CHECK(bed.agreeing(point, fragment).empty());
        }
    }
    const auto other = later_fragment(packet(Protocol::kGre, "10.0.0.1", "192.0.2.1"));
    CHECK(bed.agreeing(Point::kInput, other) == Numbers{1});
    rules::RulePacket first = kWeb;
    first.fragment = rules::FragmentKind::kFirst;
    CHECK(bed.agreeing(Point::kInput, first) == Numbers{1});
}

TEST_CASE(
    "accounting sees later fragments with ports 65535 or type 255",
    "[legacy][ipfwadm][legacy-s11][seeds-a6]"
) {
    OldFirewall bed;
    bed.set("-A -a -P tcp -S any/0 65535 -D any/0 65535");
    bed.set("-A -a -P tcp -S any/0 1:65535");
    bed.set("-A -a -P tcp -D any/0 80");
    bed.set("-A -a -P tcp -S any/0 65535 -D any/0 80");
    bed.set("-A -a -P udp -D any/0 65535");
    bed.set("-A -a -P icmp -S any/0 255");
    bed.set("-A -a -P icmp -S any/0 8");
    CHECK(bed.agreeing(Point::kAccounting, later_fragment(kWeb)) == Numbers{1, 2});
    CHECK(
        bed.agreeing(Point::kAccounting, tcp("10.0.0.1", 65535, "192.0.2.1", 65535)) ==
        Numbers{1, 2}
    );
    CHECK(
        bed.agreeing(Point::kAccounting, later_fragment(udp("10.0.0.1", 1, "192.0.2.1", 2))) ==
        Numbers{5}
    );
    CHECK(
        bed.agreeing(Point::kAccounting, later_fragment(icmp("10.0.0.1", "192.0.2.1", 8))) ==
        Numbers{6}
    );
    CHECK(bed.agreeing(Point::kAccounting, icmp("10.0.0.1", "192.0.2.1", 255)) == Numbers{6});
}

TEST_CASE("-t acts on acceptance only and leaves ECN alone", "[legacy][ipfwadm][legacy-s14]") {
    OldFirewall bed;
    bed.set("-O -a accept -P tcp -D any/0 80 -t 01 10");
    bed.set("-O -a deny -P tcp -t 00 ff");
    CHECK(bed.rule(Point::kOutput).tos_and == 0x01);
    CHECK(bed.rule(Point::kOutput, 1).tos_and == 0x01);
    CHECK(bed.rule(Point::kOutput, 1).tos_xor == 0xfe);
    rules::RulePacket packet = kWeb;
    packet.tos = 0x0b;
    CHECK(bed.walk(Point::kOutput, packet).outcome.tos == 0x13);
    packet.destination_port = Port::from_host(25);
    CHECK(bed.walk(Point::kOutput, packet).outcome.tos == 0x0b);
}

TEST_CASE(
    "reject says port from input, host from forward and output",
    "[legacy][ipfwadm][legacy-s15][seeds-a5]"
) {
    OldFirewall bed;
    struct Row {
        const char* line;
        Point point;
        uint8_t code;
    };
    for (const auto& [line, point, code] : {
             Row{"-I -a reject", Point::kInput, 3},
             {"-O -a reject", Point::kOutput, 1},
             {"-F -p reject", Point::kForward, 1},
         }) {
        bed.set(line);
        const rules::Outcome outcome = bed.walk(point, kWeb).outcome;
        REQUIRE(outcome.action != nullptr);
        CHECK(*outcome.action == rules::Action{rules::Reject{false, code}});
    }
}

TEST_CASE(
    "a masquerading rule for all protocols has icmp too", "[legacy][ipfwadm][legacy-s16][seeds-b1]"
) {
    OldFirewall bed;
    bed.set("-F -p deny");
    bed.set("-F -a accept -m -S 10.0.0.0/8");
    CHECK(bed.fate(Point::kForward, kWeb) == Disposition::kMasquerade);
    CHECK(bed.fate(Point::kForward, icmp("10.0.0.1", "192.0.2.1", 8)) == Disposition::kMasquerade);
    CHECK(bed.fate(Point::kForward, tcp("11.0.0.1", 1, "192.0.2.1", 80)) == Disposition::kDeny);
}

TEST_CASE(
    "-r goes to a local port, by default the packet's own",
    "[legacy][ipfwadm][legacy-s19][seeds-b8]"
) {
    OldFirewall bed;
    bed.set("-I -a accept -P tcp -D any/0 80 -r 3128");
    bed.set("-I -a accept -P tcp -D any/0 25 -r");
    const auto redirect_of = [&bed](const rules::RulePacket& packet) {
        return bed.walk(Point::kInput, packet).outcome;
    };
    CHECK(redirect_of(kWeb).disposition == Disposition::kRedirect);
    CHECK(*redirect_of(kWeb).action == rules::Action{rules::Redirect{3128}});
    CHECK(*redirect_of(kMail).action == rules::Action{rules::Redirect{0}});
}

TEST_CASE("-o logs, whatever becomes of the packet", "[legacy][ipfwadm][legacy-s20]") {
    OldFirewall bed;
    for (const char* line : {"-I -a deny -o", "-A -a -o"}) {
        bed.set(line);
    }
    for (const Point point : {Point::kInput, Point::kAccounting}) {
        const rules::Chain& chain = *bed.firewall.rules().chain(bed.firewall.chain(point));
        CHECK(std::holds_alternative<rules::Log>(chain.rules.back()->actions.front()));
    }
}

TEST_CASE(
    "-d takes away the first equal rule, whatever its TOS",
    "[legacy][ipfwadm][legacy-s21][seeds-a2]"
) {
    const std::string rule =
        "accept -P tcp -S 10.0.0.0/8 1 2 -D any/0 80 -V 192.168.255.1 -W eth0 -o";
    OldFirewall bed;
    bed.set("-I -a " + rule + " -t 01 10");
    bed.set("-I -a " + rule);
    for (const char* other : {
             "deny -P tcp -S 10.0.0.0/8 1 2 -D any/0 80 -V 192.168.255.1 -W eth0 -o",
             "accept -P udp -S 10.0.0.0/8 1 2 -D any/0 80 -V 192.168.255.1 -W eth0 -o",
             "accept -P tcp -S 10.0.0.0/9 1 2 -D any/0 80 -V 192.168.255.1 -W eth0 -o",
             "accept -P tcp -S 10.0.0.0/8 2 1 -D any/0 80 -V 192.168.255.1 -W eth0 -o",
             "accept -P tcp -S 10.0.0.0/8 1 2 -D any/0 80 -W eth0 -o",
             "accept -P tcp -S 10.0.0.0/8 1 2 -D any/0 80 -V 192.168.255.1 -o",
             "accept -P tcp -S 10.0.0.0/8 1 2 -D any/0 80 -V 192.168.255.1 -W eth0",
             "accept -P tcp -S 10.0.0.0/8 1 2 -D any/0 80 -V 192.168.255.1 -W eth0 -o -y",
             "accept -P tcp -S 10.0.0.0/8 1 2 -D any/0 80 -V 192.168.255.1 -W eth0 -o -b",
             "accept -P tcp -S 10.0.0.0/8 1 2 -D any/0 80 -V 192.168.255.1 -W eth0 -o -r 1",
         }) {
        const Answer answer = bed.run(std::string("-I -d ") + other);
        CHECK(answer.status == 255);
        CHECK(answer.err.starts_with("ipfwadm: Invalid argument"));
    }
    CHECK(bed.firewall.entries(Point::kInput).size() == 2);
    bed.set("-I -d " + rule);
    REQUIRE(bed.firewall.entries(Point::kInput).size() == 1);
    CHECK(bed.rule(Point::kInput).tos_xor == 0);
    CHECK(bed.run("-O -d " + rule).status == 255);
    bed.set("-I -d " + rule + " -t 0 ff");
    CHECK(bed.firewall.entries(Point::kInput).empty());
}

TEST_CASE("deletions of accounting look at the direction too", "[legacy][ipfwadm][legacy-s21]") {
    OldFirewall bed;
    bed.set("-A in -a -P tcp");
    CHECK(bed.run("-A -d -P tcp").status == 255);
    bed.set("-A in -d -P tcp");
    CHECK(bed.firewall.entries(Point::kAccounting).empty());
}

TEST_CASE("-c says what would become of a packet", "[legacy][ipfwadm][legacy-s22][seeds-a2]") {
    OldFirewall bed;
    bed.set("-F -a masquerade -W ppp0 -S 192.168.0.0/16");
    bed.set("-F -p reject");
    bed.set("-I -a accept -P tcp -D any/0 80 -r 3128");
    bed.set("-I -a deny -P tcp -y -o");
    bed.set("-I -a deny -P icmp -S any/0 8");
    struct Row {
        const char* line;
        const char* answer;
    };
    for (const auto& [line, wanted] : {
             Row{"-F -c -P tcp -S 192.168.0.1 5 -D 192.0.2.1 80 -V 203.0.113.7 -W ppp0",
                 "packet masqueraded\n"},
             {"-F -c -P tcp -S 192.168.0.1 5 -D 192.0.2.1 80 -V 192.168.255.1 -W eth0",
              "packet rejected\n"},
             {"-I -c -P tcp -S 192.168.0.1 5 -D 192.0.2.1 80 -V 192.168.255.1 -W eth0",
              "packet redirected\n"},
             {"-I -c -P tcp -y -S 192.168.0.1 5 -D 192.0.2.1 25 -V 192.168.255.1 -W eth0",
              "packet denied\n"},
             {"-I -c -P tcp -S 192.168.0.1 5 -D 192.0.2.1 25 -V 192.168.255.1 -W eth0",
              "packet accepted\n"},
             {"-I -c -P icmp -S 192.168.0.1 8 -D 192.0.2.1 -V 192.168.255.1 -W eth0",
              "packet denied\n"},
             {"-I -c -P icmp -S 192.168.0.1 0 -D 192.0.2.1 -V 192.168.255.1 -W eth0",
              "packet accepted\n"},
             {"-I -c -P icmp -S pair.example 0 -D pair.example -V 192.168.255.1 -W eth0",
              "packet accepted\npacket accepted\npacket accepted\npacket accepted\n"},
         }) {
        INFO(line);
        CHECK(bed.say(line) == wanted);
    }
}

TEST_CASE("-c wants a device of that name and address", "[legacy][ipfwadm][legacy-s22]") {
    OldFirewall bed;
    const std::string packet = "-I -c -P udp -S 10.0.0.1 5 -D 10.0.0.2 25 ";
    for (const char* wrong :
         {"-V 192.168.255.2 -W eth0",
          "-V 192.168.255.1 -W ppp0",
          "-V 0.0.0.0 -W eth0",
          "-V 192.168.255.1 -W eth7"}) {
        const Answer answer = bed.run(packet + wrong);
        CHECK(answer.status == 255);
        CHECK(answer.out.empty());
        CHECK(answer.err.starts_with("ipfwadm: Invalid argument"));
    }
    CHECK(bed.say(packet + "-V 192.168.255.1 -W eth0") == "packet accepted\n");
}

TEST_CASE("timeouts of 0 stay as they are", "[legacy][ipfwadm][legacy-s26][seeds-c4]") {
    OldFirewall bed;
    CHECK(bed.firewall.timeouts == MasqueradeTimeouts{{900}, {120}, {300}});
    bed.set("-M -s 7200 10 60");
    CHECK(bed.firewall.timeouts == MasqueradeTimeouts{{7200}, {10}, {60}});
    bed.set("-M -s 0 20 0");
    CHECK(bed.firewall.timeouts == MasqueradeTimeouts{{7200}, {20}, {60}});
}

}  // namespace sekisho::legacy::test
