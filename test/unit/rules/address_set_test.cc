// Named sets of addresses: against a plain list, and while they are changed.
#include "rules/address_set.h"

#include <atomic>
#include <random>
#include <thread>

#include "support/rules_support.h"

namespace sekisho::rules::test {
namespace {

const HashSecret kSecret{{1, 2, 3, 4}};

Ipv4Prefix prefix(const std::string& text) {
    return base::parse_ipv4_prefix(text).value();
}

}  // namespace

TEST_CASE("a set has the addresses of its prefixes", "[rules][sets]") {
    AddressSet set(kSecret);
    CHECK_FALSE(set.has(address("10.0.0.1")));
    CHECK(set.insert(prefix("10.0.0.0/8")));
    CHECK_FALSE(set.insert(prefix("10.0.0.0/8")));
    CHECK(set.insert(prefix("192.0.2.1/32")));
    CHECK(set.size() == 2);
    CHECK(set.has(address("10.255.255.255")));
    CHECK_FALSE(set.has(address("11.0.0.0")));
    CHECK(set.has(address("192.0.2.1")));
    CHECK_FALSE(set.has(address("192.0.2.0")));
    CHECK_FALSE(set.has_entry(prefix("10.0.0.0/9")));
    CHECK(set.erase(prefix("10.0.0.0/8")));
    CHECK_FALSE(set.erase(prefix("10.0.0.0/8")));
    CHECK_FALSE(set.has(address("10.0.0.1")));
    CHECK(set.insert(prefix("0.0.0.0/0")));
    CHECK(set.has(address("0.0.0.0")));
    CHECK(set.has(address("255.255.255.255")));
}

TEST_CASE("a range is the fewest prefixes", "[rules][sets]") {
    const auto text_of = [](const std::string& range) {
        std::string text;
        for (const Ipv4Prefix& p : prefixes_of(addresses(range))) {
            text += base::to_text(p) + " ";
        }
        return text;
    };
    CHECK(text_of("10.0.0.0-10.255.255.255") == "10.0.0.0/8 ");
    CHECK(text_of("10.0.0.1-10.0.0.6") == "10.0.0.1/32 10.0.0.2/31 10.0.0.4/31 10.0.0.6/32 ");
    CHECK(text_of("0.0.0.0-255.255.255.255") == "0.0.0.0/0 ");
    CHECK(text_of("255.255.255.255-255.255.255.255") == "255.255.255.255/32 ");
    CHECK(text_of("0.0.0.0-0.0.0.2") == "0.0.0.0/31 0.0.0.2/32 ");
}

TEST_CASE("a set of a million addresses comes, goes and comes again", "[rules][sets]") {
    AddressSet set(kSecret);
    constexpr uint32_t kMany = 1'000'000;
    const auto nth = [](uint32_t n) { return Ipv4Prefix{Ipv4Addr::from_host(n * 4093), 32}; };
    for (uint32_t n = 0; n < kMany; ++n) {
        REQUIRE(set.insert(nth(n)));
    }
    set.release_outgrown();
    CHECK(set.size() == kMany);
    CHECK(set.bytes() <= 24 * kMany);
    uint32_t found = 0;
    for (uint32_t n = 0; n < 2 * kMany; ++n) {
        found += set.has(nth(n).address) ? 1 : 0;
    }
    CHECK(found == kMany);
    for (unsigned round = 0; round < 3; ++round) {
        for (uint32_t n = 0; n < kMany; n += 2) {
            REQUIRE(set.erase(nth(n)));
        }
        for (uint32_t n = 0; n < kMany; n += 2) {
            REQUIRE(set.insert(nth(n)));
        }
    }
    set.release_outgrown();
    CHECK(set.bytes() <= 24 * kMany);  // what was erased leaves nothing behind for ever
}

TEST_CASE("a set agrees with a list of its prefixes", "[rules][sets]") {
    std::mt19937 random(1);
    AddressSet set(kSecret);
    std::vector<Ipv4Prefix> list;
    for (unsigned step = 0; step < 3000; ++step) {
        const auto length = static_cast<uint8_t>(16 + random() % 17);
        const Ipv4Prefix any{Ipv4Addr{}, length};
        const uint32_t host = (0x0a000000 | (random() & 0xfff)) & any.mask_host();
        const Ipv4Prefix p{Ipv4Addr::from_host(host), length};
        const auto found = std::ranges::find(list, p);
        if (random() % 2 == 0) {
            CHECK(set.insert(p) == (found == list.end()));
            if (found == list.end()) {
                list.push_back(p);
            }
        } else {
            CHECK(set.erase(p) == (found != list.end()));
            std::erase(list, p);
        }
        const auto a = Ipv4Addr::from_host(0x0a000000 | (random() & 0x1fff));
        const bool wanted =
            std::ranges::any_of(list, [a](const Ipv4Prefix& q) { return q.contains(a); });
        REQUIRE(set.has(a) == wanted);
    }
}

TEST_CASE("what stays in a set is found all the time while it is changed", "[rules][sets]") {
    AddressSet set(kSecret);
    const auto nth = [](uint32_t n) { return Ipv4Prefix{Ipv4Addr::from_host(n), 32}; };
    for (uint32_t n = 0; n < 1000; ++n) {
        set.insert(nth(n));
    }
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> missed{0};
    std::thread reader([&] {
        for (uint32_t n = 0; !stop.load(); n = (n + 1) % 1000) {
            missed += set.has(nth(n).address) ? 0 : 1;
        }
    });
    for (uint32_t n = 1000; n < 200'000; ++n) {
        set.insert(nth(n));
        if (n % 3 == 0) {
            set.erase(nth(n));
        }
    }
    stop = true;
    reader.join();
    CHECK(missed == 0);
}

}  // namespace sekisho::rules::test
