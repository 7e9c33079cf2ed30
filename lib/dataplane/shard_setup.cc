#include "dataplane/shard_setup.h"

#include <algorithm>

namespace sekisho::dataplane {

Result<std::unique_ptr<Shard>> make_shard(
    const Commons& commons, nat::NatShardPlan plan, const WorkerPart& worker, Tick now
) {
    plan.shards = commons.fabric.shards();
    plan.facts.toeplitz_key = commons.toeplitz.key();
    std::ranges::transform(commons.table.entries, plan.facts.shard_table.begin(), &ShardId::value);
    auto nat = nat::NatShard::create(plan, commons.settings, commons.directory, now);
    if (!nat) {
        return tl::unexpected(nat.error());
    }
    ShardPlan shard;
    shard.id = plan.shard;
    shard.network = &commons.network;
    shard.settings = &commons.settings;
    shard.directory = &commons.directory;
    shard.toeplitz = &commons.toeplitz;
    shard.table = &commons.table;
    shard.fabric = &commons.fabric;
    shard.store = &worker.store;
    shard.transmitter = &worker.transmitter;
    shard.held_packets = worker.held_packets;
    shard.fragments = FragmentTable::Sizes::of(commons.settings, plan.shards);
    return std::make_unique<Shard>(shard, std::move(*nat));
}

}  // namespace sekisho::dataplane
