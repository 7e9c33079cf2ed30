#include <algorithm>
#include <ctime>
#include <string_view>

#include "hyperscan/scanner.h"
#include "packet/views.h"
#include "sekisho-bench/benchmarks.h"
#include "sekisho-bench/pattern_maker.h"
#include "stream/stream_table.h"

namespace sekisho::bench {
namespace {

constexpr uint64_t kSeed = 1;
constexpr uint32_t kSegment = 1460;            // of a packet of 1500 bytes
constexpr uint32_t kSegmentsOfPayload = 4096;  // more than a level 2 cache has
constexpr uint32_t kSegmentsOfRun = 32768;     // over all streams
constexpr uint32_t kUnderWay = 16;             // segments of a stream that are not acknowledged
constexpr uint32_t kFirst = 1000;
constexpr uint32_t kChecked = 4;  // streams

enum class Part : uint8_t { kAll, kStream, kScan };

// Seconds that this thread has had a CPU; on a machine with others that is less than has passed.
double cpu_seconds() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

struct Cost {  // of a segment
    double cycles = 0;
    double cpu_seconds = 0;
};

// `streams` directions that send by turns, each its own part of the payload over and over.
class PayloadRig {
  public:
    PayloadRig(
        std::unique_ptr<hyperscan::Scanner> scanner, std::vector<uint8_t> payload, uint32_t streams
    )
        : scanner_(std::move(scanner)),
          payload_(std::move(payload)),
          table_(sizes_for(streams), HashSecret{{1, 2, 3, 4}}),
          streams_(streams),
          slots_(streams) {
        open();
    }

    static stream::StreamTable::Sizes sizes_for(uint32_t streams) {
        stream::StreamTable::Sizes sizes;
        sizes.blocks = sizes.blocks / sizes.streams * streams;
        sizes.streams = streams;
        return sizes;
    }

    // Over whole streams from their beginning.
    Cost run(Part part) {
        close();
        open();
        const uint32_t rounds = rounds_of(count());
        const double cpu_before = cpu_seconds();
        const Stopwatch watch;
        for (uint32_t round = 0; round < rounds; ++round) {
            for (uint32_t i = 0; i < count(); ++i) {
                send(part, i, round);
            }
        }
        const double segments = static_cast<double>(rounds) * count();
        const auto cycles = static_cast<double>(watch.cycles());
        return {cycles / segments, (cpu_seconds() - cpu_before) / segments};
    }
    uint64_t found() const { return found_; }
    uint64_t bytes() const { return table_.bytes() + scanner_->bytes(); }

    // What is not as it must be: segments that do not pass whole, calls that failed, and in some streams literals that are found
    // though they are not there, or are there and not found.
    uint64_t faults(const rules::PatternSet& patterns) {
        run(Part::kAll);
        uint64_t faults = faults_ + scanner_->faults();
        for (uint32_t i = 0; i < std::min(kChecked, count()); ++i) {
            std::string text;
            for (uint32_t round = 0; round < rounds_of(count()); ++round) {
                const auto segment = segment_of(i, round);
                text.append(segment.begin(), segment.end());
            }
            faults += wrongly_found(patterns, scanner_->found(slots_[i]), text);
        }
        return faults;
    }

  private:
    static uint32_t rounds_of(uint32_t streams) {
        return std::max(kSegmentsOfRun / streams, 2 * kUnderWay);
    }
    uint32_t count() const { return static_cast<uint32_t>(streams_.size()); }
    std::span<const uint8_t> segment_of(uint32_t stream, uint32_t round) const {
        const uint32_t at = (stream * 37 + round) % kSegmentsOfPayload;
        return std::span(payload_).subspan(size_t{at} * kSegment, kSegment);
    }

