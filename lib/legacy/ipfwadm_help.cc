#include <fmt/format.h>

#include "legacy/ipfwadm.h"

namespace sekisho::legacy {

Answer help_of_ipfwadm(const std::string& program) {
    Answer answer;
    for (const char* line :
         {"-A [in|out|both] COMMAND [OPTION]...   accounting",
          "-I COMMAND [OPTION]...                 input firewall",
          "-O COMMAND [OPTION]...                 output firewall",
          "-F COMMAND [OPTION]...                 forwarding firewall",
          "-M -l|-s [OPTION]...                   masquerading",
          "-h                                     this help"}) {
        answer.out +=
            fmt::format("{}{} {}\n", answer.out.empty() ? "Usage: " : "       ", program, line);
    }
    answer.out +=
        "\nCommands:\n"
        "  -a, -i, -d [POLICY]   append, insert, delete a rule (accounting: without a policy)\n"
        "  -l, -z, -f            list the rules, zero their counters, remove them all\n"
        "  -p POLICY             what becomes of packets without a rule\n"
        "  -s TCP TCPFIN UDP     masquerading timeouts in seconds, 0: as it is\n"
        "  -c                    what would become of a packet\n"
        "POLICY is accept, deny or reject.\n"
        "\nOptions:\n"
        "  -P tcp|udp|icmp|all          protocol\n"
        "  -S, -D ADDRESS[/MASK] [PORT[:PORT]]...   source, destination\n"
        "  -V ADDRESS, -W NAME          interface\n"
        "  -b  in both directions       -y  TCP with SYN without ACK\n"
        "  -k  TCP with ACK             -m  masquerade\n"
        "  -o  log                      -r [PORT]  redirect to a local port\n"
        "  -t AND XOR                   masks of the type of service\n"
        "  -e  more columns             -n  numbers only\n"
        "  -x  exact counters           -v  tell what is done\n";
    return answer;
}

}  // namespace sekisho::legacy
