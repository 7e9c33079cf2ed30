#include "dpdk/burst_door.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include <linux/membarrier.h>
#include <rte_interrupts.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace sekisho::dpdk {

namespace {

struct Doors {
    std::mutex lock;
    std::vector<BurstDoor*> all;
};

Doors& doors() {
    static Doors made;
    return made;
}

void rest() {
    const timespec pause{0, 20'000};
    nanosleep(&pause, nullptr);
}

}  // namespace

BurstDoor::BurstDoor() {
    // Registering a second time is no error.
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
    const std::lock_guard guard(doors().lock);
    doors().all.push_back(this);
}

BurstDoor::~BurstDoor() {
    const std::lock_guard guard(doors().lock);
    std::erase(doors().all, this);
}

// Every thread of the process has passed a full barrier when it returns. Where the kernel does not offer that, a pause far
// longer than any store stays in a store buffer.
void BurstDoor::make_visible() {
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0) {
        const timespec pause{0, 1'000'000};
        nanosleep(&pause, nullptr);
    }
}

void BurstDoor::wait_until_outside() const {
    const uint32_t seen = turns_.load(std::memory_order_acquire);
    while (seen % 2 == 1 && turns_.load(std::memory_order_acquire) == seen) {
        rest();
    }
}

void BurstDoor::close() {
    open_.store(false, std::memory_order_release);
    make_visible();
    wait_until_outside();
}

void BurstDoor::wait_for_all() {
    make_visible();
    const std::lock_guard guard(doors().lock);
    for (const BurstDoor* door : doors().all) {
        door->wait_until_outside();
    }
}

}  // namespace sekisho::dpdk

// Stands before the C library's, for every library of the process. Those who unmap in DPDK's interrupt thread have said
// already, by a flag that each burst looks at first, that the memory is gone: only bursts that began before still use it.
extern "C" int munmap(void* address, size_t length) {
    if (rte_thread_is_intr() != 0) {
        sekisho::dpdk::BurstDoor::wait_for_all();
    }
    return static_cast<int>(syscall(SYS_munmap, address, length));
}
