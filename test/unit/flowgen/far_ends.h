// Two flowgen queues on a heap store, and a small NAT between them that can be told to do wrong.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "flowgen/flowgen_device.h"
#include "support/heap_store.h"

namespace sekisho::test {

using flowgen::Fault;
using flowgen::FlowgenDevice;
using flowgen::FlowgenQueue;

inline config::FlowgenProfile profile_of(const std::string& text) {
    std::vector<std::string> items;
    for (size_t from = 0; from <= text.size();) {
        const size_t comma = std::min(text.find(',', from), text.size());
        items.push_back(text.substr(from, comma - from));
        from = comma + 1;
    }
    const auto profile = config::parse_flowgen_profile(items);
    INFO(text);
    REQUIRE(profile);
    return *profile;
}

// Writes the checksums of an Ethernet and IPv4 frame anew.
inline void mend(const PacketRef& packet) {
    uint8_t* l3 = packet.data + packet::kEthernetHeader;
    uint8_t* l4 = l3 + packet::kIpv4Header;
    const auto protocol = static_cast<Protocol>(l3[9]);
    const auto length = static_cast<uint16_t>(packet.length - flowgen::kL4);
    packet::store<uint16_t>(l3 + 10, 0);
    packet::store(l3 + 10, packet::full_checksum({l3, packet::kIpv4Header}));
    const size_t at = protocol == Protocol::kTcp ? 16 : protocol == Protocol::kUdp ? 6 : 2;
    packet::store<uint16_t>(l4 + at, 0);
    const uint64_t pseudo = protocol == Protocol::kIcmp ? 0
                                                        : packet::pseudo_header_sum(
                                                              {packet::load<uint32_t>(l3 + 12)},
                                                              {packet::load<uint32_t>(l3 + 16)},
                                                              protocol,
                                                              length
                                                          );
    const uint16_t sum = packet::full_checksum({l4, length}, pseudo);
    packet::store<uint16_t>(l4 + at, protocol == Protocol::kUdp && sum == 0 ? 0xffff : sum);
}

class FarEnds {
  public:
    // `peer`: the link whose frames the Internet side knows without a look.
    explicit FarEnds(
        const std::string& profile = "flows=100,subscribers=10,sessions=10",
        std::optional<LinkId> peer = std::nullopt
    )
        : peer_(peer), rotation_(std::make_unique<flowgen::Rotation>(store, 2, 256)) {
        subscribers_ = make("role=subscribers," + profile, 0);
        internet_ = make("role=internet," + profile, 1);
    }
    ~FarEnds() {
        subscribers_.reset();
        internet_.reset();
        rotation_.reset();
        CHECK(store.in_use() == 0);
    }

    FlowgenQueue& subscribers() { return subscribers_->queue(0); }
    FlowgenQueue& internet() { return internet_->queue(0); }
    const FlowgenDevice& internal_device() const { return *subscribers_; }
    const FlowgenDevice& external_device() const { return *internet_; }

    // Carries one burst from `from` to the other side; returns its length. `spoil` may change each translated frame, and
    // says how many times it is to arrive.
    using Spoil = std::function<unsigned(PacketRef&)>;
    unsigned carry(Direction direction, const Spoil& spoil = nullptr) {
        const bool outbound = direction == Direction::kOutbound;
        FlowgenQueue& from = outbound ? subscribers() : internet();
        FlowgenQueue& to = outbound ? internet() : subscribers();
        std::array<PacketRef, packet::kBurst> burst;
        const unsigned count = from.receive(burst);
        for (PacketRef& packet : std::span(burst).first(count)) {
            translate(packet, direction);
            deliver(to, packet, spoil ? spoil(packet) : 1);
        }
        return count;
    }
    // A whole pass.
    uint64_t pass(Direction direction, const Spoil& spoil = nullptr) {
        const bool outbound = direction == Direction::kOutbound;
        FlowgenQueue& from = outbound ? subscribers() : internet();
        FlowgenQueue& to = outbound ? internet() : subscribers();
        from.send_pass();
        to.checker().expect_pass(from.pass());
        while (!from.is_pass_over()) {
            carry(direction, spoil);
        }
        to.checker().finish_pass(from.sent_in_pass());
        return from.sent_in_pass();
    }

    HeapStore store{2048, HeapStore::Checking::kFast};

  private:
    std::unique_ptr<FlowgenDevice> make(const std::string& text, unsigned index) {
        flowgen::FlowgenPlan plan;
        plan.profile = profile_of(text);
        plan.index = index;
        plan.first_link = LinkId{static_cast<uint8_t>(index)};
        plan.rotation = rotation_.get();
        plan.peer = index == 1 ? peer_ : std::nullopt;
        auto device = FlowgenDevice::create(plan);
        REQUIRE(device);
        return std::move(*device);
    }

    // One external address for each internal one, and the port moved by one.
    void translate(PacketRef& packet, Direction direction) const {
        const bool outbound = direction == Direction::kOutbound;
        const FlowgenDevice& out = outbound ? *internet_ : *subscribers_;
        uint8_t* l3 = packet.data + packet::kEthernetHeader;
        uint8_t* l4 = l3 + packet::kIpv4Header;
        std::memcpy(packet.data, out.station().bytes, 6);
        std::memcpy(packet.data + 6, out.mac().bytes, 6);
        --l3[8];
        uint8_t* address = outbound ? l3 + 12 : l3 + 16;
        address[0] = outbound ? 203 : 10;
        const bool icmp = static_cast<Protocol>(l3[9]) == Protocol::kIcmp;
        uint8_t* port = icmp ? l4 + 4 : outbound ? l4 : l4 + 2;
        const auto number = Be16{packet::load<uint16_t>(port)}.host();
        const auto moved = static_cast<uint16_t>(outbound ? number + 1 : number - 1);
        packet::store(port, Be16::from_host(moved).raw);
        mend(packet);
    }

    void deliver(FlowgenQueue& to, const PacketRef& packet, unsigned times) {
        for (unsigned i = 1; i < times; ++i) {
            PacketRef copy = store.make({packet.data, packet.length});
            to.send({&copy, 1});
        }
        if (times == 0) {
            store.free_one(packet);
            return;
        }
        PacketRef last = packet;
        to.send({&last, 1});
    }

    std::optional<LinkId> peer_;
    std::unique_ptr<flowgen::Rotation> rotation_;
    std::unique_ptr<FlowgenDevice> subscribers_;
    std::unique_ptr<FlowgenDevice> internet_;
};

}  // namespace sekisho::test
