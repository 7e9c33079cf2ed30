// What a sekishod that was killed has left behind: the state arenas in shared memory and DPDK's run-time folders.
//
//   Law       only what belongs to no living process is removed: an arena whose lock is free, a folder whose process is
//             gone. Thread: start-up.
#pragma once

#include <string>

namespace sekisho::daemon {

// Removes them and returns how many there were.
unsigned remove_leftovers(const std::string& shared_memory, const std::string& run_time_parent);

}  // namespace sekisho::daemon
