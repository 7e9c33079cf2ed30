#include "legacy/demasquerade.h"

namespace sekisho::legacy {
namespace {

using rules::ByteSet;
using rules::ConnectionState;

rules::Rule pass(std::vector<rules::Condition> conditions, const char* comment) {
    rules::Rule rule;
    rule.conditions = std::move(conditions);
    rule.actions = {rules::Accept{}};
    rule.comment = comment;
    return rule;
}

}  // namespace

std::vector<rules::Rule> rules_before(
    Family family, const rules::Chain& chain, const ByteSet& external
) {
    const bool is_asked = chain.hook == rules::Hook::kForward && family != Family::kIptables;
    const bool says_nothing = chain.rules.empty() && chain.policy == rules::Action{rules::Accept{}};
    if (!is_asked || says_nothing) {
        return {};
    }
    const auto answers = ByteSet::of(ConnectionState::kEstablished, ConnectionState::kRelated);
    return {
        pass(
            {{rules::LinkTest{rules::Way::kIn, external}}, {rules::StateTest{answers}}},
            "answers, which this chain was never asked about"
        ),
        pass(
            {{rules::ProtocolTest{ByteSet::of(Protocol::kIcmp)}},
             {rules::StateTest{ByteSet::of(ConnectionState::kRelated)}}},
            "errors about masqueraded flows, which this chain was never asked about"
        )};
}

}  // namespace sekisho::legacy
