// Has this CPU what this build uses? Asked before anything else runs: a line, and no SIGILL.
//
//   Parts     cpu_check.cc and cpu_gate.cc are compiled for any x86-64, whatever the build's option.
//             What the build uses is data in cpu_needs.cc, compiled with the build's own flags.
//             None of them calls an inline function of another header: the linker might take the
//             copy of that function from a file that was compiled for a newer CPU.
//   Gate      a program that links cpu_gate_dep runs the check in a constructor of priority 101, before
//             the constructors of globals and main: one line on standard error, exit status 1.
//   Thread    at start-up, single. Cost: a few cpuid instructions.
#pragma once

#include <cstddef>
#include <cstdint>

// X(symbol, text, word of CpuFacts, bit, needed bits of XCR0); text as /proc/cpuinfo has it.
// clang-format off
#define SEKISHO_CPU_FEATURES(X)                               \
    X(kSse3,        "sse3",             leaf1_ecx,    0, 0)   \
    X(kPclmul,      "pclmulqdq",        leaf1_ecx,    1, 0)   \
    X(kSsse3,       "ssse3",            leaf1_ecx,    9, 0)   \
    X(kFma,         "fma",              leaf1_ecx,   12, 0x6) \
    X(kCx16,        "cx16",             leaf1_ecx,   13, 0)   \
    X(kSse41,       "sse4_1",           leaf1_ecx,   19, 0)   \
    X(kSse42,       "sse4_2",           leaf1_ecx,   20, 0)   \
    X(kMovbe,       "movbe",            leaf1_ecx,   22, 0)   \
    X(kPopcnt,      "popcnt",           leaf1_ecx,   23, 0)   \
    X(kAes,         "aes",              leaf1_ecx,   25, 0)   \
    X(kAvx,         "avx",              leaf1_ecx,   28, 0x6) \
    X(kF16c,        "f16c",             leaf1_ecx,   29, 0x6) \
    X(kRdrand,      "rdrand",           leaf1_ecx,   30, 0)   \
    X(kBmi1,        "bmi1",             leaf7_ebx,    3, 0)   \
    X(kAvx2,        "avx2",             leaf7_ebx,    5, 0x6) \
    X(kBmi2,        "bmi2",             leaf7_ebx,    8, 0)   \
    X(kAvx512f,     "avx512f",          leaf7_ebx,   16, 0xe6) \
    X(kAvx512dq,    "avx512dq",         leaf7_ebx,   17, 0xe6) \
    X(kRdseed,      "rdseed",           leaf7_ebx,   18, 0)   \
    X(kAdx,         "adx",              leaf7_ebx,   19, 0)   \
    X(kAvx512ifma,  "avx512ifma",       leaf7_ebx,   21, 0xe6) \
    X(kClflushopt,  "clflushopt",       leaf7_ebx,   23, 0)   \
    X(kClwb,        "clwb",             leaf7_ebx,   24, 0)   \
    X(kAvx512cd,    "avx512cd",         leaf7_ebx,   28, 0xe6) \
    X(kSha,         "sha_ni",           leaf7_ebx,   29, 0)   \
    X(kAvx512bw,    "avx512bw",         leaf7_ebx,   30, 0xe6) \
    X(kAvx512vl,    "avx512vl",         leaf7_ebx,   31, 0xe6) \
    X(kAvx512vbmi,  "avx512vbmi",       leaf7_ecx,    1, 0xe6) \
    X(kAvx512vbmi2, "avx512_vbmi2",     leaf7_ecx,    6, 0xe6) \
    X(kGfni,        "gfni",             leaf7_ecx,    8, 0)   \
    X(kVaes,        "vaes",             leaf7_ecx,    9, 0x6) \
    X(kVpclmul,     "vpclmulqdq",       leaf7_ecx,   10, 0x6) \
    X(kAvx512vnni,  "avx512_vnni",      leaf7_ecx,   11, 0xe6) \
    X(kAvx512bitalg,"avx512_bitalg",    leaf7_ecx,   12, 0xe6) \
    X(kAvx512popcnt,"avx512_vpopcntdq", leaf7_ecx,   14, 0xe6) \
    X(kRdpid,       "rdpid",            leaf7_ecx,   22, 0)   \
    X(kAvx512vp2,   "avx512_vp2intersect", leaf7_edx, 8, 0xe6) \
    X(kAvx512fp16,  "avx512_fp16",      leaf7_edx,   23, 0xe6) \
    X(kAvxVnni,     "avx_vnni",         leaf7_1_eax,  4, 0x6) \
    X(kAvx512bf16,  "avx512_bf16",      leaf7_1_eax,  5, 0xe6) \
    X(kLahf,        "lahf_lm",          extended_ecx, 0, 0)   \
    X(kLzcnt,       "abm",              extended_ecx, 5, 0)   \
    X(kSse4a,       "sse4a",            extended_ecx, 6, 0)   \
    X(kPrefetchw,   "3dnowprefetch",    extended_ecx, 8, 0)   \
    X(kXop,         "xop",              extended_ecx, 11, 0x6) \
    X(kFma4,        "fma4",             extended_ecx, 16, 0x6) \
    X(kTbm,         "tbm",              extended_ecx, 21, 0)
// clang-format on

namespace sekisho::base {

// A set of features has bit i for the i-th row of the table.
enum class CpuFeature : uint8_t {
#define SEKISHO_X(symbol, text, word, bit, state) symbol,
    SEKISHO_CPU_FEATURES(SEKISHO_X)
#undef SEKISHO_X
        kCount
};
static_assert(static_cast<unsigned>(CpuFeature::kCount) <= 63);

constexpr uint64_t feature_bit(CpuFeature f) {
    return uint64_t{1} << static_cast<unsigned>(f);
}

// What cpuid and xgetbv say; a word that the CPU does not have is 0.
struct CpuFacts {
    uint32_t leaf1_ecx = 0;
    uint32_t leaf7_ebx = 0;
    uint32_t leaf7_ecx = 0;
    uint32_t leaf7_edx = 0;
    uint32_t leaf7_1_eax = 0;
    uint32_t extended_ecx = 0;
    uint64_t xcr0 = 0;  // register state that the operating system saves
};
CpuFacts read_cpu_facts();

// The features that a program may use: the CPU has them, and the system saves their registers.
uint64_t usable_features(const CpuFacts& facts);

// The name of a feature that is in `needed` and not in `usable`; nullptr if there is none.
const char* missing_feature(uint64_t needed, uint64_t usable);

// The same for the CPU that this runs on.
const char* missing_cpu_feature(uint64_t needed);

// The line that the gate prints, cut to `room` bytes with the final zero; returns its length.
size_t refusal_text(char* out, size_t room, const char* feature, const char* cpu_option);

// What the build uses; cpu_needs.cc.
struct CpuNeeds {
    uint64_t features;
    const char* cpu_option;  // the build option `cpu`
};
extern const CpuNeeds kCpuNeeds;

}  // namespace sekisho::base
