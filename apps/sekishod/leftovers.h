// What a sekishod that was killed has left behind: the state arenas in shared memory and DPDK's run-time folders.
//
//   Law       only what belongs to no living process is removed: an arena whose lock is free, a folder whose process is
//             gone. Thread: start-up.
#pragma once

#include <string>
#include <vector>

namespace sekisho::daemon {

// Where arenas may lie: shared memory and, if one is mounted, the hugetlbfs, where a leftover would keep its huge pages.
std::vector<std::string> arena_folders();

// Removes them and returns how many there were. A folder that is not there holds none.
unsigned remove_leftovers(
    const std::vector<std::string>& arena_folders, const std::string& run_time_parent
);

}  // namespace sekisho::daemon
