#include "base/text.h"

#include <catch2/catch.hpp>

namespace sekisho::base {

TEST_CASE("an IPv4 address is four decimal parts and nothing else", "[base]") {
    CHECK(parse_ipv4("192.0.2.1") == Ipv4Addr::of(192, 0, 2, 1));
    CHECK(parse_ipv4("0.0.0.0") == Ipv4Addr{});
    CHECK(parse_ipv4("255.255.255.255") == Ipv4Addr{0xffffffff});
    for (const char* bad :
         {"",
          "1",
          "1.2.3",
          "1.2.3.",
          ".1.2.3",
          "1..2.3",
          "1.2.3.4.",
          "1.2.3.4.5",
          "256.1.1.1",
          "1.2.3.256",
          "01.2.3.4",
          "1.2.3.00",
          " 1.2.3.4",
          "1.2.3.4 ",
          "1.2.3.-4",
          "+1.2.3.4",
          "0x1.2.3.4",
          "1.2.3.4/24",
          "1.2.3.99999999999999999999"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_ipv4(bad));
    }
}

TEST_CASE("a prefix has no bits beyond its length; an interface address may", "[base]") {
    CHECK(parse_ipv4_prefix("100.64.0.0/10") == Ipv4Prefix{Ipv4Addr::of(100, 64, 0, 0), 10});
    CHECK(parse_ipv4_prefix("0.0.0.0/0") == Ipv4Prefix{});
    CHECK(parse_ipv4_prefix("192.0.2.1/32") == Ipv4Prefix{Ipv4Addr::of(192, 0, 2, 1), 32});
    CHECK_FALSE(parse_ipv4_prefix("100.64.0.1/10"));
    CHECK_FALSE(parse_ipv4_prefix("0.0.0.1/0"));
    CHECK(
        parse_ipv4_with_length("100.64.0.1/10") == Ipv4WithLength{Ipv4Addr::of(100, 64, 0, 1), 10}
    );
    for (const char* bad :
         {"",
          "/",
          "1.2.3.4",
          "1.2.3.4/",
          "/8",
          "1.2.3.4/33",
          "1.2.3.4/08",
          "1.2.3.4/8/8",
          "1.2.3.4/-1"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_ipv4_with_length(bad));
        CHECK_FALSE(parse_ipv4_prefix(bad));
    }
}

TEST_CASE("a station address is six two-digit parts", "[base]") {
    CHECK(parse_mac("02:00:00:aB:cD:ef") == MacAddr{{0x02, 0, 0, 0xab, 0xcd, 0xef}});
    for (const char* bad :
         {"",
          "02:00:00:00:00",
          "02:00:00:00:00:0",
          "2:0:0:0:0:1:0:0:00",
          "02-00-00-00-00-01",
          "02:00:00:00:00:0g",
          "02:00:00:00:00:001",
          "020000000001"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_mac(bad));
    }
}

TEST_CASE("a port is a decimal number up to 65535", "[base]") {
    CHECK(parse_port("0") == Port{});
    CHECK(parse_port("53") == Port::from_host(53));
    CHECK(parse_port("65535") == Port::from_host(65535));
    for (const char* bad :
         {"", "65536", "053", "-1", "+1", "5 3", "http", "18446744073709551616"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_port(bad));
    }
}

TEST_CASE("a decimal number stops at its limit without overflow", "[base]") {
    const uint64_t most = ~uint64_t{0};
    CHECK(parse_decimal("18446744073709551615", most) == most);
    CHECK_FALSE(parse_decimal("18446744073709551616", most));
    CHECK_FALSE(parse_decimal("9", 8));
    CHECK(parse_decimal("8", 8) == 8);
    CHECK(parse_decimal("0", 0) == 0);
}

TEST_CASE("what is formatted is parsed back to the same", "[base]") {
    for (uint32_t i = 0; i < 1000; ++i) {
        const Ipv4Addr address{i * 2654435761U};
        CHECK(parse_ipv4(to_text(address)) == address);
    }
    const MacAddr mac{{0x02, 0x1f, 0xff, 0x00, 0x0a, 0x01}};
    CHECK(to_text(mac) == "02:1f:ff:00:0a:01");
    CHECK(parse_mac(to_text(mac)) == mac);
    CHECK(
        fmt::format(
            "{} {} {} {}",
            Ipv4Addr::of(10, 0, 0, 1),
            Port::from_host(80),
            mac,
            Ipv4Prefix{Ipv4Addr::of(10, 0, 0, 0), 8}
        ) == "10.0.0.1 80 02:1f:ff:00:0a:01 10.0.0.0/8"
    );
    CHECK(fmt::format("[{:>10}]", Ipv4Addr::of(1, 2, 3, 4)) == "[   1.2.3.4]");
}

}  // namespace sekisho::base
