// How packets fare in the chains of Linux 2.2.
#include "chains_support.h"
#include "rules/action.h"

namespace sekisho::legacy::test {
namespace {

using rules::Disposition;
using rules::kAck;
using rules::kFin;
using rules::kRst;
using rules::kSyn;

const rules::RulePacket kWeb = tcp("10.0.0.1", 40000, "192.0.2.1", 80);
const rules::RulePacket kMail = tcp("10.0.0.1", 40000, "192.0.2.1", 25);

}  // namespace

TEST_CASE(
    "a jump comes back at the chain's end or at RETURN", "[legacy][ipchains][legacy-c1][seeds-a7]"
) {
    OldChains bed;
    for (const char* line : {
             "-N user",
             "-A user -p tcp -d 0/0 80 -j RETURN",
             "-A user -p tcp -d 0/0 25 -j DENY",
             "-A input -p tcp -j user",
             "-A input -j REJECT",
             "-P output REJECT",
             "-A output -j RETURN",
             "-A output -j ACCEPT",
         }) {
        bed.set(line);
    }
    CHECK(bed.agreeing("input", kWeb) == Words{"input 1", "user 1", "input 2"});
    CHECK(bed.fate("input", kWeb) == Disposition::kReject);
    CHECK(bed.agreeing("input", kMail) == Words{"input 1", "user 2"});
    CHECK(bed.fate("input", kMail) == Disposition::kDeny);
    CHECK(bed.agreeing("input", tcp("10.0.0.1", 1, "192.0.2.1", 1)) == Words{"input 1", "input 2"});
    CHECK(bed.fate("output", kWeb) == Disposition::kReject);
}

TEST_CASE("a rule without a target counts, and the walk goes on", "[legacy][ipchains][legacy-c2]") {
    OldChains bed;
    bed.set("-A input -p tcp -l -m 7 -t 01 10");
    bed.set("-A input -j DENY");
    CHECK(bed.agreeing("input", kWeb) == Words{"input 1", "input 2"});
    const rules::Outcome outcome = bed.walk("input", kWeb).outcome;
    CHECK(outcome.mark == 7);
    CHECK(outcome.tos == 0x10);  // although it is denied (C13)
    CHECK(outcome.disposition == Disposition::kDeny);
}

TEST_CASE(
    "-y is SYN without ACK and RST, never a later fragment", "[legacy][ipchains][legacy-c3]"
) {
    OldChains bed;
    bed.set("-A input -p tcp -y -j DENY");
    bed.set("-A output -p tcp ! -y -j DENY");
    struct Row {
        uint8_t flags;
        bool is_syn;
    };
    for (const auto& [flags, is_syn] : {
             Row{kSyn, true},
             {kSyn | kFin, true},
             {kSyn | kAck, false},
             {kSyn | kRst, false},
             {kAck, false},
             {0, false},
         }) {
        const auto packet = with_flags(kWeb, flags);
        CHECK((bed.fate("input", packet) == Disposition::kDeny) == is_syn);
        CHECK((bed.fate("output", packet) == Disposition::kDeny) != is_syn);
    }
    CHECK(bed.fate("input", later_fragment(kWeb)) == Disposition::kAccept);
    CHECK(bed.fate("output", later_fragment(kWeb)) == Disposition::kAccept);
}

TEST_CASE("later fragments agree with no ports, types or -y", "[legacy][ipchains][legacy-c4]") {
    OldChains bed;
    for (const char* line : {
             "-A input -p tcp -d 0/0 80",
             "-A input -p tcp -d 0/0 ! 80",
             "-A input -p tcp -s 0/0 :",
             "-A input -f",
             "-A input ! -f",
             "-A input -p icmp -s 0/0 8",
             "-A input -p icmp -s 0/0 ! 8",
             "-A input -p icmp",
         }) {
        bed.set(line);
    }
    CHECK(bed.agreeing("input", later_fragment(kWeb)) == Words{"input 3", "input 4"});
    CHECK(bed.agreeing("input", kWeb) == Words{"input 1", "input 3", "input 5"});
    CHECK(bed.agreeing("input", kMail) == Words{"input 2", "input 3", "input 5"});
    const auto ping = icmp("10.0.0.1", "192.0.2.1", 8);
    CHECK(bed.agreeing("input", later_fragment(ping)) == Words{"input 4", "input 8"});
    CHECK(bed.agreeing("input", ping) == Words{"input 5", "input 6", "input 8"});
}

TEST_CASE(
    "-i is the arriving link in input, the departing one elsewhere, also in a chain of both",
    "[legacy][ipchains][legacy-c6]"
) {
    OldChains bed;
    for (const char* line : {
             "-N user",
             "-A user -i eth0 -j DENY",
             "-A user -i ppp+ -j REJECT",
             "-A input -j user",
             "-A forward -j user",
             "-A output -j user",
         }) {
        bed.set(line);
    }
    rules::RulePacket packet = kWeb;
    packet.in_link = LinkId{0};
    CHECK(bed.fate("input", packet) == Disposition::kDeny);
    packet.out_link = LinkId{1};
    CHECK(bed.fate("input", packet) == Disposition::kDeny);
    CHECK(bed.fate("forward", packet) == Disposition::kReject);
    CHECK(bed.fate("output", packet) == Disposition::kReject);
    std::swap(packet.in_link, packet.out_link);
    CHECK(bed.fate("input", packet) == Disposition::kReject);
    CHECK(bed.fate("forward", packet) == Disposition::kDeny);
    packet.out_link = LinkId{2};
    CHECK(bed.fate("output", packet) == Disposition::kAccept);
    bed.set("-I output -i ! eth+ -j REJECT");
    CHECK(bed.fate("output", packet) == Disposition::kAccept);
    packet.out_link = LinkId{1};
    CHECK(bed.fate("output", packet) == Disposition::kReject);
}

TEST_CASE(
    "a link that appears is found by the rules that name it, and their counts stay",
    "[legacy][ipchains][legacy-c6]"
) {
    OldChains bed;
    bed.set("-N user");
    bed.set("-A user -i ppp+ -j DENY");
    bed.set("-A input -j user");
    const auto count = [&bed] {
        return Chains::count_of(bed.chains.find("user")->entries[0], bed.appliance.counts());
    };
    bed.appliance.count(bed.chains.find("user")->entries[0].ids[0], 3, 300);
    bed.appliance.count(bed.chains.find("user")->entries[0].ids[1], 1, 100);
    CHECK(count() == rules::RuleTotal{4, 400});
    bed.appliance.all.push_back({"ppp5", LinkId{9}, {}});
    CHECK(bed.fate("input", arriving(kWeb, 9)) == Disposition::kAccept);
    bed.chains.follow_links(bed.appliance.links(), bed.appliance.counts());
    CHECK(bed.fate("input", arriving(kWeb, 9)) == Disposition::kDeny);
    CHECK(count() == rules::RuleTotal{4, 400});
    bed.appliance.count(bed.chains.find("user")->entries[0].ids[2], 1, 50);
    CHECK(count() == rules::RuleTotal{5, 450});
}

TEST_CASE(
    "-b makes two rules, with -I the exchanged one before the other",
    "[legacy][ipchains][legacy-c7]"
) {
    OldChains bed;
    bed.set("-A input -b -p tcp -s 10.0.0.0/8 1 -d ! 192.0.2.1 ! 2 -j DENY");
    REQUIRE(bed.chains.find("input")->entries.size() == 2);
    const ChainRule exchanged = bed.rule("input", 1);
    CHECK(exchanged == bed.rule("input", 0).exchanged());
    CHECK(exchanged.source.inverted);
    CHECK(exchanged.source.value.address == address("192.0.2.1"));
    CHECK(exchanged.source_ports == Maybe<PortRange>{{2, 2}, true});
    CHECK(exchanged.destination_ports == Maybe<PortRange>{{1, 1}, false});
    bed.set("-F input");
    bed.set("-I input -b -s 10.0.0.1 -j DENY");
    CHECK(bed.rule("input", 0).destination.value.address == address("10.0.0.1"));
    CHECK(bed.rule("input", 1).source.value.address == address("10.0.0.1"));
    bed.set("-D input -b -s 10.0.0.1 -j DENY");
    CHECK(bed.chains.find("input")->entries.empty());
    bed.set("-A input -b -p icmp -s 10.0.0.1 8 -j DENY");
    CHECK(bed.rule("input", 1).source_ports.value == PortRange{8, 8});
}

TEST_CASE("numbers of rules count from 1", "[legacy][ipchains][seeds-a7]") {
    OldChains bed;
    for (const char* line : {
             "-A input -s 10.0.0.1 -j DENY",
             "-A input -s 10.0.0.2 -j DENY",
             "-I input 2 -s 10.0.0.3 -j DENY",
             "-I input 4 -s 10.0.0.4 -j DENY",
             "-R input 1 -s 10.0.0.5 -j ACCEPT",
             "-D input 3",
         }) {
        bed.set(line);
    }
    std::string order;
    for (const auto& entry : bed.chains.find("input")->entries) {
        order += base::to_text(entry.rule.source.value.address) + " ";
    }
    CHECK(order == "10.0.0.5 10.0.0.3 10.0.0.4 ");
    bed.set("-D input -s 10.0.0.3 -j DENY");
    CHECK(bed.chains.find("input")->entries.size() == 2);
}

TEST_CASE(
    "REJECT says port from input, host from forward and output", "[legacy][ipchains][legacy-c15]"
) {
    OldChains bed;
    bed.set("-N user");
    bed.set("-A user -j REJECT");
    struct Row {
        const char* chain;
        uint8_t code;
    };
    for (const auto& [chain, code] : {Row{"input", 3}, {"forward", 1}, {"output", 1}}) {
        bed.set(std::string("-A ") + chain + " -j user");
        const rules::Outcome outcome = bed.walk(chain, kWeb).outcome;
        REQUIRE(outcome.action != nullptr);
        CHECK(*outcome.action == rules::Action{rules::Reject{false, code}});
    }
}

TEST_CASE(
    "MASQ and REDIRECT act where they can, elsewhere in a shared chain they accept",
    "[legacy][ipchains][legacy-c14][seeds-b8]"
) {
    OldChains bed;
    for (const char* line : {
             "-N user",
             "-A user -p tcp -d 0/0 80 -j REDIRECT 3128",
             "-A user -j MASQ",
             "-A input -j user",
             "-A forward -j user",
             "-P input DENY",
             "-P forward DENY",
         }) {
        bed.set(line);
    }
    CHECK(*bed.walk("input", kWeb).outcome.action == rules::Action{rules::Redirect{3128}});
    CHECK(bed.fate("input", kMail) == Disposition::kAccept);
    CHECK(bed.fate("forward", kMail) == Disposition::kMasquerade);
    CHECK(bed.fate("forward", kWeb) == Disposition::kAccept);
    bed.set("-P forward MASQ");
    bed.set("-F forward");
    CHECK(bed.fate("forward", kWeb) == Disposition::kMasquerade);
}

TEST_CASE("-C answers for the packet, with -b for both ways", "[legacy][ipchains][legacy-c12]") {
    OldChains bed;
    for (const char* line : {
             "-P input DENY",
             "-A input -p tcp -y -s 10.0.0.0/8 -j REJECT",
             "-A input -p tcp -s 10.0.0.0/8 -d 0/0 80 -j REDIRECT",
             "-A input -p tcp -i eth0 -s 10.0.0.0/8 -l -j ACCEPT",
             "-A forward -i ppp0 -j MASQ",
             "-N user",
             "-A user -p udp -j DENY",
         }) {
        bed.set(line);
    }
    struct Row {
        const char* line;
        const char* answer;
    };
    for (const auto& [line, wanted] : {
             Row{"-C input -p tcp -y -s 10.0.0.1 1 -d 192.0.2.1 80 -i eth0", "rejected\n"},
             {"-C input -p tcp -s 10.0.0.1 1 -d 192.0.2.1 80 -i eth0", "redirected\n"},
             {"-C input -p tcp -s 10.0.0.1 1 -d 192.0.2.1 25 -i eth0", "accepted\n"},
             {"-C input -p tcp -s 10.0.0.1 1 -d 192.0.2.1 25 -i ppp0", "denied\n"},
             {"-C input -p tcp -b -s 10.0.0.1 1 -d 192.0.2.1 25 -i eth0", "accepted\ndenied\n"},
             {"-C input -p tcp -f -s 10.0.0.1 -d 192.0.2.1 -i eth0", "accepted\n"},
             {"-C forward -p gre -s 10.0.0.1 -d 192.0.2.1 -i ppp0", "masqueraded\n"},
             {"-C forward -p gre -s 10.0.0.1 -d 192.0.2.1 -i eth0", "accepted\n"},
             {"-C user -p gre -s 10.0.0.1 -d 192.0.2.1 -i eth0", "passed through chain\n"},
             {"-C user -p udp -s 10.0.0.1 1 -d 192.0.2.1 2 -i eth0", "denied\n"},
         }) {
        INFO(line);
        CHECK(bed.say(line) == wanted);
    }
}

TEST_CASE(
    "seed 001's two lines masquerade the inside network and deny all else",
    "[legacy][ipchains][seeds-a12][seeds-b1]"
) {
    OldChains bed;
    bed.set("-P forward DENY");
    bed.set("-A forward -s 192.168.0.0/24 -j MASQ");
    CHECK(
        bed.fate("forward", tcp("192.168.0.9", 1030, "198.51.100.1", 80)) ==
        Disposition::kMasquerade
    );
    CHECK(bed.fate("forward", icmp("192.168.0.9", "198.51.100.1", 8)) == Disposition::kMasquerade);
    CHECK(bed.fate("forward", tcp("192.168.1.9", 1030, "198.51.100.1", 80)) == Disposition::kDeny);
    CHECK(bed.fate("forward", tcp("198.51.100.1", 80, "192.168.0.9", 1030)) == Disposition::kDeny);
    CHECK(bed.fate("input", tcp("198.51.100.1", 80, "10.0.0.1", 61000)) == Disposition::kAccept);
}

TEST_CASE(
    "seed 003's chain lets in high ports and services that it names",
    "[legacy][ipchains][seeds-a12]"
) {
    OldChains bed;
    for (const char* line : {
             "-N inet-in",
             "-A input -i eth1 -j inet-in",  // the seed's eth2 is this appliance's eth1
             "-A inet-in -d 0.0.0.0/0 1024:65535 -p tcp -j ACCEPT",
             "-A inet-in -d 0.0.0.0/0 1024:65535 -p udp -j ACCEPT",
             "-A inet-in -d 0.0.0.0/0 smtp -p tcp -j ACCEPT",
             "-A inet-in -d 0.0.0.0/0 domain -p udp -j ACCEPT",
             "-A inet-in -d 0.0.0.0/0 http -p tcp -j ACCEPT",
             "-A inet-in -j DENY",
         }) {
        bed.set(line);
    }
    struct Row {
        const char* text;
        rules::RulePacket packet;
        Disposition fate;
    };
    const char* const outside = "198.51.100.1";
    const char* const own = "203.0.113.7";
    for (const auto& [text, packet, fate] : {
             Row{"answers come to the port from which one called",
                 tcp(outside, 23, own, 1046),
                 Disposition::kAccept},
             {"the same of udp", udp(outside, 53, own, 1046), Disposition::kAccept},
             {"a service that is named", tcp(outside, 2000, own, 25), Disposition::kAccept},
             {"a service that is named", udp(outside, 2000, own, 53), Disposition::kAccept},
             {"a service that is named", tcp(outside, 2000, own, 80), Disposition::kAccept},
             {"its port, but the other protocol", udp(outside, 2000, own, 80), Disposition::kDeny},
             {"calls to low ports are stopped", tcp(outside, 2000, own, 23), Disposition::kDeny},
             {"calls to low ports are stopped", tcp(outside, 2000, own, 1023), Disposition::kDeny},
         }) {
        INFO(text);
        CHECK(bed.fate("input", arriving(packet, 2)) == fate);
        CHECK(bed.fate("input", arriving(packet, 0)) == Disposition::kAccept);
    }
}

}  // namespace sekisho::legacy::test
