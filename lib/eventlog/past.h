// Past: who had an external port at a time, from the lines of the log of bindings (json_lines.h).
//
//   Law       never a wrong name. A holder is certain if the log has no hole from its beginning up to the time asked, or from
//             the time asked up to its end; nobody is certain in the same way. What else the lines suggest is told as uncertain,
//             with the reason.
//   Holes     before the first line and after the last anchor; between two runs (nothing says that none lies between them, in a
//             file that was not given); numbers that are missing; what a `lost` line tells of.
//   Reads     files in the order of time, each line once; a line that comes twice counts once. Cost: a scan of each line, its
//             fields only where it is about the address.
//   Units     UTC in milliseconds since 1970. Errors: a line that is none of the log's is a doubt. Thread: one.
//   Source    RFC 6888 REQ-12, RFC 6302; doc/manual.md, "The log of bindings".
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace sekisho::eventlog {

struct TimeSpan {  // both ends included
    int64_t first = 0;
    int64_t last = 0;
};
// 2026-01-02T12:04:05Z is a whole second, 2026-01-02T12:04:05.678Z a millisecond.
std::optional<TimeSpan> parse_utc(std::string_view text);

struct PastQuestion {
    Ipv4Addr external;
    uint16_t port = 0;  // host order
    TimeSpan at;
};

struct PastHolder {
    std::string who;  // as fields of the lines tell it
    std::optional<int64_t> begin;
    std::optional<int64_t> end;
    bool is_block = false;  // it had the port's block; nothing tells of the port itself
    bool is_certain = false;
};

struct PastAnswer {
    enum Kind : uint8_t { kCertain, kNobody, kNotKnown };
    Kind kind = kNotKnown;
    std::vector<PastHolder> holders;  // who may have had it; of kCertain: who had it
    std::vector<std::string> doubts;
    std::string text(const PastQuestion& question) const;
};

class Past {
  public:
    explicit Past(const PastQuestion& question);
    void begin_file(std::string name);
    void read(std::string_view line);
    PastAnswer answer() const;

  private:
    static constexpr int64_t kEver = std::numeric_limits<int64_t>::max();
    struct Holding {
        PastHolder holder;
        size_t run = 0;
        std::string
            excludes;  // one at a time of those that say the same; empty: several may have it
        std::optional<int64_t>
            latest;  // when it had ended for certain, if nothing tells of its end
    };
    struct Numbers {  // of a shard
        uint64_t last = 0;
        int64_t time = 0;
    };
    struct Run {  // an epoch
        std::string epoch;
        int64_t first = 0;
        int64_t last_anchor = 0;
        int64_t last_event = 0;
        uint32_t tick = 0;  // of the last anchor
        std::optional<int64_t> stopped;
        bool is_whole = false;  // its beginning is in the log
        bool has_mappings = false;
        bool has_blocks = false;
        std::map<std::string, Numbers, std::less<>> shards;
        // Without a last word what happened last may not have been written.
        int64_t end() const { return stopped.value_or(std::min(last_anchor, last_event)); }
    };
    struct Hole {
        TimeSpan span;
        std::string why;
    };

    void read_anchor(std::string_view line, int64_t time);
    void note_appliance(std::string_view name);
    void note_step(int64_t shown, int64_t expected);
    void exclude_others(const Holding& next, int64_t time);
    void read_event(std::string_view line, int64_t time);
    bool count(std::string_view line, std::string_view shard, int64_t time);
    void note_holding(std::string_view line, std::string_view shard, bool is_block, int64_t time);
    bool is_asked(std::string_view line, bool is_block) const;
    std::vector<Hole> holes() const;
    bool is_seen(int64_t from, int64_t to, const std::vector<Hole>& holes) const;
    bool may_have_held(const Holding& holding) const;
    bool is_certain(const PastHolder& holder, const std::vector<Hole>& holes) const;
    bool is_nobodys(bool is_block, const std::vector<Hole>& holes) const;
    const Run* run_asked() const;
    std::vector<PastHolder> holders(bool is_block, const std::vector<Hole>& holes) const;

    PastQuestion question_;
    std::string address_field_;
    std::string file_;
    uint64_t line_ = 0;
    std::string appliance_;
    bool is_clock_told_ = false;
    std::vector<Run> runs_;
    size_t current_ = 0;       // of runs_: whose lines come now
    std::vector<Hole> holes_;  // but those at the ends of runs
    std::vector<Holding> holdings_;
    std::map<std::string, size_t, std::less<>> open_;  // by run, shard and holder: of holdings_
    std::vector<TimeSpan> ambiguous_;                  // around steps of the clock
    std::vector<std::string> doubts_;
};

// Reads the files, in whatever order they are named.
Result<PastAnswer> who_had(const PastQuestion& question, std::vector<std::string> files);

}  // namespace sekisho::eventlog
