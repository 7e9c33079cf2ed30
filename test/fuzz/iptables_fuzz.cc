// iptables on any lines, and iptables-restore on the same text: what fails changes nothing, and what is saved is restored.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "fuzz/legacy_lines.h"
#include "legacy/iptables.h"

using namespace sekisho;
using namespace sekisho::legacy;

namespace {

void want(bool holds) {
    if (!holds) {
        std::abort();
    }
}

struct Bed {
    fuzz::QuietAppliance appliance;
    NameTables names = fuzz::few_names();
    TableContext context{appliance.links(), [](const auto& /*range*/, const auto& /*ports*/) {
                             return std::optional(PoolId{0});
                         }};

    TableMachine machine{appliance, context, names};

    std::string saved(const Tables& tables) const {
        return save_tables({"-c"}, tables, appliance).out;
    }
    void check_restore(const Tables& tables) const {
        Tables again;
        want(restore_tables({"-c"}, saved(tables), again, machine) == Answer{});
        want(saved(again) == saved(tables));
        const Words list = {"-L", "-v"};
        want(run_iptables(list, again, machine).status == 0);
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const Bed bed;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    Tables tables;
    size_t at = 0;
    for (int line = 0; line < 64 && at < text.size(); ++line) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const auto words = split_quoted(text.substr(at, end - at));
        at = end + 1;
        if (!words) {
            continue;
        }
        const std::string before = bed.saved(tables);
        const Answer answer = run_iptables(*words, tables, bed.machine);
        want((answer.status == 0) == answer.err.empty());
        want(answer.status == 0 || bed.saved(tables) == before);
    }
    bed.check_restore(tables);

    Tables restored;
    const std::string before = bed.saved(restored);
    const Answer answer = restore_tables({"-c"}, text, restored, bed.machine);
    want(answer.status == 0 || bed.saved(restored) == before);
    bed.check_restore(restored);
    return 0;
}
