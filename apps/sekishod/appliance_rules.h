// What becomes of the rules when the configuration changes: made beside those in force, put in their place while nobody takes a
// turn, and given up afterwards.
#pragma once

#include <optional>

#include "sekishod/appliance.h"

namespace sekisho::daemon {

struct Appliance::NewRules {
    dataplane::RulesInForce* in_force = nullptr;  // nullptr: they stay
    dataplane::RulesInForce::Rules before;
    Judges judges;
    RuleTeller* teller = nullptr;
    std::shared_ptr<const eventlog::RuleSites> sites{};  // of what is to be
    PayloadSearch* search = nullptr;
    PayloadSearch::Next patterns{};

    // While everybody rests.
    void put(std::span<const std::unique_ptr<dataplane::Shard>> shards) {
        if (in_force != nullptr) {
            search->put(patterns, shards);
            in_force->put(judges);
            teller->publish(std::move(sites));
        }
    }
    // `is_done`: they were put.
    void settle(bool is_done);
};

}  // namespace sekisho::daemon
