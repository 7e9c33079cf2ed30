// What the stages that ask the rules have in common (judge_stage.cc, judge_ask.cc): what a packet shows at each hook, and the questions.
//
//   Cost      none is on the way of a packet whose flow is known.
//   Thread    the shard's worker.
#pragma once

#include "dataplane/stages.h"

namespace sekisho::dataplane {

// The hooks where a packet is asked as it arrives.
inline constexpr rules::HookMask kArrival =
    rules::mask_of(rules::Hook::kAccounting) | rules::mask_of(rules::Hook::kIngress);

rules::FragmentKind fragment_of(const PacketRef& ref);
// Begins the question about packet `i`, as its bytes show it now.
void begin_question(const Burst& burst, uint32_t i, const StageTables& tables, Tick now);
bool is_second_half(const PacketRef& ref);
// Of a packet with a session, or a scratch one.
rules::ConnectionState state_of(const PacketMeta& meta);
// At accounting and ingress; at forward, once it has a session or a scratch one; at egress and accounting behind that. False: it goes no further.
bool ask_arrival(Judge& judge);
bool ask_forward(const PacketRef& ref, const PacketMeta& meta, const StageTables& tables);
bool ask_departure(const PacketMeta& meta, const StageTables& tables);
// All of them, from the beginning of the question.
bool ask_all(
    const Burst& burst,
    uint32_t i,
    rules::ConnectionState state,
    const StageTables& tables,
    Tick now
);
// Does what the rules say of packet `i`.
void obey(Burst& burst, uint32_t i, const Ruling& ruling);

}  // namespace sekisho::dataplane
