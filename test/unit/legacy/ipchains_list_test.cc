// Listings, saving and restoring of ipchains.
#include <random>

#include <fmt/format.h>

#include "chains_support.h"

namespace sekisho::legacy::test {
namespace {

// What appends a rule as `ipchains -L -n -v -x` shows it, told by its columns as a person reads them.
Words command_of_line(const std::string& chain, const std::string& line) {
    Words column = words(line);
    Words command = {"-A", chain, "--no-warnings"};
    size_t at = 2;  // behind the counters
    const auto take = [&](const char* option) {
        std::string text = column[at++];
        command.emplace_back(option);
        if (text.starts_with('!')) {
            command.emplace_back("!");
            text.erase(0, 1);
        }
        command.push_back(text);
        return text;
    };
    const std::string target = column[at++];
    const std::string protocol = take("-p");
    const std::string flags = column[at++];
    if (flags[1] == 'y') {
        command.insert(command.end(), flags[0] == '!' ? 2 : 1, flags[0] == '!' ? "!" : "-y");
        command.back() = "-y";
    }
    if (flags[3] == 'f') {
        command.insert(command.end(), flags[2] == '!' ? 2 : 1, "!");
        command.back() = "-f";
    }
    if (flags[4] == 'l') {
        command.emplace_back("-l");
    }
    command.insert(command.end(), {"-t", column[at], column[at + 1]});
    at += 2;
    column[at] == "*" ? void(++at) : void(take("-i"));
    if (column[at].starts_with("0x")) {
        command.insert(command.end(), {"-m", column[at++]});
    }
    if (flags[5] == 'o') {
        command.emplace_back("-o");
        if (column[at].find('.') == std::string::npos) {
            command.push_back(column[at++]);
        }
    }
    take("-s");
    take("-d");
    const bool has_ports = protocol == "tcp" || protocol == "udp" || protocol == "icmp";
    if (has_ports && column[at] != "*") {
        take("--sport");
    } else {
        ++at;
    }
    ++at;  // the arrow
    if (has_ports && column[at] != "*") {
        take("--dport");
    } else {
        ++at;
    }
    if (target != "-") {
        command.insert(command.end(), {"-j", target});
    }
    if (target == "REDIRECT") {
        command.push_back(column.back() == "*" ? "0" : column.back());
    }
    return command;
}

struct Random {
    std::mt19937 generator;
    uint32_t any() { return static_cast<uint32_t>(generator()); }
    unsigned below(unsigned bound) { return any() % bound; }
    bool chance(unsigned of) { return below(of) == 0; }
    Maybe<HostMask> host() {
        const auto bits = static_cast<uint8_t>(below(33));
        const Ipv4Addr mask =
            Ipv4Addr::from_host(chance(8) ? any() : Ipv4Prefix{{}, bits}.mask_host());
        return {{{any() & mask.raw}, mask}, chance(4)};
    }
    Maybe<PortRange> ports() {
        const auto a = static_cast<uint16_t>(below(65536));
        const auto b = static_cast<uint16_t>(chance(2) ? a : below(65536));
        const PortRange range{std::min(a, b), std::max(a, b)};
        return chance(2) || range == kAnyPort ? Maybe<PortRange>{kAnyPort, false}
                                              : Maybe<PortRange>{range, chance(4)};
    }
    ChainRule rule(const std::string& chain) {
        ChainRule made;
        made.source = host();
        made.destination = host();
        constexpr uint16_t kProtocols[] = {0, 1, 6, 17, 47, 99};
        made.protocol.value = kProtocols[below(6)];
        const bool has_ports =
            made.protocol.value == 1 || made.protocol.value == 6 || made.protocol.value == 17;
        if (has_ports) {
            made.source_ports = ports();
            made.destination_ports = ports();
        } else {
            made.protocol.inverted = made.protocol.value != 0 && chance(3);
        }
        made.via =
            chance(2)
                ? Maybe<
                      std::
                          string>{fmt::format("eth{}{}", below(9), chance(2) ? "+" : ""), chance(3)}
                : Maybe<std::string>{};
        const bool names_ports = made.source_ports != Maybe<PortRange>{kAnyPort, false} ||
                                 made.destination_ports != Maybe<PortRange>{kAnyPort, false};
        if (made.protocol.value == 6 && chance(2)) {
            made.syn = chance(2);
        }
        if (chance(3)) {
            made.fragment = made.syn || names_ports ? false : chance(2);
        }
        made.log = chance(3);
        if (chance(3)) {
            made.tos_and = 0x01;
            made.tos_xor = 0x10;
        }
        made.mark = chance(3) ? std::optional(any()) : std::nullopt;
        made.copy_size =
            chance(4) ? std::optional(static_cast<uint16_t>(chance(2) ? 65535 : below(65535)))
                      : std::nullopt;
        constexpr const char* kTargets[] = {
            "", "ACCEPT", "DENY", "REJECT", "RETURN", "leaf", "MASQ", "REDIRECT"};
        made.target = kTargets[below(chain == "leaf" ? 5 : 8)];
        const bool can_masquerade = chain != "input" && chain != "output";
        const bool can_redirect = chain != "forward" && chain != "output" &&
                                  (made.protocol.value == 6 || made.protocol.value == 17);
        if ((made.target == "MASQ" && !can_masquerade) ||
            (made.target == "REDIRECT" && !can_redirect)) {
            made.target = "ACCEPT";
        }
        made.redirect =
            made.target == "REDIRECT" ? static_cast<uint16_t>(below(65536)) : uint16_t{0};
        return made;
    }
};

constexpr const char* kChains[] = {"input", "forward", "output", "user", "leaf"};

OldChains random_chains(Random& random) {
    OldChains bed;
    bed.set("-N user");
    bed.set("-N leaf");
    bed.set("-P forward MASQ");
    bed.set("-P output DENY");
    for (const std::string chain : kChains) {
        for (int i = 0; i < 4; ++i) {
            REQUIRE(bed.chains.insert(chain, Chains::kEnd, random.rule(chain), bed.appliance.all));
        }
    }
    return bed;
}

std::vector<ChainRule> rules_of(const OldChains& bed, const std::string& chain) {
    std::vector<ChainRule> all;
    for (const Chains::Entry& entry : bed.chains.find(chain)->entries) {
        all.push_back(entry.rule);
    }
    return all;
}

}  // namespace

TEST_CASE("a listing of ipchains has the original's columns", "[legacy][ipchains][legacy-c18]") {
    OldChains bed;
    CHECK(
        bed.say("-L") ==
        "Chain input (policy ACCEPT):\nChain forward (policy ACCEPT):\nChain output (policy "
        "ACCEPT):\n"
    );
    for (const char* line : {
             "-N user",
             "-A input -p tcp -s ! 10.0.0.0/8 1024: -d 192.0.2.1 ! smtp ! -y -l -j user",
             "-A input -p ! gre -s pair.example/24 -d ! 10.0.0.1 -f",
             "-A input -p tcp -d 0/0 http -j REDIRECT 3128",
             "-A input -p icmp --icmp-type ping -i ! ppp+ -m 5 -o 100 -t 01 10 -j DENY",
         }) {
        bed.set(line);
    }
    CHECK(
        bed.say("-L input") ==
        "Chain input (policy ACCEPT):\n"
        "target     prot opt     source                destination           ports\n"
        "user       tcp  !y--l- !10.0.0.0/8           192.0.2.1             1024:65535 ->  !smtp\n"
        "-         !gre  ---f--  192.0.2.0/24         !10.0.0.1              n/a\n"
        "REDIRECT   tcp  ------  anywhere             anywhere              any ->   http => "
        "3128\n"
        "DENY       icmp -----o  anywhere             anywhere              echo-request\n"
    );
    CHECK(
        bed.say("-L input -v -n --line-numbers") ==
        "Chain input (policy ACCEPT: 0 packets, 0 bytes):\n"
        "num   pkts bytes target     prot opt    tosa tosx  ifname     mark       outsize  source  "
        "              destination           ports\n"
        "1        0     0 user       tcp  !y--l- 0xFF 0x00  *                             "
        "!10.0.0.0/8           192.0.2.1             1024:65535 ->  !25\n"
        "2        0     0 -         !gre  ---f-- 0xFF 0x00  *                              "
        "192.0.2.0/24         !10.0.0.1              n/a\n"
        "3        0     0 REDIRECT   tcp  ------ 0xFF 0x00  *                              "
        "0.0.0.0/0            0.0.0.0/0             * ->   80 => 3128\n"
        "4        0     0 DENY       icmp -----o 0x01 0x10 !ppp+       0x5          100      "
        "0.0.0.0/0            0.0.0.0/0             8 ->   *\n"
    );
    CHECK(bed.say("-L user") == "Chain user (1 references):\n");
}

TEST_CASE(
    "counters go over a rule's three places and the policy, and to zero",
    "[legacy][ipchains][legacy-c1][legacy-c18]"
) {
    OldChains bed;
    bed.set("-N user");
    bed.set("-A user -p tcp");
    const Chains::Entry& entry = bed.chains.find("user")->entries[0];
    bed.appliance.count(entry.ids[0], 100000, 10'000'000'000);
    bed.appliance.count(entry.ids[2], 500, 5);
    const rules::ChainId input = bed.chains.find("input")->at[0];
    bed.appliance.count(bed.chains.rules().chain(input)->policy_id, 7, 4200);
    CHECK(bed.say("-L user -v").find(" 101K   10G -  ") != std::string::npos);
    CHECK(bed.say("-L user -v -x").find("  100500 10000000005 -  ") != std::string::npos);
    CHECK(bed.say("-L input -v") == "Chain input (policy ACCEPT: 7 packets, 4200 bytes):\n");
    const std::string listed = bed.say("-L -Z -v");
    CHECK(listed.find(" 101K   10G -  ") != std::string::npos);
    bed.appliance.count(entry.ids[1], 1, 2);
    CHECK(bed.say("-L user -v").find("    1     2 -  ") != std::string::npos);
    CHECK(bed.say("-L input -v") == "Chain input (policy ACCEPT: 0 packets, 0 bytes):\n");
    CHECK(bed.say("-Z user -v") == "Zeroing chain `user'\n");
    CHECK(bed.say("-L user -v").find("    0     0 -  ") != std::string::npos);
}

TEST_CASE(
    "masqueraded sessions are listed with protocols in capitals",
    "[legacy][ipchains][legacy-c18][seeds-c1]"
) {
    OldChains bed;
    const auto port = [](uint16_t number) { return Port::from_host(number); };
    bed.appliance.sessions = {
        {Protocol::kUdp,
         61'230,
         address("192.168.0.2"),
         address("192.0.2.53"),
         port(1030),
         port(61001),
         port(53)},
        {Protocol::kIcmp,
         1000,
         address("192.168.0.3"),
         address("192.0.2.80"),
         port(1),
         port(2),
         port(3)}};
    CHECK(
        bed.say("-M -L") ==
        "IP masquerading entries\n"
        "prot expire   source               destination          ports\n"
        "UDP  01:01.23 192.168.0.2          192.0.2.53           1030 (61001) -> domain\n"
        "ICMP 00:01.00 192.168.0.3          192.0.2.80           1 (2) -> 3\n"
    );
    CHECK(bed.say("-L -M -n").find("1030 (61001) -> 53\n") != std::string::npos);
    bed.set("-M -S 7200 0 60");
    CHECK(bed.chains.timeouts == MasqueradeTimeouts{{7200}, {120}, {60}});
    bed.set("-S 1 2 3");
    CHECK(bed.chains.timeouts == MasqueradeTimeouts{{1}, {2}, {3}});
}

TEST_CASE("-v tells each rule", "[legacy][ipchains]") {
    CHECK(
        OldChains().say("-A input -v -p tcp -s 10.0.0.0/8 -d 0/0 80 -i eth0 -j DENY") ==
        "DENY  tcp opt    ------ tos 0xFF 0x00  via eth0    10.0.0.0/8 -> 0.0.0.0/0    * ->   80\n"
    );
}

TEST_CASE("all chains are flushed, and all own ones removed", "[legacy][ipchains]") {
    Random random{std::mt19937(3)};
    OldChains bed = random_chains(random);
    CHECK(bed.say("-F -v").find("Flushing chain `user'\n") != std::string::npos);
    bed.set("-X");
    CHECK(bed.chains.all().size() == 3);
    CHECK(bed.saved() == ":input ACCEPT\n:forward MASQ\n:output DENY\n");
}

TEST_CASE(
    "what a listing of ipchains shows makes the same rules again", "[legacy][ipchains][legacy-c18]"
) {
    Random random{std::mt19937(22)};
    for (int round = 0; round < 100; ++round) {
        OldChains bed = random_chains(random);
        for (const std::string chain : kChains) {
            const std::string listing = bed.say("-L " + chain + " -n -v -x");
            OldChains again;
            again.set("-N user");
            again.set("-N leaf");
            for (size_t at = listing.find('\n', listing.find('\n') + 1) + 1; at < listing.size();) {
                const size_t end = listing.find('\n', at);
                const Words command = command_of_line(chain, listing.substr(at, end - at));
                const Answer answer =
                    run_ipchains(command, again.chains, again.appliance, again.names);
                INFO(
                    listing.substr(at, end - at)
                    << "\n"
                    << fmt::format("{}", fmt::join(command, " ")) << "\n"
                    << answer.err
                );
                REQUIRE(answer.status == 0);
                at = end + 1;
            }
            REQUIRE(rules_of(again, chain) == rules_of(bed, chain));
        }
    }
}

TEST_CASE("what is saved is restored", "[legacy][ipchains][seeds-a7]") {
    Random random{std::mt19937(23)};
    for (int round = 0; round < 100; ++round) {
        OldChains bed = random_chains(random);
        OldChains again;
        const Answer answer = again.restore(bed.saved());
        INFO(bed.saved() << answer.err);
        REQUIRE(answer.status == 0);
        CHECK(again.saved() == bed.saved());
        for (const std::string chain : kChains) {
            CHECK(rules_of(again, chain) == rules_of(bed, chain));
        }
    }
}

TEST_CASE("a saved text reads as the original's", "[legacy][ipchains][seeds-a7]") {
    OldChains bed;
    for (const char* line : {
             "-P forward DENY",
             "-N user",
             "-A forward -s 192.168.0.0/24 -j MASQ",
             "-A user -p tcp -s ! 10.0.0.1 -d 0/0 80 -i ! eth0 -y -l",
         }) {
        bed.set(line);
    }
    CHECK(
        bed.saved() ==
        ":input ACCEPT\n:forward DENY\n:output ACCEPT\n:user -\n"
        "-A forward -s 192.168.0.0/255.255.255.0 -d 0.0.0.0/0.0.0.0 -j MASQ\n"
        "-A user -s ! 10.0.0.1/255.255.255.255 -d 0.0.0.0/0.0.0.0 80:80 -i ! eth0 -p 6 -l -y\n"
    );
    const Answer one = save_chains(words("user"), bed.chains);
    CHECK(one.out.starts_with(":user -\n-A user"));
    CHECK(one.err == "Saving `user'.\n");
    CHECK(save_chains(words("nowhere"), bed.chains).status == 1);
    CHECK(save_chains(words("a b"), bed.chains).status == 2);
}

TEST_CASE("restoring is whole or not at all", "[legacy][ipchains][seeds-a7]") {
    OldChains bed;
    bed.set("-N user");
    bed.set("-A user -j DENY");
    const std::string before = bed.saved();
    for (const char* wrong : {
             ":input DENY\n-A input -j nowhere\n",
             ":input DENY\n:other -\n-A other -p tcp -d 0/0 bogus\n",
             ":input DENY\n:user ACCEPT\n",
             ":input -\n",
             ":input DENY\nnonsense\n",
             ":input DENY\n-L input\n",
             ":input DENY\n:\n",
             ":input DENY\n:user - more\n",
             ":input DENY\n-A input -L\n",
         }) {
        const Answer answer = bed.restore(wrong);
        INFO(wrong);
        CHECK(answer.status != 0);
        CHECK(answer.out.empty());
        CHECK(answer.err.find(": nothing is restored\n") != std::string::npos);
        CHECK(bed.saved() == before);
    }
    CHECK(bed.restore(":input DENY\n\n# a comment\nnonsense\n")
              .err.starts_with("ipchains-restore: line 4: "));
}

TEST_CASE(
    "a chain that is there already is flushed with -f, else passed over",
    "[legacy][ipchains][seeds-a7]"
) {
    const std::string text = ":user -\n-A user -j ACCEPT\n-A input -j user\n";
    OldChains bed;
    bed.set("-N user");
    bed.set("-A user -j DENY");
    CHECK(bed.restore(text).out == "Chain `user' already exists. Skipping it.\n");
    CHECK(bed.rule("user").target == "DENY");
    CHECK(bed.rule("input").target == "user");
    CHECK(bed.restore(text, "-f").out == "Flushing `user'.\n");
    CHECK(bed.rule("user").target == "ACCEPT");
    CHECK(bed.restore(text, "-f -v").out.starts_with("Restoring `user'.\nFlushing `user'.\n-A user")
    );
    CHECK(bed.restore(text, "-q").status == 2);
}

}  // namespace sekisho::legacy::test
