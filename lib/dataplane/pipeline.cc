// The one way of a burst through a shard. No stage calls a later one, none calls back; each leaves some packets with a
// verdict that ends their way here, and finish() brings every packet to where its verdict says.
#include "dataplane/shard.h"

namespace sekisho::dataplane {

void Shard::run(Origin origin, Tick now) {
    burst_.origin = origin;

    packet::parse(burst_.batch, tables_.links);
    hash(burst_, tables_);
    if (burst_.batch.lowest_ttl <= 1) {
        screen(burst_, tables_);
    }
    if (tables_.shards > 1) {
        steer(burst_, tables_);
    }
    find(burst_, tables_, now);
    if (burst_.misses > 0) {
        make(burst_, tables_, now);
    }
    if (burst_.batch.longest > tables_.smallest_mtu) {
        fit(burst_, tables_);
    }
    track(burst_, tables_, now);
    write(burst_, tables_);
    route(burst_, tables_);
    finish();

    nat_->end_of_burst();
}

// Packets that the appliance has made, and those that were translated already and waited for a neighbour.
void Shard::run_own() {
    burst_.origin = Origin::kResumed;

    packet::parse(burst_.batch, tables_.links);
    route_own(burst_, tables_);
    finish();
}

}  // namespace sekisho::dataplane
