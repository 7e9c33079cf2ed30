// Listings: how a million entries are shown in pages without stopping a worker, starving a client
// or filling the memory.
//
//   Page      one reply: at most `limit` rows, at most kEntriesPerPage table entries looked at,
//             about kTimePerPage. It may hold fewer rows than asked for, even none; the listing is
//             over when `next` is null.
//   Cursor    opaque to clients: "shard.entry", or "listing.phase.shard.entry" for a joined
//             listing. Any text is safe.
//   Joined    a mapping does not know its sessions, a subscriber neither. What only sessions can
//             tell (a mapping's lifetime, a remote endpoint) is collected by a walk over all
//             sessions first, in pages that hold no rows, into a Join.
//   Memory    a Join takes 8 bytes a mapping and about 40 a subscriber that a filter asks for;
//             there are at most kMaxJoins, and one that no client has asked for during
//             kJoinPatience may be given up.
//   Thread    the control thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "control/filter.h"
#include "control/rpc_error.h"
#include "dataplane/inspector.h"

namespace sekisho::control {

inline constexpr uint32_t kMaxRows = 10000;
inline constexpr uint32_t kDefaultRows = 1000;
inline constexpr uint32_t kEntriesPerCall = 1024;
inline constexpr uint32_t kEntriesPerPage = 65536;
inline constexpr std::chrono::milliseconds kTimePerPage{50};
inline constexpr size_t kMaxJoins = 4;
inline constexpr std::chrono::seconds kJoinPatience{10};

using SteadyTime = std::chrono::steady_clock::time_point;

// What one page may still cost.
class PageBudget {
  public:
    explicit PageBudget(uint32_t rows)
        : rows_(rows), deadline_(std::chrono::steady_clock::now() + kTimePerPage) {}
    // How many entries to look at next so that their rows fit in any case; 0: the page is over.
    uint32_t next_call(size_t rows_so_far) const;
    void spend(uint32_t entries) { entries_ += entries; }

  private:
    uint32_t rows_;
    uint32_t entries_ = 0;
    SteadyTime deadline_;
};

struct Cursor {
    enum Phase : uint8_t { kWalk, kList, kLeases };  // kLeases: only of what clears mappings
    uint64_t listing = 0;                            // 0: not a joined one
    Phase phase = kWalk;
    dataplane::ListCursor place;
    std::string text() const;
    static std::optional<Cursor> parse(std::string_view text);
};

// What a walk over the sessions has told of mappings and subscribers.
class Join {
  public:
    Join(uint64_t id, SteadyTime now) : started(now), touched(now), id_(id) {}
    uint64_t id() const { return id_; }

    // `chosen`: the session is one that a filter asks for.
    void note(const nat::SessionView& session, bool chosen, SteadyTime now);
    void note_subscriber(const Session& session) { subscribers_.insert(key(session)); }

    struct Told {
        std::optional<uint32_t>
            lifetime;  // seconds until the last of its sessions ends; nothing: none was noted
        bool chosen = false;  // one of them was
    };
    Told tell(const nat::MappingView& mapping, SteadyTime now) const;
    bool has_subscriber(const nat::SubscriberView& subscriber) const;
    // Whether the session's mapping was chosen; `first`: nobody has asked for this mapping before.
    bool has_mapping_of(const nat::SessionView& session, bool& first);

    SteadyTime started;
    SteadyTime touched;

  private:
    struct Entry {
        uint32_t identity =
            0;  // of the external endpoint: an index may be another mapping's by now
        uint32_t end : 30 = 0;  // seconds after `started`, plus 1; 0: nothing noted
        uint32_t chosen : 1 = 0;
        uint32_t counted : 1 = 0;
    };
    static uint32_t identity(uint32_t address, uint16_t port, uint8_t protocol);
    static uint64_t key(const Session& session);
    const Entry* find(ShardId shard, uint32_t index) const;

    uint64_t id_;
    std::vector<std::vector<Entry>> entries_;  // by shard and mapping index
    std::unordered_set<uint64_t> subscribers_;
};

class Joins {
  public:
    // Fails when kMaxJoins listings are under way.
    tl::expected<Join*, RpcError> begin(SteadyTime now);
    tl::expected<Join*, RpcError> find(uint64_t id, SteadyTime now);
    void end(uint64_t id);

  private:
    std::list<Join> joins_;
    uint64_t last_id_ = 0;
};

}  // namespace sekisho::control
