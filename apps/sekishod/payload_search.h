// PayloadSearch: the patterns that the rules in force search payloads for, compiled, and the scanners of all shards.
//
//   Change    prepare() compiles off the packet route what other rules want; put() exchanges it while no worker takes a turn. Streams that
//             are scanned go on: what was found in them keeps its name, and what is new is looked for from their next byte on.
//   First     the tables of streams are made with the first rules that ask for payloads, and stay.
//   Errors    prepare(): Hyperscan refuses a pattern, they need too much state, no memory. mistakes() names the same with its place.
//   Thread    one control thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "dataplane/shard.h"
#include "hyperscan/compiled_patterns.h"
#include "hyperscan/scanner.h"
#include "rules/pattern_names.h"
#include "rules/patterns.h"

namespace sekisho::daemon {

// What is wrong with patterns, in the order of the file.
std::vector<config::Mistake> find_pattern_mistakes(
    const std::vector<config::PatternSettings>& patterns, const std::string& file
);
// A configuration whose patterns cannot be searched for is none.
void refuse_patterns(config::Checked& checked, const std::string& file);

class PayloadSearch {
  public:
    PayloadSearch(unsigned shards, const config::PayloadSearchSettings& settings);

    struct Next {
        std::shared_ptr<const rules::PatternNames> names;  // empty: no rule asks for a payload
        rules::PatternSet patterns;
        std::shared_ptr<const hyperscan::CompiledPatterns> compiled;
        std::vector<std::unique_ptr<hyperscan::Scanner>>
            scanners;              // by shard, where there are none yet
        bool begins_anew = false;  // what was found has other names
    };
    Result<Next> prepare(const config::RulesSettings& rules) const;
    // Before the rules that it was made for. While everybody rests.
    void put(Next& next, std::span<const std::unique_ptr<dataplane::Shard>> shards);

  private:
    Result<Next> prepare_from(const rules::PatternSet& patterns, const config::RulesSettings& rules)
        const;

    dataplane::ScannedFlows::Sizes sizes_;  // of a shard
    unsigned shards_;
    rules::PatternSet patterns_;
    std::shared_ptr<const hyperscan::CompiledPatterns> compiled_;  // empty: nobody has asked yet
    std::vector<hyperscan::Scanner*> scanners_;                    // by shard; they are the shards'
};

}  // namespace sekisho::daemon
