#include "dataplane/stages.h"

namespace sekisho::dataplane {

bool is_forged(Ipv4Addr source, Direction direction, const StageTables& tables) {
    const Direction back =
        direction == Direction::kOutbound ? Direction::kInbound : Direction::kOutbound;
    return tables.is_ours(source) || !find_hop(tables, source, back).is_found();
}

}  // namespace sekisho::dataplane
