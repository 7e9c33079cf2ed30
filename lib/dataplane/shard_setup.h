// Making a shard: its NAT in an arena, and what binds it to the appliance around it.
//
//   Errors    those of nat::NatShard::create(): no memory for the arena.
//   Thread    control code, at start-up.
#pragma once

#include <memory>

#include "base/result.h"
#include "base/toeplitz.h"
#include "dataplane/fabric.h"
#include "dataplane/network.h"
#include "dataplane/shard.h"
#include "nat/external_directory.h"
#include "nat/nat_shard.h"

namespace sekisho::dataplane {

// What all shards of an appliance have in common; it outlives them.
struct Commons {
    const Network& network;
    const nat::NatSettings& settings;
    nat::ExternalDirectory& directory;
    const base::Toeplitz& toeplitz;  // subscriber -> hash
    const base::ShardTable& table;   // hash -> shard
    Fabric& fabric;
};

// What a shard has of the worker that carries it.
struct WorkerPart {
    PacketStore& store;
    Transmitter& transmitter;
    size_t held_packets = 512;  // bound of the list of packets that wait for a port block
};

// `plan` needs no count of shards, Toeplitz key and shard table: they are the appliance's. Its worker has yet to carry it.
Result<std::unique_ptr<Shard>> make_shard(
    const Commons& commons, nat::NatShardPlan plan, const WorkerPart& worker, Tick now
);

}  // namespace sekisho::dataplane
