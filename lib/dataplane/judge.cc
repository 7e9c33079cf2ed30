#include "dataplane/judge.h"

#include <algorithm>

#include "rules/residue.h"

namespace sekisho::dataplane {
namespace {

using rules::Disposition;
using rules::Hook;

constexpr unsigned kFateBits = 20;
static_assert(uint32_t{1} << kFateBits == Fates::kMost);

constexpr rules::HookMask kNatHooks = mask_of(Hook::kNatDestination) | mask_of(Hook::kNatSource);

// Whether some rule, or policy, has such an action.
template <class Kind>
bool does_any(const rules::RuleSet& set) {
    const auto is_one = [](const rules::Action& action) {
        return std::holds_alternative<Kind>(action);
    };
    return std::ranges::any_of(set.chains(), [&](rules::ChainId id) {
        const rules::Chain& chain = *set.chain(id);
        return is_one(chain.policy) || std::ranges::any_of(chain.rules, [&](const auto& rule) {
                   return std::ranges::any_of(rule->actions, is_one);
               });
    });
}

// Most rule sets have hardly more paths than rules.
uint32_t room_for(const rules::RuleSet& set, uint32_t least) {
    const size_t wanted = set.rule_count() * 2 + least;
    return static_cast<uint32_t>(std::min<size_t>(wanted, Fates::kMost));
}

void find_rates(const rules::Chain& chain, std::unordered_map<uint32_t, uint32_t>& rates) {
    for (const rules::RulePtr& rule : chain.rules) {
        if (const rules::Log* const log = log_of(*rule)) {
            rates[rule->id.value] = log->per_minute;
        }
    }
}

}  // namespace

Judge::Judge(const JudgePlan& plan)
    : rules_(plan.rules),
      sets_(plan.sets),
      groups_(plan.groups),
      clock_(plan.clock),
      generation_(plan.generation),
      mark_(plan.generation << kFateBits),
      cuts_(plan.cuts),
      rates_(plan.rules->rules(), plan.shards),
      fates_(room_for(plan.rules->rules(), 32768), plan.secret),
      paths_(
          room_for(plan.rules->rules(), 8192), room_for(plan.rules->rules(), 8192) * 8, plan.secret
      ),
      rulings_(room_for(plan.rules->rules(), 8192)),
      counts_(plan.rules->rules().id_bound()),
      residues_(4096, 65536, plan.secret),
      leaves_residue_(!rules::residue_of(plan.rules->rules()).empty()),
      trail_(&Judge::spill, this),
      nat_trail_(&Judge::spill, this),
      targets_(plan.targets),
      secret_(plan.secret),
      patterns_(plan.patterns),
      leads_to_payload_(rules::chains_that_ask_for_payload(plan.rules->rules())),
      log_(plan.log) {
    for (unsigned hook = 0; hook < rules::kHooks; ++hook) {
        chains_[hook] = rules_->rules().chains_at(static_cast<Hook>(hook));
        if (!chains_[hook].empty()) {
            hooks_ |= mask_of(static_cast<Hook>(hook));
        }
    }
    if (targets_ == nullptr) {
        targets_ = std::make_shared<TargetTables>(rules_->rules());
    }
    may_untrack_ = does_any<rules::NoTrack>(rules_->rules());
    may_translate_ = has(kNatHooks) || does_any<rules::Redirect>(rules_->rules()) ||
                     does_any<rules::Masquerade>(rules_->rules());
    if (log_ != nullptr) {
        find_rules_that_log();
    }
    if (std::ranges::find(leads_to_payload_, true) == leads_to_payload_.end()) {
        patterns_ = nullptr;
    }
}

void Judge::find_rules_that_log() {
    const rules::RuleSet& set = rules_->rules();
    for (const rules::ChainId chain : set.chains()) {
        find_rates(*set.chain(chain), log_rates_);
    }
    logged_.reserve(log_rates_.empty() ? 0 : kMostLogged);
}

void Judge::take_over(const Judge& before) {
    rates_.take_over(before.rates_);
}

void Judge::change_compiled(const std::shared_ptr<const rules::CompiledRules>& compiled) {
    rules_ = compiled;
}

void Judge::begin(
    const rules::RulePacket& packet, const PacketBytes& bytes, PayloadFinder* finder
) {
    packet_ = packet;
    bytes_ = bytes;
    finder_ = finder;
    is_stopped_ = has_met_payload_ = false;
    logged_.clear();
    trail_.clear();
    nat_trail_.clear();
    redirect_ = masquerade_ = nullptr;
    gatherer_.clear();
    rates_.keep();
    is_for_flow_ = true;
    ruling_ = {};
    is_asking_ = true;
    are_all_asked_ = false;
    is_overruled_ = false;
}

void Judge::note(const rules::Outcome& outcome) {
    packet_.tos = outcome.tos;
    packet_.mark = outcome.mark;
    ruling_.no_track |= outcome.no_track;
    ruling_.logs |= outcome.logs;
    ruling_.tos_keep &= outcome.tos_keep;
    ruling_.tos_flip =
        static_cast<uint8_t>((ruling_.tos_flip & outcome.tos_keep) ^ outcome.tos_flip);
}

// Whether some packet of the flow, whatever varies, comes to a rule that asks for a payload.
bool Judge::may_meet_payload(rules::ChainId chain) {
    if (!chain_residue_.make(*rules_, chain, packet_, *sets_, scratch_.match)) {
        return true;
    }
    for (uint16_t at = 0; at < chain_residue_.size(); ++at) {
        const rules::Step* const step = chain_residue_.step(at);
        if (step != nullptr && rules::asks_for_payload(*step->rule)) {
            return true;
        }
    }
    return false;
}

// False: the packet goes no further.
bool Judge::look_for_payload(rules::ChainId chain) {
    if (finder_ == nullptr || !leads_to_payload_[chain.value] || !may_meet_payload(chain)) {
        return true;
    }
    has_met_payload_ = true;
    is_stopped_ = !finder_->find(packet_);
    finder_ = nullptr;
    return !is_stopped_;
}

rules::Outcome Judge::walk(rules::ChainId chain) {
    const size_t before = trail_.rules().size();
    trail_.forget_residue();
    rules::Matches matches;
    rules_->match(chain, {&packet_, 1}, *sets_, scratch_, {&matches, 1});
    const rules::Outcome outcome =
        rules_->walk(chain, packet_, matches, {*sets_, rates_, scratch_, trail_});
    if (leaves_residue_ && gatherer_.is_possible()) {
        gather(chain, before);
    }
    if (outcome.tos_keep != 0xff || outcome.tos_flip != 0) {
        gatherer_.give_up();  // chains behind see another TOS than the packet has
    }
    is_for_flow_ = is_for_flow_ && trail_.is_for_flow();
    return outcome;
}

void Judge::gather(rules::ChainId chain, size_t path_before) {
    if (trail_.is_for_flow()) {
        return gatherer_.add_path(trail_.rules().subspan(path_before));
    }
    if (!chain_residue_.make(*rules_, chain, packet_, *sets_, scratch_.match)) {
        return gatherer_.give_up();
    }
    for (uint16_t at = 0; at < chain_residue_.size(); ++at) {
        if (chain_residue_.step(at) != nullptr) {
            gatherer_.add_step(*chain_residue_.step(at));
        }
    }
    gatherer_.add_end(rules_->rules().chain(chain)->policy_id);
}

// Accounting only counts.
bool Judge::ask(Hook hook) {
    asked_ = hook;
    if (is_stopped_) [[unlikely]] {
        return false;  // also where no chain stands: the packet's verdict is there
    }
    for (const rules::ChainId chain : chains_[static_cast<size_t>(hook)]) {
        if (!look_for_payload(chain)) [[unlikely]] {
            return false;
        }
        const size_t before = trail_.rules().size();
        const rules::Outcome outcome = walk(chain);
        note_logged(outcome, trail_.rules().subspan(before));
        note(outcome);
        if (hook == Hook::kAccounting) {
            continue;
        }
        if (outcome.disposition == Disposition::kRedirect) {
            redirect_ = outcome.action;
        } else if (outcome.disposition == Disposition::kMasquerade) {
            masquerade_ = outcome.action;
        }
        if (outcome.disposition == Disposition::kReject) {
            ruling_.answer = Ruling::kReject;
            ruling_.reject = std::get<rules::Reject>(*outcome.action);
            return false;
        }
        if (outcome.disposition == Disposition::kDeny) {
            ruling_.answer = Ruling::kDeny;
            return false;
        }
    }
    return true;
}

// Nothing of it is kept for the flow.
rules::Outcome Judge::walk_once(rules::ChainId chain) {
    rules::Matches matches;
    rules_->match(chain, {&packet_, 1}, *sets_, scratch_, {&matches, 1});
    return rules_->walk(chain, packet_, matches, {*sets_, rates_, scratch_, nat_trail_});
}

const rules::Action* Judge::translation(Hook hook) {
    asked_ = hook;
    for (const rules::ChainId chain : chains_[static_cast<size_t>(hook)]) {
        if (is_stopped_ || !look_for_payload(chain)) [[unlikely]] {
            return nullptr;
        }
        const size_t before = nat_trail_.rules().size();
        const rules::Outcome outcome = walk_once(chain);
        note_logged(outcome, nat_trail_.rules().subspan(before));
        packet_.mark = outcome.mark;
        if (outcome.disposition != Disposition::kAccept) {
            translated_by_ = outcome.by;
            return outcome.action;
        }
    }
    return hook == Hook::kNatDestination ? redirect_ : masquerade_;
}

// By source its address alone decides, whichever rule it is and however often the rules change.
const rules::DnatTarget& Judge::target_of(const rules::Dnat& dnat, const FlowKey& key) const {
    const uint64_t hash = dnat.by_source ? keyed_hash(secret_, key.source().raw, ~uint64_t{0})
                                         : keyed_hash(secret_, key.addresses, key.rest);
    return dnat.targets[std::min(targets_->of(translated_by_, hash), dnat.targets.size() - 1)];
}

void Judge::count_translation(uint32_t bytes) {
    if (nat_trail_.rules().empty()) {
        return;
    }
    const rules::PathId asked =
        nat_trail_.is_whole() ? paths_.find_or_make(nat_trail_.rules()) : rules::kNoPath;
    if (asked != rules::kNoPath) {
        paths_.count_of(asked).add(1, bytes);
    }
    for (size_t i = 0; asked == rules::kNoPath && i < nat_trail_.rules().size(); ++i) {
        counts_.of(nat_trail_.rules()[i]).add(1, bytes);
    }
    nat_trail_.clear();
}

rules::PathId Judge::path() {
    if (!trail_.is_whole()) {
        return rules::kNoPath;
    }
    const rules::PathId path = paths_.find_or_make(trail_.rules());
    if (path != rules::kNoPath && !is_overruled_) {
        rulings_[path.value] = ruling_;
    }
    return path;
}

// What a long path has beyond its room; nobody knows yet how many bytes the packet has that will be counted.
void Judge::spill(void* context, rules::RuleId rule) {
    auto& judge = *static_cast<Judge*>(context);
    judge.counts_.of(rule).add(1, judge.packet_.length);
    judge.note_logged(rule);
}

void Judge::note_logged(const rules::Outcome& outcome, std::span<const rules::RuleId> path) {
    if (outcome.logs) [[unlikely]] {
        std::ranges::for_each(path, [this](rules::RuleId rule) { note_logged(rule); });
    }
}

// As the packet was when its chain was asked.
void Judge::note_logged(rules::RuleId rule) {
    if (!log_rates_.contains(rule.value)) {
        return;
    }
    if (logged_.size() == kMostLogged) {
        return log_->lose();
    }
    logged_.push_back(record_of(packet_, bytes_));
    logged_.back().rule = rule;
    logged_.back().hook = asked_;
}

void Judge::tell_logged() {
    for (const RuleLogRecord& record : logged_) {
        log_->write(record, log_rates_[record.rule.value]);
    }
    logged_.clear();
}

void Judge::count_by_rule(uint32_t bytes) {
    for (const rules::RuleId rule : trail_.rules()) {
        counts_.of(rule).add(1, bytes);
    }
}

void Judge::end(uint32_t bytes) {
    is_asking_ = false;
    if (!logged_.empty()) [[unlikely]] {
        tell_logged();
    }
    count_translation(bytes);
    const rules::PathId of_packet = path();
    if (of_packet == rules::kNoPath) {
        return count_by_rule(bytes);
    }
    paths_.count_of(of_packet).add(1, bytes);
}

FateWay Judge::residue_of(const Of& of) {
    const bool is_possible = gatherer_.is_possible() && trail_.is_whole() && !ruling_.logs &&
                             (ruling_.answer == Ruling::kPass || is_overruled_);
    if (!is_possible || is_for_flow_) {
        return {};
    }
    const uint32_t residue = residues_.find_or_make(gatherer_.key(), gatherer_.tests());
    return residue != Residues::kNone && learn(residue, of.fields)
               ? FateWay{{residue}, static_cast<FateTag>(of.tag | kFateUnusual | kFateResidue)}
               : FateWay{};
}

// What the question came to holds of all packets of the residue with such fields.
bool Judge::learn(uint32_t residue, rules::VaryingFields fields) {
    const rules::PathId of_packet = ruling_.logs ? rules::kNoPath : path();
    if (of_packet == rules::kNoPath) {
        return false;
    }
    Residues::Entry& entry = residues_.entry_of(residue, fields);
    entry.is_usual = ruling_.is_usual();
    entry.path.store(of_packet.value, std::memory_order_release);
    return true;
}

FateWay Judge::way_of(const Of& of) {
    const rules::PathId of_packet = is_for_flow() ? path() : rules::kNoPath;
    if (of_packet == rules::kNoPath) {
        return of.is_excused ? FateWay{} : residue_of(of);
    }
    return {of_packet, ruling_.is_usual() ? of.tag : static_cast<FateTag>(of.tag | kFateUnusual)};
}

// The first packet of a residue's is counted in it, as all others are.
void Judge::keep(flow::Session& session, const Of& of, uint32_t bytes) {
    is_asking_ = false;
    if (!logged_.empty()) [[unlikely]] {
        tell_logged();
    }
    count_translation(bytes);
    if (of.is_scanned) {
        session.verdict = mark_ | (of.is_excused ? Fates::kScannedExcused : Fates::kScanned);
        return end(bytes);
    }
    const auto direction = static_cast<size_t>(of.direction);
    FateWays ways = fates_.at(fate_of(session)).ways();
    FateWay& way = ways[direction];
    if (way.tag == (of.tag | kFateUnusual | kFateResidue)) {
        const bool is_known = learn(way.path.value, of.fields);
        return is_known ? residues_.entry_of(way.path.value, of.fields).count.add(1, bytes)
                        : end(bytes);
    }
    way = way_of(of);
    const bool is_kept = ways[0].path != rules::kNoPath || ways[1].path != rules::kNoPath;
    const uint32_t none = of.is_excused ? Fates::kWalkExcused : Fates::kWalk;
    const uint32_t fate = is_kept ? fates_.find_or_make(ways, of.is_excused) : none;
    session.verdict = mark_ | fate;
    if (fate < Fates::kFirst || way.path == rules::kNoPath) {
        return end(bytes);
    }
    if ((way.tag & kFateResidue) != 0) {
        return residues_.entry_of(way.path.value, of.fields).count.add(1, bytes);
    }
    fates_.at(fate).half[direction].count.add(1, bytes);
}

const Ruling* Judge::find(const flow::Session& session, Direction direction, const Known& packet) {
    static constexpr Ruling kPasses;
    Fate::Half& half = fates_.at(fate_of(session)).half[static_cast<size_t>(direction)];
    if (half.way.tag == (packet.tag | kFateUnusual)) {
        half.count.add(1, packet.bytes);
        return &rulings_[half.way.path.value];
    }
    if (half.way.tag != (packet.tag | kFateUnusual | kFateResidue)) {
        return nullptr;
    }
    Residues::Entry& entry = residues_.entry_of(half.way.path.value, packet.fields);
    const uint32_t path = entry.path.load(std::memory_order_relaxed);
    if (path == rules::kNoPath.value) {
        return nullptr;
    }
    entry.count.add(1, packet.bytes);
    return entry.is_usual ? &kPasses : &rulings_[path];
}

void Judge::add_path(
    std::vector<rules::RuleTotal>& totals, rules::PathId path, const rules::PacketCount& count
) const {
    const uint64_t packets = count.packets.read();
    const uint64_t bytes = count.bytes.read();
    for (const rules::RuleId rule : paths_.rules_of(path)) {
        totals[rule.value].packets += packets;
        totals[rule.value].bytes += bytes;
    }
}

std::vector<rules::RuleTotal> Judge::totals() const {
    std::vector<rules::RuleTotal> totals = rules::total_by_rule(paths_, counts_);
    for (uint32_t k = 2 * Fates::kFirst; k < 2 * fates_.size(); ++k) {
        const Fate::Half& half = fates_.at(k / 2).half[k % 2];
        if (half.way.path != rules::kNoPath && (half.way.tag & kFateResidue) == 0) {
            add_path(totals, half.way.path, half.count);
        }
    }
    for (uint32_t entry = 0; entry < residues_.size(); ++entry) {
        const uint32_t path = residues_.at(entry).path.load(std::memory_order_acquire);
        if (path != rules::kNoPath.value) {
            add_path(totals, {path}, residues_.at(entry).count);
        }
    }
    return totals;
}

}  // namespace sekisho::dataplane
