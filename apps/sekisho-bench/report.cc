#include "sekisho-bench/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace sekisho::bench {
namespace {

std::string object(const Summary& s) {
    return fmt::format(
        R"({{"min": {:.1f}, "median": {:.1f}, "max": {:.1f}}})", s.min, s.median, s.max
    );
}

std::string words(const Summary& s) {
    return fmt::format("{:.1f} / {:.1f} / {:.1f}", s.min, s.median, s.max);
}

std::string quote(std::string_view word) {
    return fmt::format("\"{}\"", word);
}

std::string number(double value, int digits = 1) {
    return fmt::format("{:.{}f}", value, digits);
}

std::string number(uint64_t value) {
    return std::to_string(value);
}

// One benchmark's figures in their order, for people and for programs.
class Report {
  public:
    Report(bool is_json, std::string_view benchmark, std::string title)
        : is_json_(is_json), title_(std::move(title)) {
        key("benchmark", quote(benchmark));
    }
    Report(const Asked& asked, std::string_view benchmark, std::string title)
        : Report(asked.json, benchmark, std::move(title)) {
        key("sessions", number(uint64_t{asked.sessions}));
    }

    // What only programs are told: what people have asked for themselves.
    Report& key(std::string_view name, std::string_view value) {
        keys_.push_back(fmt::format("{}: {}", quote(name), value));
        return *this;
    }
    // What only people are told.
    Report& line(std::string_view label, std::string_view value) {
        lines_ += fmt::format("\n  {:20} {}", label, value);
        return *this;
    }
    Report& add(std::string_view name, std::string_view label, const Summary& s) {
        return key(name, object(s)).line(label, words(s));
    }
    Report& add(std::string_view name, std::string_view label, const std::string& value) {
        return key(name, value).line(label, value);
    }

    std::string text() const {
        return is_json_ ? fmt::format("{{{}}}", fmt::join(keys_, ", ")) : title_ + lines_;
    }

  private:
    bool is_json_;
    std::string title_;
    std::vector<std::string> keys_;
    std::string lines_;
};

std::string head(const Asked& asked) {
    return fmt::format("{} sessions, {} {}", asked.sessions, asked.protocol, asked.size);
}

std::string size_of(const Asked& asked) {
    return asked.size == "imix" ? quote(asked.size) : asked.size;
}

void add_workers(Report& report, const std::vector<Summary>& workers) {
    if (workers.size() < 2) {
        return;
    }
    std::vector<std::string> objects;
    for (const Summary& worker : workers) {
        report.line(fmt::format("  worker {}", objects.size()), words(worker));
        objects.push_back(object(worker));
    }
    report.key("net_cycles_by_worker", fmt::format("[{}]", fmt::join(objects, ", ")));
}

}  // namespace

std::string report_forward(const Asked& asked, const ForwardResult& r) {
    const size_t workers = r.by_worker.size();
    const std::string each = workers > 1 ? fmt::format(" on each of {} workers", workers) : "";
    Report report(
        asked,
        "forward",
        fmt::format("{}{}, {}: cycles a packet", head(asked), each, asked.direction)
    );
    report.key("size", size_of(asked))
        .key("direction", quote(asked.direction))
        .key("workers", number(uint64_t{workers}))
        .add("cycles_per_packet", "with the harness", r.cycles)
        .add("io_cycles_per_packet", "io, the harness", r.io_cycles)
        .add("net_cycles_per_packet", "without the harness", r.net_cycles);
    add_workers(report, r.by_worker);
    return report.add("mpps", workers > 1 ? "Mpps of all workers" : "Mpps a worker", r.mpps)
        .add("fixed_loop_cycles", "fixed loop", r.fixed_loop)
        .add("faults", "faults", number(r.faults))
        .text();
}

std::string report_setup(const Asked& asked, const SetupSummary& s) {
    return Report(asked, "setup", head(asked) + ": cycles a new session")
        .key("size", size_of(asked))
        .key("workers", "1")
        .add("cycles_per_session", "all", s.cycles)
        .add("first_million", "first million", s.first)
        .add("middle_million", "middle million", s.middle)
        .add("last_million", "last million", s.last)
        .add("sessions_per_second", "sessions a second", s.rate)
        .add("fixed_loop_cycles", "fixed loop", s.fixed_loop)
        .add("checked_frames", "frames checked after", number(s.checked))
        .add("faults", "faults", number(s.faults))
        .text();
}

std::string report_exhaust(const Asked& asked, const std::vector<RefusalSummary>& summaries) {
    Report report(
        asked,
        "exhaust",
        fmt::format(
            "{} that stand, as many asked for; without the harness (which takes), cycles a packet "
            "where this is used up",
            head(asked)
        )
    );
    const double accepted = summaries.front().cycles.median;
    uint64_t faults = 0;
    for (const RefusalSummary& s : summaries) {
        faults += s.faults;
        const double ratio = s.cycles.median / accepted;
        report
            .line(
                s.exhaustion->label,
                fmt::format("{}  x {:.2f} ({:.1f})", words(s.cycles), ratio, s.io_cycles.median)
            )
            .key(
                s.exhaustion->key,
                fmt::format(
                    R"({{"net_cycles_per_packet": {}, "io_cycles_per_packet": {}, "asked": {}, "refused": {}, "ratio": {:.3f}}})",
                    object(s.cycles),
                    object(s.io_cycles),
                    s.asked,
                    s.refused,
                    ratio
                )
            );
    }
    return report.add("faults", "faults", number(faults)).text();
}

