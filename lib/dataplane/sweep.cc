// Rules that change, and the sessions that remember older ones.
#include "dataplane/shard.h"

namespace sekisho::dataplane {
namespace {

constexpr uint32_t kSessionsAPoll = 8;

}  // namespace

std::unique_ptr<Judge> Shard::change_rules(std::unique_ptr<Judge> judge) {
    if (judge != nullptr) {
        rule_log_.make_room(judge->rules().rules().id_bound());
    }
    if (judge != nullptr && judge_ != nullptr) {
        judge->take_over(*judge_);
    }
    std::swap(judge, judge_);
    tables_.judge = judge_.get();
    const bool scans = judge_ != nullptr && judge_->asks_for_payload() && scanned_ != nullptr;
    tables_.scanned = scans ? scanned_.get() : nullptr;
    if (scans) {
        scanned_->follow(judge_->patterns());
    } else {
        end_scanned();
    }
    return judge;
}

void Shard::end_scanned() {
    if (scanned_ != nullptr) {
        scanned_->end_all(DropReason::kStreamOrphan);
        free_ended();
        free_now();
    }
}

void Shard::begin_scanning(
    const ScannedFlows::Sizes& sizes, std::unique_ptr<rules::PayloadScanner> scanner
) {
    if (scanned_ == nullptr) {
        scanned_ = std::make_unique<ScannedFlows>(sizes, std::move(scanner), nat_->secret());
    }
}

void Shard::change_compiled(const std::shared_ptr<const rules::CompiledRules>& compiled) {
    if (judge_ != nullptr) {
        judge_->change_compiled(compiled);
    }
}

// A generation comes round again one day. Until then every session has been asked about anew, or has forgotten.
void Shard::sweep() {
    if (judge_ == nullptr || oldest_rules() == judge_->generation()) {
        return;
    }
    sweep_began_ = swept_ == 0 ? judge_->generation() : sweep_began_;
    for (uint32_t n = 0; n < kSessionsAPoll; ++n, ++swept_) {
        if (swept_ >= nat_->session_high_water()) {
            oldest_rules_.store(sweep_began_, std::memory_order_relaxed);
            swept_ = 0;
            return;
        }
        flow::Session& session = nat_->session(SessionIndex{swept_});
        const bool is_live = (session.flags & flow::kLive) != 0;  // else the word is another's
        if (is_live && !judge_->knows(session)) {
            session.verdict = 0;
        }
    }
}

}  // namespace sekisho::dataplane
