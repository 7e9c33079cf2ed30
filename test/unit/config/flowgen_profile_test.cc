#include "config/flowgen_profile.h"

#include <catch2/catch.hpp>

#include "config/device.h"

using namespace sekisho;
using namespace sekisho::config;

namespace {

std::vector<std::string> items_of(const std::string& text) {
    std::vector<std::string> items;
    for (size_t from = 0; from <= text.size();) {
        const size_t comma = std::min(text.find(',', from), text.size());
        items.push_back(text.substr(from, comma - from));
        from = comma + 1;
    }
    return items;
}

}  // namespace

TEST_CASE("a flowgen profile is read whole, in any order", "[config]") {
    const auto read = parse_flowgen_profile(items_of(
        "size=imix,role=internet,subscribers=2k,sessions=30,flows=59k,fan-out=3,protocol=mix,"
        "prefix=10.16.0.0/12,remote=198.51.100.0/24,direction=inbound,check=sample,seed=9"
    ));
    REQUIRE(read);
    FlowgenProfile wanted;
    wanted.role = FlowgenRole::kInternet;
    wanted.protocol = FlowgenProtocol::kMix;
    wanted.direction = FlowgenDirection::kInbound;
    wanted.check_all = false;
    wanted.size = 0;
    wanted.subscribers = 2000;
    wanted.sessions = 30;
    wanted.fan_out = 3;
    wanted.flows = 59000;
    wanted.prefix = {Ipv4Addr::of(10, 16, 0, 0), 12};
    wanted.remote = {Ipv4Addr::of(198, 51, 100, 0), 24};
    wanted.seed = 9;
    CHECK(*read == wanted);
}

TEST_CASE("without a number of flows a profile has all of its sessions", "[config]") {
    const auto usual = parse_flowgen_profile({"role=subscribers"});
    REQUIRE(usual);
    CHECK(*usual == FlowgenProfile{});
    CHECK(usual->flows == usual->subscribers * usual->sessions);
    const auto other = parse_flowgen_profile(items_of("role=subscribers,subscribers=7,sessions=9"));
    REQUIRE(other);
    CHECK(other->flows == 63);
}

TEST_CASE("a mistake in a flowgen profile is named, with what was wanted", "[config]") {
    struct Row {
        const char* profile;
        const char* found;
        const char* wanted;
    };
    const std::string keys =
        "one of role, subscribers, sessions, flows, fan-out, protocol, size, prefix, remote, "
        "direction, check or seed, each once, as key=value";
    const Row rows[] = {
        {"", "\"\"", nullptr},
        {"role", "\"role\"", nullptr},
        {"roll=subscribers", "\"roll=subscribers\"", nullptr},
        {"role=subscribers,role=internet", "\"role=internet\"", nullptr},
        {"role=subscribers,", "\"\"", nullptr},
        {"role=peer", "\"role=peer\"", "role=subscribers or internet"},
        {"role=subscribers,protocol=sctp",
         "\"protocol=sctp\"",
         "protocol=udp or tcp or icmp or mix"},
        {"role=subscribers,direction=up",
         "\"direction=up\"",
         "direction=outbound or inbound or both"},
        {"role=subscribers,check=none", "\"check=none\"", "check=all or sample"},
        {"role=subscribers,size=63", "\"size=63\"", "size=imix or bytes from 64 to 1514"},
        {"role=subscribers,size=1515", "\"size=1515\"", "size=imix or bytes from 64 to 1514"},
        {"role=subscribers,subscribers=0",
         "\"subscribers=0\"",
         "subscribers=a count from 1 to 67108864, with k, M, Ki or Mi if need be"},
        {"role=subscribers,sessions=-1",
         "\"sessions=-1\"",
         "sessions=a count from 1 to 67108864, with k, M, Ki or Mi if need be"},
        {"role=subscribers,prefix=10.0.0.1/8",
         "\"prefix=10.0.0.1/8\"",
         "prefix=10.0.0.0/8 (no bits set beyond the length)"},
        {"role=subscribers,remote=224.0.0.0/8",
         "\"remote=224.0.0.0/8\"",
         "remote=a prefix of unicast addresses with a length of 8 or more"},
        {"role=subscribers,remote=0.0.0.0/0",
         "\"remote=0.0.0.0/0\"",
         "remote=a prefix of unicast addresses with a length of 8 or more"},
        {"subscribers=5", "a profile without its role", "role=subscribers or role=internet"},
        {"role=subscribers,flows=641,subscribers=10",
         "flows=641",
         "flows=640 at most, which is subscribers x sessions"},
        {"role=subscribers,subscribers=2M",
         "2000000 subscribers with 64 sessions each",
         "67108864 sessions in all at most"},
        {"role=subscribers,subscribers=255,prefix=10.0.0.0/24",
         "255 subscribers in 10.0.0.0/24",
         "a prefix with that many host addresses"},
        {"role=subscribers,subscribers=1,sessions=64513",
         "64513 sessions a subscriber on one port each",
         "64512 ports a subscriber at most, or fan-out=K"},
        {"role=subscribers,fan-out=257,remote=198.51.100.0/24",
         "fan-out=257 with remote=198.51.100.0/24",
         "a remote prefix with that many addresses"},
        {"role=subscribers,remote=10.1.0.0/16",
         "prefix=10.0.0.0/8 and remote=10.1.0.0/16",
         "two prefixes that do not overlap"},
    };
    for (const Row& row : rows) {
        INFO(row.profile);
        const auto read = parse_flowgen_profile(items_of(row.profile));
        REQUIRE(!read);
        CHECK(read.error().found == row.found);
        CHECK(read.error().wanted == (row.wanted == nullptr ? keys : row.wanted));
    }
}

TEST_CASE("the device string of a flowgen link is its profile", "[config]") {
    const auto device = parse_device("flowgen:role=subscribers,subscribers=10");
    REQUIRE(device);
    CHECK(device->kind == DeviceKind::kFlowgen);
    CHECK(device->arguments == std::vector<std::string>{"role=subscribers", "subscribers=10"});
    const auto wrong = parse_device("flowgen:role=subscribers,size=9000");
    REQUIRE(!wrong);
    CHECK(wrong.error().found == "\"size=9000\"");
    CHECK(!parse_device("flowgen"));
    CHECK(!parse_device("flowgen:"));
}
