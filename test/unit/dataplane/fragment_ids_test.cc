#include "dataplane/fragment_ids.h"

#include <algorithm>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

namespace sekisho::dataplane {
namespace {

constexpr HashSecret kSecret{{1, 2, 3, 4}};
constexpr Ipv4Addr kExternal = Ipv4Addr::of(203, 0, 113, 1);
constexpr Ipv4Addr kRemote = Ipv4Addr::of(192, 0, 2, 80);

}  // namespace

TEST_CASE(
    "no identification comes twice before the shard's part is used up, on any number of shards",
    "[fragments][rfc6864][rfc7857-10]"
) {
    for (const unsigned shards : {1U, 2U, 3U, 7U, 8U, 64U}) {
        CAPTURE(shards);
        std::vector<unsigned> given(65536);
        for (unsigned shard = 0; shard < shards; ++shard) {
            FragmentIds ids(kSecret, ShardId{static_cast<uint8_t>(shard)}, shards);
            CHECK(ids.part_size() == 65536 / shards);
            for (uint32_t i = 0; i < ids.part_size(); ++i) {
                ++given[ids.next(kExternal, kRemote, 17).host()];
            }
        }
        CHECK(*std::max_element(given.begin(), given.end()) == 1);
    }
}

TEST_CASE("the next identification cannot be told from the last", "[fragments][rfc6864]") {
    FragmentIds ids(kSecret, ShardId{0}, 2);
    std::set<uint16_t> steps;
    uint16_t last = ids.next(kExternal, kRemote, 17).host();
    for (unsigned i = 0; i < 1000; ++i) {
        const uint16_t next = ids.next(kExternal, kRemote, 17).host();
        steps.insert(static_cast<uint16_t>(next - last));
        last = next;
    }
    CHECK(steps.size() > 500);
}

}  // namespace sekisho::dataplane
