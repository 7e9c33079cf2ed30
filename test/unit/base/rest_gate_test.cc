// RestGate: members that poll, sleep and come back, and one that changes what they read.
#include "base/rest_gate.h"

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

using namespace sekisho;
using namespace std::chrono_literals;
using base::RestGate;

namespace {

// What a change makes whole and a member must never see in part.
struct Shared {
    std::array<uint64_t, 64> words{};
    void set(uint64_t value) { words.fill(value); }
    bool is_whole() const {
        for (const uint64_t word : words) {
            if (word != words[0]) {
                return false;
            }
        }
        return true;
    }
};

}  // namespace

TEST_CASE("nobody sees a part of what is changed while all rest", "[base][rest-gate]") {
    constexpr unsigned kMembers = 3;
    RestGate gate(kMembers);
    Shared shared;
    std::atomic<bool> is_over{false};
    std::atomic<uint64_t> torn{0};
    std::array<std::atomic<uint64_t>, kMembers> turns{};
    std::vector<std::thread> members;
    for (unsigned m = 0; m < kMembers; ++m) {
        members.emplace_back([&, m] {
            gate.come_back(m);
            for (uint64_t turn = 0; !is_over.load(); ++turn) {
                gate.pass(m);
                torn += shared.is_whole() ? 0 : 1;
                turns[m].fetch_add(1);
                if (m == 1 && turn % 16 == 0) {
                    gate.leave(m);
                    std::this_thread::sleep_for(20us);
                    gate.come_back(m);
                }
            }
            gate.leave(m);
        });
    }
    unsigned done = 0;
    for (uint64_t i = 1; i <= 2000; ++i) {
        done += gate.while_all_rest([&] { shared.set(i); }, 10s).has_value() ? 1 : 0;
    }
    for (auto& turn : turns) {
        for (const uint64_t before = turn.load(); turn.load() == before;) {
            std::this_thread::yield();  // they go on
        }
    }
    is_over = true;
    for (auto& member : members) {
        member.join();
    }
    CHECK(done == 2000);
    CHECK(torn == 0);
    CHECK(shared.words[0] == 2000);
}

TEST_CASE("who has not begun or has ended is not waited for", "[base][rest-gate]") {
    RestGate gate(2);
    bool was_called = false;
    CHECK(gate.while_all_rest([&] { was_called = true; }, 1ms));
    CHECK(was_called);
}

TEST_CASE(
    "a member that does not come to rest ends the attempt, and nothing is changed",
    "[base][rest-gate]"
) {
    RestGate gate(2);
    gate.come_back(1);  // and takes no turn
    bool was_called = false;
    CHECK_FALSE(gate.while_all_rest([&] { was_called = true; }, 5ms));
    CHECK_FALSE(was_called);
    gate.pass(1);  // the gate is open again: this does not wait
    gate.leave(1);
    CHECK(gate.while_all_rest([&] { was_called = true; }, 5ms));
    CHECK(was_called);
}
