#include "eventlog/rule_lines.h"

#include <catch2/catch.hpp>

using namespace sekisho;
using namespace sekisho::eventlog;
using dataplane::RuleLogRecord;
using rules::LogStyle;

namespace {

const LogNames kNames{{"eth0", "ppp0"}, {"external", "internal"}};

RuleLogRecord udp() {
    RuleLogRecord r;
    r.rule = rules::RuleId{7};
    r.hook = rules::Hook::kIngress;
    r.in_link = LinkId{0};
    r.realm = RealmId{1};
    r.source = Ipv4Addr::of(10, 0, 0, 1);
    r.destination = Ipv4Addr::of(10, 0, 0, 2);
    r.source_port = 53;
    r.destination_port = 1025;
    r.protocol = 17;
    r.length = 34;
    r.udp_length = 14;
    r.ip_id = 18;
    r.ttl = 254;
    return r;
}

RuleLogRecord syn() {
    RuleLogRecord r = udp();
    r.protocol = 6;
    r.tcp_flags = 0x02;
    r.tcp_window = 512;
    r.length = 60;
    r.fragment = 0x4000;
    r.tos = 0x10;
    return r;
}

rules::Rule acting(std::vector<rules::Action> actions) {
    rules::Rule rule;
    rule.actions = std::move(actions);
    return rule;
}

RuleSite site(LogStyle style, const char* verdict) {
    RuleSite s{.chain = "input", .position = 5, .log = {6, "", 0, style}};
    s.verdict = verdict;
    return s;
}

std::string text(const RuleLogRecord& record, const RuleSite& at) {
    const RuleLine line = line_of(record, &at, kNames);
    CHECK(line.data.empty());
    return line.text;
}

}  // namespace

TEST_CASE("an ipchains line is that of the kernel (C11)", "[eventlog]") {
    CHECK(
        text(udp(), site(LogStyle::kIpchains, "deny")) ==
        "Packet log: input DENY eth0 PROTO=17 10.0.0.1:53 10.0.0.2:1025 L=34 S=0x00 I=18 F=0x0000 "
        "T=254 (#5)"
    );
    CHECK(
        text(syn(), site(LogStyle::kIpchains, "")) ==
        "Packet log: input - eth0 PROTO=6 10.0.0.1:53 10.0.0.2:1025 L=60 S=0x10 I=18 F=0x4000 "
        "T=254 SYN (#5)"
    );
    RuleSite redirected = site(LogStyle::kIpchains, "redirect");
    redirected.redirect = 8080;
    CHECK(text(syn(), redirected).starts_with("Packet log: input REDIRECT 8080 eth0 PROTO=6 "));
    RuleSite masqueraded = site(LogStyle::kIpchains, "masquerade");
    masqueraded.chain = "forward";
    RuleLogRecord forwarded = udp();
    forwarded.hook = rules::Hook::kForward;
    forwarded.out_link = LinkId{1};
    CHECK(text(forwarded, masqueraded).starts_with("Packet log: forward MASQ ppp0 PROTO=17 "));
}

TEST_CASE("of ICMP ipchains tells type and code as ports, of other protocols 65535", "[eventlog]") {
    RuleLogRecord icmp = udp();
    icmp.protocol = 1;
    icmp.icmp_type = 3;
    icmp.icmp_code = 4;
    CHECK(
        text(icmp, site(LogStyle::kIpchains, "deny")).find(" 10.0.0.1:3 10.0.0.2:4 ") !=
        std::string::npos
    );
    RuleLogRecord gre = udp();
    gre.protocol = 47;
    CHECK(
        text(gre, site(LogStyle::kIpchains, "deny")).find(" 10.0.0.1:65535 10.0.0.2:65535 ") !=
        std::string::npos
    );
    RuleLogRecord later = udp();
    later.fragment = 0x2003;
    CHECK(
        text(later, site(LogStyle::kIpchains, "deny"))
            .find(" 10.0.0.1:65535 10.0.0.2:65535 L=34 S=0x00 I=18 F=0x2003") != std::string::npos
    );
}

