// CompiledPatterns: a PatternSet as a database of Hyperscan in streaming mode. Immutable; scanners share it.
//
//   Patterns  all in one database, literals too. Each is reported once a stream. `.` takes every byte.
//   Errors    compile(): a sentence that names every pattern that is refused, with Hyperscan's reason; or, where a stream would need
//             more than `state_bytes`, what it would need and the patterns that need most by themselves.
//   Cost      control code: 1 000 literals and 100 expressions some 0.2 s. Memory: database_bytes(), once for all workers.
//   Platform  the processor must have SSSE3; what else it has is used (AVX2, AVX-512). Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "rules/patterns.h"

struct hs_database;

namespace sekisho::hyperscan {

class CompiledPatterns {
  public:
    // `state_bytes`: there are so many for each stream (ScannerSizes).
    static Result<std::shared_ptr<const CompiledPatterns>> compile(
        const rules::PatternSet& set, size_t state_bytes
    );
    // Why a set is refused, pattern by pattern; none: only all together need too much. Cost: compiles each by itself.
    struct Fault {
        rules::PatternId pattern;
        std::string reason;
    };
    static std::vector<Fault> faults(const rules::PatternSet& set, size_t state_bytes);
    ~CompiledPatterns();
    CompiledPatterns(const CompiledPatterns&) = delete;
    CompiledPatterns& operator=(const CompiledPatterns&) = delete;

    struct Traits {
        uint32_t within = 0;
        bool is_anchored = false;  // to the first byte
    };
    // By PatternId.
    const std::vector<Traits>& traits() const { return traits_; }
    // nullptr: there is nothing to look for.
    const hs_database* database() const { return database_; }
    // A mark for each pattern that is looked for, by PatternId.
    const std::vector<uint64_t>& marks() const { return marks_; }
    // What one stream needs: Hyperscan's state, and a mark for each pattern.
    size_t state_bytes() const { return marks_.size() * sizeof(uint64_t) + stream_bytes_; }
    size_t database_bytes() const { return database_bytes_; }

  private:
    CompiledPatterns() = default;
    Result<void> measure(const rules::PatternSet& set, size_t state_bytes);

    hs_database* database_ = nullptr;
    std::vector<Traits> traits_;
    std::vector<uint64_t> marks_;
    size_t stream_bytes_ = 0;
    size_t database_bytes_ = 0;
};

}  // namespace sekisho::hyperscan
