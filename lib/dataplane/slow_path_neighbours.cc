#include "dataplane/slow_path_neighbours.h"

#include <algorithm>
#include <array>

#include "packet/views.h"

namespace sekisho::dataplane {

namespace {

constexpr size_t kIndexSlots = size_t{kNeighbourCapacity + 1} * 2;
constexpr unsigned kTimersPerPoll = 64;
constexpr size_t kViewSlice = 512;

}  // namespace

NeighbourTable::NeighbourTable(
    const Network& network,
    Outbox& outbox,
    const SlowPathSettings& settings,
    SlowPathCounters& counters,
    const HashSecret& secret
)
    : network_(network),
      outbox_(outbox),
      settings_(settings),
      counters_(counters),
      secret_(secret),
      entries_(kNeighbourCapacity),
      index_(kIndexSlots) {
    free_ids_.reserve(kNeighbourCapacity);
    for (unsigned id = kNeighbourCapacity - 1; id >= 1; --id) {
        free_ids_.push_back(static_cast<uint16_t>(id));
    }
}

// ---- queues

NeighbourTable::Queue& NeighbourTable::queue_of(const Entry& entry) {
    return queue_of(entry.state, entry.gateway);
}

void NeighbourTable::enter(uint16_t id, State state, Tick deadline) {
    Entry& entry = entries_[id];
    entry.state = state;
    entry.deadline = deadline;
    Queue& queue = queue_of(entry);
    entry.before = queue.tail;
    entry.after = 0;
    (queue.count == 0 ? queue.head : entries_[queue.tail].after) = id;
    queue.tail = id;
    ++queue.count;
}

void NeighbourTable::leave(uint16_t id) {
    Entry& entry = entries_[id];
    if (entry.state == State::kFree) {
        return;
    }
    Queue& queue = queue_of(entry);
    (entry.before == 0 ? queue.head : entries_[entry.before].after) = entry.after;
    (entry.after == 0 ? queue.tail : entries_[entry.after].before) = entry.before;
    --queue.count;
    entry.state = State::kFree;
}

// ---- entries

size_t NeighbourTable::first_slot(Ipv4Addr address, LinkId link) const {
    return keyed_hash(secret_, address.raw, link.value) & (kIndexSlots - 1);
}

uint16_t NeighbourTable::find(Ipv4Addr address, LinkId link) const {
    for (size_t at = first_slot(address, link);; at = (at + 1) & (kIndexSlots - 1)) {
        const uint16_t id = index_[at];
        if (id == 0 || (entries_[id].address == address && entries_[id].link == link)) {
            return id;
        }
    }
}

uint16_t NeighbourTable::create(Ipv4Addr address, LinkId link, Tick now) {
    const Queue& failed = queue_of(State::kFailed, false);
    const uint32_t unresolved = failed.count + queue_of(State::kIncomplete, false).count;
    if (free_ids_.empty() || unresolved >= kUnresolvedMost) {
        if (failed.count == 0) {
            return 0;
        }
        remove(failed.head);
    }
    const uint16_t id = free_ids_.back();
    free_ids_.pop_back();
    Entry& entry = entries_[id];
    entry = Entry{};
    entry.address = address;
    entry.link = link;
    entry.since = now;
    size_t at = first_slot(address, link);
    while (index_[at] != 0) {
        at = (at + 1) & (kIndexSlots - 1);
    }
    index_[at] = id;
    return id;
}

void NeighbourTable::remove(uint16_t id) {
    leave(id);
    erase_from_index(id);
    free_ids_.push_back(id);
}

// Closes the gap by moving later entries of the run back, so that no grave is left behind.
void NeighbourTable::erase_from_index(uint16_t id) {
    constexpr size_t kMask = kIndexSlots - 1;
    size_t gap = first_slot(entries_[id].address, entries_[id].link);
    while (index_[gap] != id) {
        gap = (gap + 1) & kMask;
    }
    index_[gap] = 0;
    for (size_t at = (gap + 1) & kMask; index_[at] != 0; at = (at + 1) & kMask) {
        const Entry& entry = entries_[index_[at]];
        const size_t wanted = first_slot(entry.address, entry.link);
        if (((at - wanted) & kMask) >= ((at - gap) & kMask)) {
            index_[gap] = index_[at];
            index_[at] = 0;
            gap = at;
        }
    }
}

NeighbourEntry NeighbourTable::entry(NeighbourId id) const {
    const Entry& from = entries_[id.value];
    NeighbourEntry to;
    to.address = from.address;
    to.mac = from.mac;
    to.link = from.link;
    to.resolved = is_resolved(from.state);
    to.gateway = from.gateway;
    const Link& link = network_.link(from.link);
    to.header_length =
        static_cast<uint8_t>(packet::kEthernetHeader + packet::kVlanTag * link.vlans.size());
    to.mtu = link.mtu;
    return to;
}

// ---- what changes an entry

ShardId NeighbourTable::next_shard() {
    turn_ = (turn_ + 1) % outbox_.shards();
    return ShardId{static_cast<uint8_t>(turn_)};
}

// A request that finds no room is not made: the timer asks again.
void NeighbourTable::ask(uint16_t id, ShardId preferred) {
    Entry& entry = entries_[id];
    const bool unicast = entry.state == State::kProbing && entry.attempts < settings_.tries;
    ++entry.attempts;
    Back back;
    back.kind = Back::kArpRequest;
    back.sender = network_.own_address(entry.link, entry.address);
    back.update.id = NeighbourId{id};
    back.update.entry.address = entry.address;
    back.update.entry.link = entry.link;
    back.update.entry.mac = unicast ? entry.mac : packet::kBroadcastMac;
    for (unsigned i = 0; i < outbox_.shards(); ++i) {
        if (outbox_.push_spare(preferred, back)) {
            return;
        }
        preferred = next_shard();
    }
}

void NeighbourTable::begin(uint16_t id, ShardId preferred, Tick now) {
    leave(id);
    entries_[id].attempts = 0;
    enter(id, State::kIncomplete, now + settings_.retry_ms);
    ask(id, preferred);
    counters_.resolutions.add(1);
}

void NeighbourTable::confirm(uint16_t id, MacAddr mac, Tick now) {
    Entry& entry = entries_[id];
    const bool known = entry.state == State::kReachable || entry.state == State::kProbing;
    const bool changed = !known || entry.mac != mac;
    leave(id);
    entry.mac = mac;
    entry.since = now;
    entry.attempts = 0;
    enter(id, State::kReachable, now + settings_.reachable_ms);
    if (changed) {
        outbox_.mark(NeighbourId{id});
    }
    outbox_.release_all(entry.held, Back::kSend, DropReason{});
}

void NeighbourTable::fail(uint16_t id, Tick now) {
    Entry& entry = entries_[id];
    if (entry.state == State::kProbing) {
        outbox_.mark(NeighbourId{id});
    }
    leave(id);
    entry.since = now;
    enter(id, State::kFailed, now + kRefuseMs);
    outbox_.release_all(entry.held, Back::kDropped, DropReason::kNeighbourUnresolved);
    counters_.failures.add(1);
}

void NeighbourTable::enter_static(const config::NeighbourSettings& neighbour, Tick now) {
    const std::lock_guard guard(lock_);
    const uint16_t id = create(neighbour.address, neighbour.link, now);
    if (id == 0) {
        return;
    }
    entries_[id].mac = neighbour.mac;
    entries_[id].gateway = std::ranges::any_of(network_.routes(), [&](const auto& route) {
        return !route.hop.on_link && route.hop.link == neighbour.link &&
               route.hop.next_hop == neighbour.address;
    });
    enter(id, State::kStatic, now);
    outbox_.mark(NeighbourId{id});
}

void NeighbourTable::resolve_gateways(Tick now) {
    for (const config::NeighbourSettings& neighbour : network_.static_neighbours()) {
        enter_static(neighbour, now);
    }
    resolve_new_gateways(now);
}

void NeighbourTable::resolve_new_gateways(Tick now) {
    for (const RouteEntry& route : network_.routes()) {
        const Hop& hop = route.hop;
        if (hop.on_link || find(hop.next_hop, hop.link) != 0) {
            continue;
        }
        const std::lock_guard guard(lock_);
        const uint16_t id = create(hop.next_hop, hop.link, now);
        if (id != 0) {
            entries_[id].gateway = true;
            begin(id, next_shard(), now);
        }
    }
}

void NeighbourTable::follow(Tick now) {
    Gateways gateways;
    for (const RouteEntry& route : network_.routes()) {
        if (!route.hop.on_link) {
            gateways.emplace_back(route.hop.next_hop.raw, route.hop.link.value);
        }
    }
    std::ranges::sort(gateways);
    // The workers stand still meanwhile: ids are given from the lowest on, so the rest of the table is not looked at.
    std::unique_lock guard(lock_);
    size_t used = kNeighbourCapacity - 1 - free_ids_.size();
    for (uint16_t id = 1; used > 0; ++id) {
        if (entries_[id].state != State::kFree) {
            --used;
            follow_one(id, gateways, now);
        }
    }
    guard.unlock();
    resolve_new_gateways(now);
}

void NeighbourTable::follow_one(uint16_t id, const Gateways& gateways, Tick now) {
    const Entry& entry = entries_[id];
    const std::pair place(entry.address.raw, entry.link.value);
    const bool is_there = network_.is_host_on(entry.link, entry.address) &&
                          !network_.is_own(network_.view_of(entry.link), entry.address);
    is_there ? follow_role(id, std::ranges::binary_search(gateways, place), now) : give_up(id, now);
}

// What a shard knows of an id decides whether sessions believe it (neighbour.h), so each shard is told.
void NeighbourTable::follow_role(uint16_t id, bool is_gateway, Tick now) {
    Entry& entry = entries_[id];
    const State state = entry.state;
    if (entry.gateway == is_gateway) {
        return;
    }
    leave(id);
    entry.gateway = is_gateway;
    if (is_gateway && state == State::kFailed) {
        return begin(id, next_shard(), now);  // nothing has asked it as one
    }
    const bool is_long = state == State::kReachable || state == State::kStatic;
    const uint32_t wait = is_long                   ? settings_.reachable_ms
                          : state == State::kFailed ? kRefuseMs
                                                    : settings_.retry_ms;
    enter(id, state, now + wait);
    outbox_.mark(NeighbourId{id});
}

// It is refused for a while like any other that does not answer, and then goes.
void NeighbourTable::give_up(uint16_t id, Tick now) {
    Entry& entry = entries_[id];
    leave(id);
    entry.gateway = false;
    entry.since = now;
    enter(id, State::kFailed, now + kRefuseMs);
    outbox_.mark(NeighbourId{id});
    outbox_.release_all(entry.held, Back::kDropped, DropReason::kNeighbourUnresolved);
}

void NeighbourTable::drop(ShardId from, const Punt& punt, DropReason reason) {
    Back back;
    back.kind = Back::kDropped;
    back.reason = static_cast<uint8_t>(reason);
    back.packet = punt.packet;
    outbox_.push(from, back);
}

void NeighbourTable::hold(uint16_t id, ShardId from, const Punt& punt) {
    HeldPunts& held = entries_[id].held;
    if (held.count >= kHeldPerNeighbour) {
        outbox_.release_first(held, Back::kDropped, DropReason::kNeighbourQueueFull);
    }
    if (!outbox_.hold(held, from, punt)) {
        drop(from, punt, DropReason::kNeighbourQueueFull);
    }
}

void NeighbourTable::wait_for(ShardId from, const Punt& punt, Tick now) {
    const std::lock_guard guard(lock_);
    uint16_t id = find(punt.address, punt.link);
    if (id == 0) {
        if (!network_.is_host_on(punt.link, punt.address) ||
            network_.is_own(network_.view_of(punt.link), punt.address)) {
            return drop(from, punt, DropReason::kNeighbourUnresolved);
        }
        if (!resolutions_.take(now)) {
            return drop(from, punt, DropReason::kRateLimited);
        }
        id = create(punt.address, punt.link, now);
        if (id == 0) {
            return drop(from, punt, DropReason::kNeighbourQueueFull);
        }
        hold(id, from, punt);
        return begin(id, from, now);
    }
    const State state = entries_[id].state;
    if (state == State::kFailed) {
        return drop(from, punt, DropReason::kNeighbourUnresolved);
    }
    hold(id, from, punt);
    if (is_resolved(state)) {
        // The shard asked before the update reached it, or has lost it: tell it (again), then send.
        outbox_.mark(NeighbourId{id}, from);
        outbox_.release_all(entries_[id].held, Back::kSend, DropReason{});
    }
}

void NeighbourTable::hear(LinkId link, Ipv4Addr sender, MacAddr mac, bool asks_us, Tick now) {
    if (!network_.is_host_on(link, sender)) {
        return;
    }
    const std::lock_guard guard(lock_);
    uint16_t id = find(sender, link);
    if (id == 0 && asks_us && askers_.take(now)) {
        id = create(sender, link, now);
    }
    if (id != 0 && entries_[id].state != State::kStatic) {
        confirm(id, mac, now);
    }
}

// ---- time

unsigned NeighbourTable::run_timers(Tick now) {
    unsigned work = 0;
    for (const bool gateway : {true, false}) {
        for (const State state :
             {State::kReachable, State::kProbing, State::kIncomplete, State::kFailed}) {
            work += run_queue(state, gateway, now);
        }
    }
    return work;
}

unsigned NeighbourTable::run_queue(State state, bool gateway, Tick now) {
    const Queue& queue = queue_of(state, gateway);
    unsigned work = 0;
    while (work < kTimersPerPoll && queue.count > 0 &&
           elapsed_ms(entries_[queue.head].deadline, now) >= 0) {
        const std::lock_guard guard(lock_);
        if (!on_deadline(queue.head, now)) {
            break;
        }
        ++work;
    }
    return work;
}

// False: the rate of probes is used up; the entry stays at the head.
bool NeighbourTable::on_deadline(uint16_t id, Tick now) {
    Entry& entry = entries_[id];
    const State state = entry.state;
    if (state == State::kFailed) {
        entry.gateway ? begin(id, next_shard(), now) : remove(id);
        return true;
    }
    const uint32_t most = state == State::kIncomplete ? settings_.tries : 2 * settings_.tries;
    if (state != State::kReachable && entry.attempts >= most) {
        fail(id, now);
        return true;
    }
    const bool probe = state != State::kIncomplete;
    if (probe && !entry.gateway && !probes_.take(now)) {
        return false;
    }
    leave(id);
    enter(id, probe ? State::kProbing : State::kIncomplete, now + settings_.retry_ms);
    ask(id, next_shard());
    if (probe) {
        counters_.probes.add(1);
    }
    return true;
}

void NeighbourTable::drop_held(DropReason reason) {
    const std::lock_guard guard(lock_);
    for (Entry& entry : entries_) {
        outbox_.release_all(entry.held, Back::kDropped, reason);
    }
}

// ---- for people

std::vector<NeighbourView> NeighbourTable::views(Tick now) const {
    static constexpr std::array<const char*, kStates> kNames = {
        "free", "incomplete", "reachable", "probing", "failed", "static"};
    std::vector<NeighbourView> out;
    out.reserve(kViewSlice);
    const auto add = [&](const Entry& entry) {
        if (entry.state == State::kFree) {
            return;
        }
        NeighbourView& view = out.emplace_back();
        view.address = entry.address;
        view.link = entry.link;
        view.mac = entry.mac;
        view.state = kNames[static_cast<size_t>(entry.state)];
        view.age_seconds = static_cast<uint32_t>(std::max(0, elapsed_ms(entry.since, now))) / 1000;
        view.held = entry.held.count;
        view.gateway = entry.gateway;
    };
    for (size_t begin = 1; begin < kNeighbourCapacity; begin += kViewSlice) {
        const size_t end = std::min<size_t>(begin + kViewSlice, kNeighbourCapacity);
        const std::lock_guard guard(lock_);
        for (size_t id = begin; id < end; ++id) {
            add(entries_[id]);
        }
    }
    return out;
}

}  // namespace sekisho::dataplane
