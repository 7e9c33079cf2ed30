// SlowPathRig: a slow path between rings, with a heap store in place of the workers' buffers.
//
//   The rig plays the shards: it punts packets, and does with what comes back what Back's contract
//   says, counting. So received + generated = forwarded + consumed + held + dropped can be checked,
//   and that every buffer came back.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "base/drop_reason.h"
#include "dataplane/slow_path.h"
#include "support/heap_store.h"
#include "support/packet_builder.h"

namespace sekisho::test {

using dataplane::Back;
using dataplane::Fabric;
using dataplane::Network;
using dataplane::Punt;
using dataplane::PuntClass;
using dataplane::SlowPath;
using dataplane::SlowPathSettings;

inline constexpr LinkId kInt{0};   // 100.64.0.1/10
inline constexpr LinkId kExt{1};   // 198.51.100.2/24, proxy ARP, default route by .1
inline constexpr LinkId kVlan{2};  // 192.0.2.1/24, internal, tag 100
inline constexpr MacAddr kIntMac{{0x02, 0, 0, 0, 0, 0x10}};
inline constexpr MacAddr kExtMac{{0x02, 0, 0, 0, 0, 0x11}};
inline constexpr MacAddr kPeerMac{{0x02, 0, 0, 0, 0xaa, 0x01}};
inline constexpr MacAddr kOtherMac{{0x02, 0, 0, 0, 0xaa, 0x02}};

inline config::LinkSettings link_settings(
    std::string name, config::Side side, std::string_view address, uint8_t length
) {
    config::LinkSettings link;
    link.name = std::move(name);
    link.side = side;
    link.realm = side == config::Side::kInternal ? kInternalRealm : kExternalRealm;
    link.addresses.push_back({ip(address), length});
    return link;
}

inline config::Config rig_config(bool proxy_arp = true) {
    config::Config config;
    config.links.push_back(link_settings("int0", config::Side::kInternal, "100.64.0.1", 10));
    config.links.push_back(link_settings("ext0", config::Side::kExternal, "198.51.100.2", 24));
    config.links.push_back(link_settings("int1", config::Side::kInternal, "192.0.2.1", 24));
    config.links[1].proxy_arp = proxy_arp;
    config.links[2].vlans = {100};
    config.links[2].mtu = 1400;
    config.routes.push_back({Ipv4Prefix{}, ip("198.51.100.1"), kExt});
    config.routes.push_back({Ipv4Prefix{ip("10.0.0.0"), 8}, ip("100.64.0.2"), kInt});
    nat::PoolSettings pool;
    pool.name = "main";
    pool.addresses.push_back({ip("203.0.113.0"), ip("203.0.113.15")});
    config.nat.pools.push_back(pool);
    return config;
}

inline Network rig_network(const config::Config& config) {
    return Network(config, {0, 1, 0}, {kIntMac, kExtMac});
}

struct Outcome {
    Back back;
    unsigned shard = 0;
    ByteVector bytes;  // of the packet, when it is transmitted
    Decoded frame() const { return decode(bytes); }
    DropReason reason() const { return static_cast<DropReason>(back.reason); }
};

class SlowPathRig {
  public:
    explicit SlowPathRig(
        unsigned shards = 1,
        const SlowPathSettings& settings = {},
        const Fabric::Sizes& sizes = {},
        const config::Config& config = rig_config()
    )
        : network(rig_network(config)),
          directory(config.nat, shards),
          fabric(shards, sizes),
          slow(network, directory, fabric, settings) {}

    // As above, and past the announcements and requests of the start.
    void start() {
        poll();
        const Tick start = now;
        hear(kExt, "198.51.100.1", kPeerMac);
        hear(kInt, "100.64.0.2", kPeerMac);
        REQUIRE(now == start);
    }

    bool punt(
        Punt::Kind kind,
        const ByteVector& bytes,
        LinkId link,
        unsigned shard = 0,
        uint16_t l3_offset = packet::kEthernetHeader
    ) {
        Punt out;
        out.kind = kind;
        out.link = link;
        out.l3_offset = l3_offset;
        out.packet = store.make(bytes, link, packet::kCounted);
        return push(
            out, kind == Punt::kIcmpError ? PuntClass::kError : PuntClass::kNeighbour, shard
        );
    }
    bool punt_error(
        const ByteVector& bytes,
        LinkId link,
        DropReason reason,
        uint16_t detail = 0,
        unsigned shard = 0
    ) {
        Punt out;
        out.kind = Punt::kIcmpError;
        out.link = link;
        out.l3_offset = packet::kEthernetHeader;
        out.reason = static_cast<uint8_t>(reason);
        out.detail = detail;
        out.packet = store.make(bytes, link, packet::kCounted);
        return push(out, PuntClass::kError, shard);
    }
    // A packet whose next hop is not known; `mark` is its payload.
    bool punt_unresolved(
        LinkId link, Ipv4Addr next_hop, std::string_view mark = "x", unsigned shard = 0
    ) {
        Punt out;
        out.kind = Punt::kUnresolved;
        out.link = link;
        out.l3_offset = packet::kEthernetHeader;
        out.address = next_hop;
        const ByteVector bytes = sekisho::test::frame()
                                     .ipv4(ip("203.0.113.1"), next_hop)
                                     .udp(1, 2)
                                     .payload(mark)
                                     .bytes();
        out.packet = store.make(bytes, kInt, packet::kCounted);
        return push(out, PuntClass::kNeighbour, shard);
    }
    bool push(const Punt& punt, PuntClass punt_class, unsigned shard) {
        if (!fabric.punt(ShardId{static_cast<uint8_t>(shard)}, punt_class).push(punt)) {
            store.free_one(punt.packet);
            return false;
        }
        ++received;
        if (punt.kind == Punt::kIcmpError) {
            ++dropped[static_cast<DropReason>(punt.reason)];
        }
        return true;
    }
    // A gratuitous ARP reply of a host reaches us.
    std::vector<Outcome> hear(LinkId link, std::string_view sender, MacAddr mac) {
        const ByteVector bytes = sekisho::test::frame()
                                     .mac(mac, packet::kBroadcastMac)
                                     .arp(2, mac, ip(sender), mac, ip(sender))
                                     .bytes();
        REQUIRE(punt(Punt::kArp, bytes, link));
        return poll();
    }
    // A host asks for a link address.
    std::vector<Outcome> ask(LinkId link, std::string_view sender, std::string_view target) {
        const ByteVector bytes = sekisho::test::frame()
                                     .mac(kPeerMac, packet::kBroadcastMac)
                                     .arp_request(kPeerMac, sender, target)
                                     .bytes();
        REQUIRE(punt(Punt::kArp, bytes, link));
        return poll();
    }