TEST_CASE("an ipfwadm line is that of the kernel (S20)", "[eventlog]") {
    CHECK(
        text(udp(), site(LogStyle::kIpfwadm, "deny")) ==
        "IP fw-in deny eth0 UDP 10.0.0.1:53 10.0.0.2:1025 L=34 S=0x00 I=18 F=0x0000 T=254"
    );
    RuleLogRecord out = syn();
    out.hook = rules::Hook::kEgress;
    out.out_link = LinkId{1};
    CHECK(text(out, site(LogStyle::kIpfwadm, "accept"))
              .starts_with("IP fw-out acc ppp0 TCP 10.0.0.1:53 "));
    out.hook = rules::Hook::kForward;
    RuleSite masqueraded = site(LogStyle::kIpfwadm, "masquerade");
    CHECK(text(out, masqueraded).starts_with("IP fw-fwd acc/masq ppp0 TCP "));
    CHECK(text(out, site(LogStyle::kIpfwadm, "reject")).starts_with("IP fw-fwd rej ppp0 TCP "));
    RuleSite redirected = site(LogStyle::kIpfwadm, "redirect");
    redirected.redirect = 80;
    CHECK(text(syn(), redirected).starts_with("IP fw-in acc/r80 eth0 TCP "));
    RuleLogRecord counted = udp();
    counted.hook = rules::Hook::kAccounting;
    counted.protocol = 1;
    counted.icmp_type = 8;
    CHECK(
        text(counted, site(LogStyle::kIpfwadm, "")) ==
        "IP acct in eth0 ICMP/8 10.0.0.1 10.0.0.2 L=34 S=0x00 I=18 F=0x0000 T=254"
    );
    counted.protocol = 47;
    counted.in_link = rules::kNoLink;
    counted.out_link = LinkId{1};
    CHECK(text(counted, site(LogStyle::kIpfwadm, ""))
              .starts_with("IP acct out ppp0 PROTO=47 10.0.0.1 10.0.0.2 L="));
}

TEST_CASE("an iptables line has its prefix and KEY=value", "[eventlog]") {
    RuleSite at = site(LogStyle::kIptables, "");
    at.log.prefix = "drop: ";
    RuleLogRecord r = syn();
    r.has_ethernet = true;
    r.ethernet = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
    CHECK(
        text(r, at) ==
        "drop: IN=eth0 OUT= MAC=02:00:00:00:00:01:02:00:00:00:00:02:08:00 SRC=10.0.0.1 "
        "DST=10.0.0.2 LEN=60 TOS=0x10 PREC=0x00 TTL=254 ID=18 DF PROTO=TCP SPT=53 DPT=1025 "
        "WINDOW=512 RES=0x00 SYN URGP=0 "
    );
    RuleLogRecord out = udp();
    out.in_link = rules::kNoLink;
    out.out_link = LinkId{1};
    out.mark = 0x1f;
    CHECK(
        text(out, at) ==
        "drop: IN= OUT=ppp0 SRC=10.0.0.1 DST=10.0.0.2 LEN=34 TOS=0x00 PREC=0x00 TTL=254 ID=18 "
        "PROTO=UDP SPT=53 DPT=1025 LEN=14 MARK=0x1f "
    );
    RuleLogRecord later = udp();
    later.fragment = 0x20b9;
    CHECK(text(later, at).ends_with("ID=18 MF FRAG:185 PROTO=UDP "));
    RuleLogRecord ping = udp();
    ping.protocol = 1;
    ping.icmp_type = 8;
    ping.echo_id = 77;
    ping.echo_sequence = 2;
    CHECK(text(ping, at).ends_with("PROTO=ICMP TYPE=8 CODE=0 ID=77 SEQ=2 "));
}

TEST_CASE("a structured line has the packet as data elements", "[eventlog]") {
    RuleSite at = site(LogStyle::kStructured, "deny");
    at.log.prefix = "odd\" ";
    at.log.level = 4;
    const RuleLine line = line_of(udp(), &at, kNames);
    CHECK(int{line.level} == 4);
    CHECK(
        line.data ==
        "[rule@32473 id=\"7\" chain=\"input\" position=\"5\" hook=\"ingress\" action=\"deny\" "
        "in=\"eth0\" realm=\"internal\" src=\"10.0.0.1\" dst=\"10.0.0.2\" proto=\"17\" "
        "sport=\"53\" dport=\"1025\" len=\"34\" tos=\"0x00\" ttl=\"254\" ip-id=\"18\" "
        "frag=\"0x0000\" state=\"new\"]"
    );
    CHECK(line.text == "odd\" deny udp 10.0.0.1:53 > 10.0.0.2:1025");
    const RuleLine forgotten = line_of(udp(), nullptr, kNames);
    CHECK(forgotten.data.starts_with("[rule@32473 id=\"7\" hook=\"ingress\" in="));
}

TEST_CASE("the sites of a rule set are its rules that log, by their ids", "[eventlog]") {
    rules::RuleSet set;
    const auto chain =
        set.add_built_in("ipchains:input", rules::Hook::kIngress, 0, rules::Accept{});
    REQUIRE(chain);
    REQUIRE(set.append(*chain, acting({rules::Accept{}})));
    const auto logged =
        set.append(*chain, acting({rules::Log{3, "", 0, LogStyle::kIpchains}, rules::Deny{}}));
    REQUIRE(logged);
    const RuleSites sites = sites_of(set);
    REQUIRE(sites.size() == 1);
    const RuleSite& at = sites.at(logged->value);
    CHECK(at.chain == "input");
    CHECK(at.position == 2);
    CHECK(at.verdict == "deny");
    CHECK(at.log.style == LogStyle::kIpchains);
}
