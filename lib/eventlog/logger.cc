#include "eventlog/logger.h"

#include <chrono>
#include <memory>
#include <thread>

#include <fmt/format.h>
#include <sys/timex.h>

namespace sekisho::eventlog {

using dataplane::LogState;

namespace {

constexpr size_t kMostNotes = 64 * 1024;  // bytes of our own lines that wait for a broken file

std::string_view name_of(Anchors::Cause cause) {
    constexpr std::string_view kNames[] = {"none", "start", "minute", "step"};
    return kNames[static_cast<size_t>(cause)];
}

}  // namespace

LoggerClocks LoggerClocks::of_this_machine(std::function<Tick()> ticks) {
    using std::chrono::system_clock;
    return {
        std::move(ticks),
        [] {
            const auto since = system_clock::now().time_since_epoch();
            return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
        },
        [] {
            timex facts{};
            const int state = adjtimex(&facts);
            return state >= 0 && state != TIME_ERROR;
        }};
}

Logger::Logger(const LoggerPlan& plan)
    : plan_(plan), file_(plan.file), lines_(plan.realms, plan.pools) {
    for (const nat::NatShard* shard : plan.shards) {
        readers_.push_back(shard->event_reader());
    }
    view_.file = plan.file;
}

Result<std::unique_ptr<Logger>> Logger::create(const LoggerPlan& plan) {
    std::unique_ptr<Logger> logger(new Logger(plan));
    if (auto opened = logger->file_.open(); !opened) {
        return tl::unexpected<Error>(opened.error());
    }
    logger->generation_ = logger->file_.generation();
    logger->epoch_ = plan.clocks.utc_ms();
    logger->look_at_clocks();
    logger->report();
    return logger;
}

// A line of our own: {"time":..,"event":"anchor","cause":"minute",..}.
void Logger::note(std::string_view event, std::string_view cause) {
    const Tick tick = plan_.clocks.ticks();
    if (notes_.size() > kMostNotes) {
        return;
    }
    notes_ += fmt::format(
        "{{\"time\":\"{}\",\"event\":\"{}\",\"cause\":\"{}\",\"name\":\"{}\",\"version\":\"{}\","
        "\"epoch\":{},\"shards\":{},\"tick\":{},\"clock-synchronised\":{}{}{}}}\n",
        utc_text(plan_.clocks.utc_ms()),
        event,
        cause,
        plan_.name,
        plan_.version,
        epoch_,
        plan_.shards.size(),
        tick.ms,
        plan_.clocks.is_synchronised(),
        kinds(),
        numbers()
    );
}

// How many events each shard has told of by now: who reads the files sees that none is missing. Left out while one waits
// for room in its ring, and has no number yet.
std::string Logger::numbers() const {
    for (const nat::NatShard* shard : plan_.shards) {
        if (shard->log().pending() != 0 || shard->log().untold() != 0) {
            return {};
        }
    }
    std::atomic_thread_fence(std::memory_order_acquire);  // what waited has its number by now
    std::vector<uint64_t> numbers;
    for (const nat::EventReader& reader : readers_) {
        numbers.push_back(reader.written());
    }
    return fmt::format(",\"numbers\":[{}]", fmt::join(numbers, ","));
}

// What of it is told at all.
std::string Logger::kinds() const {
    const nat::EventLog& log = plan_.shards.front()->log();
    const bool mappings = log.logs(nat::kLogMappings);
    const bool blocks = log.logs(nat::kLogBlocks);
    return fmt::format(
        ",\"tells-of\":\"{}{}{}\"",
        mappings ? "mappings" : "",
        mappings && blocks ? " " : "",
        blocks ? "blocks" : ""
    );
}

void Logger::look_at_clocks() {
    const auto cause = anchors_.look(plan_.clocks.ticks(), plan_.clocks.utc_ms());
    if (cause == Anchors::Cause::kNone) {
        return;
    }
    note("anchor", name_of(cause));
    const std::scoped_lock lock(view_mutex_);
    view_.clock_synchronised = plan_.clocks.is_synchronised();
}

unsigned Logger::turn() {
    if (wants_reopen_.exchange(false)) {
        file_.reopen();
    }
    file_.tend(plan_.clocks.ticks());
    look_at_clocks();
    unsigned written = 0;
    for (size_t i = 0; i <= readers_.size(); ++i) {
        if (text_.empty() && !fill()) {
            break;
        }
        const auto events = static_cast<unsigned>(events_);
        if (!flush()) {
            break;
        }
        written += events;
    }
    report();
    return written;
}

// The next text to be written: our own lines and a piece of one ring. False if there is nothing.
bool Logger::fill() {
    text_.swap(notes_);
    notes_.clear();
    for (size_t i = 0; i < readers_.size() && events_ == 0; ++i) {
        from_ = next_;
        next_ = next_ + 1 == readers_.size() ? 0 : next_ + 1;
        const auto all = readers_[from_].front();
        const auto events = all.first(std::min(all.size(), kBatch));
        const ShardId shard{static_cast<uint8_t>(from_)};
        for (const nat::Event& event : events) {
            const int64_t since =
                event.kind == nat::EventKind::kLost ? anchors_.utc_of({event.since_ms}) : 0;
            lines_.append(text_, event, shard, anchors_.utc_of({event.tick_ms}), since);
        }
        events_ = events.size();
    }
    return !text_.empty();
}

// The line that a file which is gone has half of is begun anew.
void Logger::restart_line() {
    const size_t end = written_ == 0 ? std::string::npos : text_.rfind('\n', written_ - 1);
    written_ = end == std::string::npos ? 0 : end + 1;
}

// True once the whole text is written; only then are its events taken from their ring.
bool Logger::flush() {
    const Tick now = plan_.clocks.ticks();
    if (!file_.is_ready(now)) {
        return false;
    }
    if (file_.generation() != generation_) {
        generation_ = file_.generation();
        restart_line();
        note("anchor", "file");
        text_.insert(written_, notes_);
        notes_.clear();
    }
    while (written_ < text_.size()) {
        const size_t n = file_.write(std::string_view(text_).substr(written_), now);
        if (n == 0) {
            return false;
        }
        written_ += n;
        bytes_written_.add(n);
    }
    if (events_ > 0) {
        readers_[from_].pop(events_);
        events_written_.add(events_);
    }
    text_.clear();
    written_ = 0;
    events_ = 0;
    return true;
}

uint64_t Logger::finish(uint32_t patience_ms, const std::function<void()>& between) {
    constexpr std::chrono::milliseconds kPause{5};
    Tick moved = plan_.clocks.ticks();
    bool is_noted = false;
    do {
        between();
        if (turn() > 0) {
            moved = plan_.clocks.ticks();
        }
        if (waiting() > 0 || !text_.empty() || !notes_.empty()) {
            std::this_thread::sleep_for(kPause);
        } else if (is_noted) {
            return 0;
        } else {
            note("stopped", "stop");
            is_noted = true;
        }
    } while (elapsed_ms(moved, plan_.clocks.ticks()) < static_cast<int32_t>(patience_ms));
    return waiting();
}

// Events in the rings, and ends that have not even found room there.
uint64_t Logger::waiting() const {
    uint64_t waiting = 0;
    for (size_t i = 0; i < readers_.size(); ++i) {
        waiting += readers_[i].written() - readers_[i].taken() + plan_.shards[i]->log().pending();
    }
    return waiting;
}

// What is wrong is said when it begins, and when it has passed.
void Logger::report() {
    const std::string& trouble = file_.trouble();
    if (trouble != said_) {
        plan_.say(
            trouble.empty() ? fmt::format("log {} is written again", plan_.file) : "log: " + trouble
        );
        said_ = trouble;
    }
    const std::scoped_lock lock(view_mutex_);
    view_.state = file_.state();
    if (!trouble.empty()) {
        view_.error = trouble;
    }
    view_.failures = file_.failures();
    view_.opened = file_.generation();
}

dataplane::LogView Logger::view() const {
    dataplane::LogView view;
    {
        const std::scoped_lock lock(view_mutex_);
        view = view_;
    }
    view.written = events_written_.read();
    view.bytes = bytes_written_.read();
    for (size_t i = 0; i < readers_.size(); ++i) {
        const nat::EventLog& log = plan_.shards[i]->log();
        const uint64_t taken = readers_[i].taken();
        const uint64_t events = readers_[i].written();
        view.rings.push_back(
            {readers_[i].capacity(), events - taken, events, log.lost(), log.pending()}
        );
    }
    return view;
}

}  // namespace sekisho::eventlog
