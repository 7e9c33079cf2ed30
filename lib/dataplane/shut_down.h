// The end of a dataplane: every packet under way is sent, or freed and counted as kShutdown.
//
//   When      after the last turn of every worker and of the slow path, on one thread for all of them.
//   Order     Workers free what is held or queued and run no packet any more, so nothing new is punted; the slow path gives
//             its packets back through rings that the shards empty, as often as it takes.
//   After     no ring of the fabric holds a packet, and the law of counters.h holds with nothing held.
#pragma once

#include <memory>
#include <span>

#include "dataplane/slow_path.h"
#include "dataplane/worker.h"

namespace sekisho::dataplane {

void shut_down(std::span<const std::unique_ptr<Worker>> workers, SlowPath& slow_path);

}  // namespace sekisho::dataplane
