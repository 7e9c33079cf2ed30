// Fault: what the far end may find wrong with a frame, or with a whole pass. One table holds symbol and operator text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/counters.h"

// One frame is counted under the first that fits, in this order. Those up to kPayload may have any bytes anywhere.
#define SEKISHO_FLOWGEN_FAULTS(X)                     \
    X(kForeign, "no frame of this profile")           \
    X(kIpChecksum, "wrong IPv4 header checksum")      \
    X(kL4Checksum, "wrong transport checksum")        \
    X(kPayload, "changed payload")                    \
    X(kLinkAddress, "wrong link address")             \
    X(kHeader, "wrong length, TTL or protocol field") \
    X(kAddress, "wrong address")                      \
    X(kPort, "wrong port or identifier")              \
    X(kLate, "of an earlier pass")                    \
    X(kDuplicate, "came twice")                       \
    X(kLoss, "never came")

namespace sekisho::flowgen {

enum class Fault : uint8_t {
#define SEKISHO_X(symbol, text) symbol,
    SEKISHO_FLOWGEN_FAULTS(SEKISHO_X)
#undef SEKISHO_X
        kNone
};
inline constexpr size_t kFaults = static_cast<size_t>(Fault::kNone);

inline constexpr std::array<std::string_view, kFaults> kFaultTexts = {
#define SEKISHO_X(symbol, text) text,
    SEKISHO_FLOWGEN_FAULTS(SEKISHO_X)
#undef SEKISHO_X
};

// One writer, any number of readers.
class FaultCounters {
  public:
    void add(Fault fault, uint64_t n = 1) { counters_[static_cast<size_t>(fault)].add(n); }
    uint64_t read(Fault fault) const { return counters_[static_cast<size_t>(fault)].read(); }
    uint64_t total() const {
        uint64_t sum = 0;
        for (const Counter& counter : counters_) {
            sum += counter.read();
        }
        return sum;
    }

  private:
    std::array<Counter, kFaults> counters_;
};

}  // namespace sekisho::flowgen
