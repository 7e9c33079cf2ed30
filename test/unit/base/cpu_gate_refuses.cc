// A program that needs a CPU feature that is none: the gate must end it before main.
#include "base/cpu_check.h"

namespace sekisho::base {
constinit const CpuNeeds kCpuNeeds = {uint64_t{1} << 63, "test"};
}

int main() {
    return 0;
}
