// ipfwadm on any lines: wrong usage changes nothing, and what a line has made, its listing's commands make again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "fuzz/legacy_lines.h"
#include "legacy/ipfwadm.h"

using namespace sekisho;
using namespace sekisho::legacy;

namespace {

void want(bool holds) {
    if (!holds) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const fuzz::QuietAppliance appliance;
    const NameTables names = fuzz::few_names();
    Firewall firewall;
    for (const Words& words : fuzz::lines_of(data, size)) {
        const std::vector<Words> before = commands_of(firewall);
        const Answer answer = run_ipfwadm(words, firewall, appliance, names);
        want((answer.status == 0) == answer.err.empty());
        want(answer.status != 2 || commands_of(firewall) == before);
    }
    const std::vector<Words> commands = commands_of(firewall);
    Firewall again;
    for (const Words& command : commands) {
        want(run_ipfwadm(command, again, appliance, names) == Answer{});
    }
    want(commands_of(again) == commands);
    for (const char* category : {"-I", "-O", "-F", "-A"}) {
        const Words list = {category, "-l", "-e", "-n"};
        want(
            run_ipfwadm(list, again, appliance, names).out ==
            run_ipfwadm(list, firewall, appliance, names).out
        );
    }
    return 0;
}
