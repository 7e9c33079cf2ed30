#include "legacy/kernel.h"

#include "legacy_support.h"

namespace sekisho::legacy::test {
namespace {

struct Bed {
    NameTables names = tables();
    Machine machine{names, FakeAppliance().all, {}, {}, {}};
    Kernel kernel;

    Answer run(const std::string& line, const std::string& input = "") {
        Words all = words(line);
        const std::string tool = all.front();
        all.erase(all.begin());
        return kernel.run({tool, all, input}, machine);
    }
    std::string say(const std::string& line) {
        const Answer answer = run(line);
        INFO(line << ": " << answer.err);
        CHECK(answer.status == 0);
        return answer.out;
    }
};

}  // namespace

TEST_CASE("each tool is called by its name", "[legacy][kernel]") {
    Bed bed;
    CHECK(bed.say("ipchains -L input").starts_with("Chain input (policy ACCEPT):"));
    CHECK(bed.say("ipfwadm -I -l").starts_with("IP firewall input rules, default policy: accept"));
    CHECK(bed.say("iptables -S") == "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n");
    CHECK(bed.say("ipchains-save").find(":input ACCEPT\n") != std::string::npos);
    CHECK(bed.say("iptables-save").find(":INPUT ACCEPT [0:0]\n") != std::string::npos);
    CHECK(bed.say("ipautofw -A -r udp 7648 7649 -c udp 7648 -u").empty());
    CHECK(bed.kernel.forwards().called.size() == 1);
    for (const std::string_view tool : tool_names()) {
        CHECK(is_tool(tool));
        CHECK(bed.run(std::string(tool) + " --no-such-thing").status != 127);
    }
    CHECK_FALSE(is_tool("nft"));
    CHECK(bed.run("nft list").status == 127);
}

TEST_CASE("as in a kernel of its time there is one packet filter", "[legacy][kernel]") {
    Bed bed;
    CHECK_FALSE(bed.kernel.in_force());
    bed.say("ipchains -A input -s 10.0.0.1 -j DENY");
    CHECK(bed.kernel.in_force() == Family::kIpchains);
    const Answer older = bed.run("ipfwadm -I -l");
    CHECK(older.status == 255);
    CHECK(older.err.starts_with("ipfwadm: setsockopt failed: Protocol not available"));
    CHECK(older.err.find("ipchains") != std::string::npos);
    CHECK(bed.run("iptables -L").status == 3);
    CHECK(bed.run("iptables-restore").status == 3);
    CHECK(bed.run("ipfwadm -h").status == 0);
    bed.say("ipchains -F");
    CHECK_FALSE(bed.kernel.in_force());
    bed.say("iptables -P FORWARD DROP");
    CHECK(bed.kernel.in_force() == Family::kIptables);
    const Answer chains = bed.run("ipchains -L");
    CHECK(chains.status == 1);
    CHECK(chains.err.starts_with("ipchains: Incompatible with this kernel"));
}

TEST_CASE("a chain, a rule or a policy is enough to be in force", "[legacy][kernel]") {
    for (const std::string line :
         {"ipchains -N user",
          "ipchains -P input DENY",
          "ipchains -A output -p tcp",
          "ipfwadm -A -a -S 10.0.0.0/8",
          "ipfwadm -F -p deny",
          "iptables -t mangle -N user",
          "iptables -t raw -P OUTPUT DROP",
          "iptables -A INPUT"}) {
        CAPTURE(line);
        Bed bed;
        bed.say(line);
        CHECK(bed.kernel.in_force());
        bed.say("sekisho-legacy clear");
        CHECK_FALSE(bed.kernel.in_force());
    }
}

TEST_CASE("forwards are cleared with the rules", "[legacy][kernel]") {
    Bed bed;
    bed.say("ipportfw -A -t203.0.113.5/80 -R 192.168.0.9/80");
    bed.say("ipmasqadm autofw -A -r udp 7648 7649 -c udp 7648");
    bed.say("ipmasqadm mfw -A -m 5 -r 192.168.0.9");
    CHECK_FALSE(bed.kernel.in_force());
    bed.say("sekisho-legacy clear");
    CHECK(bed.kernel.forwards() == Forwards{});
}

TEST_CASE("what was cleared gives no number of a rule again", "[legacy][kernel]") {
    Bed bed;
    bed.say("ipchains -N user");
    bed.say("ipchains -A user -j DENY");
    bed.say("ipchains -A input -j user");
    const uint32_t given = bed.kernel.rules(Family::kIpchains).id_bound();
    bed.say("sekisho-legacy clear");
    CHECK(bed.kernel.rules(Family::kIpchains).rule_count() == 0);
    bed.say("ipchains -A input -j DENY");
    CHECK(bed.kernel.rules(Family::kIpchains).id_bound() > given);
    CHECK(bed.run("sekisho-legacy reset").status == 2);
}

TEST_CASE("what fails has changed nothing, whole texts too", "[legacy][kernel]") {
    Bed bed;
    bed.say("ipchains -A input -s 10.0.0.1 -j DENY");
    const std::string before = bed.say("ipchains-save");
    CHECK(bed.run("ipchains -A input -s 10.0.0.2 -j nobody").status == 1);
    CHECK(bed.run("ipchains-restore", ":input DENY\n-A input -j nobody\n").status == 1);
    CHECK(bed.say("ipchains-save") == before);
    CHECK(bed.run("ipchains-restore -f", before).status == 0);
}

TEST_CASE("timeouts are the kernel's, whichever tool asks", "[legacy][kernel]") {
    Bed bed;
    const auto timeouts = [&bed] { return bed.kernel.tracking().timeouts; };
    bed.kernel.set_tracking({65536, {Seconds{7440}, Seconds{240}, Seconds{300}}});
    bed.say("ipfwadm -M -s 0 0 120");
    CHECK(timeouts() == MasqueradeTimeouts{Seconds{7440}, Seconds{240}, Seconds{120}});
    bed.say("ipchains -M -S 3600 0 0");
    CHECK(timeouts() == MasqueradeTimeouts{Seconds{3600}, Seconds{240}, Seconds{120}});
    bed.say("sekisho-legacy set netfilter/ip_conntrack_udp_timeout 180");
    CHECK(timeouts().udp == Seconds{180});
}

TEST_CASE("counters and sessions are the machine's", "[legacy][kernel]") {
    Bed bed;
    bed.say("ipchains -A input -s 10.0.0.1 -j DENY");
    const auto asked = std::make_shared<std::vector<Family>>();
    bed.machine.counts = [asked](Family family) {
        asked->push_back(family);
        return Counts(100, rules::RuleTotal{7, 700});
    };
    bed.machine.tracked = [] { return std::vector<TrackedSession>(3); };
    const std::string rules = bed.say("ipchains -L input -v -x");
    CHECK(rules.find(" 7 ") != std::string::npos);
    CHECK(rules.find(" 700 ") != std::string::npos);
    CHECK(*asked == std::vector<Family>{Family::kIpchains});
    const std::string listed = bed.say("ipchains -M -L");
    CHECK(std::count(listed.begin(), listed.end(), '\n') == 5);
}

TEST_CASE("modules of masquerading are known by name, path and file", "[legacy][modules]") {
    Bed bed;
    const Answer ftp = bed.run("modprobe ip_masq_ftp");
    CHECK(ftp.status == 0);
    CHECK(
        ftp.err == "modprobe: warning: ip_masq_ftp has no effect: there is no helper for FTP yet\n"
    );
    CHECK(bed.run("insmod /lib/modules/2.0.36/ipv4/ip_masq_irc.o ports=6667").status == 0);
    CHECK(bed.run("depmod -a").status == 0);
    CHECK(bed.kernel.modules().loaded == std::vector<std::string>{"ip_masq_ftp", "ip_masq_irc"});
    const std::string listed = bed.say("lsmod");
    CHECK(listed.starts_with("Module"));
    CHECK(listed.find("ip_masq_irc ") < listed.find("ip_masq_ftp "));
    CHECK(bed.run("modprobe -a ip_masq_user ne2k-pci").status == 1);
    CHECK(bed.kernel.modules().loaded.size() == 2);
    CHECK(
        bed.run("modprobe 3c59x").err == "modprobe: module 3c59x: it is none of this appliance's\n"
    );
    CHECK(bed.run("rmmod ip_masq_ftp").status == 0);
    CHECK(bed.run("modprobe -r ip_masq_ftp").status == 1);
    CHECK(bed.run("modprobe").status == 1);
    CHECK(bed.kernel.modules().loaded == std::vector<std::string>{"ip_masq_irc"});
}

TEST_CASE("ipfwadm-wrapper stands on the chains of ipchains", "[legacy][wrapper]") {
    Bed bed;
    bed.say(
        "ipfwadm-wrapper -I -a deny -P tcp -S 10.0.0.0/8 1024:2048 53 -D any/0 80 -V 203.0.113.7 -o"
    );
    CHECK(bed.kernel.in_force() == Family::kIpchains);
    const std::string saved = bed.say("ipchains-save");
    const std::string head = "-A inp -s 10.0.0.0/255.0.0.0 ";
    const std::string tail = " -d 0.0.0.0/0.0.0.0 80:80 -i ppp0 -p 6 -j DENY -l\n";
    CHECK(saved.find(head + "1024:2048" + tail) != std::string::npos);
    CHECK(saved.find(head + "53:53" + tail) != std::string::npos);
    CHECK(
        saved.find("-A input -s 0.0.0.0/0.0.0.0 -d 0.0.0.0/0.0.0.0 -j inp\n") != std::string::npos
    );
    bed.say(
        "ipfwadm-wrapper -I -d deny -P tcp -S 10.0.0.0/8 1024:2048 53 -D any/0 80 -V 203.0.113.7 -o"
    );
    CHECK(bed.say("ipchains-save").find("-A inp ") == std::string::npos);

    bed.say("ipfwadm-wrapper -F -p deny");
    bed.say("ipfwadm-wrapper -F -a masquerade -S 192.168.0.0/16 -W ppp0");
    CHECK(bed.say("ipchains-save").find(":forward DENY\n") != std::string::npos);
    const std::string asked =
        "-P tcp -S 192.168.0.4 1024 -D 198.51.100.1 80 -V 203.0.113.7 -W ppp0";
    CHECK(bed.say("ipfwadm-wrapper -F -c " + asked) == "masqueraded\n");
    bed.say("ipfwadm-wrapper -A in -a -P udp -S any/0 53");
    CHECK(bed.say("ipfwadm-wrapper -A -l -n").find("Chain acctin") != std::string::npos);
    CHECK(bed.run("ipfwadm-wrapper -I -a deny -V 192.0.2.200").status == 1);
    CHECK(bed.run("ipfwadm-wrapper -I -a nobody").status == 2);
    bed.say("ipfwadm-wrapper -I -f");
}

TEST_CASE("rules that name links follow them", "[legacy][kernel]") {
    Bed bed;
    bed.say("ipchains -A input -i ppp1 -j DENY");
    const auto links_of = [&bed] {
        const rules::RuleSet& set = bed.kernel.rules(Family::kIpchains);
        const auto& rule = *set.chain(*set.find_chain("input"))->rules.at(0);
        return std::get<rules::LinkTest>(rule.conditions.at(0).test).links;
    };
    CHECK_FALSE(links_of().has(3));
    bed.machine.links.push_back({"ppp1", LinkId{3}, {address("203.0.113.9")}});
    bed.kernel.follow_links(bed.machine);
    CHECK(links_of().has(3));
}

}  // namespace sekisho::legacy::test
