// Where the kernel's huge pages can be had as files.
//
//   Thread    start-up.
#pragma once

#include <string>

namespace sekisho::dpdk {

// The first hugetlbfs that is mounted; empty: none.
std::string huge_page_mount();

}  // namespace sekisho::dpdk
