#include "nat/event_log.h"

namespace sekisho::nat {

void EventLog::write(const Event& event) {
    const size_t needed = lost_ == 0 ? 1 : 2;
    if (writer_.room(needed) < needed) [[unlikely]] {
        if (lost_ == 0) {
            lost_since_ = event.tick_ms;
        }
        ++lost_;
        untold_.set(lost_);
        lost_in_all_.add(1);
        return;
    }
    if (lost_ != 0) [[unlikely]] {
        write_lost_now(event.tick_ms);
    }
    writer_.write(event);
}

void EventLog::write_lost_now(uint32_t now_ms) {
    Event lost{};
    lost.kind = EventKind::kLost;
    lost.tick_ms = now_ms;
    lost.since_ms = lost_since_;
    lost.count = lost_;
    writer_.write(lost);
    lost_ = 0;
    untold_.set(0);
}

}  // namespace sekisho::nat
