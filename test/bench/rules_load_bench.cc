// How long rules take as a file: read and checked, written, compared with a running set, and taken over.
//
//   rules_load_bench [RULES]   default: 100000
//
// Seconds of the wall clock, the least of three; on a shared machine the least are undisturbed.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>

#include <fmt/format.h>

#include "config/change.h"
#include "config/config.h"
#include "config/yaml_tree.h"

using namespace sekisho;          // NOLINT: a benchmark
using namespace sekisho::config;  // NOLINT

namespace {

constexpr unsigned kSamples = 3;
constexpr const char* kRest =
    "system: {workers: 1}\n"
    "links:\n"
    "  - {name: int0, device: af_packet:i0, realm: internal, addresses: [100.64.0.1/10]}\n"
    "  - {name: ext0, device: af_packet:e0, realm: external, addresses: [198.51.100.2/24]}\n"
    "pools: [{name: main, addresses: [203.0.113.0/28]}]\n"
    "policies: [{name: all, source: [100.64.0.0/10], pool: main}]\n"
    "rules:\n"
    "  - name: main\n"
    "    hook: forward\n"
    "    rules:\n";

std::string prefix(std::mt19937& random) {
    const auto length = static_cast<uint32_t>(16 + random() % 17);
    const auto mask = static_cast<uint32_t>(~uint64_t{0} << (32 - length));
    const uint32_t address = static_cast<uint32_t>(random()) & mask;
    return fmt::format(
        "{}.{}.{}.{}/{}",
        address >> 24,
        address >> 16 & 255,
        address >> 8 & 255,
        address & 255,
        length
    );
}

std::string text_with(size_t count) {
    std::mt19937 random(1);
    std::string text = kRest;
    for (size_t i = 0; i < count; ++i) {
        const auto port = static_cast<uint16_t>(random());
        text += fmt::format(
            "      - {{protocol: tcp, source: {}, destination: {}, destination-port: {}, action: "
            "{}}}\n",
            prefix(random),
            prefix(random),
            port,
            random() % 2 == 0 ? "accept" : "deny"
        );
    }
    return text;
}

void time(const char* what, const std::function<void()>& work) {
    using Clock = std::chrono::steady_clock;
    double least = 1e9;
    for (unsigned i = 0; i < kSamples; ++i) {
        const auto before = Clock::now();
        work();
        least = std::min(least, std::chrono::duration<double>(Clock::now() - before).count());
    }
    std::printf("  %-34s %8.3f s\n", what, least);
}

}  // namespace

int main(int count, char** arguments) {
    const size_t wanted = count > 1 ? std::strtoul(arguments[1], nullptr, 10) : 100'000;
    const MachineFacts machine{{0}, {}};
    const std::string text = text_with(wanted);
    std::string other = text;
    const size_t middle = other.find('\n', other.size() / 2);
    other.erase(middle, other.find('\n', middle + 1) - middle);  // without a rule in the middle
    const Checked running = parse(text, "running", machine);
    const Checked changed = parse(other, "changed", machine);
    if (!running.config || !changed.config) {
        std::fputs("the rules are not read\n", stderr);
        return 1;
    }
    std::printf("%zu rules, %zu bytes\n", running.config->rules.set.rule_count(), text.size());
    time("read and checked", [&] { (void)parse(text, "running", machine); });
    time("  of which the YAML as a tree", [&] { (void)read_tree(text, "running"); });
    time("written", [&] { (void)to_yaml(*running.config); });
    time("compared, one rule less", [&] {
        (void)compare(*running.config, *changed.config, *running.config);
    });
    time("taken over, one rule less", [&] {
        Config next = *running.config;
        adopt(*changed.config, *running.config, next);
    });
    return 0;
}
