// The files of /proc that earlier kernels had.
#include "legacy/proc.h"

#include "chains_support.h"
#include "legacy/settings.h"

namespace sekisho::legacy::test {
namespace {

TrackedSession tracked(Protocol protocol) {
    TrackedSession made;
    made.session.protocol = protocol;
    made.session.expires_ms = 86'400'500;
    made.session.source = address("192.168.0.4");
    made.session.destination = address("198.51.100.9");
    made.session.source_port = Port::from_host(1025);
    made.session.mapped_port = Port::from_host(61000);
    made.session.destination_port = Port::from_host(80);
    made.external = address("203.0.113.7");
    return made;
}

Words lines_of(const std::string& text) {
    Words lines;
    for (size_t at = 0; at < text.size();) {
        const size_t end = text.find('\n', at);
        lines.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return lines;
}

}  // namespace

TEST_CASE("a tracked session is a line of ip_conntrack", "[legacy][proc]") {
    TrackedSession one = tracked(Protocol::kTcp);
    one.state = "SYN_SENT";
    CHECK(
        ip_conntrack_line(one) ==
        "tcp      6 86400 SYN_SENT src=192.168.0.4 dst=198.51.100.9 sport=1025 dport=80 "
        "[UNREPLIED] "
        "src=198.51.100.9 dst=203.0.113.7 sport=80 dport=61000 use=1 \n"
    );
    one.state = "ESTABLISHED";
    one.is_answered = one.is_assured = true;
    CHECK(
        ip_conntrack_line(one) ==
        "tcp      6 86400 ESTABLISHED src=192.168.0.4 dst=198.51.100.9 sport=1025 dport=80 "
        "src=198.51.100.9 dst=203.0.113.7 sport=80 dport=61000 [ASSURED] use=1 \n"
    );
    CHECK(
        ip_conntrack_line(tracked(Protocol::kIcmp)) ==
        "icmp     1 86400 src=192.168.0.4 dst=198.51.100.9 type=8 code=0 id=1025 [UNREPLIED] "
        "src=198.51.100.9 dst=203.0.113.7 type=0 code=0 id=61000 use=1 \n"
    );
    CHECK(ip_conntrack_line(tracked(Protocol::kUdp)).starts_with("udp      17 86400 src="));
    CHECK(
        ip_conntrack_line(tracked(Protocol::kGre)) ==
        "unknown  47 86400 src=192.168.0.4 dst=198.51.100.9 [UNREPLIED] "
        "src=198.51.100.9 dst=203.0.113.7 use=1 \n"
    );
}

TEST_CASE("a masqueraded session is 128 bytes of ip_masquerade", "[legacy][proc]") {
    const std::string header = ip_masquerade_header();
    CHECK(header.size() == 128);
    CHECK(header.starts_with(
        "Prc FromIP   FPrt ToIP     TPrt Masq Init-seq  Delta PDelta Expires (free="
    ));
    const std::string line = ip_masquerade_line(tracked(Protocol::kTcp).session);
    CHECK(line.size() == 128);
    CHECK(line.starts_with("TCP C0A80004:0401 C6336409:0050 EE48 00000000      0      0 8640050 "));
    CHECK(ip_masquerade_line(tracked(Protocol::kUdp).session).starts_with("UDP C0A80004:0401 "));
}

TEST_CASE("rules and chains are the lines of ip_fwchains and ip_fwnames", "[legacy][proc]") {
    OldChains bed;
    bed.set("-N user");
    bed.set("-A user -p ! tcp -s ! 10.0.0.0/8 -i ! ppp+ -l -m 7 -j DENY");
    bed.set("-A input -p tcp -d 192.168.0.1 1024:65535 ! -y -t 01 10 -j user");
    bed.set("-A input -p tcp -d any/0 80 -j REDIRECT 3128");
    Counts counts(bed.chains.rules().id_bound(), rules::RuleTotal{2, 0x100000003});
    const Words rules = lines_of(ip_fwchains(bed.chains, counts));
    REQUIRE(rules.size() == 3);
    CHECK(
        rules[0] ==
        "    input 00000000/00000000->C0A80001/FFFFFFFF - 2 40 6 0         2         1         3   "
        "      "
        "0-65535 1024-65535 A01 X10 00000000 0 0      user"
    );
    CHECK(rules[1].ends_with(" 80-80 AFF X00 00000C38 0 0  REDIRECT"));
    CHECK(rules[2].starts_with("     user 0A000000/FF000000->00000000/00000000 ppp 19 25 6 "));
    CHECK(rules[2].ends_with(" 00000000 7 0      DENY"));
    const Words chains = lines_of(ip_fwnames(bed.chains, counts));
    CHECK(
        chains ==
        Words{
            "input ACCEPT 0 0 2 1 3",
            "forward ACCEPT 0 0 2 1 3",
            "output ACCEPT 0 0 2 1 3",
            "user - 1 0 0 0 0"}
    );
}

TEST_CASE("settings say what they mean here, or that they mean nothing", "[legacy][settings]") {
    Settings settings;
    Tracking tracking{1000, {Seconds{7440}, Seconds{240}, Seconds{300}}};
    const Links links = FakeAppliance().all;
    const auto value = [&](const std::string& path) {
        return settings.all(links, tracking).at(path);
    };
    CHECK(value("ip_forward") == "1");
    CHECK(value("conf/ppp0/rp_filter") == "0");
    CHECK(value("conf/all/rp_filter") == "0");
    CHECK(value("ip_conntrack_max") == "1000");
    CHECK(value("netfilter/ip_conntrack_udp_timeout") == "300");

    CHECK(settings.write("ip_forward", "1", tracking).err.empty());
    const Answer off = settings.write("ip_forward", "0", tracking);
    CHECK(off.status == 0);
    CHECK(
        off.err ==
        "/proc/sys/net/ipv4/ip_forward: warning: 0 has no effect: packets are forwarded for as "
        "long as "
        "sekishod runs\n"
    );
    CHECK(value("ip_forward") == "0");
    CHECK(
        settings.write("conf/eth0/rp_filter", "1", tracking).err.find("rules say") !=
        std::string::npos
    );
    CHECK(settings.write("conf/eth0/accept_source_route", "0", tracking).err.empty());
    CHECK(
        settings.write("no/such/thing", "5", tracking).err ==
        "/proc/sys/net/ipv4/no/such/thing: warning: 5 has no effect\n"
    );

    CHECK(settings.write("ip_conntrack_max", "8192", tracking).err.empty());
    CHECK(tracking.most_sessions == 8192);
    CHECK(value("netfilter/ip_conntrack_max") == "8192");
    settings.write("netfilter/ip_conntrack_tcp_timeout_established", "600", tracking);
    CHECK(tracking.timeouts.tcp == Seconds{600});
    for (const char* wrong : {"0", "-1", "many", ""}) {
        CHECK(settings.write("ip_conntrack_max", wrong, tracking).status == 1);
    }
    CHECK(tracking.most_sessions == 8192);
}

TEST_CASE("a setting's path leads nowhere else, and its value is one line", "[legacy][settings]") {
    Settings settings;
    Tracking tracking{1000, {Seconds{7440}, Seconds{240}, Seconds{300}}};
    const Settings before = settings;
    for (const std::string path :
         {"",
          "/",
          "/etc/passwd",
          "..",
          "../../../etc/passwd",
          "conf/../../x",
          "conf/./x",
          "a//b",
          "conf/",
          "a\tb",
          "a\nb",
          "a b",
          "a\\b",
          "conf/\xc3\xbc/x"}) {
        INFO(path);
        CHECK(settings.write(path, "1", tracking).status == 1);
    }
    CHECK(settings.write(std::string(129, 'a'), "1", tracking).status == 1);
    for (const std::string value : {"1\n../x\t2", "\x1b[31m", "\xc3\xbc"}) {
        CHECK(settings.write("rp_filter", value, tracking).status == 1);
    }
    CHECK(settings.write("rp_filter", std::string(1025, '1'), tracking).status == 1);
    CHECK(settings == before);
    CHECK(settings.write("conf/eth0.100/rp_filter", "1", tracking).status == 0);
    CHECK(settings.write("ip_local_port_range", "1024\t65535", tracking).status == 0);

    for (int i = 0; i < 2000; ++i) {
        settings.write("mine/" + std::to_string(i), "1", tracking);
    }
    CHECK(settings.write("mine/1999", "1", tracking).status == 1);
    CHECK(settings.write("mine/1", "2", tracking).status == 0);
    CHECK(settings.write("ip_conntrack_max", "500", tracking).status == 0);
}

TEST_CASE("names that a caller has looked up come before the machine's", "[legacy]") {
    const NameTables machine = tables();
    const AskedNames names(
        machine, "192.0.2.9 www.example\n10.1.1.1 one\n10.1.1.2 one\nnonsense\n"
    );
    CHECK(names.host("www.example") == std::vector{address("192.0.2.9")});
    CHECK(names.host("one") == std::vector{address("10.1.1.1"), address("10.1.1.2")});
    CHECK(names.host("pair.example").size() == 2);
    CHECK(names.unknown().empty());
    CHECK(names.host("nobody").empty());
    CHECK(names.host("nobody").empty());
    CHECK(names.unknown() == std::vector<std::string>{"nobody"});
    CHECK(names.port_of("smtp", Protocol::kTcp) == 25);
    CHECK(names.service_at(53, Protocol::kUdp) == "domain");
    CHECK(names.protocol_of("gre") == 47);
    CHECK(names.protocol_name(6) == "tcp");
    CHECK(names.network("inside") == address("192.168.0.0"));
}

}  // namespace sekisho::legacy::test
