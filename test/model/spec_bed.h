// SpecBed: one packet after the other goes through the real pipeline (TestBed) and through the
// specification (spec/), and everything that can be seen of the two is compared.
//
//   Compared  after each packet: whether it left, where, and every byte of it; or for which reason it
//             was dropped, and what its sender was told; the conservation of packets and buffers.
//             After each step that made or ended something: the pools' sums, and each block's ports by its
//             count and by its bitmap. After each passage of time and now and then: all sessions with lifetimes and counts, all
//             mappings, blocks, subscribers, the pools' sums.
//   Errors    fails the test case with the packet and what both made of it.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "packet/test_bed.h"
#include "spec/nat44.h"

namespace sekisho::test {

struct Shape {
    unsigned shards = 1;
    unsigned workers = 1;
    unsigned queues = 1;
    bool spread = false;
};

class SpecBed {
  public:
    SpecBed(const spec::Settings& settings, const Shape& shape);

    void step(spec::Side from, const spec::Packet& packet);
    // Time passes, and timers fire.
    void pass(spec::Time ms);
    void clear(const spec::SessionName& name);
    // Compares the whole state.
    void compare();

    const spec::Nat44& spec() const { return *spec_; }
    const spec::Settings& settings() const { return settings_; }
    spec::Time now() const { return now_; }
    uint64_t forwarded() const { return forwarded_; }
    uint64_t dropped(DropReason reason) const { return bed_->dropped(reason); }

  private:
    using Dropped = std::array<uint64_t, base::kDropReasonCount>;
    std::optional<spec::Endpoint> choice_of(const spec::SessionName& name) const;
    std::vector<spec::HeldBlock> held_blocks() const;
    bool has_record(const spec::SessionName& name) const;
    uint64_t sessions_made() const;
    static size_t l3_of(const MemoryDevice::Sent& sent);
    bool is_on_link(const MemoryDevice::Sent& sent, spec::Side side, spec::Address inside) const;
    ByteVector tagged(spec::Side from, const spec::Packet& packet) const;
    void settle_time();
    std::string difference(
        spec::Side from,
        const spec::Packet& packet,
        const spec::Outcome& outcome,
        std::vector<MemoryDevice::Sent> sent
    );
    std::string difference_of_drops(const spec::Outcome& outcome);
    bool is_answer(
        const MemoryDevice::Sent& sent,
        spec::Side from,
        const spec::Packet& packet,
        const spec::Outcome& outcome
    ) const;
    void note_refused_syn(
        spec::Side from, const spec::Packet& packet, const spec::Outcome& outcome
    );
    bool is_answer_to_old_syn(const MemoryDevice::Sent& sent);
    void check_late_answers();
    void check_pools(const spec::Packet& packet);
    std::string difference_of_sessions() const;
    std::string difference_of_mappings() const;
    std::string difference_of_pools() const;
    std::string difference_of_subscribers() const;

    spec::Settings settings_;
    std::unique_ptr<TestBed> bed_;
    std::unique_ptr<spec::Nat44> spec_;
    spec::Time now_ = 0;
    Dropped dropped_{};
    uint64_t forwarded_ = 0;
    // SYNs from outside that were dropped in silence, by their ends (RFC 5382 REQ-4).
    std::map<std::pair<spec::Endpoint, spec::Endpoint>, std::deque<spec::Time>> refused_syns_;
};

}  // namespace sekisho::test
