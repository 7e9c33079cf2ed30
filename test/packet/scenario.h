// A scenario runs on appliances of 1, 2, 3 and 8 shards, over one worker or several, and must tell the same story each
// time: the same packets up to a renaming of external endpoints, the same counters, mappings, sessions and lifetimes.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "test_bed.h"

namespace sekisho::test {

// The story: what a run shows, in lines. External endpoints are named after the internal ones that they stand for.
class Story {
  public:
    // Runs the appliance and tells what happened: frames that left (sorted), counters, mappings, sessions.
    void step(TestBed& bed);
    // A line of the scenario's own.
    void note(std::string line) { lines_.push_back(std::move(line)); }
    const std::vector<std::string>& lines() const { return lines_; }

  private:
    using External = std::tuple<uint8_t, Ipv4Addr, uint16_t>;
    void learn(const TestBed& bed);
    std::string name(const TestBed& bed, uint8_t protocol, Ipv4Addr address, uint16_t port) const;
    std::string tell(const TestBed& bed, const Decoded& packet) const;

    std::map<External, std::string> names_;
    std::vector<std::string> lines_;
};

using Scenario = std::function<void(TestBed&, Story&)>;

// Runs it everywhere; `options` without shards, workers and queues.
void run_everywhere(const BedOptions& options, const Scenario& scenario);

// Shorthands. Hosts: host(n) is 100.64.n/256.n%256.
Ipv4Addr host(unsigned n);
PacketBuilder udp_out(
    const TestBed& bed, Ipv4Addr from, uint16_t port, std::string_view to, uint16_t to_port
);
PacketBuilder tcp_out(
    const TestBed& bed,
    Ipv4Addr from,
    uint16_t port,
    std::string_view to,
    uint16_t to_port,
    uint8_t flags
);
// Towards the external endpoint of an internal one; fails the test if there is none.
PacketBuilder udp_in(
    const TestBed& bed, std::string_view from, uint16_t from_port, Ipv4Addr internal, uint16_t port
);
PacketBuilder tcp_in(
    const TestBed& bed,
    std::string_view from,
    uint16_t from_port,
    Ipv4Addr internal,
    uint16_t port,
    uint8_t flags
);
Endpoint external_of(const TestBed& bed, Protocol protocol, Ipv4Addr internal, uint16_t port);

// What is asked of single packets.
Endpoint at(std::string_view address, unsigned port);
Endpoint source_of(const Decoded& packet);
Endpoint destination_of(const Decoded& packet);
// The one frame that a packet from outside becomes inside, one from inside outside, and one from a subscriber to another.
Decoded inward(TestBed& bed, const PacketBuilder& packet);
Decoded outward(TestBed& bed, const PacketBuilder& packet);
Decoded turned(TestBed& bed, const PacketBuilder& packet);
// Nothing leaves; the reason is counted.
void check_refused(TestBed& bed, LinkId link, const PacketBuilder& packet, DropReason reason);

}  // namespace sekisho::test
