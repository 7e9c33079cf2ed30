// Look-ups, numbers and masks.
#include "legacy/names.h"

#include "legacy/numbers.h"
#include "legacy_support.h"

namespace sekisho::legacy::test {

TEST_CASE("services and protocols come from tables, with their other names", "[legacy][names]") {
    const NameTables names = tables();
    CHECK(names.port_of("smtp", Protocol::kTcp) == 25);
    CHECK(names.port_of("mail", Protocol::kTcp) == 25);
    CHECK(names.port_of("smtp", Protocol::kUdp) == std::nullopt);
    CHECK(names.port_of("domain", Protocol::kUdp) == 53);
    CHECK(names.port_of("DNS", Protocol::kTcp) == std::nullopt);
    CHECK(names.service_at(80, Protocol::kTcp) == "http");
    CHECK(names.service_at(80, Protocol::kUdp) == std::nullopt);
    CHECK(names.protocol_of("gre") == 47);
    CHECK(names.protocol_of("GRE") == 47);
    CHECK(names.protocol_name(17) == "udp");
    CHECK(names.protocol_name(99) == std::nullopt);
}

TEST_CASE("lines of tables that make no sense are passed over", "[legacy][names]") {
    NameTables names;
    names.read_services("a\nb x/tcp\nc 70000/tcp\nd 5/sctp\ne 6\n#f 7/tcp\n\tg\t8/tcp\r\nh 9/udp");
    for (const char* name : {"a", "b", "c", "d", "e", "f", "#f"}) {
        CHECK(names.port_of(name, Protocol::kTcp) == std::nullopt);
    }
    CHECK(names.port_of("g", Protocol::kTcp) == 8);
    CHECK(names.port_of("h", Protocol::kUdp) == 9);
}

TEST_CASE("hosts come from the table first, then from the resolver", "[legacy][names]") {
    NameTables names = tables();
    CHECK(names.host("nobody.example").empty());
    CHECK(names.host("pair.example").size() == 2);
    CHECK(names.network("inside") == address("192.168.0.0"));
    std::vector<std::string> asked;
    names.set_resolver([&asked](std::string_view name) {
        asked.emplace_back(name);
        return std::vector{address("198.51.100.1")};
    });
    CHECK(names.host("nobody.example") == std::vector{address("198.51.100.1")});
    CHECK(names.host("www.example") == std::vector{address("192.0.2.80")});
    CHECK(asked == std::vector<std::string>{"nobody.example"});
}

TEST_CASE("masks are bits or dotted, also with holes", "[legacy][legacy-s29]") {
    CHECK(read_mask("24") == address("255.255.255.0"));
    CHECK(read_mask("0") == address("0.0.0.0"));
    CHECK(read_mask("32") == address("255.255.255.255"));
    CHECK(read_mask("255.0.255.0") == address("255.0.255.0"));
    for (const char* wrong : {"33", "", "-1", "255.255.255", "1.2.3.4.5", "256.0.0.0", "x", "+1"}) {
        CHECK(read_mask(wrong) == std::nullopt);
    }
    CHECK(bits_of(address("255.255.0.0")) == 16U);
    CHECK(bits_of(address("255.0.255.0")) == std::nullopt);
    CHECK(read_dotted("010.001.000.255") == address("10.1.0.255"));
}

TEST_CASE("an address is shown with what its mask leaves of it", "[legacy][legacy-s25]") {
    CHECK(to_text(HostMask{address("10.0.0.1"), address("255.255.255.255")}) == "10.0.0.1");
    CHECK(to_text(HostMask{address("10.0.0.0"), address("255.0.0.0")}) == "10.0.0.0/8");
    CHECK(to_text(HostMask{}) == "0.0.0.0/0");
    CHECK(to_text(HostMask{address("10.0.0.1"), address("255.0.0.255")}) == "10.0.0.1/255.0.0.255");
}

TEST_CASE("counters above 99999 are thousands, then millions", "[legacy][legacy-s24]") {
    struct Row {
        uint64_t count;
        const char* text;
    };
    for (const auto& [count, text] :
         {Row{0, "0"},
          {99999, "99999"},
          {100000, "100K"},
          {100499, "100K"},
          {100500, "101K"},
          {9999499, "9999K"},
          {9999500, "10M"},
          {1234567890, "1235M"}}) {
        CHECK(rounded_to_millions(count) == text);
    }
}

}  // namespace sekisho::legacy::test
