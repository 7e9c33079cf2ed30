// The ipfwadm scripts that seed 000 prints, unchanged, and how packets fare as its text says.
#include "firewall_support.h"

namespace sekisho::legacy::test {
namespace {

using rules::Disposition;

// Seed 000, "/etc/rc.d/rc.firewall", in its order; comments left out.
constexpr const char* kScript[] = {
    "-I -f",
    "-I -p deny",
    "-I -a accept -V 192.168.255.1 -S 192.168.0.0/16 -D 0.0.0.0/0",
    "-I -a deny -V your.static.PPP.address -S 192.168.0.0/16 -D 0.0.0.0/0 -o",
    "-I -a accept -V your.static.PPP.address -S 0.0.0.0/0 -D your.static.PPP.address/32",
    "-I -a accept -V 127.0.0.1 -S 0.0.0.0/0 -D 0.0.0.0/0",
    "-I -a deny -S 0.0.0.0/0 -D 0.0.0.0/0 -o",
    "-O -f",
    "-O -p deny",
    "-O -a accept -V 192.168.255.1 -S 0.0.0.0/0 -D 192.168.0.0/16",
    "-O -a deny -V your.static.PPP.address -S 0.0.0.0/0 -D 192.168.0.0/16 -o",
    "-O -a deny -V your.static.PPP.address -S 192.168.0.0/16 -D 0.0.0.0/0 -o",
    "-O -a deny -V your.static.PPP.address -S 0.0.0.0/0 -D 192.168.0.0/16 -o",
    "-O -a accept -V your.static.PPP.address -S your.static.PPP.address/32 -D 0.0.0.0/0",
    "-O -a accept -V 127.0.0.1 -S 0.0.0.0/0 -D 0.0.0.0/0",
    "-O -a deny -S 0.0.0.0/0 -D 0.0.0.0/0 -o",
    "-F -f",
    "-F -p deny",
    "-F -a masquerade -W ppp0 -S 192.168.0.0/16 -D 0.0.0.0/0",
    "-F -a deny -S 0.0.0.0/0 -D 0.0.0.0/0 -o",
};

struct Scripted : OldFirewall {
    Scripted() {
        for (const char* line : kScript) {
            set(line);
        }
    }
};

constexpr uint8_t kEth0 = 0;
constexpr uint8_t kPpp0 = 1;
constexpr uint8_t kOther = 2;

}  // namespace

TEST_CASE(
    "seed 000's firewall lets its packets fare as its comments say",
    "[legacy][ipfwadm][seeds-a12][seeds-a14]"
) {
    Scripted bed;
    struct Row {
        const char* text;  // of the seed
        Point point;
        uint8_t link;
        const char* source;
        const char* destination;
        Disposition fate;
    };
    const char* const inside = "192.168.3.4";
    const char* const ppp = "203.0.113.7";
    const char* const world = "198.51.100.9";
    for (const auto& [text, point, link, source, destination, fate] : {
             Row{"local interface, local machines, going anywhere is valid",
                 Point::kInput,
                 kEth0,
                 inside,
                 world,
                 Disposition::kAccept},
             {"remote interface, claiming to be local machines, IP spoofing, get lost",
              Point::kInput,
              kPpp0,
              inside,
              ppp,
              Disposition::kDeny},
             {"remote interface, any source, going to permanent PPP address is valid",
              Point::kInput,
              kPpp0,
              world,
              ppp,
              Disposition::kAccept},
             {"catch all rule, all other incoming is denied",
              Point::kInput,
              kPpp0,
              world,
              inside,
              Disposition::kDeny},
             {"catch all rule, all other incoming is denied",
              Point::kInput,
              kEth0,
              world,
              world,
              Disposition::kDeny},
             {"catch all rule, all other incoming is denied",
              Point::kInput,
              kOther,
              inside,
              world,
              Disposition::kDeny},
             {"local interface, any source going to local net is valid",
              Point::kOutput,
              kEth0,
              world,
              inside,
              Disposition::kAccept},
             {"outgoing to local net on remote interface, stuffed routing, deny",
              Point::kOutput,
              kPpp0,
              ppp,
              inside,
              Disposition::kDeny},
             {"outgoing from local net on remote interface, stuffed masquerading, deny",
              Point::kOutput,
              kPpp0,
              inside,
              world,
              Disposition::kDeny},
             {"anything else outgoing on remote interface is valid",
              Point::kOutput,
              kPpp0,
              ppp,
              world,
              Disposition::kAccept},
             {"catch all rule, all other outgoing is denied",
              Point::kOutput,
              kPpp0,
              world,
              world,
              Disposition::kDeny},
             {"Masquerade from local net on local interface to anywhere",
              Point::kForward,
              kPpp0,
              inside,
              world,
              Disposition::kMasquerade},
             {"catch all rule, all other forwarding is denied",
              Point::kForward,
              kPpp0,
              world,
              world,
              Disposition::kDeny},
             {"catch all rule, all other forwarding is denied",
              Point::kForward,
              kEth0,
              inside,
              inside,
              Disposition::kDeny},
         }) {
        INFO(text << " " << source << " " << destination);
        const rules::RulePacket plain = tcp(source, 40000, destination, 80);
        const bool arrives = point == Point::kInput;
        CHECK(bed.fate(point, arrives ? arriving(plain, link) : departing(plain, link)) == fate);
    }
}

TEST_CASE(
    "seed 000's deletion and block rules stop a site, each in its way",
    "[legacy][ipfwadm][seeds-a12]"
) {
    Scripted bed;
    const rules::RulePacket to_site = tcp("192.168.3.4", 40000, "204.50.10.13", 80);
    const rules::RulePacket to_neighbour = tcp("192.168.3.4", 40000, "204.50.11.0", 80);
    const rules::RulePacket own = tcp("203.0.113.7", 40000, "204.50.10.13", 80);
    // "-I": only inside machines; the firewall itself still gets there. The rules stand before the others.
    bed.set("-I -i reject -V 192.168.255.1 -S 192.168.0.0/16 -D 204.50.10.13/32 -o");
    CHECK(bed.fate(Point::kInput, arriving(to_site, kEth0)) == Disposition::kReject);
    CHECK(bed.fate(Point::kInput, arriving(to_neighbour, kEth0)) == Disposition::kAccept);
    CHECK(bed.fate(Point::kOutput, departing(own, kPpp0)) == Disposition::kAccept);
    // "-O": the firewall too.
    bed.set(
        "-O -i reject -V your.static.PPP.address -S your.static.PPP.address/32 -D 204.50.10.13/32 "
        "-o"
    );
    CHECK(bed.fate(Point::kOutput, departing(own, kPpp0)) == Disposition::kReject);
    // "-F": only what would be masqueraded.
    bed.set("-F -i reject -W ppp0 -S 192.168.0.0/16 -D 204.50.10.13/32 -o");
    CHECK(bed.fate(Point::kForward, departing(to_site, kPpp0)) == Disposition::kReject);
    CHECK(bed.fate(Point::kForward, departing(to_neighbour, kPpp0)) == Disposition::kMasquerade);
    // Appended behind the global rules they would never be asked.
    Scripted behind;
    behind.set("-I -a reject -V 192.168.255.1 -S 192.168.0.0/16 -D 204.50.10.13/32 -o");
    CHECK(behind.fate(Point::kInput, arriving(to_site, kEth0)) == Disposition::kAccept);
}

TEST_CASE("seed 000's way to switch the firewall off again", "[legacy][ipfwadm][seeds-a12]") {
    Scripted bed;
    for (const char* line :
         {"-I -f", "-I -p accept", "-O -f", "-O -p accept", "-F -f", "-F -p accept"}) {
        bed.set(line);
    }
    CHECK(commands_of(bed.firewall).empty());
}

TEST_CASE("seed 000's rules by address and by name are the same", "[legacy][ipfwadm][seeds-a12]") {
    OldFirewall by_address;
    OldFirewall by_name;
    by_address.set("-I -a deny -V 192.168.255.1");
    by_name.set("-I -a deny -W eth0");
    for (const uint8_t link : {kEth0, kPpp0, kOther}) {
        const rules::RulePacket packet = arriving(tcp("192.168.3.4", 1, "192.0.2.1", 80), link);
        CHECK(by_address.fate(Point::kInput, packet) == by_name.fate(Point::kInput, packet));
    }
}

}  // namespace sekisho::legacy::test
