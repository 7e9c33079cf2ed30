#include <atomic>
#include <random>
#include <thread>

#include "dataplane/slow_path_limits.h"
#include "slow_path_rig.h"

using namespace sekisho;
using namespace sekisho::test;

namespace {

ByteVector echo_to_us() {
    return frame().ipv4("100.64.0.9", "100.64.0.1").echo_request(7).bytes();
}

ByteVector expired() {
    return frame().ipv4("100.64.0.9", "8.8.8.8").ttl(1).udp(1, 2).bytes();
}

}  // namespace

TEST_CASE("a flood of one class starves no other", "[dataplane]") {
    SlowPathRig rig;
    rig.start();
    while (rig.punt(Punt::kToAppliance, echo_to_us(), kInt)) {
    }
    REQUIRE(rig.punt_error(expired(), kInt, DropReason::kTtlExceeded));
    const std::vector<Outcome> all = rig.poll();
    CHECK(of_kind(all, Back::kGeneratedSend).size() == 1);
    const size_t echoes = of_kind(all, Back::kAnswer).size();
    CHECK(echoes > 0);
    CHECK(echoes < 512);  // and the flood itself has a budget
    rig.check();
}

TEST_CASE("a flood of one shard starves no other", "[dataplane]") {
    SlowPathRig rig(3);
    rig.start();
    while (rig.punt(Punt::kToAppliance, echo_to_us(), kInt, 0)) {
    }
    REQUIRE(rig.punt(Punt::kToAppliance, echo_to_us(), kInt, 2));
    const std::vector<Outcome> all = rig.poll();
    CHECK(std::count_if(all.begin(), all.end(), [](const Outcome& o) {
              return o.shard == 2;
          }) == 1);
    rig.check();
}

TEST_CASE("a late worker's ring is shared by the classes in turn", "[dataplane]") {
    Fabric::Sizes sizes;
    sizes.back = 2;
    SlowPathRig rig(1, {}, sizes);
    for (int i = 0; i < 10; ++i) {
        rig.poll();
    }
    for (int i = 0; i < 50; ++i) {
        REQUIRE(rig.punt(Punt::kToAppliance, echo_to_us(), kInt));
        REQUIRE(rig.punt_error(expired(), kInt, DropReason::kTtlExceeded));
    }
    std::vector<Outcome> all;
    for (int i = 0; i < 12; ++i) {
        const std::vector<Outcome> some = rig.poll();
        all.insert(all.end(), some.begin(), some.end());
    }
    CHECK(of_kind(all, Back::kGeneratedSend).size() >= 6);
    CHECK(of_kind(all, Back::kAnswer).size() >= 6);
    rig.check();
}

TEST_CASE("a full ring back leaves punts where they are", "[dataplane]") {
    Fabric::Sizes sizes;
    sizes.back = 4;
    SlowPathRig rig(2, {}, sizes);
    for (int i = 0; i < 10; ++i) {
        rig.poll();
    }
    for (int i = 0; i < 20; ++i) {
        REQUIRE(rig.punt(Punt::kToAppliance, echo_to_us(), kInt, 0));
    }
    REQUIRE(rig.punt(Punt::kToAppliance, echo_to_us(), kInt, 1));
    rig.slow.poll(rig.now);
    rig.slow.poll(rig.now);
    CHECK(rig.fabric.back(ShardId{0}).size() == 4);
    CHECK(rig.fabric.punt(ShardId{0}, PuntClass::kNeighbour).size() == 16);
    CHECK(rig.fabric.back(ShardId{1}).size() == 1);
    size_t answers = of_kind(rig.take(), Back::kAnswer).size();
    for (int i = 0; i < 4; ++i) {
        answers += of_kind(rig.poll(), Back::kAnswer).size();
    }
    CHECK(answers == 21);
    rig.check();
}

TEST_CASE("no update is lost, and no packet overtakes one, when a ring is full", "[dataplane]") {
    Fabric::Sizes sizes;
    sizes.back = 2;
    SlowPathRig rig(2, {}, sizes);
    for (int i = 0; i < 10; ++i) {
        rig.poll();
    }
    std::vector<std::string> hosts;
    for (int i = 10; i < 40; ++i) {
        hosts.push_back("198.51.100." + std::to_string(i));
        REQUIRE(rig.punt_unresolved(kExt, ip(hosts.back()), hosts.back()));
        rig.poll();
    }
    CHECK(rig.slow.held() == 30);
    for (const std::string& host : hosts) {
        const ByteVector bytes =
            frame().arp(2, kPeerMac, ip(host), kExtMac, ip("198.51.100.2")).bytes();
        REQUIRE(rig.punt(Punt::kArp, bytes, kExt, 1));
    }
    std::map<std::string, int> known[2];
    size_t sent = 0;
    for (int turn = 0; turn < 200; ++turn) {
        rig.slow.poll(rig.now);
        for (unsigned s = 0; s < 2; ++s) {
            for (const Outcome& each : rig.take_some(s, 1)) {
                if (each.back.kind == Back::kNeighbour) {
                    known[s][std::to_string(each.back.update.entry.address.raw)] =
                        each.back.update.entry.resolved;
                } else if (each.back.kind == Back::kSend) {
                    const Ipv4Addr hop = each.frame().destination;
                    CHECK(known[s][std::to_string(hop.raw)] == 1);
                    ++sent;
                }
            }
        }
    }
    CHECK(sent == 30);
    for (const std::string& host : hosts) {
        CHECK(known[0][std::to_string(ip(host).raw)] == 1);
        CHECK(known[1][std::to_string(ip(host).raw)] == 1);
    }
    rig.take();
    rig.check();
}

