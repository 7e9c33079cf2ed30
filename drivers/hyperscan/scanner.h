// Scanner: rules::PayloadScanner on Hyperscan; one worker's.
//
//   Memory    a cell of `state_bytes` for each stream, and one for datagrams, made at start: Hyperscan's state of a stream and a
//             mark for each pattern that was found. Hyperscan's own allocator is never asked on the packet route
//             (hs_set_stream_allocator(): it gets the cell at hand).
//   Change    follow(): other patterns, of a set that has grown out of the one before (rules/patterns.h). Streams keep what was found, but of
//             what is retired, and look from their next byte on for what is in the new set; a match that had begun is lost.
//   Errors    create(), follow(): the patterns need more than `state_bytes`, no memory. faults(): calls that Hyperscan refused, a bug.
//   Owner     one worker; create(), follow() and the destructor allocate: control code, while the worker rests.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "hyperscan/compiled_patterns.h"
#include "rules/payload_scanner.h"

struct hs_scratch;
struct hs_stream;

namespace sekisho::hyperscan {

struct ScannerSizes {
    uint32_t streams = 1024;
    uint32_t state_bytes = 1536;
};

class Scanner final : public rules::PayloadScanner {
  public:
    static Result<std::unique_ptr<Scanner>> create(
        const ScannerSizes& sizes, std::shared_ptr<const CompiledPatterns> patterns
    );
    ~Scanner() override;
    Scanner(const Scanner&) = delete;
    Scanner& operator=(const Scanner&) = delete;

    // A step an open stream. Where it fails the old patterns stay.
    Result<void> follow(std::shared_ptr<const CompiledPatterns> patterns);

    rules::ScanSlot open() override;
    void close(rules::ScanSlot slot) override;
    std::span<const rules::PatternId> scan(
        rules::ScanSlot slot, std::span<const uint8_t> bytes, bool is_end
    ) override;
    std::span<const rules::PatternId> scan_datagram(
        rules::ScanSlot slot, std::span<const uint8_t> bytes
    ) override;
    void restart(rules::ScanSlot slot) override;
    std::span<const rules::PatternId> found(rules::ScanSlot slot) override;
    uint32_t size() const override { return size_; }
    uint32_t capacity() const override { return sizes_.streams; }

    // Of all streams; what all scanners share is apart (CompiledPatterns::database_bytes()).
    uint64_t bytes() const;
    uint64_t faults() const { return faults_; }

  private:
    struct Slot {
        hs_stream* stream = nullptr;  // in its cell; nullptr: not open, or nothing to look for
        uint64_t before = 0;          // bytes that were scanned before the stream began anew
        uint64_t scanned = 0;         // since
        uint32_t found = 0;           // marks
        uint32_t next_free = kNoIndex;
        bool is_open = false;
        bool is_late = false;  // it began anew
    };
    struct FreeMemory {
        void operator()(uint8_t* memory) const;
    };

    explicit Scanner(const ScannerSizes& sizes);
    uint64_t* marks_of(uint32_t slot) const;
    void begin(uint32_t slot);
    void end(uint32_t slot);
    void keep_marks(uint32_t slot, size_t words);
    static void note_new_beginning(Slot& slot);
    void feed(uint32_t slot, uint32_t finder, std::span<const uint8_t> bytes, bool is_end);
    static int on_match(
        unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void* context
    );

    ScannerSizes sizes_;
    size_t cell_bytes_;  // of which the marks come first
    std::shared_ptr<const CompiledPatterns> patterns_;
    std::unique_ptr<uint8_t, FreeMemory> cells_;  // one more than there are streams: for datagrams
    std::vector<Slot> slots_;                     // the same
    std::vector<rules::PatternId> found_;         // of the last question
    hs_scratch* scratch_ = nullptr;
    uint32_t free_ = kNoIndex;
    uint32_t size_ = 0;
    uint64_t faults_ = 0;
};

}  // namespace sekisho::hyperscan
