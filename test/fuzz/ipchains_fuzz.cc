// ipchains on any lines, and ipchains-restore on the same text: what fails changes nothing, and what is saved is restored.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "fuzz/legacy_lines.h"
#include "legacy/ipchains.h"

using namespace sekisho;
using namespace sekisho::legacy;

namespace {

void want(bool holds) {
    if (!holds) {
        std::abort();
    }
}

std::string saved(const Chains& chains) {
    return save_chains({}, chains).out;
}

void check_restore(const Chains& chains, const Appliance& appliance, const Names& names) {
    Chains again;
    want(restore_chains({}, saved(chains), again, appliance, names) == Answer{});
    want(saved(again) == saved(chains));
    const Words list = {"-L", "-n", "-v"};
    want(
        run_ipchains(list, again, appliance, names) == run_ipchains(list, again, appliance, names)
    );
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const fuzz::QuietAppliance appliance;
    const NameTables names = fuzz::few_names();
    Chains chains;
    for (const Words& words : fuzz::lines_of(data, size)) {
        const std::string before = saved(chains);
        const Answer answer = run_ipchains(words, chains, appliance, names);
        want((answer.status == 0) == answer.err.empty());
        want(answer.status == 0 || saved(chains) == before);
    }
    check_restore(chains, appliance, names);

    Chains restored;
    const std::string before = saved(restored);
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const Answer answer = restore_chains({"-f"}, text, restored, appliance, names);
    want(answer.status == 0 || saved(restored) == before);
    check_restore(restored, appliance, names);
    return 0;
}
