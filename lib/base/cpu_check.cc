#include "base/cpu_check.h"

#include <cpuid.h>

namespace sekisho::base {
namespace {

constexpr uint32_t kOsxsave = uint32_t{1} << 27;  // of leaf 1 ecx: xgetbv may be used

uint64_t read_xcr0() {
    uint32_t low = 0;
    uint32_t high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t{high} << 32 | low;
}

// Appends while there is room; `at` counts on.
void append(char* out, size_t room, size_t& at, const char* text) {
    for (; *text != '\0' && at + 1 < room; ++text, ++at) {
        out[at] = *text;
    }
}

}  // namespace

CpuFacts read_cpu_facts() {
    CpuFacts facts;
    uint32_t a = 0;
    uint32_t b = 0;
    uint32_t c = 0;
    uint32_t d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) != 0) {
        facts.leaf1_ecx = c;
        facts.xcr0 = (c & kOsxsave) != 0 ? read_xcr0() : 0;
    }
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) {
        const uint32_t last_subleaf = a;
        facts.leaf7_ebx = b;
        facts.leaf7_ecx = c;
        facts.leaf7_edx = d;
        if (last_subleaf >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) {
            facts.leaf7_1_eax = a;
        }
    }
    if (__get_cpuid(0x80000001, &a, &b, &c, &d) != 0) {
        facts.extended_ecx = c;
    }
    return facts;
}

uint64_t usable_features(const CpuFacts& facts) {
    uint64_t usable = 0;
#define SEKISHO_X(symbol, text, word, bit, state)                                    \
    if ((facts.word >> (bit)&1) != 0 && (facts.xcr0 & uint64_t{state}) == (state)) { \
        usable |= feature_bit(CpuFeature::symbol);                                   \
    }
    SEKISHO_CPU_FEATURES(SEKISHO_X)
#undef SEKISHO_X
    return usable;
}

const char* missing_feature(uint64_t needed, uint64_t usable) {
    const uint64_t missing = needed & ~usable;
#define SEKISHO_X(symbol, text, word, bit, state)           \
    if ((missing & feature_bit(CpuFeature::symbol)) != 0) { \
        return text;                                        \
    }
    SEKISHO_CPU_FEATURES(SEKISHO_X)
#undef SEKISHO_X
    return missing == 0 ? nullptr : "of an unknown kind";
}

const char* missing_cpu_feature(uint64_t needed) {
    return missing_feature(needed, usable_features(read_cpu_facts()));
}

size_t refusal_text(char* out, size_t room, const char* feature, const char* cpu_option) {
    size_t at = 0;
    append(out, room, at, "sekisho: this build (cpu=");
    append(out, room, at, cpu_option);
    append(out, room, at, ") needs the CPU feature ");
    append(out, room, at, feature);
    append(
        out, room, at, ", which is not there; make one that runs: meson configure -Dcpu=generic\n"
    );
    out[at] = '\0';
    return at;
}

}  // namespace sekisho::base
