// BurstDoor: tells the control thread when no burst is inside a queue's driver, and keeps the worker out meanwhile.
//
//   Why       DPDK's drivers want nobody inside while a port is stopped or made anew. net_memif besides unmaps its rings
//             from DPDK's interrupt thread when the far end goes, whoever reads in them: so munmap() itself waits here,
//             in that thread, for the bursts that are under way (burst_door.cc).
//   How       one writer a door, two plain stores and a load a burst; the waiting side makes them visible with
//             membarrier(2), so the worker needs no fence.
//   Thread    enter() and leave() by the queue's worker; the others by any other thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace sekisho::dpdk {

class BurstDoor {
  public:
    BurstDoor();
    ~BurstDoor();
    BurstDoor(const BurstDoor&) = delete;
    BurstDoor& operator=(const BurstDoor&) = delete;

    // False: the door is closed, and the driver must not be called.
    bool enter() {
        turns_.store(turns_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        if (open_.load(std::memory_order_acquire)) [[likely]] {
            return true;
        }
        leave();
        return false;
    }
    void leave() {
        turns_.store(turns_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }

    void open() { open_.store(true, std::memory_order_release); }
    // Returns when the worker is outside, and stays there.
    void close();

    // Returns when every burst that is under way, at any door, has ended.
    static void wait_for_all();

  private:
    static void make_visible();
    void wait_until_outside() const;

    std::atomic<bool> open_{true};
    std::atomic<uint32_t> turns_{0};  // odd: inside
};

}  // namespace sekisho::dpdk
