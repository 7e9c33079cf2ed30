// Past: who had an external port at a time, from the lines of the log of bindings (json_lines.h).
//
//   Law       never a wrong name, and never a wrong "nobody". The whole answer is certain if of the run in which the time lies no number
//             up to then is missing, of no shard; or, of one protocol, if one holder's own numbers prove that it had the port all
//             the time asked. Else who may have had it is told, and why it is not certain.
//   Reads     files and their lines in any order, each as often as it comes. Cost: a scan of each line, its fields where it is about
//             the address; a few bytes for each anchor, and what is told of the port itself.
//   Units     UTC in milliseconds since 1970. Errors: lines that are none of the log's are counted, and told of. Thread: one.
//   Source    RFC 6888 REQ-12, RFC 6302; doc/manual.md, "The log of bindings".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "eventlog/past_run.h"

namespace sekisho::eventlog {

// 2026-01-02T12:04:05Z is a whole second, 2026-01-02T12:04:05.678Z a millisecond.
std::optional<TimeSpan> parse_utc(std::string_view text);

struct PastQuestion {
    Ipv4Addr external;
    uint16_t port = 0;  // host order
    TimeSpan at;
    std::optional<Protocol> protocol;  // none: any
};

struct PastHolder {
    std::string who;  // as fields of the lines tell it
    std::optional<int64_t> begin;
    std::optional<int64_t> end;
    bool is_block = false;    // it had the port's block; nothing tells of the port itself
    bool is_certain = false;  // of at least a moment of the time asked
};

struct PastAnswer {
    enum Kind : uint8_t { kCertain, kNobody, kNotKnown };
    Kind kind = kNotKnown;
    std::vector<PastHolder> holders;  // who may have had it; of kCertain: who had it
    std::vector<PastHolder> blocks;   // of kNobody: who had its block
    std::vector<std::string> doubts;
    std::string text(const PastQuestion& question) const;
};

class Past {
  public:
    explicit Past(const PastQuestion& question);
    void begin_file(std::string name);
    void read(std::string_view line);
    // When all has been read; once.
    PastAnswer answer();

  private:
    // A line that is about the port.
    struct Mark {
        size_t run = 0;
        unsigned shard = 0;
        uint64_t number = 0;
        int64_t time = 0;
        bool is_begin = false;
        bool is_block = false;
        bool is_of_trigger = false;
        std::string who;
        std::string
            alone;  // of those that say the same there is one at a time; empty: there may be several
    };
    struct Holding {
        PastHolder holder;
        size_t run = 0;
        unsigned shard = 0;
        uint64_t begin_number = 0;  // where it begins, ends
        uint64_t end_number = 0;
        std::string alone;
        bool is_of_trigger = false;
        std::optional<int64_t> latest;  // it had ended by then, though nothing tells of its end
    };
    struct Odd {  // lines of a file that are none of the log's
        uint64_t first = 0;
        uint64_t count = 0;
    };
    // What is known of the time asked, if the log is of one run then.
    struct Evidence {
        const PastRun* run = nullptr;
        size_t index = 0;
        bool is_whole = false;      // all is here that happened up to then
        bool has_mappings = false;  // are logged
        bool has_blocks = false;
    };

    void note_odd();
    void read_anchor(std::string_view line, int64_t time);
    void read_event(std::string_view line, int64_t time);
    bool is_asked(std::string_view line, bool is_block) const;
    void note_mark(std::string_view line, unsigned shard, uint64_t number, int64_t time);

    static Holding of_mark(const Mark& mark);
    void order_marks();
    std::vector<Holding> holdings();
    static void end_by_successors(std::vector<Holding>& all);
    void add_end(std::vector<Holding>& all, std::map<std::string, size_t>& open, const Mark& mark);
    Evidence find_evidence(std::vector<std::string>& doubts) const;
    bool is_certain(const Holding& holding, const Evidence& evidence) const;
    bool is_whole_piece(const Holding& holding, const Evidence& evidence) const;
    bool may_have_held(const Holding& holding, const Evidence& evidence) const;
    bool proves_all(const Holding& holding, const Evidence& evidence) const;
    std::vector<PastHolder> holders(
        const std::vector<Holding>& all, bool is_block, const Evidence& evidence
    ) const;
    void judge(PastAnswer& answer, const std::vector<Holding>& all, const Evidence& evidence) const;

    PastQuestion question_;
    std::string address_field_;
    std::string file_;
    uint64_t line_ = 0;
    std::vector<std::string> appliances_;
    std::vector<PastRun> runs_;
    std::vector<bool> has_mappings_;  // by run: they are logged
    std::vector<bool> has_blocks_;
    size_t current_ = 0;  // of runs_: whose lines come now
    bool is_in_run_ = false;
    std::vector<Mark> marks_;
    std::map<std::string, Odd> odd_;
    std::vector<std::string> doubts_;
    bool is_clock_told_ = false;
    bool is_contradicted_ = false;  // a number stands for two events
};

// Reads the files, in whatever order they are named.
Result<PastAnswer> who_had(const PastQuestion& question, const std::vector<std::string>& files);

}  // namespace sekisho::eventlog
