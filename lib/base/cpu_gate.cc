// The gate of cpu_check.h: compiled for any x86-64 and linked whole into every program.
#include <unistd.h>

#include "base/cpu_check.h"

namespace sekisho::base {
namespace {

[[gnu::constructor(101)]] void refuse_to_run_on_an_older_cpu() {
    const char* feature = missing_cpu_feature(kCpuNeeds.features);
    if (feature == nullptr) {
        return;
    }
    char line[256];
    const size_t length = refusal_text(line, sizeof line, feature, kCpuNeeds.cpu_option);
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line, length);
    _exit(1);
}

}  // namespace
}  // namespace sekisho::base
