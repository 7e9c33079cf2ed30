// What the build uses, as data: the only part of the check that is compiled with the build's own
// flags.
#include "base/cpu_check.h"

namespace sekisho::base {
namespace {

// Long, but a table: one entry a feature.
constexpr uint64_t features_of_this_build() {  // NOLINT(readability-function-size)
    uint64_t f = 0;
#define SEKISHO_NEED(symbol) f |= feature_bit(CpuFeature::symbol)
#ifdef __SSE3__
    SEKISHO_NEED(kSse3);
#endif
#ifdef __PCLMUL__
    SEKISHO_NEED(kPclmul);
#endif
#ifdef __SSSE3__
    SEKISHO_NEED(kSsse3);
#endif
#ifdef __FMA__
    SEKISHO_NEED(kFma);
#endif
#ifdef __GCC_HAVE_SYNC_COMPARE_AND_SWAP_16
    SEKISHO_NEED(kCx16);
#endif
#ifdef __SSE4_1__
    SEKISHO_NEED(kSse41);
#endif
#ifdef __SSE4_2__
    SEKISHO_NEED(kSse42);
#endif
#ifdef __MOVBE__
    SEKISHO_NEED(kMovbe);
#endif
#ifdef __POPCNT__
    SEKISHO_NEED(kPopcnt);
#endif
#ifdef __AES__
    SEKISHO_NEED(kAes);
#endif
#ifdef __AVX__
    SEKISHO_NEED(kAvx);
#endif
#ifdef __F16C__
    SEKISHO_NEED(kF16c);
#endif
#ifdef __RDRND__
    SEKISHO_NEED(kRdrand);
#endif
#ifdef __BMI__
    SEKISHO_NEED(kBmi1);
#endif
#ifdef __AVX2__
    SEKISHO_NEED(kAvx2);
#endif
#ifdef __BMI2__
    SEKISHO_NEED(kBmi2);
#endif
#ifdef __AVX512F__
    SEKISHO_NEED(kAvx512f);
#endif
#ifdef __AVX512DQ__
    SEKISHO_NEED(kAvx512dq);
#endif
#ifdef __RDSEED__
    SEKISHO_NEED(kRdseed);
#endif
#ifdef __ADX__
    SEKISHO_NEED(kAdx);
#endif
#ifdef __AVX512IFMA__
    SEKISHO_NEED(kAvx512ifma);
#endif
#ifdef __CLFLUSHOPT__
    SEKISHO_NEED(kClflushopt);
#endif
#ifdef __CLWB__
    SEKISHO_NEED(kClwb);
#endif
#ifdef __AVX512CD__
    SEKISHO_NEED(kAvx512cd);
#endif
#ifdef __SHA__
    SEKISHO_NEED(kSha);
#endif
#ifdef __AVX512BW__
    SEKISHO_NEED(kAvx512bw);
#endif
#ifdef __AVX512VL__
    SEKISHO_NEED(kAvx512vl);
#endif
#ifdef __AVX512VBMI__
    SEKISHO_NEED(kAvx512vbmi);
#endif
#ifdef __AVX512VBMI2__
    SEKISHO_NEED(kAvx512vbmi2);
#endif
#ifdef __GFNI__
    SEKISHO_NEED(kGfni);
#endif
#ifdef __VAES__
    SEKISHO_NEED(kVaes);
#endif
#ifdef __VPCLMULQDQ__
    SEKISHO_NEED(kVpclmul);
#endif
#ifdef __AVX512VNNI__
    SEKISHO_NEED(kAvx512vnni);
#endif
#ifdef __AVX512BITALG__
    SEKISHO_NEED(kAvx512bitalg);
#endif
#ifdef __AVX512VPOPCNTDQ__
    SEKISHO_NEED(kAvx512popcnt);
#endif
#ifdef __RDPID__
    SEKISHO_NEED(kRdpid);
#endif
#ifdef __AVX512VP2INTERSECT__
    SEKISHO_NEED(kAvx512vp2);
#endif
#ifdef __AVX512FP16__
    SEKISHO_NEED(kAvx512fp16);
#endif
#ifdef __AVXVNNI__
    SEKISHO_NEED(kAvxVnni);
#endif
#ifdef __AVX512BF16__
    SEKISHO_NEED(kAvx512bf16);
#endif
#ifdef __LAHF_SAHF__
    SEKISHO_NEED(kLahf);
#endif
#ifdef __LZCNT__
    SEKISHO_NEED(kLzcnt);
#endif
#ifdef __SSE4A__
    SEKISHO_NEED(kSse4a);
#endif
#ifdef __PRFCHW__
    SEKISHO_NEED(kPrefetchw);
#endif
#ifdef __XOP__
    SEKISHO_NEED(kXop);
#endif
#ifdef __FMA4__
    SEKISHO_NEED(kFma4);
#endif
#ifdef __TBM__
    SEKISHO_NEED(kTbm);
#endif
#undef SEKISHO_NEED
    return f;
}

}  // namespace

constinit const CpuNeeds kCpuNeeds = {features_of_this_build(), SEKISHO_CPU_OPTION};

}  // namespace sekisho::base
