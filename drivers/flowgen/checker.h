// Checker: looks at the frames that come back to a far end and counts what is wrong with them.
//
//   Knows     the plan; on the Internet side also the external endpoint of each session, learnt from its first frame and held
//             against every later one (a session that appears behind another endpoint is a fault, and is learnt anew).
//   Passes    between expect_pass() and finish_pass() every session may come once: late and duplicate frames are faults, and
//             those that never came are counted at the end.
//   Untouched frames (nothing translates between two flowgen links) are held against their checksums and their tag alone.
//   Cost      sums over the whole frame. Thread: its queue's; the counters may be read by anyone.
#pragma once

#include <cstdint>
#include <vector>

#include "base/types.h"
#include "flowgen/endpoint_table.h"
#include "flowgen/fault.h"
#include "flowgen/flow_plan.h"
#include "flowgen/frame.h"
#include "flowgen/tag.h"
#include "packet/packet.h"

namespace sekisho::flowgen {

struct CheckerPlan {
    FlowgenRole role = FlowgenRole::kSubscribers;
    const FlowPlan* flows = nullptr;
    MacAddr station;                        // the far end's own address
    MacAddr appliance;                      // of the device
    EndpointTable* endpoints = nullptr;     // Internet side
    std::vector<bool>* answered = nullptr;  // subscribers: sessions that something came back for
};

class Checker {
  public:
    explicit Checker(const CheckerPlan& plan) : plan_(plan) {}

    void set_translated(bool translated) { translated_ = translated; }
    void expect_pass(uint32_t pass);
    // `sent`: how many frames the other end has sent in this pass.
    void finish_pass(uint64_t sent);

    // Whether a frame of 64 bytes or more carries a tag of the other far end: all that is asked of those that are not checked.
    bool is_ours(const PacketRef& packet) const {
        const auto protocol = static_cast<Protocol>(packet.data[kL3 + packet::offset::kIpProtocol]);
        Tag tag;
        return read_tag(packet.data + payload_offset(protocol), tag) && comes_from_other_end(tag);
    }
    // Counts the frame's fault, if it has one, and returns it.
    Fault check(const PacketRef& packet);
    // Asks for what check() will want of the frame's session.
    void prefetch(const PacketRef& packet) const;
    const FaultCounters& faults() const { return faults_; }
    FaultCounters& faults() { return faults_; }

  private:
    bool comes_from_other_end(const Tag& tag) const {
        const Direction direction =
            plan_.role == FlowgenRole::kSubscribers ? Direction::kInbound : Direction::kOutbound;
        return tag.session < plan_.flows->flows() && tag.direction == direction;
    }
    Fault find_fault(const PacketRef& packet);
    Fault find_wrong_header(const PacketRef& packet, const Tag& tag) const;
    Fault find_wrong_end(const uint8_t* l3, const Tag& tag);
    Fault compare_endpoint(uint32_t session, Ipv4Addr address, Port port);
    Fault take_receipt(const Tag& tag);

    CheckerPlan plan_;
    FaultCounters faults_;
    bool translated_ = true;
    bool passes_ = false;
    uint32_t pass_ = 0;
    uint64_t received_ = 0;       // in this pass, without doubles
    std::vector<bool> receipts_;  // by session
};

}  // namespace sekisho::flowgen
