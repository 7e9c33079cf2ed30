// How many ports a busy subscriber takes: pages of 500 connections, one after another, on a simulated clock.
#include <deque>

#include <catch2/catch.hpp>

#include "scenario.h"

namespace sekisho::test {
namespace {

using packet::kAck;
using packet::kFin;
using packet::kSyn;

constexpr auto kServer = "192.0.2.1";
constexpr uint32_t kPageMs = 20'000;    // from one page to the next
constexpr uint32_t kOpeningMs = 2'000;  // in which its connections are opened
constexpr unsigned kConnections = 500;  // of a page
constexpr uint32_t kStepMs = 100;       // of the simulation
constexpr uint32_t kServedAfterMs = 1'000;
constexpr unsigned kEachStep = kConnections * kStepMs / kOpeningMs;

// One subscriber that loads pages: every connection is opened, used and closed by the server, then by itself.
class Browser {
  public:
    explicit Browser(TestBed& bed) : bed_(bed) {
        const Connection first{next_port_++, {}, {}};  // so that the next hops are known
        const std::vector<Connection> shown = out({first}, kSyn);
        in(shown, kSyn | kAck);
        open_.push_back(shown.at(0));
    }

    void load_page() {
        const Tick begun = bed_.now();
        for (uint32_t ms = 0; ms < kPageMs; ms += kStepMs) {
            if (ms < kOpeningMs) {
                open();
            }
            close();
            bed_.advance(kStepMs);
            most_ = std::max(most_, bed_.mapping_count());
        }
        REQUIRE(elapsed_ms(begun, bed_.now()) == kPageMs);
    }
    size_t most_ports() const { return most_; }
    uint64_t lost() const { return lost_; }

  private:
    struct Connection {
        uint16_t port = 0;
        Endpoint external;
        Tick opened;
    };

    // A segment of each, which must come out at the other side; returns those that did, where they are shown.
    std::vector<Connection> out(const std::vector<Connection>& connections, uint8_t flags) {
        for (const Connection& c : connections) {
            bed_.push_internal(tcp_out(bed_, host(5), c.port, kServer, 80, flags).sequence(c.port));
        }
        bed_.run();
        std::vector<Connection> shown;
        for (const auto& sent : bed_.take()) {
            const Decoded packet = decode(sent.bytes);
            if (packet.protocol == 6) {
                const auto port = static_cast<uint16_t>(packet.sequence);
                shown.push_back({port, source_of(packet), bed_.now()});
            }
        }
        lost_ += connections.size() - shown.size();
        return shown;
    }
    void in(const std::vector<Connection>& connections, uint8_t flags) {
        for (const Connection& c : connections) {
            bed_.push_external(bed_.from_external()
                                   .ipv4(ip(kServer), c.external.address)
                                   .tcp(80, c.external.port, flags));
        }
        bed_.run();
        lost_ += connections.size() - bed_.take().size();
    }

    void open() {
        std::vector<Connection> fresh;
        for (unsigned i = 0; i < kEachStep; ++i) {
            fresh.push_back({next_port_, {}, {}});
            next_port_ = next_port_ == 60999 ? 32768 : static_cast<uint16_t>(next_port_ + 1);
        }
        fresh = out(fresh, kSyn);  // of those that were refused nothing more is heard
        in(fresh, kSyn | kAck);
        out(fresh, kAck);
        open_.insert(open_.end(), fresh.begin(), fresh.end());
    }
    void close() {
        std::vector<Connection> served;
        while (!open_.empty() && elapsed_ms(open_.front().opened, bed_.now()) >= int{kServedAfterMs}
        ) {
            served.push_back(open_.front());
            open_.pop_front();
        }
        in(served, kFin | kAck);
        out(served, kFin | kAck);
        in(served, kAck);
    }

    TestBed& bed_;
    uint16_t next_port_ = 32768;
    std::deque<Connection> open_;
    size_t most_ = 0;
    uint64_t lost_ = 0;
};

BedOptions with_closing(uint32_t seconds) {
    BedOptions options;
    options.nat = nat_settings();
    options.nat.timeouts.tcp_closing = Seconds{seconds};
    options.sessions = options.mappings = 16384;
    options.checking = HeapStore::Checking::kFast;
    return options;
}

}  // namespace

TEST_CASE(
    "500 connections in two seconds every 20 seconds fit 2 048 ports with tcp-closing at 60",
    "[packet][rfc7857-2.1-short]"
) {
    constexpr unsigned kPages = 3600 * 1000 / kPageMs;  // an hour
    TestBed bed(with_closing(60));
    REQUIRE(bed.settings().policies[0].limits.ports == 2048);
    Browser browser(bed);
    for (unsigned page = 0; page < kPages; ++page) {
        browser.load_page();
    }
    CHECK(browser.lost() == 0);
    CHECK(bed.dropped(DropReason::kSubscriberPortLimit) == 0);
    CHECK(browser.most_ports() > 1500);
    CHECK(browser.most_ports() <= 2048);
}

TEST_CASE(
    "with tcp-closing at 240 the same pages need more ports, and those beyond 2 048 are refused",
    "[packet][rfc7857-2.1-short]"
) {
    const bool has_enough = GENERATE(false, true);
    BedOptions options = with_closing(240);
    if (has_enough) {
        options.nat.policies[0].limits.ports = 8192;
        options.nat.policies[0].limits.sessions = 8192;
        options.nat.pools[0].blocks_per_subscriber = 32;
    }
    TestBed bed(options);
    Browser browser(bed);
    for (unsigned page = 0; page < 16; ++page) {
        browser.load_page();
    }
    CHECK((browser.lost() == 0) == has_enough);
    CHECK((bed.dropped(DropReason::kSubscriberPortLimit) == 0) == has_enough);
    CHECK((has_enough ? browser.most_ports() > 6000 : browser.most_ports() == 2048));
}

}  // namespace sekisho::test
