#include "eventlog/past.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>

#include <fmt/format.h>

#include "base/text.h"
#include "eventlog/json_lines.h"

namespace sekisho::eventlog {
namespace {

constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kLongestSilenceMs = 120'000;  // anchors come every minute

// The value of a key, of a line that JsonLines or the logger has written: flat, and nothing in it is escaped.
std::string_view field(std::string_view line, std::string_view key) {
    const std::string wanted = fmt::format("\"{}\":", key);
    const size_t at = line.find(wanted);
    if (at == std::string_view::npos) {
        return {};
    }
    std::string_view rest = line.substr(at + wanted.size());
    const bool is_text = rest.starts_with('"');
    rest.remove_prefix(is_text ? 1 : 0);
    return rest.substr(0, is_text ? rest.find('"') : rest.find_first_of(",}"));
}

std::optional<uint64_t> number(std::string_view line, std::string_view key) {
    return base::parse_decimal(field(line, key), std::numeric_limits<uint64_t>::max());
}

std::optional<int64_t> time_of(std::string_view line, std::string_view key) {
    const auto span = parse_utc(field(line, key));
    return span ? std::optional(span->first) : std::nullopt;
}

// All that tells holders of one port apart.
std::string holder_of(std::string_view line, bool is_block) {
    const auto of = [&](std::string_view key) { return field(line, key); };
    if (is_block) {
        return fmt::format(
            "{} realm {} block {}-{}",
            of("internal-src-address"),
            of("realm"),
            of("first-port"),
            of("last-port")
        );
    }
    std::string who = fmt::format(
        "{}:{} realm {} protocol {}",
        of("internal-src-address"),
        of("internal-src-port"),
        of("realm"),
        of("transport-protocol")
    );
    if (!of("remote-address").empty()) {
        who += fmt::format(" towards {}:{}", of("remote-address"), of("remote-port"));
    }
    return who;
}

std::string shown(const std::optional<int64_t>& time, std::string_view unknown) {
    return time ? utc_text(*time) : std::string(unknown);
}

// Of a text whose digits have been checked.
int digits(std::string_view text, size_t from, size_t count) {
    int value = 0;
    for (const char c : text.substr(from, count)) {
        value = value * 10 + (c - '0');
    }
    return value;
}

// 0 stands for any digit.
bool has_shape(std::string_view text, std::string_view shape) {
    return std::ranges::equal(text, shape, [](char c, char wanted) {
        return wanted == '0' ? c >= '0' && c <= '9' : c == wanted;
    });
}

}  // namespace

std::optional<TimeSpan> parse_utc(std::string_view text) {
    const bool has_ms = has_shape(text, "0000-00-00T00:00:00.000Z");
    if (!has_ms && !has_shape(text, "0000-00-00T00:00:00Z")) {
        return std::nullopt;
    }
    tm parts{};
    parts.tm_year = digits(text, 0, 4) - 1900;
    parts.tm_mon = digits(text, 5, 2) - 1;
    parts.tm_mday = digits(text, 8, 2);
    parts.tm_hour = digits(text, 11, 2);
    parts.tm_min = digits(text, 14, 2);
    parts.tm_sec = digits(text, 17, 2);
    const int64_t second = int64_t{timegm(&parts)} * 1000;
    const int64_t first = second + (has_ms ? digits(text, 20, 3) : 0);
    // A day or time that there is not is another one by now.
    const bool is_there = utc_text(first).starts_with(text.substr(0, 19));
    return is_there ? std::optional(TimeSpan{first, has_ms ? first : first + 999}) : std::nullopt;
}

Past::Past(const PastQuestion& question)
    : question_(question),
      address_field_(
          fmt::format("\"external-src-address\":\"{}\"", base::to_text(question.external))
      ) {}

void Past::begin_file(std::string name) {
    file_ = std::move(name);
    line_ = 0;
}

void Past::read(std::string_view line) {
    ++line_;
    const auto time = time_of(line, "time");
    const std::string_view event = field(line, "event");
    if (!time || event.empty() || !line.ends_with('}')) {
        doubts_.push_back(fmt::format("{}:{} is no line of a log of bindings", file_, line_));
    } else if (event == "anchor" || event == "stopped") {
        read_anchor(line, *time);
    } else if (runs_.empty()) {
        doubts_.push_back(fmt::format("{}:{} comes before any anchor", file_, line_));
    } else {
        read_event(line, *time);
    }
}

void Past::read_anchor(std::string_view line, int64_t time) {
    const std::string_view epoch = field(line, "epoch");
    const auto tick = static_cast<uint32_t>(number(line, "tick").value_or(0));
    const std::string_view cause = field(line, "cause");
    const auto known = std::ranges::find(runs_, epoch, &Run::epoch);
    current_ = static_cast<size_t>(known - runs_.begin());
    if (known == runs_.end()) {
        Run& run = runs_.emplace_back();
        run.epoch = epoch;
        run.first = run.last_anchor = run.last_event = time;
        run.tick = tick;
    }
    note_appliance(field(line, "name"));
    Run& run = runs_[current_];
    run.is_whole = run.is_whole || cause == "start";
    const int64_t passed = static_cast<int32_t>(tick - run.tick);
    if (passed < 0) {
        return;  // read already
    }
    if (passed > kLongestSilenceMs) {
        holes_.push_back(
            {{run.last_anchor, time},
             fmt::format("nothing tells of {} to {}", utc_text(run.last_anchor), utc_text(time))}
        );
    }
    if (cause == "step") {
        note_step(time, run.last_anchor + passed);
    }
    run.last_anchor = time;
    run.tick = tick;
    if (field(line, "event") == "stopped") {
        run.stopped = time;
    }
    const bool is_near = std::abs(time - question_.at.first) < kHourMs;
    if (is_near && field(line, "clock-synchronised") == "false" && !is_clock_told_) {
        is_clock_told_ = true;
        doubts_.push_back(fmt::format("at {} the clock was not synchronised", utc_text(time)));
    }
}

void Past::note_appliance(std::string_view name) {
    if (appliance_.empty()) {
        appliance_ = name;
    } else if (appliance_ != name) {
        holes_.push_back(
            {{-kEver, kEver}, fmt::format("the files are of two, {} and {}", appliance_, name)}
        );
    }
}

// Between what the clock shows and what it would have shown times mean two moments, or none.
void Past::note_step(int64_t shown, int64_t expected) {
    constexpr int64_t kAround = 60'000;
    const auto [first, last] = std::minmax(shown, expected);
    ambiguous_.push_back({first - kAround, last + kAround});
    doubts_.push_back(
        fmt::format("at {} the clock was set, by about {} ms", utc_text(shown), shown - expected)
    );
}

// False: it has been read already.
bool Past::count(std::string_view line, std::string_view shard, int64_t time) {
    Run& run = runs_[current_];
    const uint64_t sequence = number(line, "sequence").value_or(0);
    const auto [at, is_first] = run.shards.try_emplace(
        std::string(shard), Numbers{run.is_whole || sequence == 0 ? 0 : sequence - 1, run.first}
    );
    Numbers& numbers = at->second;
    if (sequence <= numbers.last) {
        return false;
    }
    if (sequence != numbers.last + 1) {
        holes_.push_back(
            {{numbers.time, time},
             fmt::format(
                 "numbers {} to {} of shard {} are missing, between {} and {}",
                 numbers.last + 1,
                 sequence - 1,
                 shard,
                 utc_text(numbers.time),
                 utc_text(time)
             )}
        );
    }
    numbers = {sequence, time};
    run.last_event = std::max(run.last_event, time);
    return true;
}

void Past::read_event(std::string_view line, int64_t time) {
    const std::string_view shard = field(line, "shard");
    const std::string_view event = field(line, "event");
    Run& run = runs_[current_];
    if (!count(line, shard, time)) {
        return;
    }
    const bool is_block = event.starts_with("block-");
    run.has_mappings = run.has_mappings || event.starts_with("mapping-");
    run.has_blocks = run.has_blocks || is_block;
    if (event == "lost") {
        const auto since = time_of(line, "since");
        holes_.push_back(
            {{since.value_or(run.first), time},
             fmt::format("{} events were lost up to {}", field(line, "count"), utc_text(time))}
        );
    } else if ((is_block || event.starts_with("mapping-")) && is_asked(line, is_block)) {
        note_holding(line, shard, is_block, time);
    }
}

bool Past::is_asked(std::string_view line, bool is_block) const {
    if (line.find(address_field_) == std::string_view::npos) {
        return false;
    }
    const auto first = number(line, is_block ? "first-port" : "external-src-port");
    const auto last = is_block ? number(line, "last-port") : first;
    return first && last && *first <= question_.port && question_.port <= *last;
}

void Past::note_holding(
    std::string_view line, std::string_view shard, bool is_block, int64_t time
) {
    Holding holding;
    holding.holder.who = holder_of(line, is_block);
    holding.holder.is_block = is_block;
    holding.run = current_;
    if (field(line, "remote-address").empty()) {
        holding.excludes = is_block ? "block" : std::string(field(line, "transport-protocol"));
    }
    const std::string key = fmt::format("{} {} {}", holding.run, shard, holding.holder.who);
    const std::string_view event = field(line, "event");
    const auto open = open_.find(key);
    if (event == "mapping-created" || event == "block-granted") {
        exclude_others(holding, time);
        holding.holder.begin = time;
        open_[key] = holdings_.size();
        holdings_.push_back(std::move(holding));
    } else if (open != open_.end()) {
        holdings_[open->second].holder.end = time;
        open_.erase(open);
    } else {
        holding.holder.end = time;
        holdings_.push_back(std::move(holding));
    }
}

// A port is given to nobody before its last holder has lost it, whether or not a line tells of that. What another shard did
// later may stand before it in the file.
void Past::exclude_others(const Holding& next, int64_t time) {
    for (Holding& other : holdings_) {
        if (!next.excludes.empty() && other.excludes == next.excludes && other.run == next.run &&
            !other.holder.end && !other.latest && other.holder.begin <= time) {
            other.latest = time;
        }
    }
}

std::vector<Past::Hole> Past::holes() const {
    std::vector<Hole> all = holes_;
    if (runs_.empty()) {
        all.push_back({{-kEver, kEver}, "the log has no anchor"});
        return all;
    }
    all.push_back(
        {{-kEver, runs_.front().first - 1},
         fmt::format("the log begins at {}", utc_text(runs_.front().first))}
    );
    for (size_t i = 0; i + 1 < runs_.size(); ++i) {
        all.push_back(
            {{runs_[i].end(), runs_[i + 1].first - 1},
             fmt::format(
                 "from {} to {} the appliance did not run, or its log is not here",
                 utc_text(runs_[i].end()),
                 utc_text(runs_[i + 1].first)
             )}
        );
    }
    all.push_back(
        {{runs_.back().end(), kEver},
         fmt::format("the log ends at {}", utc_text(runs_.back().end()))}
    );
    return all;
}

bool Past::is_seen(int64_t from, int64_t to, const std::vector<Hole>& holes) const {
    const auto ends = std::minmax(from, to);  // a clock that was set back
    return std::ranges::none_of(holes, [&](const Hole& hole) {
        return hole.span.first <= ends.second && ends.first <= hole.span.last;
    });
}

// As far as its own lines tell: one without an end may have lasted until the next run.
bool Past::may_have_held(const Holding& holding) const {
    const PastHolder& h = holding.holder;
    const bool is_first = holding.run == 0;
    const bool is_last = holding.run + 1 == runs_.size();
    const int64_t begin = h.begin.value_or(is_first ? -kEver : runs_[holding.run - 1].end());
    const int64_t latest = holding.latest.value_or(is_last ? kEver : runs_[holding.run + 1].first);
    const int64_t end = h.end.value_or(latest);
    return std::min(begin, end) <= question_.at.last && question_.at.first <= std::max(begin, end);
}

bool Past::is_certain(const PastHolder& holder, const std::vector<Hole>& holes) const {
    return (holder.begin && is_seen(*holder.begin, question_.at.last, holes)) ||
           (holder.end && is_seen(question_.at.first, *holder.end, holes));
}

// The run that went on through the whole time asked.
const Past::Run* Past::run_asked() const {
    const auto run = std::ranges::find_if(runs_, [&](const Run& r) {
        return r.first <= question_.at.first && question_.at.last < r.end();
    });
    return run == runs_.end() ? nullptr : &*run;
}

// From the run's beginning, or from the last end before, or up to the next beginning.
bool Past::is_nobodys(bool is_block, const std::vector<Hole>& holes) const {
    const Run* const run = run_asked();
    const bool is_logged = run != nullptr && (is_block ? run->has_blocks : run->has_mappings);
    if (!is_logged) {
        return false;
    }
    if (run->is_whole && is_seen(run->first, question_.at.last, holes)) {
        return true;
    }
    return std::ranges::any_of(holdings_, [&](const Holding& holding) {
        const PastHolder& h = holding.holder;
        const bool is_before = h.end && *h.end < question_.at.first;
        const bool is_after = h.begin && question_.at.last < *h.begin;
        return h.is_block == is_block && &runs_[holding.run] == run &&
               ((is_before && is_seen(*h.end, question_.at.last, holes)) ||
                (is_after && is_seen(question_.at.first, *h.begin, holes)));
    });
}

std::vector<PastHolder> Past::holders(bool is_block, const std::vector<Hole>& holes) const {
    std::vector<PastHolder> found;
    for (const Holding& holding : holdings_) {
        if (holding.holder.is_block == is_block && may_have_held(holding)) {
            found.push_back(holding.holder);
            found.back().is_certain = is_certain(holding.holder, holes);
        }
    }
    return found;
}

// A mapping tells more than its block. A block without one is a holder all the same: a trigger forward's ports have none.
PastAnswer Past::answer() const {
    const std::vector<Hole> all = holes();
    PastAnswer answer;
    answer.holders = holders(false, all);
    if (answer.holders.empty()) {
        answer.holders = holders(true, all);
    }
    const bool are_certain = std::ranges::all_of(answer.holders, &PastHolder::is_certain);
    const Run* const run = run_asked();
    const bool by_blocks = run != nullptr && !run->has_mappings;
    const bool is_one_moment = std::ranges::none_of(ambiguous_, [&](const TimeSpan& span) {
        return span.first <= question_.at.last && question_.at.first <= span.last;
    });
    if (is_one_moment && !answer.holders.empty() && are_certain) {
        answer.kind = PastAnswer::kCertain;
    } else if (is_one_moment && answer.holders.empty() && is_nobodys(by_blocks, all)) {
        answer.kind = PastAnswer::kNobody;
    }
    answer.doubts = doubts_;
    for (const Hole& hole : all) {
        const bool matters =
            hole.span.first <= question_.at.last && question_.at.first <= hole.span.last;
        if (matters || answer.kind == PastAnswer::kNotKnown) {
            answer.doubts.push_back(hole.why);
        }
    }
    if (run != nullptr && !run->is_whole) {
        answer.doubts.push_back(
            fmt::format("the beginning of this run, before {}, is not here", utc_text(run->first))
        );
    }
    return answer;
}

std::string PastAnswer::text(const PastQuestion& question) const {
    std::string text;
    for (const PastHolder& h : holders) {
        text += fmt::format(
            "{}internal {} external {}:{} from {} until {}{}\n",
            h.is_certain ? "" : "perhaps ",
            h.who,
            question.external,
            question.port,
            shown(h.begin, "before the log"),
            shown(h.end, "its end is not in the log"),
            h.is_block ? ", by its block alone" : ""
        );
    }
    constexpr std::array<std::string_view, 3> kVerdicts = {
        "known", "nobody had it, by this log", "not known for certain"};
    text += kVerdicts[kind];
    text += kind == kCertain && holders.size() > 1 ? ": several\n" : "\n";
    for (const std::string& doubt : doubts) {
        text += "note: " + doubt + "\n";
    }
    return text + "note: static mappings, destination-nat and ports by a formula are in no log\n";
}

namespace {

struct LogFile {
    std::string name;
    int64_t begin = 0;
};

}  // namespace

Result<PastAnswer> who_had(const PastQuestion& question, std::vector<std::string> files) {
    std::vector<LogFile> in_order;
    std::string line;
    for (std::string& name : files) {
        std::ifstream in(name);
        if (!std::getline(in, line)) {
            return failure(fmt::format("{}: not readable, or empty", name));
        }
        const auto begin = time_of(line, "time");
        if (!begin) {
            return failure(fmt::format("{}: its first line is none of a log of bindings", name));
        }
        in_order.push_back({std::move(name), *begin});
    }
    std::ranges::stable_sort(in_order, {}, &LogFile::begin);
    Past past(question);
    for (const LogFile& file : in_order) {
        past.begin_file(file.name);
        std::ifstream in(file.name);
        while (std::getline(in, line)) {
            past.read(line);
        }
        if (in.bad()) {
            return failure(fmt::format("{}: not readable to its end", file.name));
        }
    }
    return past.answer();
}

}  // namespace sekisho::eventlog
