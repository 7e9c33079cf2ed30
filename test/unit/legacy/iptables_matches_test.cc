// iptables: -m iprange, length, ttl and tos, and the addresses and ports of -j SNAT and DNAT.
#include <fmt/format.h>

#include "rules/action.h"
#include "tables_support.h"

namespace sekisho::legacy::test {
namespace {

using rules::Disposition;

const rules::RulePacket kWeb = tcp("10.0.0.5", 40000, "192.0.2.7", 80);

rules::RulePacket with(uint16_t length, uint8_t ttl, uint8_t tos) {
    rules::RulePacket packet = kWeb;
    packet.length = length;
    packet.ttl = ttl;
    packet.tos = tos;
    return packet;
}

const rules::Action& action_of(const OldTables& bed, const std::string& chain) {
    const auto id = bed.tables.rules().find_chain(chain).value();
    return bed.tables.rules().chain(id)->rules.at(0)->actions.at(0);
}

}  // namespace

TEST_CASE("-m iprange, length, ttl and tos agree with what they say", "[legacy][iptables]") {
    struct Row {
        const char* match;
        rules::RulePacket agrees;
        rules::RulePacket does_not;
    };
    const rules::RulePacket other = tcp("10.0.0.10", 40000, "192.0.2.7", 80);
    for (const auto& [match, agrees, does_not] : {
             Row{"-m iprange --src-range 10.0.0.1-10.0.0.9", kWeb, other},
             {"-m iprange --src-range 10.0.0.10", other, kWeb},
             {"-m iprange ! --src-range 10.0.0.1-10.0.0.9", other, kWeb},
             {"-m iprange --dst-range 192.0.2.0-192.0.2.7 --src-range 10.0.0.5-10.0.0.5",
              kWeb,
              other},
             {"-m iprange ! --dst-range 192.0.2.8-192.0.2.9 ! --src-range 10.0.0.1-10.0.0.9",
              other,
              kWeb},
             {"-m length --length 40", with(40, 64, 0), with(41, 64, 0)},
             {"-m length --length 40:", with(65535, 64, 0), with(39, 64, 0)},
             {"-m length --length :40", with(20, 64, 0), with(41, 64, 0)},
             {"-m length ! --length 40:50", with(51, 64, 0), with(50, 64, 0)},
             {"-m ttl --ttl-eq 64", with(40, 64, 0), with(40, 63, 0)},
             {"-m ttl ! --ttl-eq 64", with(40, 63, 0), with(40, 64, 0)},
             {"-m ttl --ttl-gt 64", with(40, 65, 0), with(40, 64, 0)},
             {"-m ttl --ttl-lt 64", with(40, 63, 0), with(40, 64, 0)},
             {"-m tos --tos 0x10", with(40, 64, 0x10), with(40, 64, 0x11)},
             {"-m tos --tos Minimize-Delay", with(40, 64, 0x50), with(40, 64, 0x08)},
             {"-m tos --tos 16/0x1e", with(40, 64, 0xf1), with(40, 64, 0x12)},
             {"-m tos ! --tos Normal-Service", with(40, 64, 0x10), with(40, 64, 0xc0)},
         }) {
        OldTables bed;
        bed.set(fmt::format("-A FORWARD {} -j DROP", match));
        INFO(match);
        CHECK(bed.fate("filter.FORWARD", agrees) == Disposition::kDeny);
        CHECK(bed.fate("filter.FORWARD", does_not) == Disposition::kAccept);
    }
    // Nothing is beyond the ends.
    OldTables bed;
    bed.set("-A FORWARD -m ttl --ttl-gt 255 -j DROP");
    bed.set("-A FORWARD -m ttl --ttl-lt 0 -j DROP");
    CHECK(bed.fate("filter.FORWARD", with(40, 255, 0)) == Disposition::kAccept);
    CHECK(bed.fate("filter.FORWARD", with(40, 0, 0)) == Disposition::kAccept);
}

TEST_CASE("a wrong value of -m iprange, length, ttl or tos is told", "[legacy][iptables]") {
    for (const auto& [words, reason] : {
             std::pair{"-m iprange", "lacks the option"},
             {"-m length", "lacks the option"},
             {"-m ttl", "lacks the option"},
             {"-m tos", "lacks the option"},
             {"-m iprange --src-range host", "the lower one first, is wanted"},
             {"-m iprange --dst-range 10.0.0.9-10.0.0.1", "the lower one first, is wanted"},
             {"-m iprange --src-range 10.0.0.1-", "the lower one first, is wanted"},
             {"-m length --length http", "length: bad value `http'"},
             {"-m length --length 20:10", "length: bad value `20:10'"},
             {"-m length --length 65536", "length: bad value `65536'"},
             {"-m length --length 1:2:3", "length: bad value `1:2:3'"},
             {"-m ttl --ttl-eq 256", "ttl: bad value `256'"},
             {"-m ttl --ttl-eq -1", "ttl: bad value `-1'"},
             {"-m ttl ! --ttl-gt 5", "cannot be inverted"},
             {"-m ttl --ttl-gt 5 --ttl-lt 9", "stand alone"},
             {"-m tos --tos Fast", "Symbolic name or value \"Fast\""},
             {"-m tos --tos 0x100", "Symbolic name or value \"0x100\""},
             {"-m tos --tos 1/0x100", "Symbolic name or value \"1/0x100\""},
         }) {
        OldTables bed;
        const std::string before = bed.saved();
        const Answer answer = bed.run(fmt::format("-A FORWARD {} -j DROP", words));
        INFO(words << ": " << answer.err);
        CHECK(answer.status == 2);
        CHECK(answer.err.find(reason) != std::string::npos);
        CHECK(bed.saved() == before);
    }
}

TEST_CASE(
    "-m iprange, length, ttl and tos are listed in the original's words", "[legacy][iptables]"
) {
    for (const auto& [words, shown] : {
             std::pair{
                 "-m iprange --src-range 10.0.0.1-10.0.0.9 ! --dst-range 10.0.0.4",
                 " source IP range 10.0.0.1-10.0.0.9 destination IP range ! "
                 "10.0.0.4-10.0.0.4\n"},
             {"-m length ! --length 10", " length !10\n"},
             {"-m length --length 10:", " length 10:65535\n"},
             {"-m ttl --ttl-eq 5", " TTL match TTL == 5\n"},
             {"-m ttl ! --ttl-eq 5", " TTL match TTL != 5\n"},
             {"-m ttl --ttl-gt 5", " TTL match TTL > 5\n"},
             {"-m ttl --ttl-lt 5", " TTL match TTL < 5\n"},
             {"-m tos --tos 0x10", " tos match0x10/0xff\n"},
             {"-m tos ! --tos Minimize-Delay", " tos match!0x10/0x3f\n"},
         }) {
        OldTables bed;
        bed.set(fmt::format("-A FORWARD {}", words));
        const std::string listed = bed.say("-L FORWARD -n");
        INFO(listed);
        CHECK(listed.ends_with(shown));
    }
    OldTables bed;
    bed.set("-A FORWARD -m tos ! --tos Minimize-Delay");
    CHECK(bed.say("-L FORWARD").ends_with(" tos match! Minimize-Delay\n"));
}

TEST_CASE("-j DNAT goes to each of its addresses and ports", "[legacy][iptables]") {
    OldTables bed;
    bed.set("-t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.2:80-82");
    const auto targets = std::get<rules::Dnat>(action_of(bed, "nat.PREROUTING")).targets;
    REQUIRE(targets.size() == 6);
    CHECK(targets[0] == rules::DnatTarget{address("10.0.0.1"), 80, 1});
    CHECK(targets[2] == rules::DnatTarget{address("10.0.0.1"), 82, 1});
    CHECK(targets[5] == rules::DnatTarget{address("10.0.0.2"), 82, 1});
    const Answer answer =
        bed.run("-t nat -A PREROUTING -p udp -j DNAT --to-destination 10.0.0.1-10.0.0.2:1-200");
    CHECK(answer.status == 1);
    CHECK(answer.err.find("found 2 addresses with 200 ports") != std::string::npos);
    CHECK(
        bed.run("-t nat -A PREROUTING -j DNAT --to-destination 0.0.0.0-255.255.255.255").status == 1
    );
    CHECK(bed.run("-t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 80-90").status == 2);
}

TEST_CASE("-j SNAT goes to the pool with just its addresses, and its ports", "[legacy][iptables]") {
    OldTables bed;
    const std::string line = "-t nat -I POSTROUTING -p tcp -j SNAT --to-source ";
    bed.set(line + "203.0.113.1-203.0.113.9");
    CHECK(std::get<rules::Snat>(action_of(bed, "nat.POSTROUTING")).pool == PoolId{7});
    bed.set(line + "203.0.113.1-203.0.113.9:1024-4999");
    CHECK(std::get<rules::Snat>(action_of(bed, "nat.POSTROUTING")).pool == PoolId{7});
    const Answer answer = bed.run(line + "203.0.113.1-203.0.113.9:1024-5000");
    CHECK(answer.status == 1);
    CHECK(
        answer.err.find("203.0.113.1 to 203.0.113.9 and ports 1024 to 5000") != std::string::npos
    );
    CHECK(bed.run(line + "203.0.113.1").status == 1);
}

}  // namespace sekisho::legacy::test
