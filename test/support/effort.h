// How much the long tests do: under sanitizers a step costs ten times as much and more.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sekisho::test {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

// A number of steps: `full`, or a twentieth of it under sanitizers, but not below `least`.
constexpr uint64_t effort(uint64_t full, uint64_t least = 1) {
    return kSanitized ? std::max(full / 20, std::min(full, least)) : full;
}

}  // namespace sekisho::test
