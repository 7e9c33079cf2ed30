#include "sekisho-bench/report.h"

#include <fmt/format.h>

namespace sekisho::bench {
namespace {

std::string json(const Summary& s) {
    return fmt::format(
        R"({{"min": {:.1f}, "median": {:.1f}, "max": {:.1f}}})", s.min, s.median, s.max
    );
}

std::string text(const Summary& s) {
    return fmt::format("{:.1f} / {:.1f} / {:.1f}", s.min, s.median, s.max);
}

std::string head(const Asked& asked) {
    return fmt::format("{} sessions, {} {}", asked.sessions, asked.protocol, asked.size);
}

}  // namespace

std::string report_forward(const Asked& asked, const ForwardResult& r) {
    if (asked.json) {
        return fmt::format(
            R"({{"benchmark": "forward", "sessions": {}, "size": {}, "direction": "{}", )"
            R"("workers": 1, "cycles_per_packet": {}, "io_cycles_per_packet": {}, )"
            R"("net_cycles_per_packet": {}, "mpps": {}, "fixed_loop_cycles": {}, "faults": {}}})",
            asked.sessions,
            asked.size == "imix" ? "\"imix\"" : asked.size,
            asked.direction,
            json(r.cycles),
            json(r.io_cycles),
            json(r.net_cycles),
            json(r.mpps),
            json(r.fixed_loop),
            r.faults
        );
    }
    return fmt::format(
        "{}, {}: cycles a packet\n"
        "  with the harness     {}\n"
        "  io, the harness      {}\n"
        "  without the harness  {}\n"
        "  Mpps a worker        {}\n"
        "  fixed loop           {}\n"
        "  faults               {}",
        head(asked),
        asked.direction,
        text(r.cycles),
        text(r.io_cycles),
        text(r.net_cycles),
        text(r.mpps),
        text(r.fixed_loop),
        r.faults
    );
}

std::string report_setup(const Asked& asked, const SetupSummary& s) {
    if (asked.json) {
        return fmt::format(
            R"({{"benchmark": "setup", "sessions": {}, "size": {}, "workers": 1, )"
            R"("cycles_per_session": {}, "first_million": {}, "middle_million": {}, )"
            R"("last_million": {}, "sessions_per_second": {}, "fixed_loop_cycles": {}, )"
            R"("faults": {}}})",
            asked.sessions,
            asked.size == "imix" ? "\"imix\"" : asked.size,
            json(s.cycles),
            json(s.first),
            json(s.middle),
            json(s.last),
            json(s.rate),
            json(s.fixed_loop),
            s.faults
        );
    }
    return fmt::format(
        "{}: cycles a new session\n"
        "  all                  {}\n"
        "  first million        {}\n"
        "  middle million       {}\n"
        "  last million         {}\n"
        "  sessions a second    {}\n"
        "  fixed loop           {}\n"
        "  faults               {}",
        head(asked),
        text(s.cycles),
        text(s.first),
        text(s.middle),
        text(s.last),
        text(s.rate),
        text(s.fixed_loop),
        s.faults
    );
}

std::string report_memory(
    const Asked& asked, unsigned sessions_per_mapping, const MemoryResult& r
) {
    if (asked.json) {
        return fmt::format(
            R"({{"benchmark": "memory", "sessions": {}, "sessions_per_mapping": {}, )"
            R"("bytes_per_session": {:.1f}, "bytes_per_mapping": {:.1f}, )"
            R"("bytes_per_subscriber": {:.1f}, "block_bytes_per_subscriber": {:.1f}, )"
            R"("process_bytes": {}, "faults": {}}})",
            asked.sessions,
            sessions_per_mapping,
            r.per_session,
            r.per_mapping,
            r.per_subscriber,
            r.of_blocks,
            r.process_bytes,
            r.faults
        );
    }
    return fmt::format(
        "{} sessions, {} a mapping: resident bytes\n"
        "  a session            {:.1f}\n"
        "  a mapping            {:.1f}\n"
        "  a subscriber         {:.1f}, its port blocks {:.1f}\n"
        "  the whole process    {:.1f} MiB\n"
        "  faults               {}",
        asked.sessions,
        sessions_per_mapping,
        r.per_session,
        r.per_mapping,
        r.per_subscriber,
        r.of_blocks,
        static_cast<double>(r.process_bytes) / 1048576,
        r.faults
    );
}

std::string report_churn(const Asked& asked, const ChurnResult& r) {
    if (asked.json) {
        return fmt::format(
            R"({{"benchmark": "churn", "sessions": {}, "created": {}, "refused": {}, )"
            R"("simulated_seconds": {:.0f}, "io_cycles_per_packet": {}, )"
            R"("fresh_cycles_per_packet": {}, "worn_cycles_per_packet": {}, "ratio": {:.3f}, )"
            R"("faults": {}}})",
            asked.sessions,
            r.created,
            r.refused,
            r.simulated_seconds,
            json(r.io_cycles),
            json(r.fresh_cycles),
            json(r.worn_cycles),
            r.ratio,
            r.faults
        );
    }
    return fmt::format(
        "{}: cycles a packet, without the harness, both directions\n"
        "  fresh                {}\n"
        "  after the churn      {}\n"
        "  ratio of the medians {:.3f}\n"
        "  io, the harness      {}\n"
        "  created before       {} sessions in {:.0f} simulated seconds, {} refused\n"
        "  faults               {}",
        head(asked),
        text(r.fresh_cycles),
        text(r.worn_cycles),
        r.ratio,
        text(r.io_cycles),
        r.created,
        r.simulated_seconds,
        r.refused,
        r.faults
    );
}

}  // namespace sekisho::bench
