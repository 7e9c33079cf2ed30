#include "dpdk/eal.h"

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

namespace sekisho::dpdk {

std::vector<std::string> eal_arguments(const EalPlan& plan) {
    // lcore 0 is the main thread, which only waits; it floats over the CPUs that are left to it.
    std::string lcores = fmt::format("0@({})", fmt::join(plan.other_cpus, ","));
    for (size_t i = 0; i < plan.worker_cpus.size(); ++i) {
        lcores += fmt::format(",{}@{}", i + 1, plan.worker_cpus[i]);
    }
    std::vector<std::string> arguments = {
        "sekishod",
        "--lcores",
        lcores,
        "--main-lcore",
        "0",
        "--log-level",
        "lib.*:error",
        "--log-level",
        "pmd.*:error",
        "--no-telemetry",
        "--file-prefix",
        plan.prefix,
    };
    if (plan.huge_pages) {
        arguments.insert(arguments.end(), {"--in-memory"});
        if (plan.shares_memory) {
            arguments.insert(arguments.end(), {"--single-file-segments"});
        }
    } else {
        arguments.insert(
            arguments.end(), {"--no-huge", "--no-shconf", "-m", std::to_string(plan.memory_mb)}
        );
    }
    if (plan.pci.empty()) {
        arguments.insert(arguments.end(), {"--no-pci", "--iova-mode", "va"});
    }
    for (const auto& address : plan.pci) {
        arguments.insert(arguments.end(), {"-a", address});
    }
    return arguments;
}

bool huge_pages_free(unsigned memory_mb) {
    namespace fs = std::filesystem;
    std::error_code error;
    uint64_t free_kb = 0;
    for (const auto& entry : fs::directory_iterator("/sys/kernel/mm/hugepages", error)) {
        unsigned kb = 0;
        uint64_t pages = 0;
        if (std::sscanf(entry.path().filename().c_str(), "hugepages-%ukB", &kb) == 1 &&
            std::ifstream(entry.path() / "free_hugepages") >> pages) {
            free_kb += pages * kb;
        }
    }
    return free_kb / 1024 >= memory_mb;
}

unsigned memory_available_mb() {
    std::ifstream facts("/proc/meminfo");
    for (std::string line; std::getline(facts, line);) {
        unsigned long kb = 0;
        if (std::sscanf(line.c_str(), "MemAvailable: %lu kB", &kb) == 1) {
            return static_cast<unsigned>(kb / 1024);
        }
    }
    return 0;
}

Result<void> check_memory(unsigned wanted_mb, unsigned available_mb) {
    if (available_mb == 0 || wanted_mb <= available_mb) {
        return {};
    }
    return failure(fmt::format(
        "{} MiB of memory are wanted for packet buffers and {} MiB are free; loop over a shorter "
        "capture, or configure fewer links or shards",
        wanted_mb,
        available_mb
    ));
}

// DPDK's own threads may log meanwhile.
std::string Eal::logged() {
    std::string line;
    flockfile(log_);
    std::fflush(log_);
    for (size_t at = 0; at < log_size_ && line.empty();) {
        const char* start = log_text_ + at;
        const char* end = static_cast<const char*>(memchr(start, '\n', log_size_ - at));
        const size_t length = end != nullptr ? static_cast<size_t>(end - start) : log_size_ - at;
        line.assign(start, length);
        at += length + 1;
    }
    std::rewind(log_);
    std::fflush(log_);
    funlockfile(log_);
    return line;
}

namespace {

// A library below DPDK's AF_XDP driver, if it is loaded: it writes to standard error on its own, and DPDK tells its failures.
void silence(const char* library, const char* set_print) {
    using SetPrint = void* (*)(void*);
    void* handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    if (handle == nullptr) {
        return;
    }
    if (void* found = dlsym(handle, set_print); found != nullptr) {
        std::bit_cast<SetPrint>(found)(nullptr);
    }
    dlclose(handle);
}

}  // namespace

Result<std::unique_ptr<Eal>> Eal::start(const EalPlan& plan) {
    std::unique_ptr<Eal> eal(new Eal);
    eal->log_ = open_memstream(&eal->log_text_, &eal->log_size_);
    if (eal->log_ == nullptr) {
        return failure("no memory for DPDK's log");
    }
    rte_openlog_stream(eal->log_);
    std::vector<std::string> arguments = eal_arguments(plan);
    std::vector<char*> argv;
    argv.reserve(arguments.size());
    for (auto& argument : arguments) {
        argv.push_back(argument.data());
    }
    if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
        return failure(
            fmt::format("DPDK cannot start: {} ({})", rte_strerror(rte_errno), eal->logged())
        );
    }
    eal->said_at_start_ = eal->logged();
    eal->run_time_folder_ = rte_eal_get_runtime_dir();
    silence("libbpf.so.1", "libbpf_set_print");
    silence("libxdp.so.1", "libxdp_set_print");
    return eal;
}

Eal::~Eal() {
    rte_eal_cleanup();
    rte_openlog_stream(nullptr);
    if (log_ != nullptr) {
        std::fclose(log_);
        std::free(log_text_);
    }
    // EAL leaves its run-time folder behind, even when it shares nothing.
    if (!run_time_folder_.empty()) {
        std::error_code error;
        std::filesystem::remove_all(run_time_folder_, error);
    }
}

}  // namespace sekisho::dpdk
