// Judge: the rules in force, as one shard asks them, and what they have counted there.
//
//   Question  one packet at a time: begin(), ask() at each hook on its way, then end(), which counts its path. What a
//             packet shows may change between two hooks (packet()). A question that is not ended has counted nothing.
//   New flows what a flow is translated to is asked once, with its first packet (translation()), and counted with that.
//   Verdict   what a question came to, kept for the session in its fate (fates.h), if no rule that was asked can answer
//             otherwise for another packet of the flow, and none of them logs; where some rules ask for header fields
//             that vary, the flow's residue (residues.h). Of all others each packet is a question.
//   Log       what rules that log have agreed with is told when the question ends; records of one that is dropped are not. At
//             most kMostLogged of one packet.
//   Time      a judge belongs to one generation of the rules: another takes its place while the worker rests (base/rest_gate.h), and takes
//             over its rates. Its counts are summed up by whoever gets it back.
//   Payload   where a rule may ask for it, whoever searches payloads (payload_finder.h) is asked first. He may stop the packet: then
//             the question has no answer.
//   Memory    all of it is taken when it is made.
//   Thread    the shard's worker; totals() by anybody.
//   Source    ARCHITECTURE 5.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/keyed_hash.h"
#include "dataplane/fates.h"
#include "dataplane/payload_finder.h"
#include "dataplane/residues.h"
#include "dataplane/rule_log.h"
#include "dataplane/target_tables.h"
#include "flow/session.h"
#include "packet/batch.h"
#include "rules/compiled_rules.h"
#include "rules/flow_residue.h"
#include "rules/groups.h"
#include "rules/paths.h"
#include "rules/pattern_names.h"
#include "rules/rates.h"

namespace sekisho::dataplane {

// The operator's clock, for rules that go by the time of day. Set by one thread, read by all.
class WeekClock {
  public:
    void set(Tick now, rules::TimeOfWeek time) {
        anchor_.store(uint64_t{now.ms} << 32 | time.second, std::memory_order_relaxed);
    }
    rules::TimeOfWeek at(Tick now) const {
        constexpr uint64_t kWeek = uint64_t{7} * rules::TimeOfWeek::kDay;
        const uint64_t anchor = anchor_.load(std::memory_order_relaxed);
        // Whoever asks may have begun before it was set.
        const auto passed = static_cast<int32_t>(now.ms - static_cast<uint32_t>(anchor >> 32));
        const auto seconds = static_cast<uint32_t>(std::max(passed, 0)) / 1000;
        return {static_cast<uint32_t>(((anchor & 0xffffffff) + seconds) % kWeek)};
    }

  private:
    std::atomic<uint64_t> anchor_{0};
};

// What a question came to.
struct Ruling {
    enum Answer : uint8_t { kPass, kDeny, kReject };
    Answer answer = kPass;
    bool no_track = false;
    bool logs = false;
    uint8_t tos_keep = 0xff;
    uint8_t tos_flip = 0;
    rules::Reject reject;  // with kReject

    bool changes_tos() const { return tos_keep != 0xff || tos_flip != 0; }
    bool is_usual() const { return answer == kPass && !changes_tos(); }
};

struct JudgePlan {
    std::shared_ptr<const rules::CompiledRules> rules;
    std::shared_ptr<const rules::AddressSets> sets;
    std::shared_ptr<const rules::SubscriberGroups> groups;  // empty: none
    std::shared_ptr<const TargetTables> targets;            // empty: made by the judge
    std::shared_ptr<const rules::PatternNames> patterns;    // empty: nobody searches payloads
    const WeekClock* clock = nullptr;
    uint32_t generation = 1;  // 1 to Judge::kGenerations - 1
    uint32_t shards = 1;
    HashSecret secret;
    RuleLog* log = nullptr;  // nullptr: nothing is logged
    bool cuts =
        true;  // ends sessions that stood before and that these rules forbid; else they go on as they were
};

class Judge {
  public:
    static constexpr uint32_t kGenerations = 1 << 12;
    static constexpr size_t kMostLogged = 32;

    explicit Judge(const JudgePlan& plan);
    // Another takes its place.
    void take_over(const Judge& before);
    // The same rules, compiled anew; all that is known of sessions holds.
    void change_compiled(const std::shared_ptr<const rules::CompiledRules>& compiled);

    uint32_t generation() const { return generation_; }
    bool cuts() const { return cuts_; }
    bool has(rules::HookMask hooks) const { return (hooks_ & hooks) != 0; }
    const WeekClock* clock() const { return clock_; }
    rules::GroupId group_of(RealmId realm, Ipv4Addr subscriber) const {
        return groups_ == nullptr ? rules::kNoGroup : groups_->group_of(realm, subscriber);
    }

