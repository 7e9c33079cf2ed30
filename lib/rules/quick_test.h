// QuickTest: the one condition of a rule that varies, where it is on a header field, as a comparison without a branch.
//
//   Fields    VaryingFields has the header fields that vary inside a flow in one word. What a rule sets on the way (TOS) is
//             put in again by who sets it.
//   Cost      holds: some six operations; QuickTests: a dozen for all. quick_test_of: control code. Thread: values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <immintrin.h>

#include "rules/packet.h"
#include "rules/rule_set.h"

namespace sekisho::rules {

// From the low bits: TCP flags 8, TOS 8, TTL 8, kind of fragment 8, length 16, whether there is a TCP header 1.
struct VaryingFields {
    static constexpr uint8_t kTcpFlags = 0, kTos = 8, kTtl = 16, kFragment = 24, kLength = 32;
    static constexpr unsigned kHasTcp = 48;
    uint64_t word = 0;
    struct Parts {
        uint8_t tcp_flags = 0;
        uint8_t tos = 0;
        uint8_t ttl = 0;
        FragmentKind fragment = FragmentKind::kWhole;
        uint16_t length = 0;
        bool has_tcp = false;
    };
    explicit VaryingFields(const Parts& parts)
        : word(
              parts.tcp_flags | uint64_t{parts.tos} << kTos | uint64_t{parts.ttl} << kTtl |
              static_cast<uint64_t>(parts.fragment) << kFragment |
              uint64_t{parts.length} << kLength | uint64_t{parts.has_tcp} << kHasTcp
          ) {}
    explicit VaryingFields(const RulePacket& packet)
        : word(
              packet.tcp_flags | uint64_t{packet.tos} << kTos | uint64_t{packet.ttl} << kTtl |
              static_cast<uint64_t>(packet.fragment) << kFragment |
              uint64_t{packet.length} << kLength | uint64_t{packet.has_tcp()} << kHasTcp
          ) {}
};

struct QuickTest {
    uint8_t shift = 0;  // to the field
    bool negated = false;
    bool wants_tcp = false;  // else it is `otherwise`
    bool otherwise = false;
    uint16_t mask = 0;
    uint16_t first = 0;
    uint16_t span = 0;
    friend bool operator==(const QuickTest&, const QuickTest&) = default;

    bool holds(VaryingFields fields) const {
        const uint64_t value = (fields.word >> shift & mask) - first;
        const bool has_it = !wants_tcp || (fields.word >> VaryingFields::kHasTcp & 1) != 0;
        return has_it ? (value <= span) != negated : otherwise;
    }
};

// Up to kMost of them, asked side by side.
class QuickTests {
  public:
    static constexpr size_t kMost = 8;

    QuickTests();
    // At most kMost times.
    void add(const QuickTest& test);
    size_t size() const { return size_; }
    // Bit k: the one that was added k-th holds.
    [[gnu::always_inline]] uint32_t holding(VaryingFields fields) const {
        const auto lanes = [](const std::array<uint16_t, kMost>& values) {
            return reinterpret_cast<Lanes>(
                _mm_load_si128(reinterpret_cast<const __m128i*>(values.data()))
            );
        };
        const __m128i word = _mm_cvtsi64_si128(static_cast<int64_t>(fields.word));
        const auto bytes = reinterpret_cast<__m128i>(lanes(bytes_));
        const auto field = reinterpret_cast<Lanes>(_mm_shuffle_epi8(word, bytes)) & lanes(mask_);
        const Lanes value = (field ^ lanes(flip_)) - lanes(first_);
        const auto is_within = reinterpret_cast<__m128i>(value <= lanes(span_));
        const __m128i packed = _mm_packs_epi16(is_within, _mm_setzero_si128());
        return static_cast<uint32_t>(_mm_movemask_epi8(packed)) ^ negated_;
    }

  private:
    typedef uint16_t Lanes __attribute__((vector_size(16)));
    // A lane each: two bytes of the word, of which mask_ ^ flip_ lies at most span_ behind first_. A lane of nobody never agrees.
    alignas(16) std::array<uint16_t, kMost> bytes_;
    std::array<uint16_t, kMost> mask_, flip_, first_, span_;
    uint32_t negated_ = 0;
    uint32_t size_ = 0;
};

// nullopt: the rule has none or several that vary, or one of another kind.
std::optional<QuickTest> quick_test_of(const Rule& rule);

}  // namespace sekisho::rules
