// Pools that contradict themselves, what stands around them, or the machine's memory.
#include "cases.h"

using namespace sekisho;
using namespace sekisho::config;

TEST_CASE("a pool whose ports are all given away is no policy's", "[config][pitfall-6]") {
    const std::string one = base_with(16, "    addresses: [203.0.113.5]");
    const std::string whole =
        "static-mappings:\n"
        "  - {internal-src-address: 100.64.0.9, external-src-address: 203.0.113.5}\n";
    const std::string found =
        "f:21:11: found the pool main, whose ports are all given away for good, wanted a pool that "
        "has ports left for subscribers";
    CHECK(mistakes_of(one + whole) == found);
    CHECK(mistakes_of(kBaseFile + whole).empty());
    const std::string ports =
        "static-mappings:\n"
        "  - {internal-src-address: 100.64.0.9, external-src-address: 203.0.113.5, "
        "internal-src-port: 1300-65535}\n";
    CHECK(mistakes_of(one + ports).empty());
    std::string reserved = one + ports;
    reserved.replace(reserved.find("    ports:"), 0, "    reserved-ports: [1024-1279]\n");
    CHECK(
        mistakes_of(reserved) ==
        "f:22:11: found the pool main, whose ports are all given away for good, wanted a pool that "
        "has ports left for subscribers"
    );
    std::string single = one + ports;
    single.replace(
        single.find("    ports:"),
        0,
        "    reserved-ports: [1024-1298]\n    port-selection: preserve\n"
    );
    CHECK(mistakes_of(single).empty());
}

TEST_CASE("what says nothing in a pool without blocks is a mistake there", "[config]") {
    check({
        {"an age",
         17,
         "    port-selection: preserve\n    block-max-age: 1h",
         "f:18:20: found block-max-age with port-selection: preserve, wanted one of them: such a "
         "pool has no blocks"},
        {"a first block",
         17,
         "    port-selection: preserve\n    keep-first-block: true",
         "f:18:23: found keep-first-block with port-selection: preserve, wanted one of them: such "
         "a "
         "pool has no blocks"},
    });
}

TEST_CASE("ports that are given out one by one are bounded over all pools", "[config]") {
    const auto pools = [](const char* selection, const char* first, const char* second) {
        return base_with(
            16,
            std::string("    addresses: [") + first + "]\n" + selection +
                "\n  - name: other\n    addresses: [" + second + "]\n" + selection
        );
    };
    const char* const preserve = "    port-selection: preserve";
    CHECK(mistakes_of(pools(preserve, "20.0.0.0/21", "21.0.0.0/21")).empty());
    CHECK(
        mistakes_of(pools(preserve, "20.0.0.0/20", "21.0.0.0/32")) ==
        "f:20:21: found port-selection: preserve for as much as 4097 addresses in all pools, "
        "wanted at "
        "most 4096"
    );
    const char* const low = "    ports: 1-65535\n    port-ranges: preserve";
    std::string ranges = pools(low, "20.0.0.0/15", "21.0.0.0/15");
    ranges.erase(ranges.find("    ports: 1024-65535\n"), 22);
    CHECK(mistakes_of(ranges).empty());
}
