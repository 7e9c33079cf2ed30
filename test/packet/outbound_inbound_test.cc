#include <catch2/catch.hpp>

#include "test_bed.h"

namespace sekisho::test {

TEST_CASE(
    "a subscriber's UDP packet leaves from an external endpoint and the answer comes back",
    "[packet][rfc4787-req1]"
) {
    BedOptions options;
    options.shards = GENERATE(1U, 2U, 3U, 8U);
    TestBed bed(options);
    bed.push_internal(
        bed.from_internal().ipv4("100.64.0.5", "192.0.2.1").udp(1000, 53).payload("ask")
    );
    bed.run();
    const Decoded out = bed.take_one(kExternalLink);
    CHECK(out.destination == ip("192.0.2.1"));
    CHECK(out.destination_port == 53);
    CHECK(out.ttl == 63);
    const auto external = bed.external_of(Protocol::kUdp, ip("100.64.0.5"), 1000);
    REQUIRE(external);
    CHECK(Endpoint{out.source, out.source_port} == *external);

    bed.push_external(bed.from_external()
                          .ipv4(ip("192.0.2.1"), external->address)
                          .udp(53, external->port)
                          .payload("answer"));
    bed.run();
    const Decoded in = bed.take_one(kInternalLink);
    CHECK(in.source == ip("192.0.2.1"));
    CHECK(in.destination == ip("100.64.0.5"));
    CHECK(in.destination_port == 1000);
    CHECK(in.ttl == 63);
}

}  // namespace sekisho::test
