// The one way of a burst through a shard. No stage calls a later one, none calls back; each leaves some packets with a
// verdict that ends their way here, and finish() brings every packet to where its verdict says.
#include "dataplane/shard.h"

namespace sekisho::dataplane {

// What needs nothing but the packets, and asks for memory: other bursts may lie between this and the rest.
void Shard::open(Burst& burst) {
    packet::parse(burst.batch, tables_.links);
    hash(burst, tables_);
}

void Shard::run(Burst& burst, Tick now) {
    burst.was_led = 0;
    if (burst.batch.lowest_ttl <= 1) {
        screen(burst, tables_);
    }
    if (burst.batch.fragments != 0) {
        gather(burst, tables_, now);
    }
    if (tables_.shards > 1) {
        steer(burst, tables_);
    }
    find(burst, tables_, now);
    burst.judged = burst.is_led = 0;
    if (burst.misses > 0) {
        make(burst, tables_, now);
        counters_.untranslated.add(burst.untranslated);
    }
    if (burst.batch.lowest_ttl <= 1) {
        screen_translated(burst, tables_);
    }
    if (tables_.judge != nullptr) {
        judge(burst, tables_, now);
    }
    if (tables_.scanned != nullptr) {
        tables_.scanned->let_go();
    }
    if (burst.batch.longest > tables_.smallest_mtu) {
        fit(burst, tables_);
    }
    if (burst.batch.fragments != 0) {
        bind(burst, tables_, now);
    }
    track(burst, tables_, now);
    if (nat_->take_syns_to_clamp() != 0) {
        clamp(burst, tables_);
    }
    if (burst.changes_tos != 0) {
        set_tos(burst);
    }
    write(burst, tables_);
    route(burst, tables_);
    if (burst.batch.longest > tables_.smallest_mtu) {
        divide(burst, tables_);
    }
    finish(burst);
    if (port_control_.count != 0) {
        answer_port_control(now);
    }

    nat_->end_of_burst();
}

// Packets that the appliance has made, and those that were translated already and waited for a neighbour.
void Shard::run_own(Burst& burst, Tick now) {
    burst.origin = Origin::kResumed;

    packet::parse(burst.batch, tables_.links);
    route_own(burst, tables_);
    if (tables_.judge != nullptr) {
        judge_own(burst, tables_, now);
        set_tos(burst);
    }
    if (burst.batch.longest > tables_.smallest_mtu) {
        divide(burst, tables_);
    }
    finish(burst);
}

}  // namespace sekisho::dataplane
