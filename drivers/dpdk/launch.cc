#include "dpdk/launch.h"

#include <algorithm>

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>

namespace sekisho::dpdk {

namespace {

// lcore 0 is the main thread (eal.cc).
unsigned lcore_of(unsigned worker) {
    return worker + 1;
}

int run(void* argument) {
    const auto& body = *static_cast<const std::function<void(unsigned)>*>(argument);
    body(rte_lcore_id() - 1);
    return 0;
}

}  // namespace

int numa_node_of_worker(unsigned worker) {
    return std::max(0, static_cast<int>(rte_lcore_to_socket_id(lcore_of(worker))));
}

Result<void> launch(unsigned workers, const std::function<void(unsigned)>& body) {
    for (unsigned worker = 0; worker < workers; ++worker) {
        auto* argument = const_cast<void*>(static_cast<const void*>(&body));
        if (const int status = rte_eal_remote_launch(run, argument, lcore_of(worker));
            status != 0) {
            return failure(
                fmt::format("worker {} cannot be started: {}", worker, rte_strerror(-status))
            );
        }
    }
    return {};
}

void join() {
    rte_eal_mp_wait_lcore();
}

}  // namespace sekisho::dpdk