TEST_CASE("an update that waits tells the latest address, once", "[dataplane]") {
    Fabric::Sizes sizes;
    sizes.back = 2;
    SlowPathRig rig(2, {}, sizes);
    for (int i = 0; i < 10; ++i) {
        rig.poll();
    }
    rig.hear(kExt, "198.51.100.1", kPeerMac);
    // Shard 1 sleeps: its ring fills up.
    const MacAddr last{{0x02, 0, 0, 0, 0xbb, 99}};
    for (uint8_t i = 0; i < 100; ++i) {
        const MacAddr mac{{0x02, 0, 0, 0, 0xbb, i}};
        const ByteVector bytes =
            frame().arp(2, mac, ip("198.51.100.1"), mac, ip("198.51.100.1")).bytes();
        REQUIRE(rig.punt(Punt::kArp, bytes, kExt, 0));
        rig.slow.poll(rig.now);
        rig.take_some(0, 10);
    }
    std::vector<Outcome> updates;
    for (int i = 0; i < 10; ++i) {
        const std::vector<Outcome> some = of_kind(rig.poll(), Back::kNeighbour);
        std::copy_if(some.begin(), some.end(), std::back_inserter(updates), [](const Outcome& o) {
            return o.shard == 1;
        });
    }
    REQUIRE(updates.size() == 3);  // two in the ring, one that waited
    CHECK(updates.back().back.update.entry.mac == last);
    rig.check();
}

TEST_CASE("what is no punt is dropped as a bug", "[dataplane]") {
    SlowPathRig rig;
    rig.start();
    REQUIRE(rig.punt(static_cast<Punt::Kind>(77), echo_to_us(), kInt));
    CHECK(only(rig.poll()).reason() == DropReason::kBug);
    REQUIRE(rig.punt(Punt::kToAppliance, echo_to_us(), LinkId{9}));
    CHECK(only(rig.poll()).reason() == DropReason::kBug);
    REQUIRE(rig.punt_error(expired(), LinkId{9}, DropReason::kTtlExceeded));
    CHECK(only(rig.poll()).back.kind == Back::kFree);
    REQUIRE(rig.punt(Punt::kToAppliance, echo_to_us(), kInt, 0, 60000));
    CHECK(only(rig.poll()).reason() == DropReason::kBadIpHeader);
    rig.check();
}

TEST_CASE("at the end every buffer comes back as dropped by shutdown", "[dataplane]") {
    Fabric::Sizes sizes;
    sizes.back = 4;
    SlowPathRig rig(2, {}, sizes);
    for (int i = 0; i < 10; ++i) {
        rig.poll();
    }
    for (unsigned i = 0; i < 10; ++i) {
        REQUIRE(rig.punt_unresolved(kExt, ip("198.51.100.77"), "x", i % 2));
        REQUIRE(rig.punt_unresolved(kExt, ip("198.51.100.78"), "x", i % 2));
    }
    for (int i = 0; i < 10; ++i) {
        rig.poll();
    }
    REQUIRE(rig.slow.held() == 16);
    for (unsigned i = 0; i < 10; ++i) {
        REQUIRE(rig.punt(Punt::kToAppliance, echo_to_us(), kInt, 1));
        REQUIRE(rig.punt_error(expired(), kInt, DropReason::kTtlExceeded));
    }
    CHECK_FALSE(rig.slow.shut_down());
    int turns = 0;
    do {
        rig.take();
        ++turns;
    } while (!rig.slow.shut_down() && turns < 100);
    rig.take();
    CHECK(rig.slow.held() == 0);
    CHECK(rig.store.in_use() == 0);
    CHECK(rig.dropped[DropReason::kShutdown] == 26);
    rig.check();
}

