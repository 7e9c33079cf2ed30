#include "base/cpu_check.h"

#include <cstring>
#include <string>

#include <catch2/catch.hpp>

namespace sekisho::base {
namespace {

// A CPU with every feature and an operating system that saves all registers.
CpuFacts all_facts() {
    CpuFacts facts;
    facts.leaf1_ecx = facts.leaf7_ebx = facts.leaf7_ecx = 0xffffffff;
    facts.leaf7_edx = facts.leaf7_1_eax = facts.extended_ecx = 0xffffffff;
    facts.xcr0 = 0xe7;
    return facts;
}

constexpr uint64_t kV3 = feature_bit(CpuFeature::kAvx2) | feature_bit(CpuFeature::kBmi2) |
                         feature_bit(CpuFeature::kFma) | feature_bit(CpuFeature::kAes);

}  // namespace

TEST_CASE("a CPU with every feature misses none", "[base]") {
    const uint64_t every = (uint64_t{1} << static_cast<unsigned>(CpuFeature::kCount)) - 1;
    CHECK(usable_features(all_facts()) == every);
    CHECK(missing_feature(every, usable_features(all_facts())) == nullptr);
}

TEST_CASE("a feature that the CPU lacks is named", "[base]") {
    CpuFacts facts = all_facts();
    facts.leaf7_ebx &= ~(uint32_t{1} << 5);
    CHECK(std::string(missing_feature(kV3, usable_features(facts))) == "avx2");
    facts = all_facts();
    facts.leaf1_ecx &= ~(uint32_t{1} << 25);
    CHECK(std::string(missing_feature(kV3, usable_features(facts))) == "aes");
    CHECK(missing_feature(feature_bit(CpuFeature::kBmi2), usable_features(facts)) == nullptr);
}

TEST_CASE("AVX and AVX-512 count only if the operating system saves their registers", "[base]") {
    CpuFacts facts = all_facts();
    facts.xcr0 = 0x3;
    CHECK(std::string(missing_feature(kV3, usable_features(facts))) == "fma");
    CHECK(missing_feature(feature_bit(CpuFeature::kAes), usable_features(facts)) == nullptr);
    facts.xcr0 = 0x7;
    CHECK(missing_feature(kV3, usable_features(facts)) == nullptr);
    const uint64_t avx512 = feature_bit(CpuFeature::kAvx512vl);
    CHECK(std::string(missing_feature(avx512, usable_features(facts))) == "avx512vl");
}

TEST_CASE(
    "an old CPU misses the first thing that a build needs, and nothing if it needs nothing",
    "[base]"
) {
    CHECK(missing_feature(0, usable_features(CpuFacts{})) == nullptr);
    CHECK(missing_feature(kV3, usable_features(CpuFacts{})) != nullptr);
}

TEST_CASE("the CPU that runs this test can run this test", "[base]") {
    uint64_t needed = 0;
#ifdef __AVX2__
    needed |= feature_bit(CpuFeature::kAvx2);
#endif
#ifdef __AES__
    needed |= feature_bit(CpuFeature::kAes);
#endif
    CHECK(missing_cpu_feature(needed) == nullptr);
    CHECK(usable_features(read_cpu_facts()) != 0);
}

TEST_CASE(
    "the refusal names feature, option and remedy in one line, and stays within its room", "[base]"
) {
    char line[256];
    const size_t length = refusal_text(line, sizeof line, "avx2", "x86-64-v3");
    const std::string text = line;
    CHECK(text.size() == length);
    CHECK(text.find("avx2") != std::string::npos);
    CHECK(text.find("cpu=x86-64-v3") != std::string::npos);
    CHECK(text.find("meson configure -Dcpu=generic") != std::string::npos);
    CHECK(text.find('\n') == text.size() - 1);
    char small[10];
    CHECK(refusal_text(small, sizeof small, "avx2", "native") == 9);
    CHECK(std::strlen(small) == 9);
}

}  // namespace sekisho::base
