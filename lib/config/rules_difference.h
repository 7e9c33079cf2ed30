// What a change of the rules and sets comes to, as settings.
//
//   Cost      linear; texts are made only of what differs. Thread: any; touches nothing.
#pragma once

#include <vector>

#include "config/change.h"

namespace sekisho::config {

// rules.CHAIN with the rules that go and that come, rules.CHAIN.policy and the like, sets.NAME with its addresses. Where there
// are too many to be listed, how many.
std::vector<Difference> rules_differences(const Config& a, const Config& b);

}  // namespace sekisho::config
