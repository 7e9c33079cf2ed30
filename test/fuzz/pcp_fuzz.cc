// Any bytes as a request of PCP or NAT-PMP: what comes of them has a meaning, and every answer fits.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "nat/pcp.h"

namespace {

using namespace sekisho;       // NOLINT: a test
using namespace sekisho::nat;  // NOLINT

void require(bool holds, const char* what) {
    if (!holds) {
        std::fprintf(stderr, "broken: %s\n", what);
        std::abort();
    }
}

void check_wish(const LeaseRequest& wish) {
    require(wish.port.raw != 0 || wish.lifetime.value == 0, "all ports may only end");
    require(!wish.all_protocols || wish.port.raw == 0, "all protocols are all ports");
    require(
        wish.all_protocols || wish.protocol == Protocol::kUdp || wish.protocol == Protocol::kTcp,
        "the protocol is one that has mappings"
    );
}

// The message lies in a block of just its size and the room behind it, so that the sanitizer sees what goes beyond.
void answer(const uint8_t* data, size_t size, const PcpRequest& request, PcpResult result) {
    const auto message = std::make_unique<uint8_t[]>(size + kPcpRoom);
    std::copy_n(data, size, message.get());
    PcpAnswer given{result, 600, 77, {}};
    given.external = {Ipv4Addr::of(203, 0, 113, 5), Port::from_host(5000)};
    const size_t length = write_pcp_answer({message.get(), size + kPcpRoom}, size, request, given);
    require(length <= kMostPcp && length <= size + kPcpRoom, "the answer fits");
    require((message[1] & 0x80) != 0, "it is a response");
    require(request.is_nat_pmp || length % 4 == 0, "it is whole words");
    require(
        parse_pcp({message.get(), length}, kInternalRealm, {}).kind == PcpRequest::kSilent,
        "nobody answers an answer"
    );
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size > 65507) {
        return 0;
    }
    const auto exact = std::make_unique<uint8_t[]>(size);
    std::copy_n(data, size, exact.get());
    const Ipv4Addr client = Ipv4Addr::of(100, 64, 0, 5);
    const PcpRequest request = parse_pcp({exact.get(), size}, kInternalRealm, client);
    require(request.wish.internal == client, "the client is who sent it");
    switch (request.kind) {
        case PcpRequest::kSilent:
            return 0;
        case PcpRequest::kRefused:
            require(request.result != PcpResult::kSuccess, "a refusal has a reason");
            answer(data, size, request, request.result);
            return 0;
        case PcpRequest::kMap:
            check_wish(request.wish);
            break;
        case PcpRequest::kAnnounce:
        case PcpRequest::kExternalAddress:
            break;
    }
    answer(data, size, request, PcpResult::kSuccess);
    answer(data, size, request, PcpResult::kNoResources);
    return 0;
}
