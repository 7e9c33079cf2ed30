// Static mappings and trigger forwards that come and go between packets, on any number of shards.
#include <catch2/catch.hpp>

#include "fragment_scenario.h"

namespace sekisho::test {
namespace {

constexpr auto kExternal = "203.0.113.1";
constexpr auto kPlain = "192.0.2.1";

// What the operator has changed; the bed's own settings stay as they were.
class Operator {
  public:
    explicit Operator(TestBed& bed) : bed_(bed), settings_(bed.settings()) {}

    void change(const std::function<void(nat::NatSettings&)>& change) {
        change(settings_);
        auto planned = bed_.directory().plan_statics(settings_);
        REQUIRE(planned);
        bed_.directory().follow(settings_);
        bed_.directory().follow_statics(settings_, std::move(*planned), bed_.now());
        for (unsigned i = 0; i < bed_.shards(); ++i) {
            nat::NatShard& nat = bed_.shard(i).nat();
            if (!nat.has_originals()) {
                nat.give_originals(std::vector<nat::OriginalDestination>(nat.session_capacity()));
            }
            nat.change_settings(nat.table_limits(), bed_.now());
        }
        bed_.advance(1000);
    }

  private:
    TestBed& bed_;
    nat::NatSettings settings_;
};

nat::StaticMappingSettings web_of(unsigned subscriber, uint16_t outside) {
    nat::StaticMappingSettings s;
    s.internal = host(subscriber);
    s.external = ip(kExternal);
    s.internal_ports = {80, 80};
    s.external_ports = {outside, outside};
    return s;
}

nat::TriggerForwardSettings video() {
    nat::TriggerForwardSettings s;
    s.name = "video";
    s.external = ip(kExternal);
    s.ports = {7648, 7649};
    s.trigger_port = 7648;
    s.access = nat::TriggerAccess::kAnyone;
    return s;
}

PacketBuilder from_outside_udp(TestBed& bed, uint16_t from, uint16_t to) {
    return bed.from_external().ipv4(ip(kPlain), ip(kExternal)).udp(from, to);
}

PacketBuilder from_outside(TestBed& bed, uint16_t from, uint16_t to, uint8_t flags) {
    return bed.from_external().ipv4(ip(kPlain), ip(kExternal)).tcp(from, to, flags);
}

// A connection from outside is opened, to `subscriber`.
void connect(TestBed& bed, unsigned subscriber, uint16_t from, uint16_t to) {
    CHECK(
        destination_of(inward(bed, from_outside(bed, from, to, kSyn))) ==
        Endpoint{host(subscriber), 80}
    );
    const Decoded answer =
        outward(bed, tcp_out(bed, host(subscriber), 80, kPlain, from, kSyn | kAck));
    CHECK(source_of(answer) == at(kExternal, to));
    inward(bed, from_outside(bed, from, to, kAck));
}

// Both ways.
void check_goes_on(TestBed& bed, unsigned subscriber, uint16_t from, uint16_t to) {
    CHECK(
        destination_of(inward(bed, from_outside(bed, from, to, kAck))) ==
        Endpoint{host(subscriber), 80}
    );
    const Decoded answer = outward(bed, tcp_out(bed, host(subscriber), 80, kPlain, from, kAck));
    CHECK(source_of(answer) == at(kExternal, to));
}

}  // namespace

TEST_CASE("a static port comes and goes, and its connections stay", "[packet][static][change]") {
    run_everywhere(with(one_address()), [](TestBed& bed, Story& story) {
        Operator root(bed);
        root.change([](nat::NatSettings& s) {
            s.static_mappings = {web_of(10, 8080), web_of(11, 8081)};
        });
        connect(bed, 10, 4000, 8080);
        connect(bed, 11, 4000, 8081);
        root.change([](nat::NatSettings& s) { s.static_mappings = {web_of(11, 8081)}; });
        check_goes_on(bed, 10, 4000, 8080);
        check_goes_on(bed, 11, 4000, 8081);
        check_refused(
            bed, kExternalLink, from_outside(bed, 4001, 8080, kSyn), DropReason::kFiltered
        );
        connect(bed, 11, 4001, 8081);
        root.change([](nat::NatSettings& s) {
            s.static_mappings = {web_of(11, 8081), web_of(10, 8080)};
        });
        connect(bed, 10, 4002, 8080);
        check_goes_on(bed, 10, 4000, 8080);
        CHECK(bed.imbalance().empty());
        story.step(bed);
    });
}

TEST_CASE("datagrams come by a static port as long as it stands", "[packet][static][change]") {
    run_everywhere(with(one_address()), [](TestBed& bed, Story& story) {
        Operator root(bed);
        root.change([](nat::NatSettings& s) { s.static_mappings = {web_of(10, 8080)}; });
        inward(bed, from_outside_udp(bed, 4000, 8080));
        CHECK(
            source_of(outward(bed, udp_out(bed, host(10), 80, kPlain, 4000))) == at(kExternal, 8080)
        );
        root.change([](nat::NatSettings& s) { s.static_mappings.clear(); });
        inward(bed, from_outside_udp(bed, 4000, 8080));
        check_refused(bed, kExternalLink, from_outside_udp(bed, 4001, 8080), DropReason::kFiltered);
        story.step(bed);
    });
}

TEST_CASE("a trigger forward comes and goes", "[packet][trigger][change]") {
    run_everywhere(with(one_address()), [](TestBed& bed, Story& story) {
        Operator root(bed);
        outward(bed, udp_out(bed, host(5), 1000, kServer, 7648));
        root.change([](nat::NatSettings& s) { s.trigger_forwards = {video()}; });
        check_refused(
            bed, kExternalLink, from_outside_udp(bed, 4000, 7649), DropReason::kNoMapping
        );
        outward(bed, udp_out(bed, host(5), 1000, kServer, 7648));
        CHECK(
            destination_of(inward(bed, from_outside_udp(bed, 4000, 7649))) ==
            Endpoint{host(5), 7649}
        );
        CHECK(
            source_of(outward(bed, udp_out(bed, host(5), 7649, kPlain, 4000))) ==
            at(kExternal, 7649)
        );
        root.change([](nat::NatSettings& s) { s.trigger_forwards.clear(); });
        outward(bed, udp_out(bed, host(5), 1000, kServer, 7648));
        CHECK(
            destination_of(inward(bed, from_outside_udp(bed, 4000, 7649))) ==
            Endpoint{host(5), 7649}
        );
        check_refused(
            bed, kExternalLink, from_outside_udp(bed, 4001, 7648), DropReason::kNoMapping
        );
        story.step(bed);
    });
}

}  // namespace sekisho::test
