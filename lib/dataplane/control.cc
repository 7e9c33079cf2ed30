// A shard's answers to the control thread: one bounded slice a poll, so that no listing holds up packets.
#include <algorithm>

#include "dataplane/shard.h"

namespace sekisho::dataplane {
namespace {

constexpr uint32_t kLargestSlice = 256;

template <class View>
std::span<View> room_of(const ControlRequest& request) {
    return {static_cast<View*>(request.out), request.room};
}

}  // namespace

unsigned Shard::poll_control(Tick now) {
    ControlRequest* request = nullptr;
    if (plan_.fabric->reply(tables_.self).room() == 0 ||
        !plan_.fabric->request(tables_.self).pop(request)) {
        return 0;
    }
    serve(*request, now);
    return plan_.fabric->reply(tables_.self).push(request) ? 1 : 0;
}

void Shard::serve(ControlRequest& request, Tick now) {
    size_t filled = 0;
    request.more = false;
    const uint32_t limit = std::min({request.limit, kLargestSlice, request.room});
    switch (request.kind) {
        case ControlRequest::kSessions:
            request.more = nat_->list_sessions(
                request.cursor, limit, now, room_of<nat::SessionView>(request), filled
            );
            break;
        case ControlRequest::kMappings:
            request.more = nat_->list_mappings(
                request.cursor, limit, room_of<nat::MappingView>(request), filled
            );
            break;
        case ControlRequest::kSubscribers:
            request.more = nat_->list_subscribers(
                request.cursor, limit, room_of<nat::SubscriberView>(request), filled
            );
            break;
        case ControlRequest::kPools:
            for (; filled < request.room && filled < plan_.settings->pools.size(); ++filled) {
                room_of<nat::PoolView>(request)[filled] =
                    nat_->pool_view(PoolId{static_cast<uint16_t>(filled)}, now);
            }
            break;
        case ControlRequest::kClearSessions:
            for (const nat::SessionView& wanted : room_of<nat::SessionView>(request)) {
                filled += clear_session(wanted, now) ? 1 : 0;
            }
            nat_->end_of_burst();
            break;
        case ControlRequest::kClearLeases:
            for (const nat::MappingView& wanted : room_of<nat::MappingView>(request)) {
                filled += clear_lease(wanted, now) ? 1 : 0;
            }
            nat_->end_of_burst();
            break;
    }
    request.filled = static_cast<uint32_t>(filled);
}

// An index may have been used again since the listing: the session must still be the same flow through the same mapping.
bool Shard::clear_session(const nat::SessionView& wanted, Tick now) {
    if (wanted.index >= nat_->session_capacity()) {
        return false;
    }
    const flow::Session& session = nat_->session(SessionIndex{wanted.index});
    const bool same = (session.flags & flow::kLive) != 0 &&
                      session.mapping == wanted.session.mapping &&
                      flow::key_of(session, Direction::kOutbound) ==
                          flow::key_of(wanted.session, Direction::kOutbound) &&
                      flow::key_of(session, Direction::kInbound) ==
                          flow::key_of(wanted.session, Direction::kInbound);
    if (same) {
        nat_->clear_session(SessionIndex{wanted.index}, now);
    }
    return same;
}

// The same: it must still be the mapping of these endpoints.
bool Shard::clear_lease(const nat::MappingView& wanted, Tick now) {
    if (nat_->leases().find(wanted.index) == kNoIndex) {
        return false;
    }
    const MappingIndex mapping{wanted.index};
    const nat::Mapping& m = nat_->mapping(mapping);
    const bool same = m.internal_address == wanted.mapping.internal_address &&
                      m.internal_port == wanted.mapping.internal_port &&
                      m.external_address == wanted.mapping.external_address &&
                      m.external_port == wanted.mapping.external_port &&
                      m.protocol == wanted.mapping.protocol && m.realm == wanted.mapping.realm;
    return same && nat_->clear_lease(mapping, now);
}

}  // namespace sekisho::dataplane