    void open() {
        for (uint32_t i = 0; i < count(); ++i) {
            streams_[i] = table_.open({});
            slots_[i] = scanner_->open();
            (void)table_.judge(streams_[i], {kFirst - 1, packet::kSyn, {}});
        }
    }
    void close() {
        for (uint32_t i = 0; i < count(); ++i) {
            table_.close(streams_[i]);
            scanner_->close(slots_[i]);
        }
    }
    void send(Part part, uint32_t i, uint32_t round) {
        const std::span<const uint8_t> bytes = segment_of(i, round);
        std::span<const uint8_t> fresh = bytes;
        if (part != Part::kScan) {
            const uint32_t sequence = kFirst + round * kSegment;
            const stream::Segment segment{sequence, packet::kAck, bytes};
            const stream::Judgement judgement = table_.judge(streams_[i], segment);
            fresh = judgement.fresh;
            faults_ += judgement.is_whole(segment) && fresh.size() == kSegment ? 0 : 1;
            if (round % 2 == 1 && round >= kUnderWay) {  // every other is acknowledged
                (void)table_.acknowledge(streams_[i], sequence - (kUnderWay - 2) * kSegment);
            }
        }
        if (part != Part::kStream) {
            found_ += scanner_->scan(slots_[i], fresh, false).size();
        }
    }

    static std::string lower(std::string text) {
        std::ranges::transform(text, text.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
        });
        return text;
    }
    static uint64_t wrongly_found(
        const rules::PatternSet& patterns,
        std::span<const rules::PatternId> found,
        const std::string& text
    ) {
        const std::string folded = lower(text);
        uint64_t faults = 0;
        for (size_t i = 0; i < patterns.id_bound(); ++i) {
            const rules::PatternId id{static_cast<uint16_t>(i)};
            const rules::Pattern& pattern = *patterns.find(id);
            if (pattern.kind == rules::Pattern::Kind::kRegex) {
                continue;
            }
            const std::string_view whole = pattern.ignores_case ? folded : text;
            const std::string_view where =
                whole.substr(0, pattern.within == 0 ? whole.size() : pattern.within);
            const bool is_there =
                where.find(pattern.ignores_case ? lower(pattern.text) : pattern.text) !=
                std::string_view::npos;
            faults += is_there == std::ranges::binary_search(found, id) ? 0 : 1;
        }
        return faults;
    }

    std::unique_ptr<hyperscan::Scanner> scanner_;
    std::vector<uint8_t> payload_;
    stream::StreamTable table_;
    std::vector<StreamIndex> streams_;
    std::vector<rules::ScanSlot> slots_;
    uint64_t found_ = 0;
    uint64_t faults_ = 0;
};

}  // namespace

Result<PayloadResult> measure_payload(const PayloadPlan& plan) {
    const rules::PatternSet patterns = make_patterns(plan.literals, plan.regexes, kSeed);
    PayloadResult result;
    const Stopwatch building;
    const auto compiled =
        hyperscan::CompiledPatterns::compile(patterns, hyperscan::ScannerSizes{}.state_bytes);
    if (!compiled) {
        return tl::unexpected(compiled.error());
    }
    result.build_seconds = building.seconds();
    result.state_bytes = (*compiled)->state_bytes();
    result.database_bytes = (*compiled)->database_bytes();
    auto scanner = hyperscan::Scanner::create(
        {plan.streams, hyperscan::ScannerSizes{}.state_bytes}, *compiled
    );
    if (!scanner) {
        return tl::unexpected(scanner.error());
    }
    PayloadRig rig(
        std::move(*scanner),
        make_payload(patterns, size_t{kSegment} * kSegmentsOfPayload, kSeed + 1),
        plan.streams
    );
    result.bytes_per_stream = static_cast<double>(rig.bytes()) / plan.streams;
    std::vector<double> gbps, all, stream, scan, fixed;
    rig.run(Part::kAll);
    for (unsigned run = 0; run < plan.runs; ++run) {
        fixed.push_back(calibrate());
        const Cost cost = rig.run(Part::kAll);
        all.push_back(cost.cycles);
        gbps.push_back(kSegment * 8 / cost.cpu_seconds / 1e9);
        stream.push_back(rig.run(Part::kStream).cycles);
        scan.push_back(rig.run(Part::kScan).cycles);
    }
    result.gbps = Summary::of(gbps);
    result.cycles = Summary::of(all);
    result.stream_cycles = Summary::of(stream);
    result.scan_cycles = Summary::of(scan);
    result.fixed_loop = Summary::of(fixed);
    result.found = rig.found();
    result.faults = rig.faults(patterns);
    return result;
}

}  // namespace sekisho::bench
