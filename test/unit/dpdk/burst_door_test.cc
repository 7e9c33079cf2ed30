#include "dpdk/burst_door.h"

#include <memory>
#include <thread>

#include <catch2/catch.hpp>

using namespace sekisho::dpdk;

namespace {

// A worker that uses what the door guards in burst after burst, as long as it is let in.
class Worker {
  public:
    Worker(BurstDoor& door, std::atomic<int*>& guarded)
        : thread_([this, &door, &guarded] {
              while (!stop_.load()) {
                  if (door.enter()) {
                      for (int i = 0; i < 50; ++i) {
                          used_ += *guarded.load(std::memory_order_relaxed);
                      }
                      door.leave();
                      bursts_.fetch_add(1);
                  }
              }
          }) {}
    ~Worker() {
        stop_.store(true);
        thread_.join();
    }
    void wait_for_a_burst() const {
        const unsigned before = bursts_.load();
        while (bursts_.load() == before) {
            std::this_thread::yield();
        }
    }
    unsigned bursts() const { return bursts_.load(); }

  private:
    std::atomic<bool> stop_{false};
    std::atomic<unsigned> bursts_{0};
    long used_ = 0;
    std::thread thread_;
};

}  // namespace

TEST_CASE("nobody is inside while a door is closed", "[dpdk]") {
    BurstDoor door;
    auto memory = std::make_unique<int>(1);
    std::atomic<int*> guarded{memory.get()};
    const Worker worker(door, guarded);
    for (int round = 0; round < 200; ++round) {
        worker.wait_for_a_burst();
        door.close();
        guarded.store(nullptr);  // a burst that is still inside would not survive this
        memory = std::make_unique<int>(round);
        const unsigned bursts = worker.bursts();
        std::this_thread::yield();
        CHECK(worker.bursts() <= bursts + 1);
        guarded.store(memory.get());
        door.open();
    }
    worker.wait_for_a_burst();
}

TEST_CASE("waiting for all ends although bursts go on", "[dpdk]") {
    BurstDoor first;
    BurstDoor second;
    int value = 1;
    std::atomic<int*> guarded{&value};
    const Worker one(first, guarded);
    const Worker two(second, guarded);
    for (int round = 0; round < 100; ++round) {
        one.wait_for_a_burst();
        BurstDoor::wait_for_all();
    }
    CHECK(first.enter());
    first.leave();
}
