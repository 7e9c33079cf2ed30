// Rows: the JSON of each thing that `show` lists. Key names are stable and follow RFC 8512 where it
// has one; doc/cli.md gives their types.
//
//   Errors    an id beyond the configuration (a record of an older one) gets its number as its
//             name.
//   Thread    pure.
#pragma once

#include <string>

#include "config/config.h"
#include "control/rpc_error.h"
#include "dataplane/inspector.h"

namespace sekisho::control {

// tcp-established, udp, ...: the name of a session's state in JSON and tables.
std::string state_name(SessionState state);

Document status_object(const dataplane::StatusView& status);
Document counters_object(const dataplane::CounterTotals& counters);
// Every reason, also those that have not occurred, and their sum.
Document drops_object(const dataplane::CounterTotals& counters);
Document log_object(const dataplane::LogView& log, const config::Config& config);

Document link_row(const dataplane::LinkView& view, const config::Config& config);
Document worker_row(const dataplane::WorkerView& view);
Document neighbour_row(const dataplane::NeighbourView& view, const config::Config& config);
Document route_row(const dataplane::RouteEntry& route, const config::Config& config);
Document pool_row(
    const nat::PoolSettings& settings, const nat::PoolView& view, const config::Config& config
);
Document subscriber_row(const nat::SubscriberView& view, const config::Config& config);
Document session_row(const nat::SessionView& view, const config::Config& config);
// `lifetime`: seconds until the mapping ends if nothing comes.
Document mapping_row(const nat::MappingView& view, uint32_t lifetime, const config::Config& config);
Document static_mapping_row(const nat::MappingView& view, const config::Config& config);

}  // namespace sekisho::control
