// PastRun: what the files have of one run of an appliance: when that was, and which numbers of its shards are there.
//
//   Evidence  an anchor tells how many events each shard had told of by then (`numbers`; left out while one waits for room): of one
//             before the time asked no such number is of a later time, and of one behind it all others are. Something that was
//             made tells the same of its own number, as nothing is made while an end waits. What lies between is known if none of
//             these numbers is missing.
//   Reads     lines in any order, each as often as it comes.
//   Units     UTC in milliseconds since 1970. Thread: one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sekisho::eventlog {

struct TimeSpan {  // both ends included
    int64_t first = 0;
    int64_t last = 0;
    bool meets(const TimeSpan& other) const { return first <= other.last && other.first <= last; }
};

using EventNumbers = std::vector<uint64_t>;  // by shard

class PastRun {
  public:
    static constexpr int64_t kMostSlewedMs = 100;  // since the anchor before
    // A worker that is kept from its CPU stamps what it tells of with a time that is as much behind.
    static constexpr int64_t kLongestBurstMs = 5'000;

    struct Anchor {
        uint32_t tick = 0;
        int64_t time = 0;
        bool is_last = false;  // the run has stopped: nothing comes behind it
        bool is_step = false;  // the clock was set
        int64_t passed = 0;    // given by add(): milliseconds since another anchor of the run
    };
    struct Event {
        unsigned shard = 0;
        uint64_t number = 0;
        int64_t time = 0;
        bool is_made = false;  // a mapping, or a session
        bool is_lost = false;  // between this number and the one before something was lost
    };

    PastRun(std::string epoch, const TimeSpan& asked) : epoch_(std::move(epoch)), asked_(asked) {}

    const std::string& epoch() const { return epoch_; }
    // `numbers`: empty, it tells of none.
    void add(Anchor anchor, unsigned shards, const EventNumbers& numbers);
    void add(const Event& event);

    // From its first line here to its last; one that did not stop may have gone on until the next anchor.
    TimeSpan span() const;
    // Two lines tell of the time asked what cannot both be.
    bool is_contradicted() const;
    unsigned shards() const { return shard_count_; }

    // What follows: when all has been read, and settle() has been called.
    void settle();
    // Why the time asked is not one moment, or not told of; empty: it is.
    std::string doubt_of_time() const;
    // All numbers up to this are of no later time than the first that is asked for. None: nothing tells so.
    std::optional<uint64_t> given(unsigned shard) const;
    // All numbers behind this are of a later time than the last that is asked for.
    std::optional<uint64_t> enough(unsigned shard) const;
    // None of the numbers of a shard is missing, and nothing was lost between them.
    bool has_all(unsigned shard, uint64_t from, uint64_t to) const;
    // All is here that happened up to the time asked.
    bool is_whole() const;
    // What is missing of that, a sentence each.
    std::vector<std::string> missing() const;

  private:
    struct Piece {  // numbers without a gap
        uint64_t first = 0;
        uint64_t last = 0;
        int64_t first_time = 0;
        int64_t last_time = 0;
    };
    struct Shard {
        std::vector<Piece> pieces;
        std::set<uint64_t> lost_before;
        std::optional<uint64_t> made_by;      // the last that was made by the time asked
        std::optional<uint64_t> made_behind;  // the first that was made behind it
    };
    struct Told {  // by the anchor that is nearest to the time asked
        int64_t time = 0;
        EventNumbers numbers;
    };

    struct Odd {
        TimeSpan span;
        std::string why;
    };

    void look_between(const Anchor& before, const Anchor& anchor);

    static void join(std::vector<Piece>& pieces);
    const Shard* find(unsigned shard) const;
    void tell_missing(unsigned shard, uint64_t last, std::vector<std::string>& sentences) const;

    std::string epoch_;
    TimeSpan asked_;
    std::vector<Anchor> anchors_;
    int64_t first_ = 0;
    int64_t last_ = 0;
    unsigned shard_count_ = 0;
    bool has_stopped_ = false;
    std::optional<Told> before_;
    std::optional<Told> behind_;
    std::map<unsigned, Shard> shards_;
    std::vector<Odd> odd_;  // times that are not told of, or were two
};

}  // namespace sekisho::eventlog
