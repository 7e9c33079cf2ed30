// Fates: what the rules have said of sessions, kept once for all sessions that fare alike, and counted there.
//
//   Shape     one cache line a fate, a half for each direction: the path of its packets (rules/paths.h), packets and
//             bytes, and a tag that says of which packets it holds: those of one arriving link, while the other end
//             has or has not been heard. A session names its fate in Session::verdict, with the generation of the rules.
//   Law       fates are never taken away: a table belongs to one generation of the rules and goes with it.
//   Full      kWalk, kWalkExcused: the session's packets walk through the rules one by one. kScanned, kScannedExcused: besides,
//             the payload of all of them is looked at (scanned_flows.h).
//   Cost      find_or_make: one hash and one probe, usually; allocates nothing after it is made.
//   Thread    one writer; counts and paths of those below size() may be read by anybody.
//   Source    ARCHITECTURE 5.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/keyed_hash.h"
#include "base/types.h"
#include "flow/session.h"
#include "rules/paths.h"

namespace sekisho::dataplane {

// Of which packets a half of a fate holds: the link by which they arrive, which sides of their session have been heard.
using FateTag = uint16_t;
inline constexpr FateTag kFateUnusual = 0x400;  // there is more to do than to count
inline constexpr FateTag kFateResidue = 0x800;  // besides: the path is a residue (residues.h)
inline constexpr FateTag kFateWindow = 0x1000;  // the session has kTrackWindow
inline constexpr FateTag kNoFateTag = 0xffff;   // it holds of none yet
// As a packet of a session with such flags shows itself, before it is tracked. With kTrackWindow it is no half's.
constexpr uint32_t fate_tag_shown(LinkId in_link, uint32_t session_flags) {
    constexpr uint32_t kMarks = flow::kSeenOutbound | flow::kSeenInbound | flow::kTrackWindow;
    static_assert((kMarks << 5 & (0xffU | kFateUnusual | kFateResidue | kFateWindow)) == 0);
    return in_link.value | (session_flags & kMarks) << 5;
}
// The same, once it has been: its own side has been heard.
constexpr FateTag fate_tag(LinkId in_link, uint32_t session_flags, Direction direction) {
    const uint32_t own =
        direction == Direction::kOutbound ? flow::kSeenOutbound : flow::kSeenInbound;
    const bool has_window = (session_flags & flow::kTrackWindow) != 0;
    const uint32_t shown =
        fate_tag_shown(in_link, (session_flags | own) & ~uint32_t{flow::kTrackWindow});
    return static_cast<FateTag>(shown | (has_window ? kFateWindow : 0U));
}

struct FateWay {
    rules::PathId path = rules::kNoPath;  // with kFateResidue: the number of a residue
    FateTag tag = kNoFateTag;
    friend bool operator==(const FateWay&, const FateWay&) = default;
};
using FateWays = std::array<FateWay, 2>;  // by Direction

struct alignas(64) Fate {
    struct alignas(32) Half {
        rules::PacketCount count;
        FateWay way;
        bool is_excused =
            false;  // of the first half: of sessions that stood before the rules, and are kept whatever those say
    };
    std::array<Half, 2> half;

    bool is_excused() const { return half[0].is_excused; }
    FateWays ways() const { return {half[0].way, half[1].way}; }
};
static_assert(sizeof(Fate) == 64);

class Fates {
  public:
    static constexpr uint32_t kWalk = 0;
    static constexpr uint32_t kWalkExcused = 1;
    static constexpr uint32_t kScanned = 2;
    static constexpr uint32_t kScannedExcused = 3;
    static constexpr uint32_t kFirst = 4;  // from here on they say something
    static constexpr uint32_t kMost = uint32_t{1} << 20;

    // At most kMost.
    Fates(uint32_t room, const HashSecret& secret);

    uint32_t find_or_make(const FateWays& ways, bool is_excused);
    Fate& at(uint32_t index) { return fates_[index]; }
    const Fate& at(uint32_t index) const { return fates_[index]; }
    uint32_t room() const { return static_cast<uint32_t>(fates_.size()); }
    uint32_t size() const { return size_.load(std::memory_order_acquire); }

  private:
    size_t slot_of(const FateWays& ways, bool is_excused) const;

    HashSecret secret_;
    std::vector<Fate> fates_;
    std::vector<uint32_t> slots_;  // 0: free
    std::atomic<uint32_t> size_{kFirst};
};

}  // namespace sekisho::dataplane
