// The listings of ipfwadm, and that they say all there is.
#include <random>

#include <fmt/format.h>

#include "firewall_support.h"

namespace sekisho::legacy::test {
namespace {

// The commands that make a chain as `ipfwadm -X -l -e -n` shows it: the reader that a person is.
Words command_of_line(const std::string& category, const std::string& line) {
    Words column = words(line);
    const bool is_accounting = category == "-A";
    column.erase(column.begin(), column.begin() + 2);  // the counters
    Words command = {category};
    size_t at = 0;
    if (is_accounting) {
        command.insert(command.end(), {column[0] == "i/o" ? "both" : column[0], "-a"});
    } else {
        const bool is_accepted = column[0].starts_with("acc");
        command.insert(command.end(), {"-a", is_accepted ? "accept" : column[0]});
        if (column[0] == "acc/m") {
            command.emplace_back("-m");
        }
    }
    const std::string protocol = column[++at];
    command.insert(command.end(), {"-P", protocol});
    for (const char flag : column[++at]) {
        if (flag != '-') {
            command.push_back(std::string("-") + flag);
        }
    }
    if (!is_accounting) {
        command.insert(command.end(), {"-t", column[at + 1], column[at + 2]});
        at += 2;
    }
    if (column[++at] != "*") {
        command.insert(command.end(), {"-W", column[at]});
    }
    command.insert(command.end(), {"-V", column[++at]});
    const std::string source = column[++at];
    const std::string destination = column[++at];
    const auto add_side = [&](const char* letter, const std::string& host, const std::string& ports
                          ) {
        command.insert(command.end(), {letter, host});
        if (ports == "*" || ports == "n/a") {
            return;
        }
        for (size_t from = 0; from < ports.size();) {
            const size_t end = std::min(ports.find(',', from), ports.size());
            command.push_back(ports.substr(from, end - from));
            from = end + 1;
        }
    };
    add_side("-S", source, column[++at]);
    const bool has_two = protocol == "tcp" || protocol == "udp";
    add_side("-D", destination, has_two ? column[at += 2] : "*");
    if (at + 2 < column.size()) {
        command.insert(command.end(), {"-r", column[at + 2] == "*" ? "0" : column[at + 2]});
    }
    return command;
}

struct Random {
    std::mt19937 generator;
    uint32_t any() { return static_cast<uint32_t>(generator()); }
    unsigned below(unsigned bound) { return any() % bound; }
    bool chance(unsigned of) { return below(of) == 0; }
    uint16_t port() { return static_cast<uint16_t>(below(65536)); }
    HostMask host() {
        const Ipv4Addr mask =
            chance(8)
                ? Ipv4Addr::from_host(any())
                : Ipv4Addr::from_host(Ipv4Prefix{{}, static_cast<uint8_t>(below(33))}.mask_host());
        return {{any() & mask.raw}, mask};
    }
    PortList ports(unsigned most) {
        PortList list;
        if (most >= 2 && chance(3)) {
            const uint16_t port_a = port();
            const uint16_t port_b = port();
            list.range = {std::min(port_a, port_b), std::max(port_a, port_b)};
        }
        for (size_t count = below(most + 1); list.count() < count;) {
            list.ports.push_back(port());
        }
        return list;
    }
    FirewallRule rule(Point point) {
        FirewallRule made;
        made.source = host();
        made.destination = host();
        made.protocol = static_cast<FirewallProtocol>(below(4));
        const bool is_icmp = made.protocol == FirewallProtocol::kIcmp;
        if (made.protocol != FirewallProtocol::kAll) {
            made.source_ports = ports(4);
            made.destination_ports = is_icmp ? PortList{} : ports(4);
        }
        made.via = chance(2) ? Ipv4Addr::from_host(any()) : Ipv4Addr{};
        made.via_name = chance(2) ? fmt::format("eth{}", below(12)) : "";
        made.either_way = chance(3);
        made.ack = chance(3);
        made.syn = chance(3);
        made.log = chance(3);
        if (point == Point::kAccounting) {
            made.side = static_cast<AccountingSide>(below(3));
            return made;
        }
        made.tos_and = static_cast<uint8_t>(below(256) | 1);
        made.tos_xor = static_cast<uint8_t>(below(256) & 0xfe);
        made.policy = static_cast<FirewallPolicy>(below(4));
        const bool can_masquerade = point == Point::kForward && !is_icmp;
        if (made.policy == FirewallPolicy::kMasquerade && !can_masquerade) {
            made.policy = FirewallPolicy::kAccept;
        }
        const bool has_ports =
            made.protocol == FirewallProtocol::kTcp || made.protocol == FirewallProtocol::kUdp;
        if (point == Point::kInput && has_ports && made.policy == FirewallPolicy::kAccept &&
            chance(2)) {
            made.redirect = port();
        }
        return made;
    }
};

std::vector<FirewallRule> rules_of(const Firewall& firewall, Point point) {
    std::vector<FirewallRule> all;
    for (const Firewall::Entry& entry : firewall.entries(point)) {
        all.push_back(entry.rule);
    }
    return all;
}

}  // namespace

TEST_CASE("a listing has the original's columns", "[legacy][ipfwadm][legacy-s25][seeds-a13]") {
    OldFirewall bed;
    CHECK(bed.say("-I -l") == "IP firewall input rules, default policy: accept\n");
    CHECK(bed.say("-A -l") == "IP accounting rules\n");
    bed.set("-I -p deny");
    bed.set(
        "-I -a accept -P tcp -S 192.168.0.0/16 1024:65535 7 -D 192.0.2.80 smtp http -V "
        "192.168.255.1 -o"
    );
    bed.set("-I -a accept -P tcp -D any/0 80 -r 3128 -t 01 10");
    bed.set("-I -i reject -W ppp0 -S 10.0.0.0/255.0.0.255 -b -k -y");
    bed.set("-I -a deny -P icmp -S any/0 8");
    CHECK(
        bed.say("-I -l") ==
        "IP firewall input rules, default policy: deny\n"
        "type  prot source               destination          ports\n"
        "rej   all  10.0.0.0/255.0.0.255 anywhere             n/a\n"
        "acc   tcp  192.168.0.0/16       192.0.2.80           1024:65535,7 -> smtp,http\n"
        "acc/r tcp  anywhere             anywhere             any -> http => 3128\n"
        "deny  icmp anywhere             anywhere             8\n"
    );
    CHECK(
        bed.say("-I -l -n -e") ==
        "IP firewall input rules, default policy: deny\n"
        " pkts bytes type  prot opt  tosa tosx ifname  ifaddress       "
        "source               destination          ports\n"
        "    0     0 rej   all  bky- 0xFF 0x00 ppp0    0.0.0.0         "
        "10.0.0.0/255.0.0.255 0.0.0.0/0            n/a\n"
        "    0     0 acc   tcp  ---o 0xFF 0x00 *       192.168.255.1   "
        "192.168.0.0/16       192.0.2.80           1024:65535,7 -> 25,80\n"
        "    0     0 acc/r tcp  ---- 0x01 0x10 *       0.0.0.0         "
        "0.0.0.0/0            0.0.0.0/0            * -> 80 => 3128\n"
        "    0     0 deny  icmp ---- 0xFF 0x00 *       0.0.0.0         "
        "0.0.0.0/0            0.0.0.0/0            8\n"
    );
    bed.set("-F -p masquerade");
    bed.set("-F -a accept -m -P udp -D any/0 7:9");
    CHECK(
        bed.say("-F -l -e") ==
        "IP firewall forward rules, default policy: accept/masquerade\n"
        " pkts bytes type  prot opt  tosa tosx ifname  ifaddress       "
        "source               destination          ports\n"
        "    0     0 acc/m udp  ---- 0xFF 0x00 any     any             "
        "anywhere             anywhere             any -> 7:9\n"
    );
    bed.set("-A in -a -P tcp -S 10.0.0.1");
    bed.set("-A -a");
    CHECK(
        bed.say("-A -l -e") ==
        "IP accounting rules\n"
        " pkts bytes dir prot opt  ifname  ifaddress       "
        "source               destination          ports\n"
        "    0     0 in  tcp  ---- any     any             "
        "10.0.0.1             anywhere             any -> any\n"
        "    0     0 i/o all  ---- any     any             "
        "anywhere             anywhere             n/a\n"
    );
}

TEST_CASE("counters are rounded, or exact with -x", "[legacy][ipfwadm][legacy-s24][seeds-a13]") {
    OldFirewall bed;
    bed.set("-A -a -P tcp");
    bed.appliance.count(bed.firewall.entries(Point::kAccounting)[0].id, 100000, 12345678901);
    const std::string row = " i/o tcp  anywhere             anywhere             any -> any\n";
    const std::string head = " dir prot source               destination          ports\n";
    CHECK(bed.say("-A -l") == "IP accounting rules\n pkts bytes" + head + " 100K 12346M" + row);
    CHECK(
        bed.say("-A -l -x") ==
        "IP accounting rules\n    pkts      bytes" + head + "  100000 12345678901" + row
    );
}

TEST_CASE(
    "-z sets to zero, -l -z what was shown, and nothing that comes between is lost",
    "[legacy][ipfwadm][legacy-s23][seeds-a13]"
) {
    OldFirewall bed;
    bed.set("-O -a accept -P tcp");
    bed.set("-O -a accept -P udp");
    const auto& entries = bed.firewall.entries(Point::kOutput);
    bed.appliance.count(entries[0].id, 5, 500);
    bed.appliance.count(entries[1].id, 7, 700);
    const auto counts = [&bed, &entries] {
        std::vector<uint64_t> packets;
        for (const auto& entry : entries) {
            packets.push_back(count_since(bed.appliance.counts(), entry.id, entry.zero).packets);
        }
        return packets;
    };
    CHECK(bed.say("-O -l -z -e -x -n").find("       5        500 acc   tcp") != std::string::npos);
    CHECK(counts() == std::vector<uint64_t>{0, 0});
    bed.appliance.count(entries[0].id, 2, 200);
    CHECK(bed.say("-O -l -e -x -n").find("       2        200 acc   tcp") != std::string::npos);
    CHECK(counts() == std::vector<uint64_t>{2, 0});
    CHECK(bed.say("-O -z").empty());
    CHECK(counts() == std::vector<uint64_t>{0, 0});
    CHECK(bed.say("-O -z -l").find("    0     0") == std::string::npos);
}

TEST_CASE("listing asks no name server", "[legacy][ipfwadm][seeds-a11]") {
    OldFirewall bed;
    bool was_asked = false;
    bed.names.set_resolver([&was_asked](std::string_view /*name*/) {
        was_asked = true;
        return std::vector<Ipv4Addr>{};
    });
    bed.set("-I -a deny -P tcp -S 198.51.100.1 7 -D 198.51.100.2 9999 -V 198.51.100.3");
    bed.appliance.sessions = {
        {Protocol::kUdp, 1000, address("10.0.0.1"), address("198.51.100.9"), {}, {}, {}}};
    bed.say("-I -l -e");
    bed.say("-M -l -e");
    CHECK_FALSE(was_asked);
}

TEST_CASE(
    "masqueraded sessions are listed with their ports", "[legacy][ipfwadm][legacy-s26][seeds-c1]"
) {
    OldFirewall bed;
    CHECK(bed.say("-M -l") == "IP masquerading entries\n");
    const auto port = [](uint16_t number) { return Port::from_host(number); };
    bed.appliance.sessions = {
        {Protocol::kUdp,
         300'000,
         address("192.168.0.2"),
         address("192.0.2.53"),
         port(1030),
         port(61001),
         port(53)},
        {Protocol::kTcp,
         899'990,
         address("192.168.0.3"),
         address("192.0.2.80"),
         port(1031),
         port(61002),
         port(80),
         4000000000,
         -12,
         5},
        {Protocol::kIcmp,
         1,
         address("192.168.0.3"),
         address("192.0.2.80"),
         port(1),
         port(2),
         port(3)}};
    CHECK(
        bed.say("-M -l") ==
        "IP masquerading entries\n"
        "prot expire   source               destination          ports\n"
        "udp  05:00.00 192.168.0.2          192.0.2.53           1030 (61001) -> domain\n"
        "tcp  14:59.99 192.168.0.3          192.0.2.80           1031 (61002) -> http\n"
    );
    CHECK(
        bed.say("-M -l -n -e") ==
        "IP masquerading entries\n"
        "prot expire      initseq delta prevd source               destination          ports\n"
        "udp  05:00.00          0     0     0 192.168.0.2          192.0.2.53           1030 "
        "(61001) -> 53\n"
        "tcp  14:59.99 4000000000   -12     5 192.168.0.3          192.0.2.80           1031 "
        "(61002) -> 80\n"
    );
}

TEST_CASE("-v tells each rule and each packet", "[legacy][ipfwadm][seeds-a4]") {
    OldFirewall bed;
    CHECK(
        bed.say("-F -a accept -m -P tcp -S 10.0.0.0/8 -D any/0 7:9 25 -W ppp0 -v") ==
        "acc/m tcp opt ---- tos 0xFF 0x00 via ppp0 0.0.0.0   10.0.0.0/8 -> 0.0.0.0/0   * -> "
        "7:9,25\n"
    );
    CHECK(
        bed.say("-I -c -P udp -S 10.0.0.1 5 -D 10.0.0.2 25 -V 192.168.255.1 -W eth0 -v") ==
        "udp via eth0 192.168.255.1   10.0.0.1 -> 10.0.0.2   5 -> 25\npacket accepted\n"
    );
}

TEST_CASE("what a listing shows makes the same rules again", "[legacy][ipfwadm][legacy-s25]") {
    constexpr const char* kCategories[] = {"-I", "-O", "-F", "-A"};
    Random random{std::mt19937(20)};
    for (int round = 0; round < 200; ++round) {
        for (size_t p = 0; p < kPoints; ++p) {
            const auto point = static_cast<Point>(p);
            OldFirewall bed;
            for (int i = 0; i < 5; ++i) {
                REQUIRE(bed.firewall.add(
                    point, Firewall::End::kLast, random.rule(point), bed.appliance.all
                ));
            }
            const std::string category = kCategories[p];
            const std::string listing = bed.say(category + " -l -e -n");
            OldFirewall again;
            for (size_t at = listing.find('\n', listing.find('\n') + 1) + 1; at < listing.size();) {
                const size_t end = listing.find('\n', at);
                const Words command = command_of_line(category, listing.substr(at, end - at));
                const Answer answer =
                    run_ipfwadm(command, again.firewall, again.appliance, again.names);
                INFO(
                    listing.substr(at, end - at)
                    << "\n"
                    << fmt::format("{}", fmt::join(command, " ")) << "\n"
                    << answer.err
                );
                REQUIRE(answer.status == 0);
                at = end + 1;
            }
            REQUIRE(rules_of(again.firewall, point) == rules_of(bed.firewall, point));
        }
    }
}

TEST_CASE("a state is as good as the commands that make it", "[legacy][ipfwadm]") {
    Random random{std::mt19937(21)};
    for (int round = 0; round < 100; ++round) {
        OldFirewall bed;
        for (size_t p = 0; p < kPoints; ++p) {
            const auto point = static_cast<Point>(p);
            for (int i = 0; i < 5; ++i) {
                REQUIRE(bed.firewall.add(
                    point, Firewall::End::kLast, random.rule(point), bed.appliance.all
                ));
            }
            if (point != Point::kAccounting) {
                const auto policy = static_cast<FirewallPolicy>(random.below(4));
                const bool is_good = bed.firewall.set_policy(point, policy).has_value();
                CHECK(
                    is_good == (policy != FirewallPolicy::kMasquerade || point == Point::kForward)
                );
            }
        }
        bed.firewall.timeouts.udp = {random.below(1000) + 1};
        OldFirewall again;
        for (const Words& command : commands_of(bed.firewall)) {
            const Answer answer =
                run_ipfwadm(command, again.firewall, again.appliance, again.names);
            INFO(fmt::format("{}", fmt::join(command, " ")) << "\n" << answer.err);
            REQUIRE(answer == Answer{});
        }
        for (size_t p = 0; p < kPoints; ++p) {
            const auto point = static_cast<Point>(p);
            REQUIRE(rules_of(again.firewall, point) == rules_of(bed.firewall, point));
            CHECK(again.firewall.policy(point) == bed.firewall.policy(point));
        }
        CHECK(again.firewall.timeouts == bed.firewall.timeouts);
    }
}

}  // namespace sekisho::legacy::test
