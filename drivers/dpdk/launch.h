// Running workers on EAL's lcores.
//
//   Thread    launch() and join() by the main thread; `body` runs on worker i's lcore until it
//             returns.
#pragma once

#include <functional>
#include <vector>

#include "base/result.h"

namespace sekisho::dpdk {

// The NUMA node of a worker's CPU.
int numa_node_of_worker(unsigned worker);

// Starts body(worker) on the lcore of each of the `workers`; `body` must outlive join().
Result<void> launch(unsigned workers, const std::function<void(unsigned)>& body);
void join();

}  // namespace sekisho::dpdk
