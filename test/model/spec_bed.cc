#include "spec_bed.h"

#include <algorithm>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/text.h"
#include "spec_frames.h"

namespace sekisho::test {
namespace {

constexpr size_t kEthernet = 14;
constexpr size_t kErrorHeaders = 28;  // of a generated error: what stands before its quote
constexpr size_t kErrorQuote = 548;
constexpr spec::Time kSynWait = 6100;

spec::Endpoint endpoint(uint32_t raw_address, uint16_t raw_port) {
    return {Ipv4Addr{raw_address}.host(), Port{raw_port}.host()};
}

spec::Address in_realm(RealmId realm, spec::Address address) {
    return spec::Address{realm.value} - kInternalRealm.value << 32 | address;
}

spec::Endpoint endpoint_in(RealmId realm, uint32_t raw_address, uint16_t raw_port) {
    return {in_realm(realm, Ipv4Addr{raw_address}.host()), Port{raw_port}.host()};
}

// Of a bed with two realms: the tag of an inside address's link.
uint16_t tag_of(spec::Address inside) {
    return spec::realm_of(inside) == 0 ? 10 : 20;
}

spec::SessionName name_of(const Session& s) {
    return {
        proto_of(s.protocol),
        endpoint_in(flow::realm_of(s), s.internal_address, s.internal_port),
        endpoint(s.remote_address, s.remote_port)};
}

LinkId link_of(spec::Side side) {
    return side == spec::Side::kInside ? kInternalLink : kExternalLink;
}

std::string text_of(const spec::Endpoint& e) {
    return fmt::format("{}:{}", address_of(e.address), e.port);
}

std::string text_of(const spec::SessionName& n) {
    return fmt::format(
        "{} {} > {}", static_cast<int>(n.protocol), text_of(n.internal), text_of(n.remote)
    );
}

bool is_in_phase(SessionState state, spec::Tcp::Phase phase) {
    switch (phase) {
        case spec::Tcp::kOpening:
            return state == SessionState::kTcpOpenOutbound ||
                   state == SessionState::kTcpOpenInbound || state == SessionState::kTcpHalfOpen;
        case spec::Tcp::kEstablished:
            return state == SessionState::kTcpEstablished ||
                   state == SessionState::kTcpFinOutbound || state == SessionState::kTcpFinInbound;
        case spec::Tcp::kClosing:
            return state == SessionState::kTcpClosing;
        case spec::Tcp::kReset:
            return state == SessionState::kTcpReset;
    }
    return false;
}

std::string text_of(const std::set<DropReason>& reasons) {
    std::string text;
    for (const DropReason r : reasons) {
        text += std::string(text.empty() ? "" : " or ") + std::string(base::info(r).text);
    }
    return text;
}

}  // namespace

SpecBed::SpecBed(const spec::Settings& settings, const Shape& shape) : settings_(settings) {
    BedOptions options;
    options.shards = shape.shards;
    options.workers = shape.workers;
    options.queues = shape.queues;
    options.spread_by_source = shape.spread;
    options.nat = nat_settings_of(settings);
    options.two_realms = settings.realms == 2;
    options.sessions = settings.sessions;
    options.mappings = settings.mappings;
    options.broken_frames = true;  // every byte is compared here
    constexpr uint32_t kNoLimit = 1'000'000;
    options.slow_path.errors_per_second = kNoLimit;
    options.slow_path.errors_per_source_per_second = kNoLimit;
    bed_ = std::make_unique<TestBed>(options);
    now_ = bed_->now().ms;
    settings_.part_of = [this](spec::Address a) { return bed_->shard_of(address_of(a)); };
    spec_ = std::make_unique<spec::Nat44>(settings_, [this](const spec::SessionName& name) {
        return choice_of(name);
    });
    dropped_ = bed_->totals().dropped;
}

// ---- what is asked of the pipeline

std::optional<spec::Endpoint> SpecBed::choice_of(const spec::SessionName& name) const {
    auto& shard = bed_->shard(settings_.part_of(name.internal.address));
    const MappingIndex index = shard.nat().find_mapping_of_outbound(
        key_of(name.protocol, name.internal, name.remote, realm_id_of(name.internal.address))
    );
    if (index.value == kNoIndex) {
        return std::nullopt;
    }
    const nat::Mapping& m = shard.nat().mapping(index);
    return endpoint(m.external_address, m.external_port);
}

std::vector<spec::HeldBlock> SpecBed::held_blocks() const {
    std::vector<spec::HeldBlock> held;
    for (unsigned i = 0; i < bed_->shards(); ++i) {
        const auto& nat = bed_->shard(i).nat();
        uint32_t cursor = 0;
        bool more = true;
        while (more) {
            std::array<nat::BlockView, 64> views;
            size_t filled = 0;
            more = nat.list_blocks(cursor, 64, views, filled);
            for (const nat::BlockView& v : std::span(views).first(filled)) {
                spec::HeldBlock block;
                block.address = bed_->directory()[v.external].address.host();
                block.number = v.number;
                block.subscriber = in_realm(
                    nat.subscriber_realm(v.subscriber), nat.subscriber_address(v.subscriber).host()
                );
                for (size_t p = 0; p < 3; ++p) {
                    block.in_use.values[p] = v.in_use[p];
                    block.marked.values[p] = v.marked[p];
                }
                held.push_back(block);
            }
        }
    }
    return held;
}

bool SpecBed::has_record(const spec::SessionName& name) const {
    const auto& nat = bed_->shard(settings_.part_of(name.internal.address)).nat();
    const size_t count = nat.session_count();
    for (uint32_t i = 0, seen = 0; seen < count && i < nat.session_capacity(); ++i) {
        const Session& s = nat.session(SessionIndex{i});
        const bool is_live = (s.flags & flow::kLive) != 0;
        seen += is_live ? 1 : 0;
        if (is_live && name_of(s) == name) {
            return true;
        }
    }
    return false;
}

uint64_t SpecBed::sessions_made() const {
    uint64_t made = 0;
    for (unsigned i = 0; i < bed_->shards(); ++i) {
        made += bed_->shard(i).nat().sessions_made();
    }
    return made;
}

// ---- links

size_t SpecBed::l3_of(const MemoryDevice::Sent& sent) {
    return kEthernet + 4 * decode(sent.bytes).vlans.size();
}

// `inside`: on the inner side, an address of the realm.
bool SpecBed::is_on_link(const MemoryDevice::Sent& sent, spec::Side side, spec::Address inside)
    const {
    const bool has_tag = settings_.realms == 2 && side == spec::Side::kInside;
    const std::vector<uint16_t> tags =
        has_tag ? std::vector<uint16_t>{tag_of(inside)} : std::vector<uint16_t>{};
    return sent.device == link_of(side) && decode(sent.bytes).vlans == tags;
}

ByteVector SpecBed::tagged(spec::Side from, const spec::Packet& packet) const {
    ByteVector frame = frame_of(packet, bed_->mac(link_of(from)));
    if (settings_.realms == 2 && from == spec::Side::kInside) {
        const ByteVector tag = {0x81, 0, 0, static_cast<uint8_t>(tag_of(packet.from.address))};
        frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    }
    return frame;
}

// ---- one packet

void SpecBed::step(spec::Side from, const spec::Packet& packet) {
    const uint64_t made = sessions_made();
    const size_t stood = bed_->session_count();
    bed_->push(link_of(from), tagged(from, packet));
    bed_->run();
    auto sent = bed_->take();
    if (sessions_made() != made || sent.empty()) {
        const std::string wrong = spec_->observe_blocks(held_blocks(), now_);
        if (!wrong.empty()) {
            FAIL("at " << now_ << ": " << describe(packet) << ": " << wrong);
        }
    }
    const spec::Outcome outcome = spec_->receive(from, packet, now_);
    const std::string wrong = outcome.wrong + difference(from, packet, outcome, std::move(sent));
    if (!wrong.empty()) {
        FAIL(
            "at " << now_ << ", from " << (from == spec::Side::kInside ? "inside: " : "outside: ")
                  << describe(packet) << "\n"
                  << wrong
        );
    }
    note_refused_syn(from, packet, outcome);
    if (sessions_made() != made || bed_->session_count() != stood) {
        check_pools(packet);
    }
}

// Ports are conserved at every moment: blocks in use = bits set, allocated = owned + resting.
void SpecBed::check_pools(const spec::Packet& packet) {
    const std::string wrong = difference_of_pools();
    if (!wrong.empty()) {
        FAIL("at " << now_ << ", after " << describe(packet) << ":\n" << wrong);
    }
}

void SpecBed::note_refused_syn(
    spec::Side from, const spec::Packet& packet, const spec::Outcome& outcome
) {
    constexpr uint8_t kOpening = spec::kSyn | spec::kAck | spec::kRst | spec::kFin;
    const bool is_syn = packet.protocol == spec::Proto::kTcp && !packet.is_error() &&
                        (packet.tcp_flags & kOpening) == spec::kSyn;
    const bool is_unsolicited = outcome.dropped.contains(DropReason::kNoMapping) ||
                                outcome.dropped.contains(DropReason::kFiltered);
    if (from == spec::Side::kOutside && is_syn && is_unsolicited) {
        refused_syns_[{packet.from, packet.to}].push_back(now_);
    }
}

std::string SpecBed::difference(
    spec::Side from,
    const spec::Packet& packet,
    const spec::Outcome& outcome,
    std::vector<MemoryDevice::Sent> sent
) {
    std::string wrong = difference_of_drops(outcome);
    bool has_left = !outcome.sent;
    bool is_answered = !outcome.answer;
    for (const MemoryDevice::Sent& s : sent) {
        if (!has_left && is_on_link(s, outcome.sent->first, outcome.sent->second.to.address) &&
            is_same_datagram(Bytes(s.bytes).subspan(l3_of(s)), datagram_of(outcome.sent->second))) {
            has_left = true;
        } else if (!is_answered && is_answer(s, from, packet, outcome)) {
            is_answered = true;
        } else if (!is_answer_to_old_syn(s)) {
            wrong += fmt::format("sent on link {}: {}\n", s.device.value, describe(s.bytes));
        }
    }
    if (!has_left) {
        wrong += fmt::format(
            "not sent on link {}: {}\n",
            link_of(outcome.sent->first).value,
            describe(outcome.sent->second)
        );
    }
    if (!is_answered) {
        wrong += fmt::format("not told {}/{}\n", outcome.answer->type, outcome.answer->code);
    }
    forwarded_ += outcome.sent ? 1 : 0;
    return wrong;
}

std::string SpecBed::difference_of_drops(const spec::Outcome& outcome) {
    const Dropped after = bed_->totals().dropped;
    std::string wrong;
    uint64_t count = 0;
    for (size_t r = 0; r < after.size(); ++r) {
        const uint64_t fresh = after[r] - dropped_[r];
        count += fresh;
        if (fresh != 0 && !outcome.dropped.contains(static_cast<DropReason>(r))) {
            wrong += fmt::format("dropped as {}\n", base::kDropReasons[r].text);
        }
    }
    dropped_ = after;
    const uint64_t wanted = outcome.dropped.empty() ? 0 : 1;
    if (count != wanted) {
        wrong += fmt::format("{} drops\n", count);
    }
    if (!wrong.empty() && wanted == 1) {
        wrong += "wanted as a drop: " + text_of(outcome.dropped) + "\n";
    }
    return wrong;
}

// What the appliance tells a sender: from its address on that link, with the packet quoted.
bool SpecBed::is_answer(
    const MemoryDevice::Sent& sent,
    spec::Side from,
    const spec::Packet& packet,
    const spec::Outcome& outcome
) const {
    const Decoded seen = decode(sent.bytes);
    const spec::Address own =
        from == spec::Side::kInside ? settings_.own.front() : settings_.own.back();
    ByteVector quote = datagram_of(packet);
    quote.resize(std::min(quote.size(), kErrorQuote));
    const Bytes bytes(sent.bytes);
    return checksums_ok(sent.bytes) && is_on_link(sent, from, packet.from.address) &&
           seen.protocol == 1 && seen.source == address_of(own) &&
           seen.destination == address_of(packet.from.address) &&
           seen.icmp_type == outcome.answer->type && seen.icmp_code == outcome.answer->code &&
           std::ranges::equal(bytes.subspan(l3_of(sent) + kErrorHeaders), quote);
}

// RFC 5382 REQ-4: not before six seconds, and only while nobody inside has asked for it.
bool SpecBed::is_answer_to_old_syn(const MemoryDevice::Sent& sent) {
    const Decoded seen = decode(sent.bytes);
    if (sent.device != kExternalLink || seen.icmp_type != 3 || seen.icmp_code != 3 ||
        seen.quote.empty() || seen.quote[0].protocol != 6) {
        return false;
    }
    const Decoded& syn = seen.quote[0];
    const spec::Endpoint remote{syn.source.host(), syn.source_port};
    const spec::Endpoint external{syn.destination.host(), syn.destination_port};
    const auto session = spec_->find_inbound(spec::Proto::kTcp, external, remote);
    const bool is_there =
        session && spec_->deadline_of(*session, spec_->sessions().at(*session)) > now_;
    const auto refused = refused_syns_.find({remote, external});
    if (is_there || refused == refused_syns_.end() || refused->second.empty() ||
        now_ - refused->second.front() < kSynWait) {
        return false;
    }
    refused->second.pop_front();
    return true;
}

// ---- time

void SpecBed::check_late_answers() {
    for (const MemoryDevice::Sent& sent : bed_->take()) {
        if (!is_answer_to_old_syn(sent)) {
            FAIL("at " << now_ << ", sent to nobody's packet: " << describe(sent.bytes));
        }
    }
}

// Timers have a bounded budget a turn.
void SpecBed::settle_time() {
    size_t before = 0;
    do {
        before = bed_->session_count();
        bed_->run();
    } while (bed_->session_count() != before);
    check_late_answers();
}

void SpecBed::pass(spec::Time ms) {
    bed_->pass(static_cast<uint32_t>(ms));
    now_ += ms;
    settle_time();
    std::string wrong = spec_->end_overdue(
        [this](const spec::SessionName& name) { return has_record(name); }, now_
    );
    wrong += spec_->observe_blocks(held_blocks(), now_);
    if (!wrong.empty()) {
        FAIL("after " << ms << " ms, at " << now_ << ": " << wrong);
    }
    dropped_ = bed_->totals().dropped;
    compare();
}

void SpecBed::clear(const spec::SessionName& name) {
    auto& nat = bed_->shard(settings_.part_of(name.internal.address)).nat();
    for (uint32_t i = 0; i < nat.session_capacity(); ++i) {
        const Session& s = nat.session(SessionIndex{i});
        if ((s.flags & flow::kLive) != 0 && name_of(s) == name) {
            nat.clear_session(SessionIndex{i}, bed_->now());
            break;
        }
    }
    bed_->run();
    spec_->clear(name, now_);
}

// ---- the whole state

void SpecBed::compare() {
    const std::string wrong = difference_of_sessions() + difference_of_mappings() +
                              difference_of_pools() + difference_of_subscribers();
    if (!wrong.empty()) {
        FAIL("at " << now_ << ":\n" << wrong);
    }
}

std::string SpecBed::difference_of_sessions() const {
    std::string wrong;
    if (bed_->session_count() != spec_->sessions().size()) {
        wrong += fmt::format(
            "{} sessions, and {} should be\n", bed_->session_count(), spec_->sessions().size()
        );
    }
    for (const nat::SessionView& view : bed_->sessions()) {
        const spec::SessionName name = name_of(view.session);
        const auto found = spec_->sessions().find(name);
        if (found == spec_->sessions().end()) {
            wrong += "a session that should not be: " + text_of(name) + "\n";
            continue;
        }
        const spec::Session& s = found->second;
        if (name.protocol == spec::Proto::kTcp && !is_in_phase(view.session.state, s.tcp.phase())) {
            wrong += fmt::format(
                "session {} is in state {} and should be in phase {}\n",
                text_of(name),
                static_cast<int>(view.session.state),
                static_cast<int>(s.tcp.phase())
            );
        }
        const spec::Time left = spec_->deadline_of(name, s) - now_;
        if (view.lifetime_ms != left || view.session.packets[0] != s.packets[0] ||
            view.session.packets[1] != s.packets[1]) {
            wrong += fmt::format(
                "session {}: {} ms left, {} and {} packets; should be {}, {}, {}\n",
                text_of(name),
                view.lifetime_ms,
                view.session.packets[0],
                view.session.packets[1],
                left,
                s.packets[0],
                s.packets[1]
            );
        }
    }
    return wrong;
}

std::string SpecBed::difference_of_mappings() const {
    std::string wrong;
    const auto mappings = bed_->mappings();
    if (mappings.size() != spec_->mappings().size()) {
        wrong += fmt::format(
            "{} mappings, and {} should be\n", mappings.size(), spec_->mappings().size()
        );
    }
    for (const nat::MappingView& view : mappings) {
        const nat::Mapping& m = view.mapping;
        const spec::SessionName name{
            proto_of(m.protocol),
            endpoint_in(RealmId{m.realm}, m.internal_address, m.internal_port),
            endpoint(view.remote.address, view.remote.port)};
        const auto found = spec_->mappings().find(name);
        const spec::Endpoint external = endpoint(m.external_address, m.external_port);
        if (found == spec_->mappings().end() || found->second.external != external ||
            found->second.sessions.size() != m.sessions) {
            wrong += "a mapping that should not be so: " + text_of(name) + " at " +
                     text_of(external) + "\n";
        }
    }
    return wrong;
}

// All blocks are free or granted; ports in use and resting are what the mappings, present and past,
// leave.
std::string SpecBed::difference_of_pools() const {
    std::string wrong;
    const auto held = held_blocks();
    for (size_t p = 0; p < spec_->ports().size(); ++p) {
        const spec::Ports& ports = spec_->ports()[p];
        nat::PoolView sum;
        for (unsigned i = 0; i < bed_->shards(); ++i) {
            const auto view =
                bed_->shard(i).nat().pool_view(PoolId{static_cast<uint16_t>(p)}, bed_->now());
            sum.free_blocks += view.free_blocks;
            sum.granted_blocks += view.granted_blocks;
            sum.ports_in_use += view.ports_in_use;
            sum.ports_resting += view.ports_resting;
        }
        const auto resting = ports.resting(now_).first;
        if (sum.free_blocks + sum.granted_blocks != ports.blocks() ||
            sum.ports_in_use != ports.in_use() || sum.ports_resting < resting) {
            wrong += fmt::format(
                "pool {}: {} blocks free, {} granted of {}; {} ports in use, and {} should be; {} "
                "rest, and {} must\n",
                p,
                sum.free_blocks,
                sum.granted_blocks,
                ports.blocks(),
                sum.ports_in_use,
                ports.in_use(),
                sum.ports_resting,
                resting
            );
        }
        wrong += ports.audit(held, now_);
    }
    return wrong;
}

std::string SpecBed::difference_of_subscribers() const {
    std::string wrong;
    std::map<spec::Address, unsigned> sessions;
    for (const auto& [name, session] : spec_->sessions()) {
        ++sessions[name.internal.address];
    }
    for (unsigned i = 0; i < bed_->shards(); ++i) {
        uint32_t cursor = 0;
        std::array<nat::SubscriberView, 256> views;
        size_t filled = 0;
        bed_->shard(i).nat().list_subscribers(cursor, 256, views, filled);
        for (const nat::SubscriberView& view : std::span(views).first(filled)) {
            const auto found = sessions.find(in_realm(view.realm, view.address.host()));
            const unsigned wanted = found == sessions.end() ? 0 : found->second;
            if (found != sessions.end()) {
                sessions.erase(found);
            }
            if (view.sessions != wanted || view.waiting) {
                wrong += fmt::format(
                    "subscriber {}: {} sessions, and {} should be\n",
                    view.address,
                    view.sessions,
                    wanted
                );
            }
        }
    }
    return wrong + (sessions.empty() ? "" : "subscribers are missing\n");
}

}  // namespace sekisho::test
