#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <unistd.h>

#include "dpdk/huge_page_mount.h"
#include "dpdk/launch.h"
#include "sekisho-bench/rig.h"

namespace sekisho::bench {
namespace {

constexpr unsigned kLinks = 2;
constexpr unsigned kOtherBuffers = 4096;  // rings, held lists and the pool's cache

constexpr unsigned buffers_for(unsigned rigs) {
    return rigs * (kLinks * flowgen::kBuffersPerLink + flowgen::kSlack + kOtherBuffers);
}

// EAL makes it even where it shares nothing.
void remove_run_time_folder(const std::string& prefix) {
    std::string base = "/var/run";
    if (getuid() != 0) {
        const char* own = std::getenv("XDG_RUNTIME_DIR");
        base = own != nullptr ? own : "/tmp";
    }
    std::error_code error;
    std::filesystem::remove_all(fmt::format("{}/dpdk/{}", base, prefix), error);
}

std::vector<unsigned> cpus_of_process() {
    std::vector<unsigned> cpus;
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof(set), &set);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &set)) {
            cpus.push_back(cpu);
        }
    }
    return cpus;
}

}  // namespace

SignalPause::SignalPause() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        sigaddset(&set, number);
    }
    pthread_sigmask(SIG_BLOCK, &set, &before_);
}

Result<std::vector<unsigned>> choose_cpus(const std::vector<unsigned>& wished, unsigned workers) {
    std::vector<unsigned> cpus = cpus_of_process();
    const std::string usable = fmt::format("{}", fmt::join(cpus, " "));
    for (const unsigned cpu : wished) {
        if (std::ranges::find(cpus, cpu) == cpus.end()) {
            return failure(fmt::format("--cpu {}: this process may run on {}", cpu, usable));
        }
        if (std::ranges::count(wished, cpu) > 1) {
            return failure(fmt::format("--cpu {}: given twice", cpu));
        }
    }
    if (workers > cpus.size()) {
        return failure(fmt::format(
            "--workers {}: a CPU for each is wanted, and this process may run on {}",
            workers,
            usable
        ));
    }
    if (wished.size() > 1 && wished.size() != workers) {
        return failure(fmt::format("--workers {}: {} CPUs are named", workers, wished.size()));
    }
    if (wished.size() == 1) {
        std::rotate(cpus.begin(), std::ranges::find(cpus, wished.front()), cpus.end());
    }
    cpus.resize(workers);
    return wished.size() > 1 ? wished : cpus;
}

void stay_on(unsigned cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

Result<std::unique_ptr<Machine>> Machine::create(const std::vector<unsigned>& cpus, unsigned rigs) {
    std::unique_ptr<Machine> machine(new Machine);
    const auto workers = static_cast<unsigned>(cpus.size());
    const unsigned buffers = buffers_for(rigs);
    const auto memory_for = [&](bool huge_pages) {
        const size_t bytes = workers * dpdk::MbufStore::bytes_for(buffers, huge_pages);
        return static_cast<unsigned>((bytes >> 20) + 64);
    };
    dpdk::EalPlan plan;
    plan.other_cpus = {cpus.front()};  // the main thread is the first worker
    plan.worker_cpus.assign(cpus.begin() + 1, cpus.end());
    plan.huge_pages = dpdk::huge_pages_free(memory_for(true));
    plan.memory_mb = memory_for(plan.huge_pages);
    plan.prefix = fmt::format("sekisho-bench-{}", getpid());
    auto eal = dpdk::Eal::start(plan);
    remove_run_time_folder(plan.prefix);
    if (!eal) {
        return tl::unexpected(eal.error());
    }
    machine->eal_ = std::move(*eal);
    if (plan.huge_pages) {
        machine->huge_directory_ = dpdk::huge_page_mount();
    }
    for (unsigned worker = 0; worker < workers; ++worker) {
        const int node = worker == 0 ? 0 : dpdk::numa_node_of_worker(worker - 1);
        auto store = dpdk::MbufStore::create(worker, buffers, plan.huge_pages, node);
        if (!store) {
            return tl::unexpected(store.error());
        }
        machine->stores_.push_back(std::move(*store));
    }
    return machine;
}

// The first worker is the main thread itself, DPDK's lcores are the others.
void Machine::run_on_workers(const std::function<void(unsigned)>& body) {
    const std::function<void(unsigned)> others = [&](unsigned lcore) { body(lcore + 1); };
    [[maybe_unused]] const auto launched = dpdk::launch(workers() - 1, others);
    assert(launched);  // an idle lcore cannot refuse
    body(0);
    dpdk::join();
}

void Machine::touch_buffers() {
    for (auto& store : stores_) {
        std::vector<PacketRef> packets;
        for (PacketRef packet = store->allocate(); packet.handle != nullptr;
             packet = store->allocate()) {
            std::memset(packet.data, 0, packet::kBufferRoom);
            packets.push_back(packet);
        }
        store->free(packets);
    }
}

}  // namespace sekisho::bench
