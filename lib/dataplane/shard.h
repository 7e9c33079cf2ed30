// Shard: one worker's whole world, and the one way of a burst through it (pipeline.cc is one page).
//
//   rx - parse - probe - screen - (gather) - steer - find - (make) - (judge) - (fit) - (bind) - track - (clamp) - write - route - (divide) - tx
//
//   Owner     the worker that carries it; counters may be read by anyone. N shards on one thread behave as N workers.
//   Buffers   every packet given to it ends in exactly one place: transmitted, handed to another shard, held (bounded),
//             punted to the slow path, or freed with a counted reason.
//   Memory    nothing is allocated after it is made.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/counters.h"
#include "base/toeplitz.h"
#include "dataplane/fabric.h"
#include "dataplane/held_list.h"
#include "dataplane/hop_table.h"
#include "dataplane/network.h"
#include "dataplane/slow_path_limits.h"
#include "dataplane/stages.h"
#include "dataplane/transmitter.h"
#include "dataplane/unsolicited_syns.h"
#include "nat/nat_shard.h"
#include "nat/pcp_server.h"
#include "packet/batch.h"

namespace sekisho::dataplane {

// How much of its tables a shard uses; set once a poll, read by anyone.
struct ShardGauges {
    Counter sessions;
    Counter mappings;
    Counter subscribers;
};

// Requests of PCP in hand, and what was answered (port_control.cc).
struct PortControl {
    static constexpr uint32_t kEachSecond = 10'000;  // requests of a shard
    static constexpr uint32_t kEachOfSource = 100;

    explicit PortControl(const HashSecret& secret) : by_source(kEachOfSource, secret) {}
    TokenBucket all{kEachSecond};
    SourceLimiter by_source;
    nat::PcpCounters counters;
    struct Request {
        PacketRef packet;
        uint16_t l3_offset = 0;
        bool was_held = false;
    };
    std::array<Request, kBurst> requests;
    uint32_t count = 0;
};

struct ShardPlan {
    ShardId id;
    const Network* network = nullptr;
    const nat::NatSettings* settings = nullptr;
    nat::ExternalDirectory* directory = nullptr;
    const base::Toeplitz* toeplitz = nullptr;  // subscriber -> hash
    const base::ShardTable* table = nullptr;   // hash -> shard
    Fabric* fabric = nullptr;
    PacketStore* store = nullptr;
    Transmitter* transmitter = nullptr;
    size_t held_packets = 512;  // bound of the list of packets that wait for a port block
    FragmentTable::Sizes fragments;
};

class Shard final : public nat::MessageSink, public nat::WaitListener {
  public:
    Shard(const ShardPlan& plan, std::unique_ptr<nat::NatShard> nat);
    ~Shard() override;

    // A burst (at most kBurst) fresh from a device's queue. `steered`: the device has put each on its shard.
    struct Fresh {
        std::span<const PacketRef> packets;
        bool steered = false;
    };
    static constexpr size_t kTogether = 2;
    // At most kTogether, in order; together they cost less, since all wait for memory at once.
    void receive(std::span<const Fresh> bursts, Tick now);
    void receive(std::span<const PacketRef> burst, bool steered, Tick now) {
        const Fresh one{.packets = burst, .steered = steered};
        receive({&one, 1}, now);
    }
    // What other threads sent: messages, hand-offs, answers of the slow path, control requests (one slice); then timers.
    // Returns the number of packets and entries dealt with: 0 when idle.
    unsigned poll(Tick now);
    // Puts other rules in force, or none; returns those that were. While the worker rests.
    std::unique_ptr<Judge> change_rules(std::unique_ptr<Judge> judge);
    // The same rules, compiled anew. While the worker rests.
    void change_compiled(const std::shared_ptr<const rules::CompiledRules>& compiled);
    // From now on it can search payloads, with sizes that stay: before rules that ask for them are put in force. While the worker rests.
    void begin_scanning(
        const ScannedFlows::Sizes& sizes, std::unique_ptr<rules::PayloadScanner> scanner
    );
    // What it has found is forgotten. While the worker rests.
    void end_scanned();
    ScannedFlows* scanned() { return scanned_.get(); }  // empty: it cannot
    const ScannedFlows* scanned() const { return scanned_.get(); }
    RuleLog& rule_log() { return rule_log_; }
    const Judge* current_judge() const { return judge_.get(); }
    // No session that lives remembers rules of an older generation than this one.
    uint32_t oldest_rules() const { return oldest_rules_.load(std::memory_order_relaxed); }
    // At the end: frees what is held or queued here, counted as kShutdown. Nothing leaves it any more.
    void shut_down();

    ShardId id() const { return tables_.self; }
    nat::NatShard& nat() { return *nat_; }
    PacketCounters& counters() { return counters_; }
    const PacketCounters& counters() const { return counters_; }
    size_t held() const;  // may be read by anyone
    const ShardGauges& gauges() const { return gauges_; }
    const UnsolicitedSyns& unsolicited_syns() const { return unsolicited_syns_; }
    const nat::PcpCounters& pcp_counters() const { return port_control_.counters; }

