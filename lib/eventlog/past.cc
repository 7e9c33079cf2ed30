#include "eventlog/past.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>
#include <limits>

#include <fmt/format.h>

#include "base/protocol_name.h"
#include "base/text.h"
#include "eventlog/json_lines.h"

namespace sekisho::eventlog {
namespace {

constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kEver = std::numeric_limits<int64_t>::max();
constexpr size_t kMostDoubts = 20;

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

// "numbers":[1,2]
EventNumbers numbers_of(std::string_view line) {
    constexpr std::string_view kKey = "\"numbers\":[";
    EventNumbers numbers;
    const size_t at = line.find(kKey);
    std::string_view rest = at == std::string_view::npos ? "" : line.substr(at + kKey.size());
    rest = rest.substr(0, rest.find(']'));
    while (!rest.empty()) {
        const std::string_view text = rest.substr(0, rest.find(','));
        const auto value = base::parse_decimal(text, std::numeric_limits<uint64_t>::max());
        if (!value) {
            return {};
        }
        numbers.push_back(*value);
        rest.remove_prefix(std::min(rest.size(), text.size() + 1));
    }
    return numbers;
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
    is_in_run_ = false;
}

void Past::note_odd() {
    Odd& odd = odd_[file_];
    odd.first = odd.count == 0 ? line_ : odd.first;
    ++odd.count;
}

void Past::read(std::string_view line) {
    ++line_;
    const auto time = time_of(line, "time");
    const std::string_view event = field(line, "event");
    const bool is_anchor = event == "anchor" || event == "stopped";
    const bool is_torn = line.find('{', 1) != std::string_view::npos;  // and another follows in it
    // Without an anchor before it nothing says of which run it is.
    if (!time || event.empty() || !line.ends_with('}') || is_torn || (!is_anchor && !is_in_run_)) {
        note_odd();
        is_in_run_ = false;  // it may have been an anchor
    } else if (is_anchor) {
        read_anchor(line, *time);
    } else {
        read_event(line, *time);
    }
}

void Past::read_anchor(std::string_view line, int64_t time) {
    const std::string_view epoch = field(line, "epoch");
    const auto known = std::ranges::find(runs_, epoch, &PastRun::epoch);
    current_ = static_cast<size_t>(known - runs_.begin());
    if (known == runs_.end()) {
        runs_.emplace_back(std::string(epoch), question_.at);
        has_mappings_.push_back(false);
        has_blocks_.push_back(false);
    }
    const std::string name(field(line, "name"));
    if (std::ranges::find(appliances_, name) == appliances_.end()) {
        appliances_.push_back(name);
    }
    const bool is_near = std::abs(time - question_.at.first) < kHourMs;
    const bool is_last = field(line, "event") == "stopped";
    PastRun::Anchor anchor;
    anchor.tick = static_cast<uint32_t>(number(line, "tick").value_or(0));
    anchor.time = time;
    anchor.is_last = is_last;
    anchor.is_step = field(line, "cause") == "step";
    const std::string_view kinds = field(line, "tells-of");
    has_mappings_[current_] = kinds.find("mappings") != std::string_view::npos;
    has_blocks_[current_] = kinds.find("blocks") != std::string_view::npos;
    const auto shards = static_cast<unsigned>(number(line, "shards").value_or(0));
    runs_[current_].add(anchor, shards, numbers_of(line));
    is_in_run_ = !is_last;
    if (is_near && field(line, "clock-synchronised") == "false" && !is_clock_told_) {
        is_clock_told_ = true;
        doubts_.push_back(fmt::format("at {} the clock was not synchronised", utc_text(time)));
    }
}

void Past::read_event(std::string_view line, int64_t time) {
    const auto shard = base::parse_decimal(field(line, "shard"), 0xff);
    const auto sequence = number(line, "sequence");
    if (!shard || !sequence) {
        return note_odd();
    }
    const std::string_view event = field(line, "event");
    const bool is_block = event.starts_with("block-");
    const bool is_mapping = event.starts_with("mapping-");
    const bool is_lost = event == "lost";
    const bool is_made = event == "mapping-created" || event == "session-created";
    runs_[current_].add({static_cast<unsigned>(*shard), *sequence, time, is_made, is_lost});
    if (is_lost) {
        doubts_.push_back(
            fmt::format("{} events were lost up to {}", field(line, "count"), utc_text(time))
        );
    } else if ((is_block || is_mapping) && is_asked(line, is_block)) {
        note_mark(line, static_cast<unsigned>(*shard), *sequence, time);
    }
}

bool Past::is_asked(std::string_view line, bool is_block) const {
    if (line.find(address_field_) == std::string_view::npos) {
        return false;
    }
    const bool is_protocol = is_block || !question_.protocol ||
                             field(line, "transport-protocol") ==
                                 base::protocol_name(static_cast<uint8_t>(*question_.protocol));
    const auto first = number(line, is_block ? "first-port" : "external-src-port");
    const auto last = is_block ? number(line, "last-port") : first;
    return is_protocol && first && last && *first <= question_.port && question_.port <= *last;
}

void Past::note_mark(std::string_view line, unsigned shard, uint64_t number, int64_t time) {
    Mark mark;
    mark.run = current_;
    mark.shard = shard;
    mark.number = number;
    mark.time = time;
    const std::string_view event = field(line, "event");
    mark.is_begin = event == "mapping-created" || event == "block-granted";
    mark.is_block = event.starts_with("block-");
    mark.is_of_trigger = field(line, "of") == "trigger-forward";
    mark.who = holder_of(line, mark.is_block);
    if (field(line, "remote-address").empty()) {
        mark.alone = mark.is_block ? "block" : std::string(field(line, "transport-protocol"));
    }
    marks_.push_back(std::move(mark));
}

Past::Holding Past::of_mark(const Mark& mark) {
    Holding holding;
    holding.holder.who = mark.who;
    holding.holder.is_block = mark.is_block;
    holding.run = mark.run;
    holding.shard = mark.shard;
    holding.alone = mark.alone;
    holding.is_of_trigger = mark.is_of_trigger;
    return holding;
}

// The marks in the order of their numbers, each once.
void Past::order_marks() {
    const auto place = [](const Mark& m) { return std::tuple(m.run, m.shard, m.number); };
    std::ranges::stable_sort(marks_, {}, place);
    std::vector<Mark> each;
    for (Mark& mark : marks_) {
        if (each.empty() || place(each.back()) != place(mark)) {
            each.push_back(std::move(mark));
        } else {  // it was read before
            const bool is_same = each.back().who == mark.who && each.back().time == mark.time &&
                                 each.back().is_begin == mark.is_begin;
            is_contradicted_ = is_contradicted_ || !is_same;
        }
    }
    marks_ = std::move(each);
}

// From the marks: what begins and ends in one piece of the log.
std::vector<Past::Holding> Past::holdings() {
    order_marks();
    std::vector<Holding> all;
    std::map<std::string, size_t> open;
    for (const Mark& mark : marks_) {
        if (mark.is_begin) {
            Holding holding = of_mark(mark);
            holding.holder.begin = mark.time;
            holding.begin_number = mark.number;
            open[fmt::format("{} {} {}", mark.run, mark.shard, mark.who)] = all.size();
            all.push_back(std::move(holding));
        } else {
            add_end(all, open, mark);
        }
    }
    end_by_successors(all);
    return all;
}

// A port is given to nobody before its last holder has lost it, whether or not a line tells of that. (Workers stamp what they
// tell of with times that may be that much behind.)
void Past::end_by_successors(std::vector<Holding>& all) {
    std::map<std::pair<size_t, std::string>, std::vector<int64_t>> begins;
    for (const Holding& holding : all) {
        if (!holding.alone.empty() && holding.holder.begin) {
            begins[{holding.run, holding.alone}].push_back(*holding.holder.begin);
        }
    }
    for (auto& [key, times] : begins) {
        std::ranges::sort(times);
    }
    for (Holding& holding : all) {
        if (holding.alone.empty() || !holding.holder.begin || holding.holder.end) {
            continue;
        }
        const std::vector<int64_t>& times = begins[{holding.run, holding.alone}];
        const auto next =
            std::ranges::upper_bound(times, *holding.holder.begin + PastRun::kLongestBurstMs);
        if (next != times.end()) {
            holding.latest = *next;
        }
    }
}

// If something is missing between a beginning and an end, they need not be of one holding.
void Past::add_end(
    std::vector<Holding>& all, std::map<std::string, size_t>& open, const Mark& mark
) {
    const std::string key = fmt::format("{} {} {}", mark.run, mark.shard, mark.who);
    const auto begun = open.find(key);
    const bool is_its =
        begun != open.end() &&
        runs_[mark.run].has_all(mark.shard, all[begun->second].begin_number, mark.number);
    if (!is_its) {
        all.push_back(of_mark(mark));
    }
    Holding& holding = is_its ? all[begun->second] : all.back();
    holding.holder.end = mark.time;
    holding.end_number = mark.number;
    if (begun != open.end()) {
        open.erase(begun);
    }
}

// The run in which the time lies, if there is just one, and what is known of it.
Past::Evidence Past::find_evidence(std::vector<std::string>& doubts) const {
    Evidence found;
    size_t runs = 0;
    for (size_t i = 0; i < runs_.size(); ++i) {
        if (runs_[i].span().meets(question_.at)) {
            found.run = &runs_[i];
            found.index = i;
            ++runs;
        }
    }
    if (appliances_.size() > 1) {
        doubts.push_back(
            fmt::format("the files are of several appliances: {}", fmt::join(appliances_, ", "))
        );
        return {};
    }
    if (runs == 0) {
        for (const PastRun& run : runs_) {
            doubts.push_back(fmt::format(
                "of one run the log begins at {} and ends at {}",
                utc_text(run.span().first),
                utc_text(run.span().last)
            ));
        }
        doubts.push_back("the time lies in none");
        return {};
    }
    if (runs > 1) {
        doubts.emplace_back(
            "the time lies in several runs: of two appliances of one name, or the clock was set "
            "back between them"
        );
        return {};
    }
    if (is_contradicted_ || found.run->is_contradicted()) {
        doubts.emplace_back("the files contradict each other: a number stands for two events");
        return {};
    }
    if (const std::string odd = found.run->doubt_of_time(); !odd.empty()) {
        doubts.push_back(odd);
        return {};
    }
    found.has_mappings = has_mappings_[found.index];
    found.has_blocks = has_blocks_[found.index];
    if (!found.has_mappings && !found.has_blocks) {
        doubts.emplace_back("neither mappings nor blocks were logged");
    }
    found.is_whole = found.run->is_whole();
    std::ranges::move(found.run->missing(), std::back_inserter(doubts));
    return found;
}

// Its own shard tells, from where it began up to the time, or from then up to where it ended.
bool Past::is_whole_piece(const Holding& holding, const Evidence& evidence) const {
    if (evidence.run == nullptr || holding.run != evidence.index || holding.is_of_trigger) {
        return false;
    }
    const PastHolder& h = holding.holder;
    if (h.begin && h.end) {
        return true;
    }
    if (h.begin) {
        const auto enough = evidence.run->enough(holding.shard);
        return enough && evidence.run->has_all(holding.shard, holding.begin_number, *enough);
    }
    const auto given = evidence.run->given(holding.shard);
    return given && *given < holding.end_number &&
           evidence.run->has_all(holding.shard, *given + 1, holding.end_number);
}

// Of at least a moment of the time asked.
bool Past::is_certain(const Holding& holding, const Evidence& evidence) const {
    const auto is_within = [&](const std::optional<int64_t>& time) {
        return time && question_.at.first <= *time && *time <= question_.at.last;
    };
    const bool is_here = evidence.run != nullptr && holding.run == evidence.index;
    const PastHolder& h = holding.holder;
    return is_here && (is_within(h.begin) || is_within(h.end) || is_whole_piece(holding, evidence));
}

// As far as its own lines tell.
bool Past::may_have_held(const Holding& holding, const Evidence& evidence) const {
    if (evidence.run != nullptr && holding.run != evidence.index) {
        return false;
    }
    const PastHolder& h = holding.holder;
    const int64_t begin = h.begin.value_or(-kEver);
    // Where nothing is missing, what has no end has not ended.
    const bool is_known = evidence.is_whole && !h.is_block;
    const int64_t end = h.end.value_or(is_known ? kEver : holding.latest.value_or(kEver));
    return TimeSpan{std::min(begin, end), std::max(begin, end)}.meets(question_.at);
}

// Nobody else can have had it, whatever else is missing.
bool Past::proves_all(const Holding& holding, const Evidence& evidence) const {
    const PastHolder& h = holding.holder;
    const bool is_asked_alone =
        h.is_block ? !evidence.has_mappings : question_.protocol.has_value();
    const bool is_all_the_time =
        (!h.begin || *h.begin <= question_.at.first) && (!h.end || question_.at.last <= *h.end);
    return is_asked_alone && is_all_the_time && !holding.alone.empty() &&
           is_whole_piece(holding, evidence);
}

std::vector<PastHolder> Past::holders(
    const std::vector<Holding>& all, bool is_block, const Evidence& evidence
) const {
    std::vector<PastHolder> found;
    for (const Holding& holding : all) {
        // Where nothing is missing, what it was begun by would be here.
        const bool is_later = evidence.is_whole && !holding.holder.begin && !holding.is_of_trigger;
        const bool counts_as_block = holding.holder.is_block && !holding.is_of_trigger;
        if (!is_later && counts_as_block == is_block && may_have_held(holding, evidence)) {
            found.push_back(holding.holder);
            found.back().is_certain = is_certain(holding, evidence) && !holding.is_of_trigger;
        }
    }
    return found;
}

// A mapping tells more than its block, and a trigger forward's ports have no mapping. A block is a holder only where mappings
// are not logged, or may be missing.
void Past::judge(PastAnswer& answer, const std::vector<Holding>& all, const Evidence& evidence)
    const {
    answer.holders = holders(all, false, evidence);
    std::vector<PastHolder> blocks = holders(all, true, evidence);
    const bool is_perhaps =
        std::ranges::any_of(answer.holders, [](const PastHolder& h) { return !h.is_certain; });
    const auto proof = std::ranges::find_if(all, [&](const Holding& holding) {
        return may_have_held(holding, evidence) && proves_all(holding, evidence);
    });
    if (evidence.is_whole && evidence.has_mappings && !is_perhaps) {
        answer.kind = answer.holders.empty() ? PastAnswer::kNobody : PastAnswer::kCertain;
        answer.blocks = answer.holders.empty() ? std::move(blocks) : std::vector<PastHolder>{};
        return;
    }
    const bool is_by_block = evidence.is_whole && evidence.has_blocks && !evidence.has_mappings &&
                             answer.holders.empty();
    if (is_by_block && blocks.size() <= 1) {
        answer.kind = blocks.empty() ? PastAnswer::kNobody : PastAnswer::kCertain;
        answer.holders = std::move(blocks);
    } else if (proof != all.end() && answer.holders.size() <= 1) {
        answer.kind = PastAnswer::kCertain;
        answer.holders = {proof->holder};
        answer.holders.front().is_certain = true;
    } else if (answer.holders.empty()) {
        answer.holders = std::move(blocks);
    }
}

PastAnswer Past::answer() {
    for (PastRun& run : runs_) {
        run.settle();
    }
    const std::vector<Holding> all = holdings();
    PastAnswer answer;
    std::vector<std::string> doubts;
    const Evidence evidence = find_evidence(doubts);
    judge(answer, all, evidence);
    answer.doubts = doubts_;
    for (const auto& [file, odd] : odd_) {
        answer.doubts.push_back(fmt::format(
            "{}: {} lines are none of a log of bindings, the first is line {}",
            file,
            odd.count,
            odd.first
        ));
    }
    if (answer.kind == PastAnswer::kNotKnown) {
        std::ranges::reverse(answer.doubts);  // what was lost last is nearest
        answer.doubts.resize(std::min<size_t>(answer.doubts.size(), kMostDoubts / 2));
        const bool is_sure_of_one = std::ranges::any_of(answer.holders, &PastHolder::is_certain);
        if (is_sure_of_one && !question_.protocol) {
            doubts.emplace_back(
                "others may have had it in another protocol: ask for one, as A:PORT/udp"
            );
        }
        answer.doubts.insert(answer.doubts.end(), doubts.begin(), doubts.end());
    }
    if (answer.doubts.size() > kMostDoubts) {
        const size_t more = answer.doubts.size() - kMostDoubts;
        answer.doubts.resize(kMostDoubts);
        answer.doubts.push_back(fmt::format("and {} more of that kind", more));
    }
    return answer;
}

namespace {

std::string line_of(const PastHolder& h, const PastQuestion& question) {
    return fmt::format(
        "{}internal {} external {}:{} from {} until {}{}\n",
        h.is_certain ? "" : "perhaps ",
        h.who,
        question.external,
        question.port,
        shown(h.begin, "before what is here"),
        shown(h.end, "its end is not in the log"),
        h.is_block ? ", by its block alone: unless the configuration gave the port to somebody else"
                   : ""
    );
}

}  // namespace

std::string PastAnswer::text(const PastQuestion& question) const {
    std::string text;
    for (const PastHolder& h : holders) {
        text += line_of(h, question);
    }
    constexpr std::array<std::string_view, 3> kVerdicts = {
        "known", "nobody had it, by this log", "not known for certain"};
    text += kVerdicts[kind];
    text += kind == kCertain && holders.size() > 1 ? ": several\n" : "\n";
    for (const PastHolder& h : blocks) {
        text += "note: its block was that of " + line_of(h, question);
    }
    for (const std::string& doubt : doubts) {
        text += "note: " + doubt + "\n";
    }
    return text + "note: static mappings, destination-nat and ports by a formula are in no log\n";
}

namespace {

Result<void> read_file(const std::string& name, Past& past) {
    std::ifstream in(name);
    if (!in) {
        return failure(fmt::format("{}: not readable", name));
    }
    past.begin_file(name);
    std::string line;
    bool is_first = true;
    while (std::getline(in, line)) {
        if (is_first && !time_of(line, "time")) {
            return failure(fmt::format("{}: its first line is none of a log of bindings", name));
        }
        is_first = false;
        past.read(line);
    }
    return in.bad() ? failure(fmt::format("{}: not readable to its end", name)) : Result<void>{};
}

}  // namespace

Result<PastAnswer> who_had(const PastQuestion& question, const std::vector<std::string>& files) {
    Past past(question);
    for (const std::string& name : files) {
        if (auto read = read_file(name, past); !read) {
            return tl::unexpected<Error>(read.error());
        }
    }
    return past.answer();
}

}  // namespace sekisho::eventlog
