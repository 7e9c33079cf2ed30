#include "legacy/demasquerade.h"

#include <fmt/format.h>

#include "legacy_support.h"
#include "rules/mirror.h"

namespace sekisho::legacy::test {
namespace {

using rules::ByteSet;
using rules::ConnectionState;
using rules::Disposition;
using rules::RulePacket;

// A family's rules as they stand on the appliance, whose link ppp0 is an external one.
struct OnAppliance {
    FakeAppliance fake;
    NameTables names = tables();
    Kernel kernel;
    rules::RuleSet set;

    void run(const std::string& line) {
        Words all = words(line);
        const std::string tool = all.front();
        all.erase(all.begin());
        const Answer answer = kernel.run({tool, all, ""}, {names, fake.all, {}, {}, {}});
        INFO(line << ": " << answer.err);
        REQUIRE(answer.status == 0);
    }
    void follow(Family family) {
        rules::Mirror mirror("t:", {[family](const rules::Chain& chain) {
                                 return rules_before(family, chain, ByteSet::of(uint8_t{1}));
                             }});
        REQUIRE(mirror.follow(kernel.rules(family), set));
    }
    Disposition fate(const std::string& chain, const RulePacket& packet) const {
        return walk(set, set.find_chain("t:" + chain).value(), packet).outcome.disposition;
    }
};

RulePacket forwarded(RulePacket made, uint8_t from, uint8_t to, ConnectionState state) {
    made.in_link = LinkId{from};
    made.out_link = LinkId{to};
    made.state = state;
    return made;
}

struct Row {
    const char* text;
    RulePacket packet;
    Disposition fate;
};

std::vector<Row> rows() {
    const RulePacket answer = udp("198.51.100.9", 53, "192.168.3.4", 4000);
    const RulePacket question = udp("192.168.3.4", 4000, "198.51.100.9", 53);
    const RulePacket error_in = icmp("198.51.100.1", "192.168.3.4", 11);
    const RulePacket error_out = icmp("192.168.3.4", "198.51.100.9", 3, 3);
    return {
        {"an answer by the external link",
         forwarded(answer, 1, 0, ConnectionState::kEstablished),
         Disposition::kAccept},
        {"an error about a flow, inwards",
         forwarded(error_in, 1, 0, ConnectionState::kRelated),
         Disposition::kAccept},
        {"the same, outwards",
         forwarded(error_out, 0, 1, ConnectionState::kRelated),
         Disposition::kAccept},
        {"what is no answer", forwarded(answer, 1, 0, ConnectionState::kNew), Disposition::kDeny},
        {"an answered flow's packet outwards",
         forwarded(question, 0, 1, ConnectionState::kEstablished),
         Disposition::kDeny},
        {"a related flow outwards",
         forwarded(question, 0, 1, ConnectionState::kRelated),
         Disposition::kDeny}};
}

}  // namespace

TEST_CASE(
    "answers and errors about masqueraded flows go past the forward chains, and nothing else does",
    "[legacy]"
) {
    for (const auto& [family, line] :
         {std::pair{Family::kIpfwadm, "ipfwadm -F -p deny"},
          {Family::kIpchains, "ipchains -P forward DENY"}}) {
        OnAppliance bed;
        bed.run(line);
        bed.follow(family);
        for (const Row& row : rows()) {
            INFO(line << ": " << row.text);
            CHECK(bed.fate("forward", row.packet) == row.fate);
        }
    }
}

TEST_CASE("answers are asked about by input, output, and FORWARD of iptables", "[legacy]") {
    for (const auto& [family, line, chain] :
         {std::tuple{Family::kIpfwadm, "ipfwadm -I -p deny", "input"},
          {Family::kIpfwadm, "ipfwadm -O -p deny", "output"},
          {Family::kIpchains, "ipchains -P input DENY", "input"},
          {Family::kIpchains, "ipchains -P output DENY", "output"},
          {Family::kIptables, "iptables -P FORWARD DROP", "filter.FORWARD"}}) {
        OnAppliance bed;
        bed.run(line);
        bed.follow(family);
        for (const Row& row : rows()) {
            INFO(line << ": " << row.text);
            CHECK(bed.fate(chain, row.packet) == Disposition::kDeny);
        }
    }
}

TEST_CASE("a forward chain of ipchains that is empty and accepts stays empty", "[legacy]") {
    OnAppliance bed;
    bed.run("ipchains -P input DENY");
    bed.follow(Family::kIpchains);
    CHECK(bed.set.chain(bed.set.find_chain("t:forward").value())->rules.empty());
}

}  // namespace sekisho::legacy::test
