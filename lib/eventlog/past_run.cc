#include "eventlog/past_run.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

#include "eventlog/anchors.h"
#include "eventlog/json_lines.h"

namespace sekisho::eventlog {
namespace {

constexpr int64_t kLongestSilenceMs = 2 * int64_t{Anchors::kEveryMs};
constexpr int64_t kAroundStepMs = 60'000;

// Ticks begin anew every 49.7 days; the clock tells how often they have.
int64_t ticks_between(const PastRun::Anchor& from, const PastRun::Anchor& to) {
    constexpr int64_t kRound = int64_t{1} << 32;
    const int64_t passed = int64_t{to.tick} - int64_t{from.tick};
    const auto behind = static_cast<double>(to.time - from.time - passed);
    return passed + std::llround(behind / static_cast<double>(kRound)) * kRound;
}

}  // namespace

void PastRun::add(Anchor anchor, unsigned shards, const EventNumbers& numbers) {
    if (anchors_.empty()) {
        first_ = last_ = anchor.time;
    } else {
        anchor.passed = anchors_.front().passed + ticks_between(anchors_.front(), anchor);
    }
    first_ = std::min(first_, anchor.time);
    last_ = std::max(last_, anchor.time);
    anchors_.push_back(anchor);
    has_stopped_ = has_stopped_ || anchor.is_last;
    shard_count_ = std::max(shard_count_, shards);
    if (numbers.empty()) {
        return;
    }
    const int64_t late = asked_.last + (anchor.is_last ? 0 : kLongestBurstMs);
    if (anchor.time + kMostSlewedMs <= asked_.first && (!before_ || before_->time < anchor.time)) {
        before_ = {anchor.time, numbers};
    }
    if (anchor.time >= late && (!behind_ || anchor.time < behind_->time)) {
        behind_ = {anchor.time, numbers};
    }
}

void PastRun::add(const Event& event) {
    first_ = std::min(first_, event.time);
    last_ = std::max(last_, event.time);
    Shard& of = shards_[event.shard];
    if (event.is_lost) {
        of.lost_before.insert(event.number);
    }
    if (event.is_made && event.time <= asked_.first) {
        of.made_by = std::max(of.made_by.value_or(0), event.number);
    }
    if (event.is_made && event.time > asked_.last) {
        of.made_behind = std::min(of.made_behind.value_or(event.number), event.number);
    }
    if (of.pieces.empty() || of.pieces.back().last + 1 != event.number) {
        of.pieces.push_back({event.number, event.number, event.time, event.time});
    } else {
        of.pieces.back().last = event.number;
        of.pieces.back().last_time = event.time;
    }
}

TimeSpan PastRun::span() const {
    return {first_, has_stopped_ ? last_ : last_ + int64_t{Anchors::kEveryMs}};
}

bool PastRun::is_contradicted() const {
    for (const auto& [shard, of] : shards_) {
        const auto least = given(shard);
        const auto most = enough(shard);
        if (least && most && *least > *most) {
            return true;
        }
    }
    return false;
}

void PastRun::settle() {
    std::ranges::stable_sort(anchors_, {}, &Anchor::passed);
    if (!anchors_.empty() && anchors_.front().is_step) {
        constexpr int64_t kDayMs = 86'400'000;
        const int64_t time = anchors_.front().time;
        odd_.push_back(
            {{time - kDayMs, time + kDayMs},
             fmt::format(
                 "at {} the clock was set, and what it showed before is not here", utc_text(time)
             )}
        );
    }
    for (size_t i = 1; i < anchors_.size(); ++i) {
        look_between(anchors_[i - 1], anchors_[i]);
    }
    for (auto& [shard, of] : shards_) {
        join(of.pieces);
    }
}

void PastRun::join(std::vector<Piece>& pieces) {
    std::ranges::sort(pieces, {}, &Piece::first);
    std::vector<Piece> joined;
    for (const Piece& piece : pieces) {
        if (joined.empty() || piece.first > joined.back().last + 1) {
            joined.push_back(piece);
        } else if (piece.last > joined.back().last) {
            joined.back().last = piece.last;
            joined.back().last_time = piece.last_time;
        }
    }
    pieces = std::move(joined);
}

// Where the clock did not go as the ticks did, or nobody saw how it went, a time may have been two moments, or none.
void PastRun::look_between(const Anchor& before, const Anchor& anchor) {
    const int64_t passed = anchor.passed - before.passed;
    const int64_t expected = before.time + passed;
    const auto [first, last] = std::minmax(anchor.time, expected);
    if (passed > kLongestSilenceMs) {
        const int64_t earliest = std::min(before.time, anchor.time - passed);
        odd_.push_back(
            {{earliest, last},
             fmt::format("nothing tells of {} to {}", utc_text(earliest), utc_text(last))}
        );
    } else if (last - first >= Anchors::kStepMs) {
        odd_.push_back(
            {{first - kAroundStepMs, last + kAroundStepMs},
             fmt::format(
                 "at {} the clock was set, by about {} ms",
                 utc_text(anchor.time),
                 anchor.time - expected
             )}
        );
    }
}

std::string PastRun::doubt_of_time() const {
    const auto odd = std::ranges::find_if(odd_, [&](const Odd& o) { return o.span.meets(asked_); });
    return odd == odd_.end() ? "" : odd->why;
}

const PastRun::Shard* PastRun::find(unsigned shard) const {
    const auto found = shards_.find(shard);
    return found == shards_.end() ? nullptr : &found->second;
}

std::optional<uint64_t> PastRun::given(unsigned shard) const {
    const Shard* const of = find(shard);
    const auto made = of == nullptr ? std::nullopt : of->made_by;
    if (!before_ || shard >= before_->numbers.size()) {
        return made;
    }
    return std::max(before_->numbers[shard], made.value_or(0));
}

std::optional<uint64_t> PastRun::enough(unsigned shard) const {
    const Shard* const of = find(shard);
    const bool is_made = of != nullptr && of->made_behind;
    const auto made = is_made ? std::optional(*of->made_behind - 1) : std::nullopt;
    if (!behind_ || shard >= behind_->numbers.size()) {
        return made;
    }
    return std::min(behind_->numbers[shard], made.value_or(behind_->numbers[shard]));
}

bool PastRun::has_all(unsigned shard, uint64_t from, uint64_t to) const {
    if (from > to) {
        return true;
    }
    const Shard* const of = find(shard);
    if (of == nullptr) {
        return false;
    }
    const auto lost = of->lost_before.lower_bound(from);
    if (lost != of->lost_before.end() && *lost <= to) {
        return false;
    }
    const auto behind = std::ranges::upper_bound(of->pieces, from, {}, &Piece::first);
    return behind != of->pieces.begin() && to <= std::prev(behind)->last;
}

bool PastRun::is_whole() const {
    for (unsigned shard = 0; shard < shard_count_; ++shard) {
        const auto last = enough(shard);
        if (!last || !has_all(shard, 1, *last)) {
            return false;
        }
    }
    return shard_count_ > 0;
}

std::vector<std::string> PastRun::missing() const {
    std::vector<std::string> sentences;
    for (unsigned shard = 0; shard < shard_count_; ++shard) {
        const auto last = enough(shard);
        if (last) {
            tell_missing(shard, *last, sentences);
        } else {
            sentences.push_back(fmt::format(
                "of shard {} nothing tells what it still had to tell of when the log ends, at {}",
                shard,
                utc_text(last_)
            ));
        }
    }
    return sentences;
}

void PastRun::tell_missing(unsigned shard, uint64_t last, std::vector<std::string>& sentences)
    const {
    uint64_t next = 1;
    std::string since = "its beginning";
    const auto tell = [&](uint64_t to, const std::string& until) {
        if (next <= to) {
            sentences.push_back(fmt::format(
                "numbers {} to {} of shard {} are missing, between {} and {}",
                next,
                to,
                shard,
                since,
                until
            ));
        }
    };
    const Shard* const of = find(shard);
    for (const Piece& piece : of == nullptr ? std::vector<Piece>{} : of->pieces) {
        if (next > last) {
            return;
        }
        tell(piece.first - 1, utc_text(piece.first_time));
        next = std::max(next, piece.last + 1);
        since = utc_text(piece.last_time);
    }
    tell(last, "the end of what is here");
}

}  // namespace sekisho::eventlog
