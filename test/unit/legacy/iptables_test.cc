// iptables: grammar, packets, listings, saving and restoring.
#include "rules/action.h"
#include "tables_support.h"

namespace sekisho::legacy::test {
namespace {

using rules::ConnectionState;
using rules::Disposition;

const rules::RulePacket kWeb = tcp("10.0.0.1", 40000, "192.0.2.1", 80);

rules::RulePacket in_state(rules::RulePacket packet, ConnectionState state) {
    packet.state = state;
    return packet;
}

// Every kind of match and target, in the words of iptables-save.
constexpr const char* kEverything =
    "*raw\n"
    ":PREROUTING ACCEPT [0:0]\n"
    ":OUTPUT ACCEPT [0:0]\n"
    "-A PREROUTING -p udp -m udp --dport 53 -j NOTRACK\n"
    "COMMIT\n"
    "*mangle\n"
    ":PREROUTING ACCEPT [0:0]\n"
    ":INPUT ACCEPT [0:0]\n"
    ":FORWARD ACCEPT [0:0]\n"
    ":OUTPUT ACCEPT [0:0]\n"
    ":POSTROUTING ACCEPT [0:0]\n"
    "-A PREROUTING -i eth0 -m mark ! --mark 0x1/0xff -j MARK --set-xmark 0x2/0xff\n"
    "-A FORWARD -p tcp -m tcp --dport 22 -j TOS --set-tos 0x10/0x3c\n"
    "-A POSTROUTING -j DSCP --set-dscp 0x2e\n"
    "COMMIT\n"
    "*nat\n"
    ":PREROUTING ACCEPT [0:0]\n"
    ":INPUT ACCEPT [0:0]\n"
    ":OUTPUT ACCEPT [0:0]\n"
    ":POSTROUTING ACCEPT [0:0]\n"
    "-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 192.168.22.33:3128\n"
    "-A PREROUTING -d 203.0.113.5/32 -j DNAT --to-destination 10.0.0.1-10.0.0.4\n"
    "-A PREROUTING -d 203.0.113.6/32 -p udp -j DNAT --to-destination 10.0.0.1-10.0.0.2:5000-5003\n"
    "-A PREROUTING -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 80\n"
    "-A POSTROUTING -s 10.0.0.0/8 -j SNAT --to-source 203.0.113.1-203.0.113.9\n"
    "-A POSTROUTING -s 10.1.0.0/16 -p tcp -j SNAT --to-source 203.0.113.1-203.0.113.9:1024-4999\n"
    "-A POSTROUTING ! -s 10.0.0.0/8 -o ppp+ -p tcp -j MASQUERADE --to-ports 1024-2048\n"
    "COMMIT\n"
    "*filter\n"
    ":INPUT DROP [0:0]\n"
    ":FORWARD ACCEPT [0:0]\n"
    ":OUTPUT ACCEPT [0:0]\n"
    ":logdrop - [0:0]\n"
    ":user - [0:0]\n"
    "-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT\n"
    "-A INPUT -m conntrack ! --ctstate INVALID,NEW -j ACCEPT\n"
    "-A INPUT ! -i lo -p tcp -m tcp ! --sport 1:1023 --dport 22 --tcp-flags FIN,SYN,RST,ACK SYN -m "
    "limit --limit 5/min --limit-burst 10 -j ACCEPT\n"
    "-A INPUT -p tcp -m multiport --dports 25,80,1000:2000 -m comment --comment \"a \\\"b\\\" c\" "
    "-g user\n"
    "-A INPUT -p icmp -m icmp --icmp-type 3/1 -j REJECT --reject-with icmp-host-prohibited\n"
    "-A INPUT -p icmp -m icmp ! --icmp-type 8 -j user\n"
    "-A INPUT -p tcp -j REJECT --reject-with tcp-reset\n"
    "-A INPUT -f\n"
    "-A FORWARD ! -p 47 -j logdrop\n"
    "-A FORWARD -s 10.0.0.1/255.0.0.255 ! -d 192.0.2.0/24 -j RETURN\n"
    "-A FORWARD -m iprange --src-range 10.0.0.1-10.0.0.9 ! --dst-range 192.0.2.1-192.0.2.1 -j "
    "ACCEPT\n"
    "-A FORWARD -m length --length 100:1500 -m ttl --ttl-gt 5 -j ACCEPT\n"
    "-A FORWARD -m length ! --length 40 -m ttl --ttl-lt 3\n"
    "-A FORWARD -m ttl ! --ttl-eq 64 -m tos ! --tos 0x10/0x3f -j DROP\n"
    "-A logdrop -j LOG --log-prefix \"dropped: \" --log-level 6\n"
    "-A logdrop -j DROP\n"
    "COMMIT\n";

}  // namespace

TEST_CASE("what iptables-save writes is restored", "[legacy][iptables][seeds-a9]") {
    OldTables bed;
    const Answer answer = bed.restore(kEverything);
    INFO(answer.err);
    REQUIRE(answer == Answer{});
    CHECK(bed.saved() == kEverything);
    OldTables again;
    std::string commands;
    for (const Table table : {Table::kRaw, Table::kMangle, Table::kNat, Table::kFilter}) {
        const std::string shown = bed.say(std::string("-t ") + name_of(table) + " -S");
        for (size_t at = 0; at < shown.size(); at = shown.find('\n', at) + 1) {
            again.set(
                std::string("-t ") + name_of(table) + " " +
                shown.substr(at, shown.find('\n', at) - at)
            );
        }
    }
    CHECK(again.saved() == kEverything);
}

TEST_CASE("restoring is whole or not at all, over all tables", "[legacy][iptables][seeds-a9]") {
    OldTables bed;
    bed.set("-A INPUT -s 10.0.0.1 -j DROP");
    const std::string before = bed.saved();
    struct Row {
        const char* text;
        int status;
        const char* error;
    };
    for (const auto& [text, status, error] : {
             Row{"*filter\n:INPUT DROP [0:0]\nCOMMIT\n*nat\n-A PREROUTING -j nowhere\nCOMMIT\n",
                 1,
                 "line: 5"},
             {"*filter\n:INPUT DROP [0:0]\n", 2, "COMMIT expected at line 3"},
             {"*filter\n*nat\nCOMMIT\n", 2, "COMMIT expected"},
             {"*bogus\nCOMMIT\n", 2, "there is no table `bogus'"},
             {"-A INPUT -j DROP\n", 2, "outside of any table"},
             {"*filter\n-L\nCOMMIT\n", 2, "line: 2"},
             {"*filter\n-A INPUT -t nat -j DROP\nCOMMIT\n", 2, "names no table"},
             {"*filter\n-A INPUT --bogus\nCOMMIT\n", 2, "unrecognized option '--bogus'"},
             {"*filter\n-A INPUT -m comment --comment \"a\nCOMMIT\n", 2, "unmatched quote"},
             {"*filter\n:INPUT BOGUS [0:0]\nCOMMIT\n", 1, "Bad policy name"},
             {"*filter\n:INPUT DROP [0]\nCOMMIT\n", 2, "bad chain line"},
         }) {
        const Answer answer = bed.restore(text);
        INFO(text << answer.err);
        CHECK(answer.status == status);
        CHECK(answer.err.find(error) != std::string::npos);
        CHECK(bed.saved() == before);
    }
    CHECK(bed.restore("*filter\n:INPUT DROP\nCOMMIT\n", "-t") == Answer{});
    CHECK(bed.saved() == before);
    CHECK(bed.restore("*filter\n-A INPUT -j ACCEPT\nCOMMIT\n", "-n") == Answer{});
    CHECK(bed.tables.find(Table::kFilter, "INPUT")->entries.size() == 2);
    CHECK(bed.restore("*filter\nCOMMIT\n") == Answer{});
    CHECK(bed.tables.find(Table::kFilter, "INPUT")->entries.empty());
    CHECK(bed.restore(kEverything, "-T nat") == Answer{});
    CHECK(bed.tables.find(Table::kFilter, "INPUT")->entries.empty());
    CHECK(bed.tables.find(Table::kNat, "PREROUTING")->entries.size() == 4);
    CHECK(bed.restore("", "--bogus").status == 2);
}

TEST_CASE("-c saves and restores counters", "[legacy][iptables][seeds-a9]") {
    OldTables bed;
    const std::string text =
        "*filter\n:INPUT ACCEPT [3:400]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
        "[7:800] -A INPUT -s 10.0.0.1/32 -j DROP\nCOMMIT\n";
    CHECK(bed.restore(text, "-c") == Answer{});
    CHECK(bed.saved("-c -t filter") == text);
    bed.appliance.count(bed.entry(Table::kFilter, "INPUT").id, 1, 50);
    CHECK(bed.saved("-c -t filter").find("[8:850] -A INPUT") != std::string::npos);
    CHECK(bed.say("-L INPUT -v -n -x").find("       8        850 DROP") != std::string::npos);
    CHECK(bed.say("-Z").empty());
    CHECK(bed.saved("-c -t filter").find("[0:0] -A INPUT") != std::string::npos);
    CHECK(save_tables(words("-q"), bed.tables, bed.appliance).status == 1);
    // What a policy had counted before is gone.
    const auto input = bed.tables.rules().find_chain("filter.INPUT").value();
    bed.appliance.count(bed.tables.rules().chain(input)->policy_id, 5, 500);
    CHECK(bed.saved("-t filter").find(":INPUT ACCEPT [5:500]") != std::string::npos);
    CHECK(bed.restore(text, "-c") == Answer{});
    CHECK(bed.saved("-c -t filter") == text);
    CHECK(bed.restore(text) == Answer{});
    CHECK(bed.saved("-t filter").find(":INPUT ACCEPT [0:0]") != std::string::npos);
}

TEST_CASE("a wrong line of iptables is told why, with 2", "[legacy][iptables]") {
    struct Row {
        const char* line;
        const char* reason;
    };
    for (const auto& [line, reason] : {
             Row{"", "no command specified"},
             {"-A INPUT -L", "Cannot use -L with another command"},
             {"-A INPUT word", "Bad argument `word'"},
             {"-A INPUT !", "nothing appropriate following !"},
             {"-A INPUT ! -j DROP", "unexpected ! flag before -j"},
             {"-A INPUT -p bogus", "unknown protocol \"bogus\" specified"},
             {"-A INPUT ! -p all", "rule would never match protocol"},
             {"-A INPUT --dport 80", "unrecognized option '--dport'"},
             {"-A INPUT -p tcp --dport bogus", "invalid port/service `bogus' specified"},
             {"-A INPUT -p tcp --dport 9:1", "invalid portrange (min > max)"},
             {"-A INPUT -m udp", "udp match needs `-p udp' before it"},
             {"-A INPUT -m mac --mac-source 0:0:0:0:0:0",
              "Couldn't load match `mac':No such file or directory"},
             {"-A INPUT -m state", "a match or target lacks the option that it must have"},
             {"-A INPUT -m state --state BOGUS", "Bad state \"BOGUS\""},
             {"-A INPUT -m limit --limit 0/s", "bad rate \"0/s\""},
             {"-A INPUT -m multiport --dports 1", "multiport needs `-p tcp' or `-p udp' before it"},
             {"-A INPUT -p tcp --tcp-flags SYN ACK",
              "--tcp-flags wants the flags to look at, and those of them that are set"},
             {"-A INPUT -p icmp --icmp-type echo-re",
              "Ambiguous ICMP type `echo-re': `echo-reply' or `echo-request'?"},
             {"-A INPUT -s nowhere.example", "host/network `nowhere.example' not found"},
             {"-A INPUT ! -s 10.0.0.1,10.0.0.2",
              "! not allowed with multiple source or destination IP addresses"},
             {"-A INPUT -o eth0", "Can't use -o with INPUT or PREROUTING"},
             {"-A OUTPUT -i eth0", "Can't use -i with OUTPUT or POSTROUTING"},
             {"-A INPUT -n", "Illegal option `-n' with this command"},
             {"-L -s 10.0.0.1", "Illegal option with this command"},
             {"-F -j DROP", "Illegal option `-j' with this command"},
             {"-t bogus -L", "can't initialize iptables table `bogus': Table does not exist"},
             {"-t nat -A PREROUTING -j DROP",
              "The \"nat\" table is not intended for filtering, the use of DROP is therefore "
              "inhibited."},
             {"-t nat -A PREROUTING -j DNAT",
              "a match or target lacks the option that it must have"},
             {"-t nat -A PREROUTING -j DNAT --to 10.0.0.1:80",
              "Need TCP, UDP, SCTP or DCCP with port specification"},
             {"-t nat -A PREROUTING -j DNAT --to host", "Bad IP address \"host\""},
             {"-A INPUT -j REJECT --reject-with bogus", "unknown reject type \"bogus\""},
             {"-A INPUT -j REJECT --reject-with tcp-reset",
              "--reject-with tcp-reset needs `-p tcp'"},
             {"-A INPUT -j LOG --log-level 9", "log-level `9' unknown"},
             {"-t mangle -A FORWARD -j TOS --set-tos 0x100", "bad TOS \"0x100\""},
             {"-t mangle -A FORWARD -j DSCP --set-dscp 64", "DSCP `64` out of range"},
             {"-N ACCEPT", "chain name `ACCEPT' is a target's"},
             {"-N -x", "chain name not allowed to start with `-'"},
             {"-R INPUT", "-R requires a rule number"},
             {"-D INPUT 0", "Invalid rule number `0'"},
         }) {
        OldTables bed;
        const std::string before = bed.saved();
        const Answer answer = bed.run(line);
        INFO(line);
        CHECK(answer.status == 2);
        CHECK(
            answer.err ==
            std::string("iptables: ") + reason + "\nTry `iptables -h' for more information.\n"
        );
        CHECK(bed.saved() == before);
    }
}

TEST_CASE("what iptables cannot do is told, with 1", "[legacy][iptables][legacy-i10]") {
    struct Row {
        const char* line;
        const char* reason;
    };
    for (const auto& [line, reason] : {
             Row{"-A nowhere -j DROP", "No chain/target/match by that name"},
             {"-A INPUT -j nowhere", "No chain/target/match by that name"},
             {"-A INPUT -j OUTPUT", "No chain/target/match by that name"},
             {"-L nowhere", "No chain/target/match by that name"},
             {"-N user", "Chain already exists"},
             {"-X user", "Too many links"},
             {"-X full", "Directory not empty"},
             {"-X INPUT", "Invalid argument"},
             {"-E user full", "File exists"},
             {"-C INPUT -j DROP", "Bad rule (does a matching rule exist in that chain?)"},
             {"-D INPUT -j DROP", "Bad rule (does a matching rule exist in that chain?)"},
             {"-D INPUT 2", "Index of deletion too big"},
             {"-I INPUT 9 -j DROP", "Index of insertion too big"},
             {"-R INPUT 9 -j DROP", "Index of replacement too big"},
             {"-t nat -A POSTROUTING -j SNAT --to 192.0.2.9",
              "SNAT goes to a pool, and none has just the addresses 192.0.2.9 to 192.0.2.9"},
         }) {
        OldTables bed;
        for (const char* made : {"-N user", "-A INPUT -j user", "-N full", "-A full -j DROP"}) {
            bed.set(made);
        }
        const std::string before = bed.saved();
        const Answer answer = bed.run(line);
        INFO(line);
        CHECK(answer.status == 1);
        CHECK(answer.err == std::string("iptables: ") + reason + ".\n");
        CHECK(bed.saved() == before);
    }
    OldTables bed;
    bed.set("-N user");
    bed.set("-A INPUT -j user");
    CHECK(bed.run("-A user -j user").status == 1);  // a loop
    CHECK(bed.run("-A INPUT -j MASQUERADE").status == 1);
    CHECK(bed.run("-P user DROP").status == 1);
    CHECK(bed.run("-P INPUT RETURN").status == 1);
    CHECK(bed.run("-t nat -P PREROUTING DROP").status == 1);
}

TEST_CASE(
    "rules are added, put in, replaced, found and taken away", "[legacy][iptables][seeds-a8]"
) {
    OldTables bed;
    for (const char* line : {
             "-A INPUT -s 10.0.0.1 -j DROP",
             "-I INPUT -s 10.0.0.2,10.0.0.3 -j DROP",
             "-I INPUT 2 -s 10.0.0.4 -j DROP",
             "-R INPUT 1 -s 10.0.0.5 -j ACCEPT",
             "-C INPUT -s 10.0.0.4 -j DROP",
             "-D INPUT 3",
             "-D INPUT -s 10.0.0.1 -j DROP",
             "-N old",
             "-A FORWARD -j old",
             "-E old new",
         }) {
        bed.set(line);
    }
    CHECK(
        bed.say("-S") ==
        "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n-N new\n"
        "-A INPUT -s 10.0.0.5/32 -j ACCEPT\n-A INPUT -s 10.0.0.4/32 -j DROP\n-A FORWARD -j new\n"
    );
    CHECK(bed.say("-S INPUT 2") == "-A INPUT -s 10.0.0.4/32 -j DROP\n");
    CHECK(
        bed.say("-L new") ==
        "Chain new (1 references)\ntarget     prot opt source               destination         \n"
    );
    bed.set("-F");
    bed.set("-X");
    CHECK(
        bed.saved("-t filter") ==
        "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
    );
}

TEST_CASE("a listing of iptables has the original's columns", "[legacy][iptables][seeds-a11]") {
    OldTables bed;
    bool was_asked = false;
    bed.names.set_resolver([&was_asked](std::string_view /*name*/) {
        was_asked = true;
        return std::vector<Ipv4Addr>{};
    });
    for (const char* line : {
             "-P INPUT DROP",
             "-A INPUT ! -s 10.0.0.0/8 -i eth0 -p tcp --dport http -m state --state NEW -j ACCEPT",
             "-A INPUT -p icmp --icmp-type echo-request -m limit --limit 1/s -j LOG --log-prefix "
             "\"ping \"",
             "-A INPUT -p udp ! --sport 1:9 -j REJECT",
         }) {
        bed.set(line);
    }
    CHECK(
        bed.say("-L INPUT") ==
        "Chain INPUT (policy DROP)\n"
        "target     prot opt source               destination         \n"
        "ACCEPT     tcp  -- !10.0.0.0/8           anywhere             tcp dpt:http state NEW\n"
        "LOG        icmp --  anywhere             anywhere             icmp echo-request limit: "
        "avg 1/sec burst 5 LOG level warning prefix \"ping \"\n"
        "REJECT     udp  --  anywhere             anywhere             udp spts:!1:9 reject-with "
        "icmp-port-unreachable\n"
    );
    bed.appliance.count(bed.entry(Table::kFilter, "INPUT").id, 123456, 12'345'678'901);
    CHECK(bed.say("-L INPUT -n -v --line-numbers")
              .starts_with("Chain INPUT (policy DROP 0 packets, 0 bytes)\n"
                           "num   pkts bytes target     prot opt in     out     source             "
                           "  destination         \n"
                           "1     123K   12G ACCEPT     tcp  --  eth0   *      !10.0.0.0/8         "
                           "  0.0.0.0/0            tcp dpt:80 state NEW\n"));
    CHECK(
        bed.say("-L -t nat").find("\n\nChain POSTROUTING (policy ACCEPT)\n") != std::string::npos
    );
    CHECK_FALSE(was_asked);
}

TEST_CASE(
    "seed 002's lines do what its text says",
    "[legacy][iptables][seeds-a12][seeds-b8][seeds-b10][legacy-i1][legacy-i4]"
) {
    OldTables bed;
    for (const char* line : {
             "-t mangle -I PREROUTING -j DROP -d 224.0.0.0/8",
             "-t mangle -A PREROUTING -j LOG -m state --state INVALID",
             "-t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to 192.168.22.33:3128",
             "-N logdrop",
             "-A logdrop -j LOG",
             "-A logdrop -j DROP",
             "-A FORWARD -s 10.0.0.9 -j logdrop",
         }) {
        bed.set(line);
    }
    // 3.1: multicast is dropped before anything looks at it; 224.0.0.0/8 ends at 224.255.255.255.
    CHECK(
        bed.fate("mangle.PREROUTING", udp("10.0.0.1", 1, "224.255.255.255", 2)) ==
        Disposition::kDeny
    );
    CHECK(
        bed.fate("mangle.PREROUTING", udp("10.0.0.1", 1, "225.0.0.1", 2)) == Disposition::kAccept
    );
    // 3.2: what is invalid is logged, and goes on.
    const auto invalid = in_state(kWeb, ConnectionState::kInvalid);
    const rules::Walked logged = bed.walk("mangle.PREROUTING", invalid);
    CHECK(logged.path.front() == bed.entry(Table::kMangle, "PREROUTING", 1).id);
    CHECK(logged.outcome.disposition == Disposition::kAccept);
    CHECK(bed.walk("mangle.PREROUTING", kWeb).path.size() == 1);
    // 3.12: a proxy on another host.
    const rules::Outcome proxied = bed.walk("nat.PREROUTING", kWeb).outcome;
    REQUIRE(proxied.disposition == Disposition::kDnat);
    const rules::Dnat wanted{{{address("192.168.22.33"), 3128, 1}}, false};
    CHECK(*proxied.action == rules::Action{wanted});
    CHECK(bed.fate("nat.PREROUTING", tcp("10.0.0.1", 1, "192.0.2.1", 25)) == Disposition::kAccept);
    // 3.13: LOG does not end the walk, so the chain logs and drops.
    const rules::Walked dropped = bed.walk("filter.FORWARD", tcp("10.0.0.9", 1, "192.0.2.1", 80));
    CHECK(dropped.path.size() == 3);
    CHECK(dropped.outcome.disposition == Disposition::kDeny);
}

TEST_CASE("matches look at what they say", "[legacy][iptables][legacy-i1][legacy-i8][legacy-i10]") {
    OldTables bed;
    struct Row {
        const char* options;
        rules::RulePacket packet;
        bool agrees;
    };
    const rules::RulePacket ping = icmp("10.0.0.1", "192.0.2.1", 8);
    rules::RulePacket marked = kWeb;
    marked.mark = 0x105;
    for (const auto& [options, packet, agrees] : {
             Row{"-p tcp --syn", kWeb, true},
             {"-p tcp --syn", with_flags(kWeb, rules::kSyn | rules::kFin), false},
             {"-p tcp ! --syn", with_flags(kWeb, rules::kAck), true},
             {"-p tcp --tcp-flags ALL NONE", with_flags(kWeb, 0), true},
             {"-p tcp --dport 80", later_fragment(kWeb), false},
             {"-p tcp ! --dport 80", later_fragment(kWeb), false},
             {"-f", later_fragment(kWeb), true},
             {"! -f", kWeb, true},
             {"-p tcp --sport 40000:", kWeb, true},
             {"-p tcp -m multiport --ports 25,80", kWeb, true},
             {"-p tcp -m multiport --sports 25,80", kWeb, false},
             {"-p tcp -m multiport ! --dports 25,80", kWeb, false},
             {"-p icmp --icmp-type 8", ping, true},
             {"-p icmp --icmp-type ping", ping, true},
             {"-p icmp --icmp-type 8/1", ping, false},
             {"-p icmp ! --icmp-type any", ping, false},
             {"-m state --state NEW", kWeb, true},
             {"-m state ! --state NEW", kWeb, false},
             {"-m conntrack --ctstate ESTABLISHED,RELATED",
              in_state(kWeb, ConnectionState::kRelated),
              true},
             {"-m mark --mark 0x5/0xff", marked, true},
             {"-m mark --mark 5", marked, false},
             {"-i eth+", arriving(kWeb, 2), true},
             {"! -i eth+", arriving(kWeb, 1), true},
             {"-m comment --comment \"any text\"", kWeb, true},
             {"-s 10.0.0.0/255.0.0.0", kWeb, true},
         }) {
        INFO(options);
        bed.set("-F FORWARD");
        bed.set(std::string("-A FORWARD ") + options + " -j DROP");
        CHECK((bed.fate("filter.FORWARD", packet) == Disposition::kDeny) == agrees);
    }
}

TEST_CASE(
    "-g returns to the caller's caller, and targets do what they say",
    "[legacy][iptables][legacy-i1][seeds-b2]"
) {
    OldTables bed;
    for (const char* line : {
             "-N inner",
             "-N outer",
             "-A FORWARD -j outer",
             "-A FORWARD -j DROP",
             "-A outer -g inner",
             "-A outer -j ACCEPT",
             "-t nat -A POSTROUTING -s 10.0.0.0/8 -j SNAT --to-source 203.0.113.1-203.0.113.9",
             "-t nat -A POSTROUTING -j MASQUERADE",
             "-t mangle -A FORWARD -j MARK --set-mark 0x10/0x1",
         }) {
        bed.set(line);
    }
    CHECK(bed.fate("filter.FORWARD", kWeb) == Disposition::kDeny);
    const rules::Outcome snat = bed.walk("nat.POSTROUTING", kWeb).outcome;
    CHECK(*snat.action == rules::Action{rules::Snat{PoolId{7}}});
    CHECK(
        bed.fate("nat.POSTROUTING", tcp("11.0.0.1", 1, "192.0.2.1", 2)) == Disposition::kMasquerade
    );
    rules::RulePacket marked = kWeb;
    marked.mark = 0x103;
    CHECK(bed.walk("mangle.FORWARD", marked).outcome.mark == 0x112);
    bed.set("-t mangle -A POSTROUTING -p tcp --dport 80 -j TOS --set-tos 0x10/0x3f");
    bed.set("-t mangle -A POSTROUTING -p udp -j DSCP --set-dscp 46");
    rules::RulePacket web = kWeb;
    web.tos = 0xc7;
    CHECK(bed.walk("mangle.POSTROUTING", web).outcome.tos == 0xd0);
    rules::RulePacket voice = udp("10.0.0.1", 1, "192.0.2.1", 2);
    voice.tos = 0x03;
    CHECK(bed.walk("mangle.POSTROUTING", voice).outcome.tos == 0xbb);
    bed.set("-A INPUT -j REJECT");
    const rules::Outcome rejected = bed.walk("filter.INPUT", kWeb).outcome;
    CHECK(*rejected.action == rules::Action{rules::Reject{false, 3}});
}

}  // namespace sekisho::legacy::test