    bool send(ShardId to, const nat::ShardMessage& message) override;  // MessageSink
    void wait_is_over(SubscriberIndex subscriber) override;            // WaitListener
    void session_ended(SessionIndex session) override {
        if (scanned_ != nullptr) {
            scanned_->end_of_session(session);
        }
    }
    void tcp_session_ended(const FlowKey& inbound, uint64_t hash) override {
        unsolicited_syns_.end_of_session(inbound, hash);
    }

  private:
    // pipeline.cc: the one way of a burst, and that of the appliance's own packets.
    void open(Burst& burst);
    void run(Burst& burst, Tick now);
    void run_own(Burst& burst, Tick now);
    // finish.cc: every packet of the burst leaves by its verdict.
    void finish(Burst& burst);
    void finish_unusual(Burst& burst, uint32_t i);
    // multicast.cc: what the configuration lets pass.
    bool pass_multicast(PacketRef& ref, const PacketMeta& meta);
    std::optional<DropReason> why_no_multicast(
        const PacketRef& ref, const PacketMeta& meta, const Link& to
    ) const;
    void hand_off_all(Batch& batch);
    void hold(Burst& burst, uint32_t i);
    void punt_neighbour(Burst& burst, uint32_t i);
    void punt_error(Burst& burst, uint32_t i);
    // divide.cc: a packet too long for its link, in pieces.
    void cut(Burst& burst, uint32_t i);
    void end_cut(const PacketRef& frame, DropReason reason);
    bool allocate_all(std::span<PacketRef> buffers);
    Be16 id_of_pieces(const packet::Ipv4View& ip);
    void free_ended();
    void free_later(const PacketRef& packet);
    void free_now();
    // shard.cc: bursts that do not come from a device, in other_; and the end.
    static void load(Burst& burst, std::span<const PacketRef> packets);
    void run_loaded(Origin origin, Tick now);
    void run_again(Tick now);
    void end(const PacketRef& packet);
    void end_back(const Back& back);
    // poll.cc: what comes from other threads.
    unsigned poll_messages(Tick now);
    unsigned poll_hand_offs(Tick now);
    unsigned resume_held(Tick now);
    unsigned resume_kept(Tick now);
    unsigned resume_streams(Tick now);
    void put_together();
    unsigned poll_back(Tick now);
    void run_answers(Tick now);
    void take_back(const Back& back);
    void count_back(const Back& back);
    void take_answer(const Back& back);
    void send_arp_request(const Back& back);
    // answer_syns.cc: unsolicited SYNs that have waited long enough.
    unsigned answer_unsolicited_syns(Tick now);
    bool is_solicited(const UnsolicitedSyns::Syn& syn, Tick now) const;
    bool punt_unsolicited(const UnsolicitedSyns::Syn& syn);
    // port_control.cc: what subscribers ask of their mappings.
    bool is_port_control(const PacketRef& ref, const PacketMeta& meta) const;
    void answer_port_control(Tick now);
    void answer_port_control(const PortControl::Request& request, Tick now);
    // control.cc: one slice of a listing, or one change.
    unsigned poll_control(Tick now);
    void serve(ControlRequest& request, Tick now);
    bool clear_session(const nat::SessionView& wanted, Tick now);
    bool clear_lease(const nat::MappingView& wanted, Tick now);
    // sweep.cc: sessions forget rules that are no more.
    void sweep();

    ShardPlan plan_;
    std::unique_ptr<nat::NatShard> nat_;
    PacketCounters counters_;
    ShardGauges gauges_;
    HopTable hops_;
    HeldList held_;
    FragmentTable fragments_;
    std::unique_ptr<ScannedFlows> scanned_;  // outlives every judge
    FragmentIds fragment_ids_;
    UnsolicitedSyns unsolicited_syns_;
    PortControl port_control_;
    nat::Exemptions exemptions_;
    RuleLog rule_log_;              // outlives every judge
    std::unique_ptr<Judge> judge_;  // empty: no rules
    uint32_t swept_ = 0;            // sessions of this sweep
    uint32_t sweep_began_ = 0;      // generation in force when it began
    std::atomic<uint32_t> oldest_rules_{0};
    std::vector<packet::LinkView> links_;
    StageTables tables_;
    std::array<Burst, kTogether> fresh_;
    Burst other_;                          // handed off, resumed, turned round or our own
    std::array<PacketRef, kBurst> again_;  // second halves of hairpins, for the next pass
    uint32_t again_count_ = 0;
    std::array<PacketRef, kBurst> freed_;
    uint32_t freed_count_ = 0;
    std::array<PacketRef, kBurst> own_;  // from the slow path, to be routed
    uint32_t own_count_ = 0;
};

}  // namespace sekisho::dataplane
