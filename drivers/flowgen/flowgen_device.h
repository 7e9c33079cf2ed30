// FlowgenDevice: a link whose far end is played from memory: N subscribers with M sessions each, or the Internet that
// answers them. It makes frames, checks those that come back, and answers ARP for every address.
//
//   Use        the far end of benchmarks and tests in one process, and `flowgen:PROFILE` in a configuration. The two ends of
//              an appliance know of each other only what the frames carry: the Internet side learns each session's external
//              endpoint from the first frame that comes out of it, and sends nothing for sessions that it has not seen.
//   TCP        subscribers send SYN until something has come back, then ACK with payload; the Internet side answers the
//              first frame of an endpoint with SYN and ACK. One turn of both passes is a handshake.
//   Passes     a pass sends one frame of every session, in a new random order. Either one pass at a time, or without end.
//   Speed      a burst is written one call before it is handed out, and its sessions are chosen one call before that.
//   Queues     one. Buffers go round (rotation.h); those of the pipeline's other packets go back to their store.
//   Thread     receive() and send() by the worker; what controls a queue while its worker stands still; stats by anyone.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/result.h"
#include "config/flowgen_profile.h"
#include "dataplane/device.h"
#include "flowgen/checker.h"
#include "flowgen/endpoint_table.h"
#include "flowgen/flow_plan.h"
#include "flowgen/frame.h"
#include "flowgen/pass_order.h"
#include "flowgen/rotation.h"

namespace sekisho::flowgen {

struct FlowgenPlan {
    FlowgenProfile profile;
    unsigned index = 0;  // of the device: makes its link addresses distinct
    LinkId first_link;
    Rotation* rotation = nullptr;  // of the worker that owns the queue
    // The link of the other far end, if that takes its buffers from the same rotation: what comes from it and was not made
    // by the appliance needs no look to be known.
    std::optional<LinkId> peer;
};

struct FlowgenCounters {
    Counter sent;  // to the appliance
    Counter sent_bytes;
    Counter received;  // from it: frames of the profile; what is not, is counted among the faults
    Counter received_bytes;
    Counter others;      // ARP and other short frames
    Counter no_buffers;  // bursts that found none
};

class FlowgenQueue final : public dataplane::DeviceQueue {
  public:
    enum class Checks : uint8_t { kNone, kSample, kAll };
    static constexpr uint32_t kSampleEvery = 64;

    FlowgenQueue(const FlowgenPlan& plan, const MacAddr& appliance, const MacAddr& station);
    ~FlowgenQueue() override;
    Result<void> create_tables();

    unsigned receive(std::span<PacketRef> out) override;
    unsigned send(std::span<PacketRef> packets) override;

    void send_nothing();
    void send_pass();  // one, from its beginning
    void send_endlessly();
    // Whether the pass has been handed out whole.
    bool is_pass_over() const { return ready_count_ == 0 && bursts_[latest_].count == 0; }
    uint32_t pass() const { return pass_; }
    uint64_t sent_in_pass() const { return counters_.sent.read() - sent_before_pass_; }
    void set_checks(Checks checks);
    // Only `count` sessions, from `first` on, from the next pass on; sends nothing until it is told to.
    void limit_flows(uint32_t count, uint32_t first = 0);
    // Nothing has ever come back: sessions that have ended may begin again elsewhere.
    void forget();

    // Whether what comes back has been translated, or only passed on.
    void set_translated(bool translated);

    Checker& checker() { return checker_; }
    const Checker& checker() const { return checker_; }
    const FlowgenCounters& counters() const { return counters_; }
    const FlowPlan& flows() const { return flows_; }
    // What the Internet side has learnt of a session.
    Endpoint endpoint(uint32_t session) { return endpoints_[session]; }

  private:
    enum class Sending : uint8_t { kNothing, kPass, kEndless };
    static constexpr unsigned kBurst = packet::kBurst;
    static constexpr unsigned kSizes = 12;  // places of the imix pattern

    // The usual frames and those that open a TCP session, by protocol and place in the size pattern.
    struct Templates {
        std::array<FrameTemplate, kSizes> usual;
        std::array<FrameTemplate, kSizes> opening;
    };

    struct Chosen {
        unsigned count = 0;
        uint32_t pass = 0;
        std::array<uint32_t, kBurst> sessions{};
        std::array<Buffer, kBurst> buffers{};
    };

    void make_templates(const MacAddr& appliance, const MacAddr& station);
    void number_templates(uint32_t pass);
    static unsigned place_of(Protocol protocol);
    void discard_prepared();
    void prime();
    void choose(Chosen& chosen);
    void advance();
    template <FlowgenRole kRole, bool kMixed>
    void build(const Chosen& chosen);
    template <FlowgenRole kRole>
    bool address_frame(uint32_t session, FrameAddresses& addresses, bool& opens);
    void take_unusual(const PacketRef& packet);
    unsigned give_answers(std::span<PacketRef> out);
    void take_to_check(const PacketRef& packet);
    bool is_known(const PacketRef& packet) const;
    void look_at(const PacketRef& packet);
    void look_at_sample();

    FlowgenProfile profile_;
    FlowPlan flows_;
    Rotation& rotation_;
    LinkId link_;
    std::optional<LinkId> peer_;
    MacAddr station_;
    Direction direction_;
    EndpointTable endpoints_;     // Internet side
    std::vector<bool> answered_;  // subscribers
    Checker checker_;

    PassOrder order_;
    Sending sending_ = Sending::kNothing;
    uint32_t pass_ = 0;
    uint64_t sent_before_pass_ = 0;
    std::array<Templates, 3> templates_;
    std::array<PacketRef, kSizes> shapes_;  // what is to be copied wide, but for the buffer
    unsigned size_place_ = 0;
    uint32_t numbered_pass_ = 0;  // for which the templates stand

    // Two bursts under way: the one chosen last is asked for from memory while ready_ is written.
    std::array<Chosen, 2> bursts_;
    unsigned latest_ = 0;  // of bursts_: chosen last, to be written next
    std::array<PacketRef, kBurst> ready_;
    unsigned ready_count_ = 0;
    unsigned ready_first_ = 0;

    uint32_t check_interval_ = 1;
    uint32_t until_check_ = 1;
    PacketRef sample_;  // to be looked at in the next call, when what it needs is near
    std::vector<PacketRef> answers_;  // ARP replies
    FlowgenCounters counters_;
};

class FlowgenDevice final : public dataplane::Device {
  public:
    // Fails if the profile's sessions do not fit into memory.
    static Result<std::unique_ptr<FlowgenDevice>> create(const FlowgenPlan& plan);

    MacAddr mac() const override { return mac_; }
    MacAddr station() const { return station_; }
    unsigned queues() const override { return 1; }
    FlowgenQueue& queue(unsigned) override { return *queue_; }
    bool is_up() const override { return true; }
    dataplane::DeviceStats stats() const override;
    std::string driver() const override { return "flowgen"; }
    std::string steering() const override { return "one queue"; }
    bool steers_by_source() const override { return false; }

    const FlowgenCounters& counters() const { return queue_->counters(); }
    const FaultCounters& faults() const { return queue_->checker().faults(); }

  private:
    FlowgenDevice() = default;
    MacAddr mac_;
    MacAddr station_;
    std::unique_ptr<FlowgenQueue> queue_;
};

}  // namespace sekisho::flowgen
