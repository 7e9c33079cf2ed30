// SpecTraffic: random packets that mean something: of endpoints that are known, of strangers, in both
// directions, TCP in every order of flags, ICMP errors about what is there and what is not; and time.
#pragma once

#include <random>
#include <utility>
#include <vector>

#include "spec_bed.h"

namespace sekisho::test {

// Who there is. Few, so that they meet often.
struct World {
    std::vector<spec::Address> inside;     // subscribers
    std::vector<spec::Address> outside;    // servers and strangers
    spec::Address uncovered = 0x64500001;  // 100.80.0.1 and on: inside, but no policy covers them
    spec::Address router = 0x644000c8;     // one inside
    unsigned ports_inside = 120;           // of each subscriber and protocol
    unsigned first_port_inside = 2000;
    unsigned ports_outside = 3;
    unsigned pause = 300;  // packets between two passages of time, on average
};

class SpecTraffic {
  public:
    SpecTraffic(SpecBed& bed, const World& world, uint64_t seed)
        : bed_(bed), world_(world), random_(seed) {}
    // The next packet, or the next passage of time.
    void step();

  private:
    using From = std::pair<spec::Side, spec::Packet>;
    uint32_t draw(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
    bool chance(uint32_t percent) { return draw(100) < percent; }
    template <class Map>
    auto any_of(const Map& map) {
        auto at = map.begin();
        std::advance(at, draw(static_cast<uint32_t>(map.size())));
        return at;
    }
    spec::Proto any_proto();
    spec::Endpoint any_inside(spec::Proto p);
    spec::Endpoint any_outside(spec::Proto p);
    spec::Endpoint any_external(spec::Proto p);
    From any_packet();
    From of_session();
    From newcomer_from_inside();
    From newcomer_from_outside();
    From error();
    From error_from_outside(const spec::SessionName& name, const spec::Endpoint& external);
    From error_from_inside(const spec::SessionName& name);
    void fill(spec::Packet& packet, const spec::Session* session, spec::Side from);
    void fill_tcp(spec::Packet& packet, const spec::Session* session, spec::Side from);
    void fill_error(spec::Packet& packet);
    void pass_time();

    SpecBed& bed_;
    const World& world_;
    std::mt19937_64 random_;
};

}  // namespace sekisho::test
