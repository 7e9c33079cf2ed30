#include "nat/remote_claims.h"

#include <atomic>
#include <map>
#include <random>
#include <thread>
#include <tuple>

#include <catch2/catch.hpp>

namespace sekisho::nat {
namespace {

using Answer = RemoteClaims::Answer;

constexpr HashSecret kSecret{{1, 2, 3, 4}};
constexpr Protocol kProtocols[] = {
    Protocol::kSctp, Protocol::kDccp, Protocol::kUdpLite, Protocol::kGre, Protocol::kEsp};

Ipv4Addr remote(uint32_t n) {
    return Ipv4Addr::from_host(0xc0000200 + n);
}

TEST_CASE("claims agree with a map", "[nat][claims]") {
    RemoteClaims claims(2000, kSecret);
    std::map<std::tuple<uint32_t, uint8_t, uint32_t>, uint8_t> model;
    std::mt19937 source(7);
    const auto random = [&source] { return static_cast<uint32_t>(source()); };
    for (unsigned step = 0; step < 200000; ++step) {
        const ExternalIndex external{random() % 4 * 349525};  // up to 2^20 - 1
        const Protocol protocol = kProtocols[random() % 5];
        const Ipv4Addr to = remote(random() % 150);
        const ShardId shard{static_cast<uint8_t>(random() % 64)};
        const std::tuple key{external.value, static_cast<uint8_t>(protocol), to.raw};
        const auto known = model.find(key);
        const auto found = claims.find(external, protocol, to);
        REQUIRE(found.has_value() == (known != model.end()));
        REQUIRE((!found || found->value == known->second));
        if (known == model.end()) {
            const bool fits = model.size() < claims.capacity();
            const Answer answer = claims.claim(external, protocol, to, shard);
            REQUIRE(answer == (fits ? Answer::kGranted : Answer::kFull));
            if (fits) {
                model[key] = shard.value;
            }
        } else if (random() % 3 != 0) {
            REQUIRE(claims.claim(external, protocol, to, shard) == Answer::kTaken);
        } else {
            claims.release(external, protocol, to, {static_cast<uint8_t>(known->second ^ 1)});
            REQUIRE(claims.find(external, protocol, to));  // not that shard's
            claims.release(external, protocol, to, {known->second});
            model.erase(known);
        }
        REQUIRE(claims.size() == model.size());
    }
}

TEST_CASE(
    "a flow is claimed by all that names it, beside the claims of remote addresses", "[nat][claims]"
) {
    RemoteClaims claims(8, kSecret);
    const auto flow = [](uint32_t from, uint16_t port, Protocol protocol) {
        return FlowKey::of(
            remote(from),
            remote(200),
            Port::from_host(4000),
            Port::from_host(port),
            protocol,
            kExternalRealm
        );
    };
    const FlowKey one = flow(1, 80, Protocol::kTcp);
    CHECK(claims.claim_flow(one, ShardId{3}) == Answer::kGranted);
    CHECK(claims.claim_flow(one, ShardId{4}) == Answer::kTaken);
    CHECK(claims.find_flow(one) == ShardId{3});
    for (const FlowKey& other :
         {flow(2, 80, Protocol::kTcp), flow(1, 81, Protocol::kTcp), flow(1, 80, Protocol::kUdp)}) {
        CHECK(!claims.find_flow(other));
        CHECK(claims.claim_flow(other, ShardId{5}) == Answer::kGranted);
    }
    CHECK(
        claims.claim(ExternalIndex{7}, Protocol::kGre, remote(1), ShardId{1}) == Answer::kGranted
    );
    CHECK(claims.size() == 5);
    claims.release_flow(one, ShardId{4});  // not that shard's
    CHECK(claims.find_flow(one) == ShardId{3});
    claims.release_flow(one, ShardId{3});
    CHECK(!claims.find_flow(one));
    CHECK(claims.size() == 4);
}

TEST_CASE("every claim of a full table has found its place", "[nat][claims]") {
    for (const uint32_t most : {1U, 7U, 65536U}) {
        RemoteClaims claims(most, kSecret);
        for (uint32_t n = 0; n < most; ++n) {
            REQUIRE(claims.claim({n % 5}, Protocol::kGre, remote(n), {}) == Answer::kGranted);
        }
        CHECK(claims.claim({0}, Protocol::kGre, remote(most), {}) == Answer::kFull);
        CHECK(claims.size() == most);
    }
}

TEST_CASE("of two shards that claim the same at once at most one gets it", "[nat][claims]") {
    RemoteClaims claims(64, kSecret);
    constexpr unsigned kRounds = 200000;
    std::atomic<unsigned> holders = 0;
    std::atomic<unsigned> twice = 0;
    const auto claim_and_release = [&](uint8_t shard) {
        for (unsigned n = 0; n < kRounds; ++n) {
            const Ipv4Addr to = remote(n % 3);
            if (claims.claim({1}, Protocol::kEsp, to, {shard}) == Answer::kGranted) {
                // One word for the three remote addresses would hide nothing: each thread holds one at a time.
                const unsigned bit = 1U << (n % 3);
                twice += (holders.fetch_or(bit) & bit) != 0 ? 1 : 0;
                holders.fetch_and(~bit);
                claims.release({1}, Protocol::kEsp, to, {shard});
            }
        }
    };
    std::thread other(claim_and_release, uint8_t{1});
    claim_and_release(0);
    other.join();
    CHECK(twice == 0);
    CHECK(claims.size() == 0);
    for (unsigned n = 0; n < 3; ++n) {
        CHECK(claims.claim({1}, Protocol::kEsp, remote(n), {}) == Answer::kGranted);
    }
}

}  // namespace
}  // namespace sekisho::nat
