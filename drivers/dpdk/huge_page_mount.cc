#include "dpdk/huge_page_mount.h"

#include <fstream>
#include <sstream>

namespace sekisho::dpdk {

std::string huge_page_mount() {
    std::ifstream mounts("/proc/mounts");
    std::string device;
    std::string place;
    std::string type;
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream(line) >> device >> place >> type;
        if (type == "hugetlbfs") {
            return place;
        }
    }
    return {};
}

}  // namespace sekisho::dpdk