TEST_CASE("random traffic through small rings keeps every packet accounted for", "[dataplane]") {
    std::mt19937 engine(11);
    const auto random = [&] { return static_cast<unsigned>(engine()); };
    for (const unsigned shards : {1u, 2u, 3u}) {
        CAPTURE(shards);
        Fabric::Sizes sizes;
        sizes.back = 8;
        sizes.punt = 16;
        SlowPathSettings settings;
        settings.reachable_ms = 3000;
        settings.retry_ms = 200;
        SlowPathRig rig(shards, settings, sizes);
        const auto host = [&] { return "198.51.100." + std::to_string(3 + random() % 60); };
        for (int turn = 0; turn < 20000; ++turn) {
            const unsigned shard = random() % shards;
            switch (random() % 6) {
                case 0:
                case 1:
                    rig.punt_unresolved(kExt, ip(host()), "x", shard);
                    break;
                case 2: {
                    const MacAddr mac{{0x02, 0, 0, 0, 1, static_cast<uint8_t>(random() % 4)}};
                    const ByteVector bytes = frame()
                                                 .arp(
                                                     static_cast<uint16_t>(1 + random() % 2),
                                                     mac,
                                                     ip(host()),
                                                     kExtMac,
                                                     ip(host())
                                                 )
                                                 .bytes();
                    rig.punt(Punt::kArp, bytes, kExt, shard);
                    break;
                }
                case 3:
                    rig.punt(Punt::kToAppliance, echo_to_us(), kInt, shard);
                    break;
                case 4:
                    rig.punt_error(expired(), kInt, DropReason::kTtlExceeded, 0, shard);
                    break;
                default: {
                    ByteVector bytes = random() % 2 != 0 ? echo_to_us() : expired();
                    bytes[random() % bytes.size()] ^= static_cast<uint8_t>(random());
                    bytes.resize(1 + random() % bytes.size());
                    rig.punt(static_cast<Punt::Kind>(random() % 2), bytes, kInt, shard);
                    break;
                }
            }
            if (random() % 3 == 0) {
                rig.slow.poll(rig.now);
            }
            rig.take_some(random() % shards, random() % 6);
            rig.now = rig.now + random() % 40;
        }
        for (int i = 0; i < 200; ++i) {
            rig.poll_after(100);
        }
        CHECK(rig.forwarded > 1000);
        CHECK(rig.slow.held() == 0);
        CHECK(rig.store.in_use() == 0);
        rig.check();
    }
}

TEST_CASE("a token bucket holds a second's worth, whatever the clock does", "[dataplane]") {
    dataplane::TokenBucket bucket(10);
    const auto taken = [&](Tick now) {
        int n = 0;
        while (bucket.take(now)) {
            ++n;
        }
        return n;
    };
    CHECK(taken(Tick{0xffffff00}) == 10);
    CHECK(taken(Tick{0xffffff00} + 500) == 5);  // the tick wraps
    CHECK(taken(Tick{0xffffff00} + 400) == 0);  // and a clock that goes back brings nothing
    CHECK(taken(Tick{0xffffff00} + 100000) == 10);
    dataplane::TokenBucket none(0);
    CHECK_FALSE(none.take(Tick{1}));
}

TEST_CASE("a source that comes back among thousands is still limited in all", "[dataplane]") {
    dataplane::SourceLimiter limiter(2, HashSecret{{1, 2, 3, 4}});
    const Tick now{1000};
    CHECK(limiter.take(kInternalRealm, ip("192.0.2.1"), now));
    CHECK(limiter.take(kInternalRealm, ip("192.0.2.1"), now));
    CHECK_FALSE(limiter.take(kInternalRealm, ip("192.0.2.1"), now));
    CHECK(limiter.take(kInternalRealm, ip("192.0.2.2"), now));
    CHECK(limiter.take(RealmId{2}, ip("192.0.2.1"), now));
    for (uint32_t i = 1; i < 100000; ++i) {
        CHECK(limiter.take(kInternalRealm, Ipv4Addr::from_host(i), now));
    }
    // The last one has one token left; half a second brings another, not two.
    CHECK(limiter.take(kInternalRealm, Ipv4Addr::from_host(99999), now + 499));
    CHECK_FALSE(limiter.take(kInternalRealm, Ipv4Addr::from_host(99999), now + 499));
}

TEST_CASE("the table can be read while the slow path works", "[dataplane]") {
    SlowPathRig rig;
    rig.start();
    std::atomic<bool> stop{false};
    std::atomic<size_t> read{0};
    const Tick now = rig.now;
    std::thread reader([&] {
        while (!stop) {
            for (const dataplane::NeighbourView& view : rig.slow.neighbours(now)) {
                read += view.state.size() + rig.slow.held();
            }
            rig.slow.last_conflict();
        }
    });
    for (int i = 0; i < 3000 || read == 0; ++i) {
        const std::string host = "198.51.100." + std::to_string(3 + i % 200);
        rig.punt_unresolved(kExt, ip(host));
        rig.poll_after(5);
        rig.hear(kExt, host, i % 3 == 0 ? kPeerMac : kOtherMac);
    }
    stop = true;
    reader.join();
    CHECK(read > 0);
    rig.check();
}
