// Sets of payload patterns as large as one likes, and streams to look for them in.
//
//   Literals  words and fragments of requests (seven in ten), and bytes of any value; 4 to 32 bytes, every fourth without regard
//             to case, every eighth within the first 1024 bytes.
//   Regexes   five kinds by turns: counted digits between words, an assignment of one of two words, a request line
//             from the stream's beginning, two words with a gap of up to 40 bytes, a header's line with a word in it.
//   Streams   half words of the same kind as the patterns', half bytes of any value; in one segment of a hundred there is
//             one of the literals.
//   Law       the same seed makes the same. No two patterns say the same.
#pragma once

#include <cstdint>
#include <vector>

#include "rules/patterns.h"

namespace sekisho::bench {

rules::PatternSet make_patterns(unsigned literals, unsigned regexes, uint64_t seed);

std::vector<uint8_t> make_payload(const rules::PatternSet& patterns, size_t bytes, uint64_t seed);

}  // namespace sekisho::bench
