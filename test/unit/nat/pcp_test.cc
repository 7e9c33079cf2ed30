// The messages of PCP and NAT-PMP, byte by byte.
#include "nat/pcp.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "pcp_messages.h"

using namespace sekisho;
using namespace sekisho::test;
using nat::PcpAnswer;
using nat::PcpRequest;
using nat::PcpResult;

namespace {

const Ipv4Addr kClient = Ipv4Addr::of(100, 64, 0, 5);

PcpRequest parsed(const ByteVector& bytes) {
    return nat::parse_pcp(bytes, kInternalRealm, kClient);
}

PcpResult refusal(const ByteVector& bytes) {
    const PcpRequest request = parsed(bytes);
    return request.kind == PcpRequest::kRefused ? request.result : PcpResult::kSuccess;
}

ByteVector answered(ByteVector bytes, const PcpAnswer& answer) {
    const PcpRequest request = parsed(bytes);
    const size_t length = bytes.size();
    bytes.resize(length + nat::kPcpRoom, 0xee);
    bytes.resize(nat::write_pcp_answer(bytes, length, request, answer));
    return bytes;
}

}  // namespace

TEST_CASE("a MAP request says what is wished", "[nat][pcp]") {
    PcpMap map{.client = kClient, .port = 4000, .lifetime = 600};
    map.suggested = {Ipv4Addr::of(203, 0, 113, 5), Port::from_host(5000)};
    const PcpRequest request = parsed(map.bytes());
    REQUIRE(request.kind == PcpRequest::kMap);
    CHECK(request.wish.internal == kClient);
    CHECK(request.wish.port.host() == 4000);
    CHECK(request.wish.protocol == Protocol::kUdp);
    CHECK(request.wish.lifetime.value == 600);
    CHECK(request.wish.suggested == map.suggested);
    CHECK(request.wish.nonce == map.nonce);
    CHECK_FALSE(request.wish.must_match);
    map.options = {2, 0, 0, 0};
    CHECK(parsed(map.bytes()).wish.must_match);
}

TEST_CASE("what deserves no answer gets none", "[nat][pcp]") {
    const ByteVector map = PcpMap{.client = kClient}.bytes();
    CHECK(parsed({}).kind == PcpRequest::kSilent);
    CHECK(parsed({2}).kind == PcpRequest::kSilent);
    CHECK(parsed(ByteVector(map.begin(), map.begin() + 23)).kind == PcpRequest::kSilent);
    ByteVector response = map;
    response[1] |= 0x80;
    CHECK(parsed(response).kind == PcpRequest::kSilent);
    CHECK(parsed({0, 0x81, 0, 0}).kind == PcpRequest::kSilent);
    CHECK(parsed({0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0}).kind == PcpRequest::kSilent);
}

TEST_CASE("each fault of a request has its result code", "[nat][pcp]") {
    const PcpMap good{.client = kClient};
    const auto with = [&](auto change) {
        PcpMap map = good;
        change(map);
        return refusal(map.bytes());
    };
    const auto byte = [&](size_t at, uint8_t value) {
        ByteVector bytes = good.bytes();
        bytes[at] = value;
        return refusal(bytes);
    };
    REQUIRE(parsed(good.bytes()).kind == PcpRequest::kMap);
    CHECK(byte(0, 1) == PcpResult::kUnsupportedVersion);
    CHECK(byte(0, 3) == PcpResult::kUnsupportedVersion);
    CHECK(refusal({9, 0}) == PcpResult::kUnsupportedVersion);
    CHECK(byte(1, 2) == PcpResult::kUnsupportedOpcode);  // PEER
    CHECK(byte(1, 127) == PcpResult::kUnsupportedOpcode);
    CHECK(byte(23, 6) == PcpResult::kAddressMismatch);
    CHECK(byte(8, 1) == PcpResult::kAddressMismatch);  // no IPv4 address at all
    CHECK(byte(36, 132) == PcpResult::kUnsupportedProtocol);
    CHECK(byte(36, 0) == PcpResult::kMalformedRequest);  // all protocols, but one port
    CHECK(with([](PcpMap& m) { m.port = 0; }) == PcpResult::kUnsupportedProtocol);
    ByteVector odd = good.bytes();
    odd.push_back(0);
    CHECK(refusal(odd) == PcpResult::kMalformedRequest);
    ByteVector cut = good.bytes();
    cut.resize(56);
    CHECK(refusal(cut) == PcpResult::kMalformedRequest);
    ByteVector large = good.bytes();
    large.resize(1104);
    CHECK(refusal(large) == PcpResult::kMalformedRequest);
}