    // Whether some rule asks for a payload, and somebody searches them.
    bool asks_for_payload() const { return patterns_ != nullptr; }
    const std::shared_ptr<const rules::PatternNames>& patterns() const { return patterns_; }

    // `bytes`: valid until the question ends; for the log. `finder`: as long; nullptr: nothing is found.
    void begin(
        const rules::RulePacket& packet,
        const PacketBytes& bytes = {},
        PayloadFinder* finder = nullptr
    );
    rules::RulePacket& packet() { return packet_; }
    // Whether the packet goes on; if not, the ruling says how it ends.
    bool ask(rules::Hook hook);
    const Ruling& ruling() const { return ruling_; }
    // Whether the finder has ended the question.
    bool is_stopped() const { return is_stopped_; }
    // Whether a rule may have asked what the payload has.
    bool has_met_payload() const { return has_met_payload_; }
    // Of a new flow: the action that translates its destination, or its source, as the chains at that nat hook say; or a filter hook
    // before that has redirected or masqueraded it. nullptr: none. Valid for the burst.
    const rules::Action* translation(rules::Hook hook);
    // The target of a dnat that translation() has just given.
    const rules::DnatTarget& target_of(const rules::Dnat& dnat, const FlowKey& key) const;
    // The packet goes on to another shard, which asks anew, but for the translation.
    void count_led(uint32_t bytes) {
        count_translation(bytes);
        drop_question();
    }
    // Whether some rule lets packets pass untracked.
    bool may_untrack() const { return may_untrack_; }
    // Whether some rule translates, or a chain stands where one could.
    bool may_translate() const { return may_translate_; }
    // For whoever asks in two parts.
    void note_all_asked() { are_all_asked_ = true; }
    bool are_all_asked() const { return are_all_asked_; }
    // Whether a question has begun that is not ended; ends it as if it had not been asked: nothing is counted, and rates get back what they gave.
    bool is_asking() const { return is_asking_; }
    void drop_question() {
        if (is_asking_) {
            rates_.give_back();
        }
        is_asking_ = false;
    }
    // The packet passes, whatever the rules say, and so does what is kept of it.
    void excuse() {
        const bool logs = ruling_.logs;
        is_overruled_ = true;
        ruling_ = {};
        ruling_.logs = logs;
    }
    // Whether another packet of this flow and tag would fare the same; and whether nothing else is to be done for it.
    bool is_fixed() const { return trail_.is_whole() && is_for_flow_; }
    bool is_for_flow() const { return is_fixed() && !ruling_.logs; }
    // Its path, interned; kNoPath: it has no place. Counts nothing.
    rules::PathId path();
    // Counts the packet on its path.
    void end(uint32_t bytes);

    // The fate that a session has by these rules; kWalk: none, or none that is kept.
    uint32_t fate_of(const flow::Session& session) const {
        const uint32_t index = session.verdict ^ mark_;
        return index < fates_.room() ? index : Fates::kWalk;
    }
    // Whether it goes on though the rules forbid all its packets. Not of a session that was just made.
    bool is_excused(const flow::Session& session) const {
        return knows(session) ? fates_.at(fate_of(session)).is_excused() : !cuts_;
    }
    // Whether these rules have been asked about it at all.
    bool knows(const flow::Session& session) const {
        return (session.verdict ^ mark_) < fates_.room();
    }
    // What the question came to is to hold of the session's packets with this tag. Counts the packet.
    struct Of {
        Direction direction;
        FateTag tag;
        rules::VaryingFields fields;
        bool is_excused = false;
        bool is_scanned = false;  // all packets of the session are to be looked at
    };
    void keep(flow::Session& session, const Of& of, uint32_t bytes);
    // Packets of sessions with a fate, one after the other, of which nothing varies. Those that fare alike are counted together, at the
    // latest at its end.
    class Passing {
      public:
        explicit Passing(Judge& judge)
            : fates_(&judge.fates_.at(0)), room_(judge.fates_.room()), mark_(judge.mark_) {}
        Passing(const Passing&) = delete;
        Passing& operator=(const Passing&) = delete;
        ~Passing() { settle(); }

        // true: it passes, and is counted. What has no fate has that of nobody, whose tags no packet has.
        [[gnu::always_inline]] bool pass(
            const PacketMeta& meta, const flow::Session& session, LinkId in_link
        ) {
            const uint32_t index = session.verdict ^ mark_;
            Fate& fate = fates_[index < room_ ? index : Fates::kWalk];
            Fate::Half& half = fate.half[static_cast<size_t>(meta.direction)];
            if (half.way.tag != fate_tag_shown(in_link, session.flags)) [[unlikely]] {
                return false;
            }
            count(half.count, meta.l3_length);
            return true;
        }
        // One of the burst, which passes.
        [[gnu::always_inline]] void count(rules::PacketCount& at, uint32_t bytes) {
            if (at_ != &at) [[unlikely]] {
                settle();
                at_ = &at;
            }
            sum_ += kPacket + bytes;
        }

