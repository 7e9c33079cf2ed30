// The alternative that was not taken (doc/adr): rte_acl on the same rules and packets as `sekisho-bench rules`.
//
//   Asks      for the best match alone, of the rules that end the walk: less than the walk needs.
//   Usage     acl_bench KIND RULES [RUNS]     one line: cycles a packet in bursts of 32, seconds to build, bytes.
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <rte_acl.h>
#include <rte_eal.h>
#include <rte_malloc.h>
#include <unistd.h>

#include "sekisho-bench/measure.h"
#include "sekisho-bench/rule_maker.h"

namespace {

using namespace sekisho;
using namespace sekisho::bench;
using rules::Condition;

struct Tuple {  // network order
    uint8_t protocol;
    uint8_t padding[3];
    uint32_t source;
    uint32_t destination;
    uint16_t source_port;
    uint16_t destination_port;
};
constexpr unsigned kFields = 5;
RTE_ACL_RULE_DEF(AclRule, kFields);

constexpr std::array<rte_acl_field_def, kFields> kDefinitions = {{
    {RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, 0, offsetof(Tuple, protocol)},
    {RTE_ACL_FIELD_TYPE_MASK, 4, 1, 1, offsetof(Tuple, source)},
    {RTE_ACL_FIELD_TYPE_MASK, 4, 2, 2, offsetof(Tuple, destination)},
    {RTE_ACL_FIELD_TYPE_RANGE, 2, 3, 3, offsetof(Tuple, source_port)},
    {RTE_ACL_FIELD_TYPE_RANGE, 2, 4, 3, offsetof(Tuple, destination_port)},
}};

AclRule acl_rule(const rules::Rule& rule, uint32_t position, uint32_t count) {
    AclRule made{};
    made.data.category_mask = 1;
    made.data.priority = static_cast<int32_t>(count - position);
    made.data.userdata = position + 1;
    made.field[3].mask_range.u16 = 0xffff;
    made.field[4].mask_range.u16 = 0xffff;
    for (const Condition& condition : rule.conditions) {
        if (const auto* protocol = std::get_if<rules::ProtocolTest>(&condition.test)) {
            for (unsigned value = 0; value < 256; ++value) {
                if (protocol->protocols.has(static_cast<uint8_t>(value))) {
                    made.field[0].value.u8 = static_cast<uint8_t>(value);
                    made.field[0].mask_range.u8 = 0xff;
                }
            }
        } else if (const auto* address = std::get_if<rules::AddressTest>(&condition.test)) {
            const rules::AddressRange& range = address->ranges.front();
            const uint32_t differing = range.first.host() ^ range.last.host();
            rte_acl_field& field = made.field[address->side == rules::Side::kSource ? 1 : 2];
            field.value.u32 = range.first.host();
            field.mask_range.u32 = static_cast<uint32_t>(std::countl_zero(differing));
        } else if (const auto* ports = std::get_if<rules::PortTest>(&condition.test)) {
            rte_acl_field& field = made.field[ports->side == rules::Side::kSource ? 3 : 4];
            field.value.u16 = ports->ranges.front().first;
            field.mask_range.u16 = ports->ranges.front().last;
        }
    }
    return made;
}

size_t heap_bytes() {
    rte_malloc_socket_stats stats{};
    rte_malloc_get_socket_stats(0, &stats);
    return stats.heap_allocsz_bytes;
}

int start_eal() {
    std::string prefix = "--file-prefix=acl-bench-" + std::to_string(getpid());
    std::array<std::string, 8> words = {
        "acl_bench",
        "--no-huge",
        "-m",
        "12288",
        "--no-shconf",
        "--no-pci",
        "--log-level=1",
        prefix};
    std::array<char*, 8> arguments{};
    for (size_t i = 0; i < words.size(); ++i) {
        arguments[i] = words[i].data();
    }
    return rte_eal_init(static_cast<int>(arguments.size()), arguments.data());
}

int fail(const char* what) {
    std::fprintf(stderr, "acl_bench: %s\n", what);
    return 1;
}

int measure(const std::string& kind, uint32_t count, unsigned runs) {
    const MadeRules made = make_rules(*kind_of(kind), count, 1);
    const auto& list = made.set.chain(made.chain)->rules;
    rte_acl_param parameters{"bench", 0, sizeof(AclRule), count};
    rte_acl_ctx* acl = rte_acl_create(&parameters);
    if (acl == nullptr) {
        return fail("rte_acl_create");
    }
    for (uint32_t i = 0; i < count; ++i) {
        const AclRule rule = acl_rule(*list[i], i, count);
        if (list[i]->deciding() != nullptr &&
            rte_acl_add_rules(acl, reinterpret_cast<const rte_acl_rule*>(&rule), 1) != 0) {
            return fail("rte_acl_add_rules");
        }
    }
    rte_acl_config config{1, kFields, {}, 0};
    std::copy(kDefinitions.begin(), kDefinitions.end(), config.defs);
    const size_t before = heap_bytes();
    const Stopwatch building;
    if (rte_acl_build(acl, &config) != 0) {
        return fail("rte_acl_build");
    }
    const double seconds = building.seconds();
    const size_t bytes = heap_bytes() - before;

    std::mt19937_64 random(1);
    std::vector<Tuple> packets(1 << 18);
    for (Tuple& packet : packets) {
        const rules::RulePacket p = packet_for(*list[random() % list.size()], random);
        packet = {
            p.protocol,
            {},
            p.source.raw,
            p.destination.raw,
            p.source_port.raw,
            p.destination_port.raw};
    }
    std::vector<double> cycles;
    uint64_t found = 0;
    for (unsigned run = 0; run <= runs; ++run) {
        const Stopwatch watch;
        for (size_t first = 0; first < packets.size(); first += 32) {
            std::array<const uint8_t*, 32> data{};
            std::array<uint32_t, 32> results{};
            for (size_t i = 0; i < 32; ++i) {
                data[i] = reinterpret_cast<const uint8_t*>(&packets[first + i]);
            }
            rte_acl_classify(acl, data.data(), results.data(), 32, 1);
            found += results[0] != 0 ? 1 : 0;
        }
        if (run > 0) {  // the first one warms up
            cycles.push_back(
                static_cast<double>(watch.cycles()) / static_cast<double>(packets.size())
            );
        }
    }
    const Summary s = Summary::of(cycles);
    std::printf(
        "%s %u rules: %.1f / %.1f / %.1f cycles, %.2f s to build, %zu bytes, %.3f found\n",
        kind.c_str(),
        count,
        s.min,
        s.median,
        s.max,
        seconds,
        bytes,
        static_cast<double>(found) * 32 / static_cast<double>(packets.size() * (runs + 1))
    );
    rte_acl_free(acl);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string kind = argc > 1 ? argv[1] : "acl";
    const auto count = static_cast<uint32_t>(argc > 2 ? std::atoi(argv[2]) : 1000);
    const auto runs = static_cast<unsigned>(argc > 3 ? std::atoi(argv[3]) : 7);
    if (!kind_of(kind) || count == 0 || start_eal() < 0) {
        return fail("KIND is acl, fw or ipc, RULES is a number; and DPDK wants 12 GiB to be had");
    }
    const std::string folder = rte_eal_get_runtime_dir();
    const int status = measure(kind, count, runs);
    rte_eal_cleanup();
    std::filesystem::remove_all(folder);  // which EAL makes even where it shares nothing
    return status;
}
