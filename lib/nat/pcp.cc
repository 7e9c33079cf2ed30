#include "nat/pcp.h"

#include <algorithm>
#include <cstring>

namespace sekisho::nat {
namespace {

using packet::Bytes;
using packet::load;
using packet::store;

constexpr uint8_t kNatPmp = 0;
constexpr uint8_t kVersion = 2;
constexpr uint8_t kResponse = 0x80;  // in the byte of the opcode

// PCP (RFC 6887 7.1, 7.2, 11.1).
constexpr uint8_t kOpAnnounce = 0;
constexpr uint8_t kOpMap = 1;
constexpr size_t kHeader = 24;
constexpr size_t kMapEnd = kHeader + 36;
constexpr size_t kResultAt = 3, kLifetimeAt = 4, kEpochAt = 8, kReservedAt = 12, kClientAt = 8;
constexpr size_t kNonceAt = 24, kProtocolAt = 36, kInternalPortAt = 40, kExternalPortAt = 42,
                 kExternalAt = 44;

// Options (RFC 6887 7.3, 13).
constexpr size_t kOptionHeader = 4;
constexpr uint8_t kFirstOptional = 128;
constexpr uint8_t kPreferFailure = 2;

// NAT-PMP (RFC 6886 3.2, 3.3, 3.5).
constexpr uint8_t kOpAddress = 0;
constexpr uint8_t kOpMapUdp = 1;
constexpr uint8_t kOpMapTcp = 2;
constexpr size_t kPmpMapRequest = 12;
constexpr size_t kPmpAddressAnswer = 12;
constexpr size_t kPmpMapAnswer = 16;
constexpr size_t kPmpError = 8;

constexpr uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

uint32_t load32(const uint8_t* p) {
    return Be32{load<uint32_t>(p)}.host();
}

bool is_ipv4(const uint8_t* address) {
    return std::memcmp(address, kMappedPrefix, sizeof(kMappedPrefix)) == 0;
}

PcpRequest refuse(PcpRequest request, PcpResult result) {
    request.kind = PcpRequest::kRefused;
    request.result = result;
    return request;
}

// What is suggested; an IPv6 address is one that no pool has.
Ipv4Addr suggested_address(const uint8_t* address) {
    if (is_ipv4(address)) {
        return {load<uint32_t>(address + sizeof(kMappedPrefix))};
    }
    const bool is_any = std::all_of(address, address + 16, [](uint8_t byte) { return byte == 0; });
    return is_any ? Ipv4Addr{} : Ipv4Addr::of(255, 255, 255, 255);
}

// kSuccess, or why the options behind an opcode's own data are refused.
PcpResult read_options(Bytes options, bool is_map, LeaseRequest& wish) {
    while (!options.empty()) {
        if (options.size() < kOptionHeader) {
            return PcpResult::kMalformedOption;
        }
        const uint8_t code = options[0];
        const size_t length = Be16{load<uint16_t>(&options[2])}.host();
        const size_t whole = kOptionHeader + (length + 3) / 4 * 4;
        if (whole > options.size()) {
            return PcpResult::kMalformedOption;
        }
        const bool prefers = code == kPreferFailure && is_map;
        if (prefers && (length != 0 || wish.must_match)) {
            return PcpResult::kMalformedOption;
        }
        if (!prefers && code < kFirstOptional) {
            return PcpResult::kUnsupportedOption;
        }
        wish.must_match = wish.must_match || prefers;
        options = options.subspan(whole);
    }
    return PcpResult::kSuccess;
}

// Ports and protocol of a MAP request: 0 stands for all of them (RFC 6887 11.1), which may only end.
PcpRequest judge_map(PcpRequest request, uint8_t protocol) {
    LeaseRequest& wish = request.wish;
    const bool is_transport = protocol == static_cast<uint8_t>(Protocol::kUdp) ||
                              protocol == static_cast<uint8_t>(Protocol::kTcp);
    if (protocol == 0 && wish.port.raw != 0) {
        return refuse(request, PcpResult::kMalformedRequest);
    }
    if ((protocol != 0 && !is_transport) || (wish.port.raw == 0 && wish.lifetime.value != 0)) {
        return refuse(request, PcpResult::kUnsupportedProtocol);
    }
    wish.all_protocols = protocol == 0;
    wish.protocol = static_cast<Protocol>(protocol);
    request.kind = PcpRequest::kMap;
    return request;
}

PcpRequest parse_map(Bytes payload, PcpRequest request) {
    LeaseRequest& wish = request.wish;
    const PcpResult options = read_options(payload.subspan(kMapEnd), true, wish);
    if (options != PcpResult::kSuccess) {
        return refuse(request, options);
    }
    request.was_parsed = true;
    std::memcpy(wish.nonce.data(), &payload[kNonceAt], wish.nonce.size());
    wish.lifetime = {load32(&payload[kLifetimeAt])};
    wish.port = {load<uint16_t>(&payload[kInternalPortAt])};
    wish.suggested = {
        suggested_address(&payload[kExternalAt]), {load<uint16_t>(&payload[kExternalPortAt])}};
    return judge_map(request, payload[kProtocolAt]);
}

PcpRequest parse_version_2(Bytes payload, PcpRequest request) {
    const uint8_t opcode = payload[1];
    if (payload.size() > kMostPcp || payload.size() % 4 != 0) {
        return refuse(request, PcpResult::kMalformedRequest);
    }
    if (opcode != kOpAnnounce && opcode != kOpMap) {
        return refuse(request, PcpResult::kUnsupportedOpcode);
    }
    if (opcode == kOpMap && payload.size() < kMapEnd) {
        return refuse(request, PcpResult::kMalformedRequest);
    }
    const uint8_t* const client = &payload[kClientAt];
    if (!is_ipv4(client) ||
        load<uint32_t>(client + sizeof(kMappedPrefix)) != request.wish.internal.raw) {
        return refuse(request, PcpResult::kAddressMismatch);
    }
    if (opcode == kOpMap) {
        return parse_map(payload, request);
    }
    const PcpResult options = read_options(payload.subspan(kHeader), false, request.wish);
    if (options != PcpResult::kSuccess) {
        return refuse(request, options);
    }
    request.was_parsed = true;
    request.kind = PcpRequest::kAnnounce;
    return request;
}

// One that is too short for its opcode has no answer in RFC 6886.
PcpRequest parse_nat_pmp(Bytes payload, PcpRequest request) {
    request.is_nat_pmp = true;
    const uint8_t opcode = payload[1];
    if (opcode == kOpAddress) {
        request.kind = PcpRequest::kExternalAddress;
        return request;
    }
    if (opcode != kOpMapUdp && opcode != kOpMapTcp) {
        return refuse(request, PcpResult::kUnsupportedOpcode);
    }
    if (payload.size() < kPmpMapRequest) {
        return request;
    }
    LeaseRequest& wish = request.wish;
    wish.protocol = opcode == kOpMapUdp ? Protocol::kUdp : Protocol::kTcp;
    wish.port = {load<uint16_t>(&payload[4])};
    wish.suggested.port = {load<uint16_t>(&payload[6])};
    wish.lifetime = {load32(&payload[8])};
    if (wish.port.raw == 0 && wish.lifetime.value != 0) {
        return refuse(request, PcpResult::kNotAuthorized);
    }
    request.kind = PcpRequest::kMap;
    return request;
}

// Result codes of NAT-PMP (RFC 6886 3.5).
uint16_t nat_pmp_result(PcpResult result) {
    switch (result) {
        case PcpResult::kSuccess:
            return 0;
        case PcpResult::kNotAuthorized:
            return 2;
        case PcpResult::kNetworkFailure:
            return 3;
        case PcpResult::kUnsupportedOpcode:
            return 5;
        default:
            return 4;
    }
}

size_t write_nat_pmp(uint8_t* message, const PcpRequest& request, const PcpAnswer& answer) {
    message[1] = static_cast<uint8_t>(message[1] | kResponse);
    store(message + 2, Be16::from_host(nat_pmp_result(answer.result)).raw);
    const Port internal = request.wish.port;
    store(message + 4, Be32::from_host(answer.epoch).raw);
    if (message[1] == (kOpAddress | kResponse)) {
        store(message + 8, answer.external.address.raw);
        return kPmpAddressAnswer;
    }
    if (message[1] != (kOpMapUdp | kResponse) && message[1] != (kOpMapTcp | kResponse)) {
        return kPmpError;
    }
    const bool is_error = answer.result != PcpResult::kSuccess;
    store(message + 8, internal.raw);
    store(message + 10, answer.external.port.raw);
    store(message + 12, Be32::from_host(is_error ? 0 : answer.lifetime).raw);
    return kPmpMapAnswer;
}

// The assigned endpoint, and those options that were processed.
size_t write_map(uint8_t* message, const PcpRequest& request, const PcpAnswer& answer) {
    if (request.wish.lifetime.value != 0) {
        store(message + kExternalPortAt, answer.external.port.raw);
        std::memcpy(message + kExternalAt, kMappedPrefix, sizeof(kMappedPrefix));
        store(message + kExternalAt + sizeof(kMappedPrefix), answer.external.address.raw);
    }
    if (!request.wish.must_match) {
        return kMapEnd;
    }
    const uint8_t option[kOptionHeader] = {kPreferFailure, 0, 0, 0};
    std::memcpy(message + kMapEnd, option, sizeof(option));
    return kMapEnd + sizeof(option);
}

}  // namespace

PcpRequest parse_pcp(Bytes payload, RealmId realm, Ipv4Addr source) {
    PcpRequest request;
    request.wish.realm = realm;
    request.wish.internal = source;
    if (payload.size() < 2 || (payload[1] & kResponse) != 0) {
        return request;
    }
    if (payload[0] == kNatPmp) {
        return parse_nat_pmp(payload, request);
    }
    if (payload[0] != kVersion) {
        return refuse(request, PcpResult::kUnsupportedVersion);
    }
    return payload.size() < kHeader ? request : parse_version_2(payload, request);
}

size_t write_pcp_answer(
    std::span<uint8_t> message, size_t length, const PcpRequest& request, const PcpAnswer& answer
) {
    uint8_t* const m = message.data();
    if (request.is_nat_pmp) {
        return write_nat_pmp(m, request, answer);
    }
    size_t whole = std::min(length, kMostPcp);
    const size_t padded = std::max((whole + 3) / 4 * 4, kHeader);
    std::memset(m + whole, 0, padded - whole);
    whole = padded;
    m[0] = kVersion;
    m[1] = static_cast<uint8_t>(m[1] | kResponse);
    m[2] = 0;
    m[kResultAt] = static_cast<uint8_t>(answer.result);
    store(m + kLifetimeAt, Be32::from_host(answer.lifetime).raw);
    store(m + kEpochAt, Be32::from_host(answer.epoch).raw);
    // The last 96 bits of the client's address stand there, and stay if the request was not understood (RFC 6887 7.2).
    if (request.was_parsed) {
        std::memset(m + kReservedAt, 0, kHeader - kReservedAt);
    }
    if (answer.result != PcpResult::kSuccess) {
        return whole;
    }
    return request.kind == PcpRequest::kMap ? write_map(m, request, answer) : kHeader;
}

}  // namespace sekisho::nat
