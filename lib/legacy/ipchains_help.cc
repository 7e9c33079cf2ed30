#include <fmt/format.h>

#include "legacy/icmp_names.h"
#include "legacy/ipchains.h"

namespace sekisho::legacy {

Answer help_of_ipchains(const std::string& program) {
    Answer answer;
    for (const char* line :
         {"-A|-D|-C CHAIN RULE",
          "-I|-R CHAIN [NUMBER] RULE",
          "-D CHAIN NUMBER",
          "-L|-F|-Z|-X [CHAIN]",
          "-N CHAIN",
          "-P CHAIN TARGET",
          "-M -L | -M -S TCP TCPFIN UDP",
          "-h [icmp]"}) {
        answer.out +=
            fmt::format("{}{} {}\n", answer.out.empty() ? "Usage: " : "       ", program, line);
    }
    answer.out +=
        "\nCommands: append (-A), delete (-D), check (-C), insert (-I), replace (-R), list (-L), "
        "flush (-F),\n"
        "zero (-Z), delete a chain (-X), make one (-N), set a policy (-P), masquerading (-M).\n"
        "\nRules; ! turns round what follows:\n"
        "  -p, --protocol [!] NAME|NUMBER\n"
        "  -s, --source [!] ADDRESS[/MASK] [[!] PORT[:PORT]]       --source-port\n"
        "  -d, --destination [!] ADDRESS[/MASK] [[!] PORT[:PORT]]  --destination-port\n"
        "  -i, --interface [!] NAME[+]     --icmp-type TYPE\n"
        "  [!] -y, --syn                   [!] -f, --fragments\n"
        "  -j, --jump TARGET [PORT]        -b, --bidirectional\n"
        "  -l, --log                       -m, --mark MARK\n"
        "  -t, --TOS AND XOR               -o, --output [SIZE]\n"
        "\nOutput: -n numbers only, -v more columns, -x exact counters, --line-numbers.\n";
    return answer;
}

Answer help_of_icmp_types() {
    Answer answer{"Valid ICMP Types:", "", 0};
    const IcmpName* before = nullptr;
    for (const IcmpName& name : icmp_names()) {
        const bool is_of_before = before != nullptr && before->type == name.type;
        if (is_of_before && before->codes == name.codes) {
            answer.out += fmt::format(" ({})", name.name);
        } else {
            answer.out += fmt::format("\n{}{}", is_of_before ? "   " : "", name.name);
        }
        before = &name;
    }
    answer.out += "\n";
    return answer;
}

}  // namespace sekisho::legacy
