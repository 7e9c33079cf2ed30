#include <bit>

#include "dataplane/stages.h"
#include "packet/checksum.h"

namespace sekisho::dataplane {

void set_tos(Burst& burst) {
    for (uint32_t left = burst.changes_tos; left != 0; left &= left - 1) {
        const auto i = static_cast<uint32_t>(std::countr_zero(left));
        const PacketMeta& meta = burst.batch.meta[i];
        if (meta.verdict != Verdict::kPending && meta.verdict != Verdict::kTransmit) {
            continue;
        }
        uint8_t* const ip = burst.batch.ref[i].data + meta.l3_offset;
        const auto before = packet::load<uint16_t>(ip);
        ip[packet::offset::kIpTos] = burst.tos[i];
        const uint16_t delta = packet::checksum_delta16(before, packet::load<uint16_t>(ip));
        uint8_t* const checksum = ip + packet::offset::kIpChecksum;
        packet::store(checksum, packet::apply_delta(packet::load<uint16_t>(checksum), delta));
    }
    burst.changes_tos = 0;
}

}  // namespace sekisho::dataplane