std::string report_ports(const PortsSummary& s, bool json) {
    Asked asked;
    asked.sessions = kPortsOfAddress;
    asked.json = json;
    std::vector<std::string> objects;
    Report report(
        asked,
        "ports",
        fmt::format(
            "{} ports of one address, {}, blocks of {}: cycles a mapping",
            kPortsOfAddress,
            s.selection,
            s.block
        )
    );
    for (size_t part = 0; part < s.parts.size(); ++part) {
        objects.push_back(object(s.parts[part]));
        report.line(
            fmt::format("until {}/{} are taken", part + 1, s.parts.size()), words(s.parts[part])
        );
    }
    return report.key("selection", quote(s.selection))
        .key("block", number(uint64_t{s.block}))
        .key("cycles_per_mapping", fmt::format("[{}]", fmt::join(objects, ", ")))
        .add("last_ports", fmt::format("of these the last {}", kLastPorts), s.last)
        .add("reached", "ports reached", number(s.reached))
        .add("faults", "faults", number(s.faults))
        .text();
}

std::string report_rules(
    uint32_t rules,
    std::string_view kind,
    const RulesResult& r,
    const EstablishedResult& established,
    bool json
) {
    const auto title = fmt::format("{} rules of the kind {}: cycles a first packet", rules, kind);
    return Report(json, "rules", title)
        .key("rules", number(uint64_t{rules}))
        .key("kind", quote(kind))
        .add("cycles_per_first_packet", "in bursts", r.cycles)
        .add("cycles_alone", "one by one", r.alone)
        .add("cycles_with_walk", "in bursts, with walk", r.walked)
        .add("cycles_established", "established, no rules", established.without)
        .add("cycles_established_extra", "what rules add", established.extra)
        .add("cycles_residue_extra", "with a residue of 4", established.residue_extra)
        .add("build_seconds", "seconds to build", number(r.build_seconds, 6))
        .add("change_seconds", "to follow a change", number(r.change_seconds, 6))
        .add("bytes", "bytes", number(r.bytes))
        .add("tables", "hash tables", number(r.tables))
        .add("list", "boxes in none", number(r.list))
        .add("fixed_loop_cycles", "fixed loop", r.fixed_loop)
        .add("faults", "faults", number(r.faults + established.faults))
        .text();
}

std::string report_payload(const PayloadPlan& plan, const PayloadResult& r, bool json) {
    const auto title = fmt::format(
        "{} literals, {} expressions, {} streams: Gb/s, cycles a segment of 1460 bytes",
        plan.literals,
        plan.regexes,
        plan.streams
    );
    return Report(json, "payload", title)
        .key("literals", number(uint64_t{plan.literals}))
        .key("regexes", number(uint64_t{plan.regexes}))
        .key("streams", number(uint64_t{plan.streams}))
        .add("gbps", "Gb/s", r.gbps)
        .add("cycles_per_segment", "cycles", r.cycles)
        .add("stream_cycles", "of the stream table", r.stream_cycles)
        .add("scan_cycles", "of the scanner", r.scan_cycles)
        .add("bytes_per_stream", "bytes a stream", number(r.bytes_per_stream))
        .add("state_bytes", "of it for patterns", number(r.state_bytes))
        .add("database_bytes", "bytes in common", number(r.database_bytes))
        .add("build_seconds", "seconds to build", number(r.build_seconds, 3))
        .add("found", "found", number(r.found))
        .add("fixed_loop_cycles", "fixed loop", r.fixed_loop)
        .add("faults", "faults", number(r.faults))
        .text();
}

std::string report_memory(
    const Asked& asked, unsigned sessions_per_mapping, const MemoryResult& r
) {
    const auto title = fmt::format(
        "{} sessions, {} a mapping: resident bytes", asked.sessions, sessions_per_mapping
    );
    const auto mib = [](double bytes) { return number(bytes / 1048576) + " MiB"; };
    return Report(asked, "memory", title)
        .key("sessions_per_mapping", number(uint64_t{sessions_per_mapping}))
        .add("bytes_per_session", "a session", number(r.per_session))
        .add("bytes_per_mapping", "a mapping", number(r.per_mapping))
        .add("bytes_per_subscriber", "a subscriber", number(r.per_subscriber))
        .add("block_bytes_per_subscriber", "its port blocks", number(r.of_blocks))
        .key("table_bytes", number(r.in_tables))
        .line("all tables", mib(static_cast<double>(r.in_tables)))
        .key("growth_bytes", std::to_string(r.growth))
        .line("the process's growth", mib(static_cast<double>(r.growth)))
        .key("process_bytes", number(r.process_bytes))
        .line("the whole process", mib(static_cast<double>(r.process_bytes)))
        .add("faults", "faults", number(r.faults))
        .text();
}

std::string report_churn(const Asked& asked, const ChurnResult& r) {
    const auto title = head(asked) + ": cycles a packet, without the harness, both directions";
    return Report(asked, "churn", title)
        .add("fresh_cycles_per_packet", "fresh", r.fresh_cycles)
        .add("worn_cycles_per_packet", "after the churn", r.worn_cycles)
        .add("ratio", "ratio of the medians", number(r.ratio, 3))
        .add("io_cycles_per_packet", "io, the harness", r.io_cycles)
        .add("created", "created before", number(r.created))
        .add("simulated_seconds", "simulated seconds", number(r.simulated_seconds, 0))
        .add("refused", "refused", number(r.refused))
        .add("faults", "faults", number(r.faults))
        .text();
}

}  // namespace sekisho::bench