    // Links and routes are those of another configuration from here on.
    void renumber(const config::Config& config) {
        Network other = rig_network(config);
        std::swap(network, other);
        slow.follow(other, now);
    }
    // One turn of the slow path, and all that came back of it.
    std::vector<Outcome> poll() {
        slow.poll(now);
        return take();
    }
    std::vector<Outcome> poll_after(uint32_t ms) {
        now = now + ms;
        return poll();
    }
    std::vector<Outcome> take() {
        std::vector<Outcome> all;
        for (unsigned s = 0; s < fabric.shards(); ++s) {
            Back back;
            while (fabric.back(ShardId{static_cast<uint8_t>(s)}).pop(back)) {
                all.push_back(take(back, s));
            }
        }
        return all;
    }
    // Takes at most `most` entries of one shard.
    std::vector<Outcome> take_some(unsigned shard, unsigned most) {
        std::vector<Outcome> some;
        Back back;
        while (some.size() < most && fabric.back(ShardId{static_cast<uint8_t>(shard)}).pop(back)) {
            some.push_back(take(back, shard));
        }
        return some;
    }

    // The law of counters.h; and what is out of the store is where it may be.
    void check() const {
        uint64_t drops = 0;
        for (const auto& [reason, count] : dropped) {
            drops += count;
        }
        size_t queued = 0;  // in rings to the slow path
        size_t owed = 0;    // of these, counted as dropped
        for (unsigned s = 0; s < fabric.shards(); ++s) {
            const ShardId shard{static_cast<uint8_t>(s)};
            auto& rings = const_cast<Fabric&>(fabric);
            queued += rings.punt(shard, PuntClass::kNeighbour).size();
            owed += rings.punt(shard, PuntClass::kError).size();
            REQUIRE(rings.back(shard).empty());
        }
        CHECK(received + generated == forwarded + consumed + slow.held() + queued + drops);
        CHECK(store.in_use() == slow.held() + queued + owed);
    }

    std::string state_of(std::string_view address) const {
        for (const dataplane::NeighbourView& view : slow.neighbours(now)) {
            if (view.address == ip(address)) {
                return view.state;
            }
        }
        return "none";
    }

    Tick now{5000};
    HeapStore store{8192};
    Network network;
    nat::ExternalDirectory directory;
    Fabric fabric;
    SlowPath slow;
    uint64_t received = 0, generated = 0, forwarded = 0, consumed = 0;
    std::map<DropReason, uint64_t> dropped;

  private:
    Outcome take(const Back& back, unsigned shard) {
        Outcome out{back, shard, {}};
        const bool answer = back.kind == Back::kAnswer;
        const bool made = answer || back.kind == Back::kGeneratedSend;
        generated += made || back.kind == Back::kArpRequest;
        consumed += answer || back.kind == Back::kConsumed;
        forwarded += made || back.kind == Back::kSend || back.kind == Back::kArpRequest;
        if (back.kind == Back::kDropped) {
            ++dropped[static_cast<DropReason>(back.reason)];
        }
        if (back.kind != Back::kNeighbour && back.kind != Back::kArpRequest) {
            out.bytes = bytes_of(back.packet);
            store.free_one(back.packet);
        }
        return out;
    }
};

inline std::vector<Outcome> of_kind(const std::vector<Outcome>& all, Back::Kind kind) {
    std::vector<Outcome> some;
    std::copy_if(all.begin(), all.end(), std::back_inserter(some), [&](const Outcome& o) {
        return o.back.kind == kind;
    });
    return some;
}

// The one entry that came back of a punt; updates and ARP requests aside.
inline Outcome only(const std::vector<Outcome>& all) {
    std::vector<Outcome> some;
    std::copy_if(all.begin(), all.end(), std::back_inserter(some), [](const Outcome& o) {
        return o.back.kind != Back::kNeighbour && o.back.kind != Back::kArpRequest;
    });
    REQUIRE(some.size() == 1);
    return some.front();
}

inline std::string text_of(const ByteVector& payload) {
    return {payload.begin(), payload.end()};
}

}  // namespace sekisho::test
