#include "dataplane/own_header.h"

#include <cstring>

#include "packet/checksum.h"

namespace sekisho::dataplane {

using packet::store;
namespace offset = packet::offset;

void write_own_header(uint8_t* at, const OwnHeader& header) {
    std::memset(at, 0, packet::kIpv4Header);
    at[0] = 0x45;
    at[offset::kIpTos] = header.tos;
    store(at + offset::kIpLength, Be16::from_host(header.length).raw);
    store(at + offset::kIpFragment, Be16::from_host(packet::kDontFragment).raw);
    at[offset::kIpTtl] = kOwnTtl;
    at[offset::kIpProtocol] = static_cast<uint8_t>(header.protocol);
    store(at + offset::kIpSource, header.source.raw);
    store(at + offset::kIpDestination, header.destination.raw);
    store(at + offset::kIpChecksum, packet::full_checksum({at, packet::kIpv4Header}));
}

}  // namespace sekisho::dataplane