      private:
        // Packets above their bytes, of which a burst has less.
        static constexpr uint32_t kPacket = uint32_t{1} << 24;
        static_assert(
            packet::kBurst * 0xffff < kPacket && uint64_t{packet::kBurst} * kPacket < uint64_t{1}
                                                                                          << 32
        );
        void settle() {
            if (at_ != nullptr) {
                at_->add(sum_ / kPacket, sum_ % kPacket);
            }
            sum_ = 0;
        }

        Fate* fates_;
        uint32_t room_;
        uint32_t mark_;
        rules::PacketCount* at_ = nullptr;
        uint32_t sum_ = 0;
    };
    struct Known {
        FateTag tag;
        uint32_t bytes;
        rules::VaryingFields fields;
    };
    // Of a packet whose session has a fate, and where fields may vary: where it is counted if it passes; nullptr: it may not.
    [[gnu::always_inline]] rules::PacketCount* passes(
        const flow::Session& session, Direction direction, const Known& packet
    ) {
        Fate::Half& half = fates_.at(fate_of(session)).half[static_cast<size_t>(direction)];
        if (half.way.tag == (packet.tag | kFateUnusual | kFateResidue)) {
            Residues::Entry& entry = residues_.entry_of(half.way.path.value, packet.fields);
            return entry.is_usual ? &entry.count : nullptr;
        }
        return half.way.tag == packet.tag ? &half.count : nullptr;
    }
    // The same where there is more to do; nullptr: nothing is known of such packets. Counts the packet.
    const Ruling* find(const flow::Session& session, Direction direction, const Known& packet);
    const rules::CompiledRules& rules() const { return *rules_; }
    // By RuleId.
    std::vector<rules::RuleTotal> totals() const;

  private:
    bool may_meet_payload(rules::ChainId chain);
    bool look_for_payload(rules::ChainId chain);
    rules::Outcome walk(rules::ChainId chain);
    rules::Outcome walk_once(rules::ChainId chain);
    void count_translation(uint32_t bytes);
    void gather(rules::ChainId chain, size_t path_before);
    FateWay way_of(const Of& of);
    FateWay residue_of(const Of& of);
    bool learn(uint32_t residue, rules::VaryingFields fields);
    void add_path(
        std::vector<rules::RuleTotal>& totals, rules::PathId path, const rules::PacketCount& count
    ) const;
    static void spill(void* context, rules::RuleId rule);
    void count_by_rule(uint32_t bytes);
    void note(const rules::Outcome& outcome);
    void find_rules_that_log();
    void note_logged(const rules::Outcome& outcome, std::span<const rules::RuleId> path);
    void note_logged(rules::RuleId rule);
    void tell_logged();

    std::shared_ptr<const rules::CompiledRules> rules_;
    std::shared_ptr<const rules::AddressSets> sets_;
    std::shared_ptr<const rules::SubscriberGroups> groups_;
    const WeekClock* clock_;
    uint32_t generation_;
    uint32_t mark_;  // of this generation, in Session::verdict
    bool cuts_;
    rules::HookMask hooks_ = 0;
    std::array<std::vector<rules::ChainId>, rules::kHooks> chains_;
    rules::Rates rates_;
    Fates fates_;
    rules::Paths paths_;
    std::vector<Ruling> rulings_;  // by PathId
    rules::RuleCounts counts_;
    Residues residues_;
    ResidueGatherer gatherer_;
    rules::FlowResidue chain_residue_;
    bool leaves_residue_;  // some rule does
    bool may_untrack_ = false;
    bool may_translate_ = false;
    bool is_for_flow_ = true;  // of all chains asked
    rules::WalkScratch scratch_;
    rules::Trail trail_;
    rules::Trail nat_trail_;  // of the chains at nat hooks
    std::shared_ptr<const TargetTables> targets_;
    HashSecret secret_;
    const rules::Action* redirect_ = nullptr;  // what filter hooks have said of the question
    const rules::Action* masquerade_ = nullptr;
    rules::RuleId translated_by_ = rules::kNoRule;
    std::shared_ptr<const rules::PatternNames> patterns_;
    std::vector<bool> leads_to_payload_;  // by ChainId
    rules::RulePacket packet_;
    PacketBytes bytes_;
    PayloadFinder* finder_ = nullptr;
    RuleLog* log_;
    std::unordered_map<uint32_t, uint32_t> log_rates_;  // by RuleId, of those that log
    std::vector<RuleLogRecord> logged_;                 // of this question
    rules::Hook asked_ = rules::Hook::kIngress;
    Ruling ruling_;
    bool is_asking_ = false;
    bool are_all_asked_ = false;
    bool is_overruled_ = false;
    bool is_stopped_ = false;
    bool has_met_payload_ = false;
};

}  // namespace sekisho::dataplane