TEST_CASE("options that must be processed are, or refused; others are left out", "[nat][pcp]") {
    const auto with = [](const ByteVector& options) {
        PcpMap map{.client = kClient};
        map.options = options;
        return map.bytes();
    };
    CHECK(
        refusal(with({1, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})) ==
        PcpResult::kUnsupportedOption
    );                                                                    // THIRD_PARTY
    CHECK(refusal(with({3, 0, 0, 0})) == PcpResult::kUnsupportedOption);  // FILTER
    CHECK(refusal(with({127, 0, 0, 0})) == PcpResult::kUnsupportedOption);
    CHECK(refusal(with({2, 0, 0, 4, 0, 0, 0, 0})) == PcpResult::kMalformedOption);
    CHECK(refusal(with({2, 0, 0, 0, 2, 0, 0, 0})) == PcpResult::kMalformedOption);
    CHECK(refusal(with({200, 0, 0, 5, 0, 0, 0, 0})) == PcpResult::kMalformedOption);  // too long
    CHECK(refusal(with({200, 0, 0xff, 0xff})) == PcpResult::kMalformedOption);
    const ByteVector optional = with({200, 0, 0, 3, 1, 2, 3, 0});
    CHECK(parsed(optional).kind == PcpRequest::kMap);
    CHECK(answered(optional, {}).size() == 60);
    ByteVector announce(24);
    announce[0] = 2;
    std::copy_n(optional.begin() + 8, 16, announce.begin() + 8);
    CHECK(parsed(announce).kind == PcpRequest::kAnnounce);
    announce.insert(announce.end(), {2, 0, 0, 0});
    CHECK(refusal(announce) == PcpResult::kUnsupportedOption);
}

TEST_CASE("a grant tells lifetime, epoch and the external endpoint", "[nat][pcp]") {
    PcpMap map{.client = kClient, .port = 4000, .lifetime = 600};
    map.options = {2, 0, 0, 0};
    const ByteVector request = map.bytes();
    PcpAnswer answer{PcpResult::kSuccess, 600, 0x01020304, {}};
    answer.external = {Ipv4Addr::of(203, 0, 113, 9), Port::from_host(6000)};
    const ByteVector bytes = answered(request, answer);
    REQUIRE(bytes.size() == 64);
    CHECK(
        ByteVector(bytes.begin(), bytes.begin() + 12) ==
        ByteVector{2, 0x81, 0, 0, 0, 0, 2, 0x58, 1, 2, 3, 4}
    );
    CHECK(std::all_of(bytes.begin() + 12, bytes.begin() + 24, [](uint8_t b) { return b == 0; }));
    CHECK(std::equal(bytes.begin() + 24, bytes.begin() + 42, request.begin() + 24));
    CHECK(
        ByteVector(bytes.begin() + 42, bytes.end()) ==
        ByteVector{0x17, 0x70, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 9, 2, 0, 0, 0}
    );
}

TEST_CASE("an error brings the request back, whole or up to 1100 bytes", "[nat][pcp]") {
    ByteVector request = PcpMap{.client = kClient}.bytes();
    request[1] = 99;
    request.resize(70, 0xab);
    const ByteVector error = answered(request, {PcpResult::kMalformedRequest, 1800, 7, {}});
    REQUIRE(error.size() == 72);
    CHECK(error[1] == (99 | 0x80));
    CHECK(error[3] == 3);
    CHECK(std::equal(error.begin() + 12, error.begin() + 70, request.begin() + 12));
    CHECK((error[70] == 0 && error[71] == 0));
    request.resize(1400);
    CHECK(answered(request, {PcpResult::kMalformedRequest, 1800, 7, {}}).size() == 1100);
    const ByteVector version = answered({1, 0}, {PcpResult::kUnsupportedVersion, 1800, 7, {}});
    REQUIRE(version.size() == 24);
    CHECK((version[0] == 2 && version[1] == 0x80 && version[3] == 1));
}

TEST_CASE("NAT-PMP asks for the address and for mappings", "[nat][pcp]") {
    const PcpRequest address = parsed({0, 0});
    CHECK(address.kind == PcpRequest::kExternalAddress);
    PcpAnswer answer{PcpResult::kSuccess, 3600, 9, {}};
    answer.external = {Ipv4Addr::of(203, 0, 113, 9), Port::from_host(6000)};
    CHECK(answered({0, 0}, answer) == ByteVector{0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 9});
    const ByteVector map = {0, 2, 0, 0, 0x0f, 0xa0, 0x13, 0x88, 0, 0, 0x0e, 0x10};
    const PcpRequest request = parsed(map);
    REQUIRE(request.kind == PcpRequest::kMap);
    CHECK(request.wish.protocol == Protocol::kTcp);
    CHECK(request.wish.port.host() == 4000);
    CHECK(request.wish.suggested.port.host() == 5000);
    CHECK(request.wish.lifetime.value == 3600);
    CHECK(
        answered(map, answer) ==
        ByteVector{0, 130, 0, 0, 0, 0, 0, 9, 0x0f, 0xa0, 0x17, 0x70, 0, 0, 0x0e, 0x10}
    );
    CHECK(refusal({0, 7}) == PcpResult::kUnsupportedOpcode);
    CHECK(
        answered({0, 7}, {PcpResult::kUnsupportedOpcode, 0, 9, {}}) ==
        ByteVector{0, 135, 0, 5, 0, 0, 0, 9}
    );
}
