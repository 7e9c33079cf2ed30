// Trigger forwards (ipautofw): the external ports of a rule are those of the subscriber that has last sent to its control
// port, until it has done nothing for a while.
//
//   Holder    told by every packet to the control port (touch_trigger), known to all shards (TriggerTable), by which inbound
//             packets are steered to its shard. From whom another has taken it gets nothing more by the sessions that it
//             still has; who was only idle keeps these.
//   Outsiders make nobody a holder by what they are answered: a connection that they have begun does not count, nor what a
//             static mapping sends, and a datagram from the control port itself is not admitted by a filter alone.
//   Log       like a port block: granted to whoever takes the ports, and released.
//   Mapping   like a member's of a service: X:x <-> X':x with the same port on both sides, made when it is used. What the
//             holder sends from such a port leaves by it, so that its answers come from where they were asked.
//   Source    SEEDS B6; LEGACY F1 to F5.
#include "nat/nat_shard.h"

namespace sekisho::nat {
namespace {

// OriginalDestination::trigger: whether the session's packets go to the control port of a rule, and, one more than its number, the rule
// whose ports they use.
constexpr uint16_t kControl = 0x100;
constexpr uint16_t kForwardNumber = 0xff;

// No block of theirs is logged, so either class tells of them.
constexpr auto kTriggerEvents = static_cast<EventClass>(kLogMappings | kLogBlocks);

}  // namespace

void NatShard::build_triggers() {
    const TriggerTable& triggers = directory_->triggers();
    trigger_entries_.clear();
    for (size_t i = 0; i < triggers.size(); ++i) {
        trigger_entries_.push_back(triggers.entry(i));
    }
    trigger_sessions_.resize(triggers.size());
    outdated_.reserve(triggers.are_any() ? 64 : 0);
}

// The entry as its holder's; nullptr: nobody holds it.
const StaticEntry* NatShard::find_trigger(const FlowKey& key, Direction direction) const {
    const TriggerTable& triggers = directory_->triggers();
    const auto rule =
        direction == Direction::kInbound ? triggers.find_forwarded(key) : triggers.find_held(key);
    const Ipv4Addr holder = rule ? triggers.holder(*rule) : Ipv4Addr{};
    if (holder == Ipv4Addr{}) {
        return nullptr;
    }
    StaticEntry& entry = trigger_entries_[*rule];
    entry.internal = holder;
    entry.protocol = key.protocol();
    entry.shard = triggers.shard_of(holder);
    return &entry;
}

bool NatShard::is_trigger(const StaticEntry& entry) {
    return entry.service == kTriggerService;
}

uint32_t NatShard::block_of(const StaticEntry& entry) const {
    return is_trigger(entry) ? kTriggerBlock | entry.setting
                             : kStaticBlock | directory_->statics().id_of(entry);
}

const Counter& NatShard::sessions_of(uint32_t block) const {
    return block >= kTriggerBlock ? trigger_sessions_[block & ~kTriggerBlock]
                                  : static_sessions_[block & ~kStaticBlock];
}

// Down: modulo 2^64.
void NatShard::count_session(uint32_t block, int change) {
    Counter& counter = block >= kTriggerBlock ? trigger_sessions_[block & ~kTriggerBlock]
                                              : static_sessions_[block & ~kStaticBlock];
    counter.set(counter.read() + static_cast<uint64_t>(int64_t{change}));
}

bool NatShard::admits_remote(const StaticEntry& entry, Ipv4Addr remote) const {
    return is_trigger(entry) ? directory_->triggers().admits(entry.setting, remote)
                             : directory_->statics().admits(entry, remote);
}

bool NatShard::show_trigger(uint32_t rule, MappingView& view) const {
    const TriggerTable& triggers = directory_->triggers();
    StaticEntry& entry = trigger_entries_[rule];
    entry.internal = triggers.holder(rule);
    entry.protocol = triggers.setting(rule).tcp ? Protocol::kTcp : Protocol::kUdp;
    if (entry.internal == Ipv4Addr{} || triggers.shard_of(entry.internal) != shard_) {
        return false;
    }
    view = view_of(entry);
    return true;
}

// Whether a datagram comes from a control port that its receiver, in answering, would call.
bool NatShard::is_from_control(const FlowKey& inbound, const Mapping& m) const {
    if (!directory_->triggers().are_any() || is_static(m)) [[likely]] {
        return false;
    }
    const FlowKey answer = FlowKey::of(
        {m.internal_address},
        inbound.source(),
        {m.internal_port},
        inbound.source_port(),
        inbound.protocol(),
        {m.realm}
    );
    return inbound.protocol() == Protocol::kUdp &&
           directory_->triggers().find_control(answer).has_value();
}

// Marks a session whose packets say who holds a rule's ports, or use them.
void NatShard::note_trigger(uint32_t session) {
    Session& s = sessions_[session];
    const uint32_t block = mappings_[s.mapping].block;
    const bool is_forwarded = has_trigger_entry(mappings_[s.mapping]);
    const bool is_begun_inside = s.state != SessionState::kTcpOpenInbound &&
                                 (is_forwarded || !has_static_entry(mappings_[s.mapping]));
    const auto control =
        is_begun_inside ? directory_->triggers().find_control(key_of(session, Direction::kOutbound))
                        : std::nullopt;
    if (!is_forwarded && !control) {
        return;
    }
    if ((s.flags & flow::kRedirected) == 0) {
        s.flags = static_cast<uint16_t>(s.flags | flow::kRedirected);
        originals_[session] = {s.remote_address, s.remote_port, 0};
    }
    const uint32_t forwarded = is_forwarded ? (block & ~kTriggerBlock) + 1 : 0;
    originals_[session].trigger = static_cast<uint16_t>((control ? kControl : 0U) | forwarded);
}

// Of a session that stood before the rules were those that they are. Of TCP nothing tells any more who began it, so what had no mark
// gets none; and who answers an outsider makes nobody a holder.
void NatShard::mark_control(uint32_t session) {
    Session& s = sessions_[session];
    const bool is_marked = (s.flags & flow::kRedirected) != 0;
    const bool may_call = static_cast<Protocol>(s.protocol) == Protocol::kUdp &&
                          !has_static_entry(mappings_[s.mapping]) &&
                          !is_forwarded(mappings_[s.mapping]);
    const bool was_control = is_marked && (originals_[session].trigger & kControl) != 0;
    const bool is_control =
        (may_call || was_control) &&
        directory_->triggers().find_control(key_of(session, Direction::kOutbound)).has_value();
    if (is_control == was_control) {
        return;
    }
    if (!is_marked) {
        s.flags = static_cast<uint16_t>(s.flags | flow::kRedirected);
        originals_[session] = {s.remote_address, s.remote_port, 0};
    }
    originals_[session].trigger = static_cast<uint16_t>(originals_[session].trigger ^ kControl);
}

bool NatShard::touch_trigger(SessionIndex index, Direction direction, Tick now) {
    const uint16_t mark = originals_[index.value].trigger;
    if (mark == 0) {
        return true;
    }
    const Session& s = sessions_[index.value];
    TriggerTable& triggers = directory_->triggers();
    const size_t forwarded = mark & kForwardNumber;
    const Ipv4Addr host{s.internal_address};
    if ((mark & kControl) != 0 && direction == Direction::kOutbound) {
        take_triggers(index, now);
    }
    if (forwarded == 0) {
        return true;
    }
    if (triggers.last_holder(forwarded - 1) == host) {
        if (triggers.holder(forwarded - 1) == host) {
            triggers.refresh(forwarded - 1, now);
        }
        return true;
    }
    if (outdated_.size() < outdated_.capacity()) {
        outdated_.push_back(index.value);
    }
    return false;
}

// Of all rules with this control port. Who cannot be logged takes nothing, and comes again.
void NatShard::take_triggers(SessionIndex index, Tick now) {
    TriggerTable& triggers = directory_->triggers();
    const Session& s = sessions_[index.value];
    const FlowKey key = key_of(index.value, Direction::kOutbound);
    const Ipv4Addr host{s.internal_address};
    for (const size_t rule : triggers.in_force()) {
        const bool is_new = triggers.holder(rule) != host;
        if (!triggers.is_control(rule, key) ||
            (is_new && !log_.may_start(kTriggerEvents, waits_))) {
            continue;
        }
        const Ipv4Addr before = triggers.take(rule, host, {s.remote_address}, now);
        if (before != host && before != Ipv4Addr{}) {
            log_trigger(EventKind::kBlockReleased, rule, before, now);
        }
        if (before != host) {
            log_trigger(EventKind::kBlockGranted, rule, host, now);
        }
    }
}

void NatShard::log_trigger(EventKind kind, size_t rule, Ipv4Addr host, Tick now) {
    if (!log_.logs(kTriggerEvents)) {
        return;
    }
    const TriggerForwardSettings& settings = directory_->triggers().setting(rule);
    Event event{};
    event.kind = kind;
    event.tick_ms = now.ms;
    event.realm = settings.realm.value;
    event.internal_address = host.raw;
    event.external_address = settings.external.raw;
    event.external_port = Port::from_host(settings.ports.first).raw;
    event.last_port = Port::from_host(settings.ports.last).raw;
    event.pool = pool_at(settings.external).value;
    event.cause = kOfTrigger;
    log_.write(event);
}

// An end that cannot be logged yet waits.
void NatShard::release_idle_triggers(Tick now) {
    TriggerTable& triggers = directory_->triggers();
    for (size_t rule = 0; rule < triggers.size(); ++rule) {
        const Ipv4Addr host = triggers.last_holder(rule);
        const bool may_end = !log_.logs(kTriggerEvents) || log_.may_end(waits_);
        if (triggers.is_idle(rule, shard_, now) && may_end && triggers.release(rule, now)) {
            log_trigger(EventKind::kBlockReleased, rule, host, now);
        }
    }
}

// Sessions of former holders, ended between bursts, so that their remote endpoints reach the new one.
void NatShard::advance_triggers(Tick now) {
    release_idle_triggers(now);
    for (const uint32_t session : outdated_) {
        const Session& s = sessions_[session];
        constexpr uint16_t kBoth = flow::kLive | flow::kRedirected;
        const uint16_t mark =
            (s.flags & kBoth) == kBoth ? originals_[session].trigger : uint16_t{0};
        const size_t forwarded = mark & kForwardNumber;
        const bool is_outdated =
            forwarded != 0 &&
            directory_->triggers().last_holder(forwarded - 1) != Ipv4Addr{s.internal_address};
        if (is_outdated) {
            clear_session({session}, now);
        }
    }
    outdated_.clear();
}

}  // namespace sekisho::nat
