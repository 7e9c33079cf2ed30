#include "nat/pcp_server.h"

namespace sekisho::nat {
namespace {

// For how long an error is to be expected (RFC 6887 7.4): until something ends, or until somebody changes something.
constexpr uint32_t kShortError = 30;
constexpr uint32_t kLongError = 1800;

uint32_t error_lifetime(PcpResult result) {
    switch (result) {
        case PcpResult::kNetworkFailure:
        case PcpResult::kNoResources:
        case PcpResult::kUserExceededQuota:
        case PcpResult::kCannotProvideExternal:
            return kShortError;
        default:
            return kLongError;
    }
}

LeaseAnswer ask(NatShard& shard, const PcpRequest& request, Tick now) {
    switch (request.kind) {
        case PcpRequest::kMap:
            return shard.lease(request.wish, now);
        case PcpRequest::kExternalAddress:
            return shard.external_for(request.wish.realm, request.wish.internal, now);
        case PcpRequest::kAnnounce:
            return {.kind = LeaseAnswer::kGranted};
        default:
            return {.kind = LeaseAnswer::kRefused, .result = request.result};
    }
}

}  // namespace

PcpOutcome answer_pcp(
    NatShard& shard,
    PcpCounters& counters,
    std::span<uint8_t> message,
    const PcpSource& source,
    Tick now
) {
    const size_t length = message.size() - kPcpRoom;
    const PcpRequest request = parse_pcp(message.first(length), source.realm, source.address);
    if (request.kind == PcpRequest::kSilent) {
        counters.silent.add(1);
        return {};
    }
    const LeaseAnswer given = ask(shard, request, now);
    if (given.kind == LeaseAnswer::kHold) {
        return {PcpOutcome::kHold, 0, given.waiting};
    }
    PcpAnswer answer{given.result, given.lifetime.value, shard.lease_epoch(now), given.external};
    if (given.result != PcpResult::kSuccess) {
        answer.lifetime = error_lifetime(given.result);
    }
    counters.answered[static_cast<size_t>(given.result)].add(1);
    return {PcpOutcome::kAnswered, write_pcp_answer(message, length, request, answer), {kNoIndex}};
}

}  // namespace sekisho::nat
