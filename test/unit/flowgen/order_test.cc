#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

#include "flowgen/flow_plan.h"
#include "flowgen/pass_order.h"

using namespace sekisho;
using namespace sekisho::flowgen;

namespace {

std::vector<uint32_t> whole_pass(PassOrder& order, unsigned burst) {
    std::vector<uint32_t> all;
    std::vector<uint32_t> some(burst);
    for (unsigned n = order.take(some); n > 0; n = order.take(some)) {
        all.insert(all.end(), some.begin(), some.begin() + n);
    }
    return all;
}

}  // namespace

TEST_CASE("a pass has every session once, for any number of them", "[flowgen]") {
    for (const uint32_t count : {1U, 2U, 3U, 31U, 32U, 33U, 1000U, 1024U, 1025U, 65537U}) {
        PassOrder order(count, count);
        for (int pass = 0; pass < 3; ++pass) {
            std::vector<uint32_t> all = whole_pass(order, 32);
            CHECK(order.is_over());
            std::ranges::sort(all);
            std::vector<uint32_t> wanted(count);
            std::iota(wanted.begin(), wanted.end(), 0U);
            INFO(count);
            CHECK(all == wanted);
            order.start_pass();
        }
    }
}

TEST_CASE("each pass has an order of its own, and neighbours do not stay together", "[flowgen]") {
    constexpr uint32_t kCount = 4096;
    PassOrder order(kCount, 7);
    std::set<std::vector<uint32_t>> orders;
    unsigned pairs = 0;
    for (int pass = 0; pass < 8; ++pass) {
        const std::vector<uint32_t> all = whole_pass(order, 32);
        for (size_t i = 1; i < all.size(); ++i) {
            pairs += all[i] / 8 == all[i - 1] / 8;  // of one line
        }
        orders.insert(all);
        order.start_pass();
    }
    CHECK(orders.size() == 8);
    CHECK(pairs < 8 * kCount / 100);
}

TEST_CASE("the division by a number known late is exact", "[flowgen]") {
    for (const uint32_t by : {1U, 2U, 3U, 7U, 64U, 1000U, 64511U, 0x7fffffffU, 0xffffffffU}) {
        const Divisor divide(by);
        for (const uint32_t n :
             {0U,
              1U,
              by - 1,
              by,
              by + 1,
              2 * by - 1,
              2 * by,
              0x7fffffffU,
              0xfffffffeU,
              0xffffffffU}) {
            INFO(n << " by " << by);
            CHECK(divide(n) == n / by);
        }
    }
}

TEST_CASE("sessions have endpoints of their own; fan-out shares the internal one", "[flowgen]") {
    config::FlowgenProfile profile;
    profile.subscribers = 7;
    profile.sessions = 12;
    profile.flows = 84;
    for (const uint32_t fan_out : {1U, 4U, 5U}) {
        profile.fan_out = fan_out;
        const FlowPlan plan(profile);
        std::set<std::pair<uint32_t, uint16_t>> internal;
        std::set<std::array<uint32_t, 3>> whole;
        for (uint32_t s = 0; s < plan.flows(); ++s) {
            const Ends ends = plan.ends_of(s);
            internal.insert({ends.internal.raw, ends.internal_port.raw});
            whole.insert({ends.internal.raw, ends.internal_port.raw, ends.remote.raw});
        }
        CHECK(whole.size() == 84);
        CHECK(internal.size() == 7 * ((12 + fan_out - 1) / fan_out));
        CHECK(internal.size() == plan.endpoints());
    }
}

TEST_CASE("sessions that share an internal endpoint are of one protocol", "[flowgen]") {
    config::FlowgenProfile profile;
    profile.subscribers = 7;
    profile.sessions = 16;
    profile.flows = 100;
    profile.protocol = config::FlowgenProtocol::kMix;
    for (const uint32_t fan_out : {2U, 3U, 5U, 32U}) {
        INFO(fan_out);
        profile.fan_out = fan_out;
        const FlowPlan plan(profile);
        std::map<std::pair<uint32_t, uint16_t>, std::set<Protocol>> protocols;
        for (uint32_t s = 0; s < plan.flows(); ++s) {
            const Ends ends = plan.ends_of(s);
            protocols[{ends.internal.raw, ends.internal_port.raw}].insert(plan.protocol_of(s));
        }
        CHECK(protocols.size() == plan.endpoints());
        CHECK(std::ranges::all_of(protocols, [](const auto& of) { return of.second.size() == 1; }));
    }
}
