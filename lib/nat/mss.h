// The maximum segment size that a SYN announces, made smaller (RFC 9293 3.7.1, RFC 6691).
//
//   Law       never raises it and adds no option. A list of options that cannot be read to its end
//             (a length of 0 or 1, or one that runs past the header) is left as it is.
//   Order     `most` in host order.
//   Cost      two passes over at most 40 bytes. Thread: pure.
#pragma once

#include <cstdint>
#include <span>

namespace sekisho::nat {

// `tcp`: the header with its options, as long as its data offset says, 20 to 60 bytes. The checksum
// is stepped (RFC 1624). True: something was changed.
bool clamp_mss(std::span<uint8_t> tcp, uint16_t most);

}  // namespace sekisho::nat
