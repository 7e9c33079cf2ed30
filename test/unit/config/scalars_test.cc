#include "config/scalars.h"

#include <catch2/catch.hpp>

using namespace sekisho;
using namespace sekisho::config;

TEST_CASE("numbers are read strictly, with the units that fit", "[config]") {
    struct Case {
        const char* text;
        Unit unit;
        std::optional<uint64_t> value;
    };
    const Case cases[] = {
        {"0", Unit::kNone, 0},
        {"65535", Unit::kNone, 65535},
        {"64k", Unit::kCount, 64000},
        {"64Ki", Unit::kCount, 65536},
        {"2M", Unit::kCount, 2000000},
        {"2Mi", Unit::kCount, 2097152},
        {"90", Unit::kSeconds, 90},
        {"90s", Unit::kSeconds, 90},
        {"5m", Unit::kSeconds, 300},
        {"2h", Unit::kSeconds, 7200},
        {"5m", Unit::kCount, std::nullopt},
        {"5k", Unit::kSeconds, std::nullopt},
        {"5k", Unit::kNone, std::nullopt},
        {"5 m", Unit::kSeconds, std::nullopt},
        {"5M", Unit::kSeconds, std::nullopt},
        {"5K", Unit::kCount, std::nullopt},
        {"", Unit::kNone, std::nullopt},
        {"k", Unit::kCount, std::nullopt},
        {"-1", Unit::kNone, std::nullopt},
        {"+1", Unit::kNone, std::nullopt},
        {"010", Unit::kNone, std::nullopt},
        {"0x10", Unit::kNone, std::nullopt},
        {"1.5", Unit::kNone, std::nullopt},
        {"1_000", Unit::kNone, std::nullopt},
        {"99999999999999999999", Unit::kNone, std::nullopt},
        {"999999999999999999h", Unit::kSeconds, std::nullopt},
    };
    for (const Case& c : cases) {
        INFO(c.text);
        CHECK(parse_number(c.text, c.unit) == c.value);
    }
}

TEST_CASE("an address is four decimal parts", "[config]") {
    CHECK(parse_address("192.0.2.255") == Ipv4Addr::of(192, 0, 2, 255));
    CHECK(parse_address("0.0.0.0") == Ipv4Addr::of(0, 0, 0, 0));
    for (const char* text :
         {"",
          "1.2.3",
          "1.2.3.4.5",
          "1.2.3.256",
          "01.2.3.4",
          "1.2.3.",
          ".1.2.3",
          "1.2.3.4 ",
          "a.b.c.d",
          "1..2.3"}) {
        INFO(text);
        CHECK_FALSE(parse_address(text));
    }
}

TEST_CASE("a prefix has no host bits", "[config]") {
    CHECK(parse_prefix("10.0.0.0/8") == Ipv4Prefix{Ipv4Addr::of(10, 0, 0, 0), 8});
    CHECK(parse_prefix("0.0.0.0/0") == Ipv4Prefix{Ipv4Addr{}, 0});
    CHECK(parse_prefix("192.0.2.1/32") == Ipv4Prefix{Ipv4Addr::of(192, 0, 2, 1), 32});
    CHECK(parse_prefix("10.0.0.1/8").error() == "10.0.0.0/8 (no bits set beyond the length)");
    for (const char* text :
         {"10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "/8", "10/8"}) {
        INFO(text);
        CHECK_FALSE(parse_prefix(text));
    }
}

TEST_CASE("an own address is a host's", "[config]") {
    CHECK(
        parse_interface_address("192.0.2.1/24") == InterfaceAddress{Ipv4Addr::of(192, 0, 2, 1), 24}
    );
    CHECK(
        parse_interface_address("192.0.2.0/31") == InterfaceAddress{Ipv4Addr::of(192, 0, 2, 0), 31}
    );
    CHECK(
        parse_interface_address("192.0.2.0/32") == InterfaceAddress{Ipv4Addr::of(192, 0, 2, 0), 32}
    );
    for (const char* text :
         {"192.0.2.0/24",
          "192.0.2.255/24",
          "192.0.2.1/0",
          "127.0.0.1/8",
          "224.0.0.5/24",
          "0.0.0.1/8"}) {
        INFO(text);
        CHECK_FALSE(parse_interface_address(text));
    }
    CHECK(
        InterfaceAddress{Ipv4Addr::of(100, 64, 3, 1), 10}.on_link() ==
        Ipv4Prefix{Ipv4Addr::of(100, 64, 0, 0), 10}
    );
}

TEST_CASE("a pool range is an address, a prefix or two ends", "[config]") {
    const nat::AddressRange two{Ipv4Addr::of(192, 0, 2, 4), Ipv4Addr::of(192, 0, 2, 5)};
    CHECK(parse_address_range("192.0.2.4-192.0.2.5") == two);
    CHECK(parse_address_range("192.0.2.4/31") == two);
    CHECK(parse_address_range("192.0.2.4") == nat::AddressRange{two.first, two.first});
    CHECK(format(two) == "192.0.2.4/31");
    CHECK(format(nat::AddressRange{two.last, Ipv4Addr::of(192, 0, 2, 6)}) == "192.0.2.5-192.0.2.6");
    CHECK(format(nat::AddressRange{two.first, two.first}) == "192.0.2.4");
    for (const char* text :
         {"",
          "-",
          "192.0.2.4-",
          "-192.0.2.4",
          "192.0.2.4-5",
          "192.0.2.5-192.0.2.4",
          "192.0.2.4/31-192.0.2.9",
          "0.0.0.0/0",
          "126.0.0.0-128.0.0.0",
          "127.0.0.1",
          "240.0.0.1"}) {
        INFO(text);
        CHECK_FALSE(parse_address_range(text));
    }
}

TEST_CASE("ports run from 1", "[config]") {
    CHECK(parse_port_range("1-65535") == nat::PortRange{1, 65535});
    CHECK(parse_port_range("5000-5000") == nat::PortRange{5000, 5000});
    for (const char* text :
         {"", "-", "1024", "0-1", "1-65536", "2-1", "1-", "-1", "1-2-3", "1 - 2"}) {
        INFO(text);
        CHECK_FALSE(parse_port_range(text));
    }
}
