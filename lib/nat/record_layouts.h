// The layouts of the NAT's records for the arena's digest (base/record_layout.h).
#pragma once

#include "base/record_layout.h"
#include "flow/session_layout.h"
#include "nat/event.h"
#include "nat/nat_shard.h"
#include "nat/port_block.h"
#include "nat/subscriber.h"

namespace sekisho::nat {

#define SEKISHO_FIELD(record, field) \
    { #field, offsetof(record, field), sizeof(record::field) }
inline constexpr FieldLayout kMappingFields[] = {
    SEKISHO_FIELD(Mapping, internal_address),
    SEKISHO_FIELD(Mapping, external_address),
    SEKISHO_FIELD(Mapping, internal_port),
    SEKISHO_FIELD(Mapping, external_port),
    SEKISHO_FIELD(Mapping, protocol),
    SEKISHO_FIELD(Mapping, realm),
    SEKISHO_FIELD(Mapping, policy),
    SEKISHO_FIELD(Mapping, subscriber),
    SEKISHO_FIELD(Mapping, block),
    SEKISHO_FIELD(Mapping, sessions),
    SEKISHO_FIELD(Mapping, inbound_openings),
    SEKISHO_FIELD(Mapping, state),
};
inline constexpr FieldLayout kMappingRemoteFields[] = {
    SEKISHO_FIELD(MappingRemote, address),
    SEKISHO_FIELD(MappingRemote, port),
    SEKISHO_FIELD(MappingRemote, exclusive),
};
inline constexpr FieldLayout kSubscriberFields[] = {
    SEKISHO_FIELD(Subscriber, next_lingering), SEKISHO_FIELD(Subscriber, address),
    SEKISHO_FIELD(Subscriber, realm),          SEKISHO_FIELD(Subscriber, state),
    SEKISHO_FIELD(Subscriber, policy),         SEKISHO_FIELD(Subscriber, external),
    SEKISHO_FIELD(Subscriber, first_block),    SEKISHO_FIELD(Subscriber, blocks),
    SEKISHO_FIELD(Subscriber, limits_told),    SEKISHO_FIELD(Subscriber, half_open),
    SEKISHO_FIELD(Subscriber, sessions),       SEKISHO_FIELD(Subscriber, ports),
    SEKISHO_FIELD(Subscriber, mappings),       SEKISHO_FIELD(Subscriber, generation),
    SEKISHO_FIELD(Subscriber, refused_at),     SEKISHO_FIELD(Subscriber, tokens_at),
    SEKISHO_FIELD(Subscriber, tokens),         SEKISHO_FIELD(Subscriber, wait),
    SEKISHO_FIELD(Subscriber, marks),          SEKISHO_FIELD(Subscriber, limits_told_at),
};
inline constexpr FieldLayout kPortBlockFields[] = {
    SEKISHO_FIELD(PortBlock, next),
    SEKISHO_FIELD(PortBlock, external),
    SEKISHO_FIELD(PortBlock, number),
    SEKISHO_FIELD(PortBlock, cursor),
    SEKISHO_FIELD(PortBlock, subscriber),
    SEKISHO_FIELD(PortBlock, in_use),
    SEKISHO_FIELD(PortBlock, epoch),
    SEKISHO_FIELD(PortBlock, state),
    SEKISHO_FIELD(PortBlock, empty_previous),
    SEKISHO_FIELD(PortBlock, empty_next),
};
inline constexpr FieldLayout kEventFields[] = {
    SEKISHO_FIELD(Event, sequence),
    SEKISHO_FIELD(Event, tick_ms),
    SEKISHO_FIELD(Event, kind),
    SEKISHO_FIELD(Event, realm),
    SEKISHO_FIELD(Event, protocol),
    SEKISHO_FIELD(Event, cause),
    SEKISHO_FIELD(Event, internal_address),
    SEKISHO_FIELD(Event, external_address),
    SEKISHO_FIELD(Event, remote_address),
    SEKISHO_FIELD(Event, internal_port),
    SEKISHO_FIELD(Event, external_port),
    SEKISHO_FIELD(Event, remote_port),
    SEKISHO_FIELD(Event, last_port),
    SEKISHO_FIELD(Event, pool),
    SEKISHO_FIELD(Event, inbound),
    SEKISHO_FIELD(Event, since_ms),
    SEKISHO_FIELD(Event, sequence_number),
    SEKISHO_FIELD(Event, count),
    SEKISHO_FIELD(Event, sent_to_address),
    SEKISHO_FIELD(Event, sent_to_port),
    SEKISHO_FIELD(Event, reserved),
};
inline constexpr FieldLayout kTcpWindowFields[] = {
    SEKISHO_FIELD(TcpWindow, end),
    SEKISHO_FIELD(TcpWindow, limit),
    SEKISHO_FIELD(TcpWindow, window),
    SEKISHO_FIELD(TcpWindow, known),
    SEKISHO_FIELD(TcpWindow, picked_up),
    SEKISHO_FIELD(TcpWindow, reserved),
    SEKISHO_FIELD(TcpWindow, reserved2),
};
inline constexpr FieldLayout kOriginalFields[] = {
    SEKISHO_FIELD(OriginalDestination, address),
    SEKISHO_FIELD(OriginalDestination, port),
    SEKISHO_FIELD(OriginalDestination, trigger),
};
inline constexpr FieldLayout kLeaseFields[] = {
    SEKISHO_FIELD(Lease, mapping),
    SEKISHO_FIELD(Lease, subscriber),
    SEKISHO_FIELD(Lease, end_ms),
    SEKISHO_FIELD(Lease, previous),
    SEKISHO_FIELD(Lease, next),
    SEKISHO_FIELD(Lease, nonce),
    SEKISHO_FIELD(Lease, count),
    SEKISHO_FIELD(Lease, state),
    SEKISHO_FIELD(Lease, reserved),
};
#undef SEKISHO_FIELD

inline constexpr RecordLayout kMappingLayout{"mapping", sizeof(Mapping), kMappingFields};
inline constexpr RecordLayout kMappingRemoteLayout{
    "mapping remote", sizeof(MappingRemote), kMappingRemoteFields};
inline constexpr RecordLayout kSubscriberLayout{
    "subscriber", sizeof(Subscriber), kSubscriberFields};
inline constexpr RecordLayout kPortBlockLayout{"port block", sizeof(PortBlock), kPortBlockFields};
static_assert(base::covers(kMappingLayout) && base::covers(kPortBlockLayout));
inline constexpr RecordLayout kEventLayout{"event", sizeof(Event), kEventFields};
static_assert(base::covers(kEventLayout));
static_assert(base::covers(kSubscriberLayout) && base::covers(kMappingRemoteLayout));

inline constexpr RecordLayout kTcpWindowLayout{"tcp window", sizeof(TcpWindow), kTcpWindowFields};
static_assert(base::covers(kTcpWindowLayout));

inline constexpr RecordLayout kOriginalLayout{
    "original destination", sizeof(OriginalDestination), kOriginalFields};
static_assert(base::covers(kOriginalLayout));

inline constexpr RecordLayout kLeaseLayout{"lease", sizeof(Lease), kLeaseFields};
static_assert(base::covers(kLeaseLayout));

inline constexpr uint64_t kNatLayoutDigest = layout_digest(
    {flow::kSessionLayout,
     kMappingLayout,
     kMappingRemoteLayout,
     kSubscriberLayout,
     kPortBlockLayout,
     kEventLayout,
     kTcpWindowLayout,
     kOriginalLayout,
     kLeaseLayout}
);

}  // namespace sekisho::nat
