// Eal: DPDK's environment, started from the configuration and ended cleanly.
//
//   Errors    start() fails with one sentence; what EAL itself logged is kept and quoted in it.
//   Thread    start and end by the main thread. EAL can be started once a process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace sekisho::dpdk {

struct EalPlan {
    std::vector<unsigned> worker_cpus;  // worker i runs on lcore i + 1
    std::vector<unsigned> other_cpus;   // where the main thread may run
    unsigned memory_mb = 64;            // for buffers and queues
    bool huge_pages = false;
    bool shares_memory = false;    // with a far end (virtio_user), which takes few pieces of it
    std::vector<std::string> pci;  // addresses to claim
    std::string prefix;            // distinct for each process
};

// The command line that EAL gets. Pure.
std::vector<std::string> eal_arguments(const EalPlan& plan);

// Whether `memory_mb` of huge pages are free now.
bool huge_pages_free(unsigned memory_mb);

// Memory that the machine could give now, in MiB (MemAvailable); 0 if it does not say.
unsigned memory_available_mb();

// Whether `wanted_mb` of ordinary memory are to be had: the kernel promises more than there is and
// kills a process later. 0 available: not known.
Result<void> check_memory(unsigned wanted_mb, unsigned available_mb);

class Eal {
  public:
    static Result<std::unique_ptr<Eal>> start(const EalPlan& plan);
    ~Eal();
    Eal(const Eal&) = delete;
    Eal& operator=(const Eal&) = delete;

    // The first line that DPDK has logged since the last call: the driver's own words, before those
    // of the layers above it. For the sentence of a failure. Forgets all of them.
    std::string logged();
    // The first line that it logged while it started and went on all the same: why it left out a PCI device.
    const std::string& said_at_start() const { return said_at_start_; }

  private:
    Eal() = default;
    std::string run_time_folder_;
    std::string said_at_start_;
    char* log_text_ = nullptr;
    size_t log_size_ = 0;
    FILE* log_ = nullptr;
};

}  // namespace sekisho::dpdk
