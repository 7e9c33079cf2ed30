// Logs of bindings as the logger writes them, in short; and questions about them.
#pragma once

#include <sstream>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "eventlog/json_lines.h"
#include "eventlog/past.h"

namespace sekisho::test {

using eventlog::Past;
using eventlog::PastAnswer;
using eventlog::PastQuestion;
using nat::Event;
using nat::EventKind;

inline constexpr int64_t kStart = 1'767'355'200'000;  // 2026-01-02T12:00:00Z
inline const Ipv4Addr kExternal = Ipv4Addr::of(203, 0, 113, 5);
inline const Ipv4Addr kOne = Ipv4Addr::of(100, 64, 0, 10);
inline const Ipv4Addr kOther = Ipv4Addr::of(100, 64, 0, 11);
inline constexpr uint16_t kPort = 2000;

// A log as the logger writes it; times in seconds after kStart.
class Log {
  public:
    explicit Log(int64_t epoch = 1, std::string kinds = "mappings blocks")
        : epoch_(epoch), kinds_(std::move(kinds)) {}
    Log& anchor(
        double at, const char* cause, int64_t clock_ahead_ms = 0, const char* event = "anchor"
    ) {
        text_ += fmt::format(
            "{{\"time\":\"{}\",\"event\":\"{}\",\"cause\":\"{}\",\"name\":\"n\",\"version\":\"v\","
            "\"epoch\":{},\"shards\":2,\"tick\":{},\"clock-synchronised\":true,"
            "\"tells-of\":\"{}\",\"numbers\":[{},{}]}}\n",
            eventlog::utc_text(ms(at) + clock_ahead_ms),
            event,
            cause,
            epoch_,
            ms(at) - kStart,
            kinds_,
            numbers_[0],
            numbers_[1]
        );
        return *this;
    }
    Log& stopped(double at) { return anchor(at, "stop", 0, "stopped"); }
    // Of the port asked for.
    Log& event(
        double at,
        EventKind kind,
        Ipv4Addr who,
        uint8_t shard = 0,
        uint16_t remote = 0,
        uint8_t protocol = 17
    ) {
        Event e{};
        e.kind = kind;
        e.sequence = ++numbers_[shard];
        e.realm = 1;
        e.protocol = protocol;
        e.internal_address = who.raw;
        e.internal_port = Port::from_host(40000).raw;
        e.external_address = kExternal.raw;
        e.external_port = Port::from_host(kPort).raw;
        if (kind == EventKind::kBlockGranted || kind == EventKind::kBlockReleased) {
            e.external_port = Port::from_host(1792).raw;
            e.last_port = Port::from_host(2047).raw;
        }
        if (remote != 0) {
            e.remote_address = Ipv4Addr::of(192, 0, 2, 1).raw;
            e.remote_port = Port::from_host(remote).raw;
        }
        lines_.append(text_, e, ShardId{shard}, ms(at), 0);
        return *this;
    }
    Log& created(double at, Ipv4Addr who, uint8_t shard = 0) {
        return event(at, EventKind::kMappingCreated, who, shard);
    }
    Log& ended(double at, Ipv4Addr who, uint8_t shard = 0) {
        return event(at, EventKind::kMappingEnded, who, shard);
    }
    Log& trigger(double at, EventKind kind, Ipv4Addr who) {
        event(at, kind, who);
        text_.insert(text_.rfind('}'), ",\"of\":\"trigger-forward\"");
        return *this;
    }
    Log& lost(double since, double at) {
        Event e{};
        e.kind = EventKind::kLost;
        e.count = 3;
        e.sequence = ++numbers_[0];
        lines_.append(text_, e, ShardId{0}, ms(at), ms(since));
        return *this;
    }
    Log& skip(unsigned count, uint8_t shard = 0) {
        numbers_[shard] += count;
        return *this;
    }
    Log& raw(const std::string& line) {
        text_ += line + "\n";
        return *this;
    }
    Log& take(std::string& to) {  // a file ends here
        to = std::exchange(text_, {});
        return *this;
    }
    const std::string& text() const { return text_; }
    static int64_t ms(double seconds) { return kStart + static_cast<int64_t>(seconds * 1000); }

  private:
    int64_t epoch_;
    std::string kinds_;
    uint64_t numbers_[2] = {};
    eventlog::JsonLines lines_{{"external", "internal"}, {"main"}};
    std::string text_;
};

inline PastQuestion at(double seconds) {
    return {kExternal, kPort, {Log::ms(seconds), Log::ms(seconds)}, {}};
}

inline PastQuestion udp(double seconds) {
    PastQuestion question = at(seconds);
    question.protocol = Protocol::kUdp;
    return question;
}

inline PastAnswer ask(const std::string& text, const PastQuestion& question) {
    Past past(question);
    past.begin_file("log");
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        past.read(line);
    }
    return past.answer();
}

// "one", "other", "one+other", "nobody" or "?": with whoever may have had it.
inline std::string told(const PastAnswer& answer) {
    std::string who;
    for (const auto& holder : answer.holders) {
        who += who.empty() ? "" : "+";
        who += holder.who.starts_with("100.64.0.10") ? "one" : "other";
    }
    return answer.kind == PastAnswer::kCertain  ? who
           : answer.kind == PastAnswer::kNobody ? "nobody"
                                                : "?" + who;
}

}  // namespace sekisho::test
