// RuleLog: what rules that log have to say of packets, on its way from a shard to the logger thread.
//
//   Shape     a ring of fixed-size records of a shard. A record has the packet as it was where the rule was asked: the
//             inside address of what is being masqueraded, for example (LEGACY S20).
//   Rate      of each rule so many records a minute and shard, at most, with a burst of as many as come in six seconds: what
//             its action says, or kPerMinute. What is beyond is counted as suppressed, in the rule's next record too. Who reads
//             the rings bounds a rule over all shards (eventlog/rule_logger.h).
//   Full      the record is lost and counted. No packet waits, and none fares otherwise.
//   Memory    taken when it is made.
//   Thread    write() by the shard's worker, read() by one logger thread, the counters by anybody.
//   Source    ARCHITECTURE 5 and 6.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/counters.h"
#include "base/spsc_ring.h"
#include "base/types.h"
#include "rules/packet.h"
#include "rules/rule_set.h"

namespace sekisho::dataplane {

struct RuleLogRecord {
    rules::RuleId rule;
    Tick now;
    uint32_t suppressed = 0;  // of this rule and shard, since its last record
    rules::Hook hook = rules::Hook::kIngress;
    rules::ConnectionState state = rules::ConnectionState::kNew;
    LinkId in_link = rules::kNoLink;
    LinkId out_link = rules::kNoLink;
    RealmId realm;
    uint32_t mark = 0;
    Ipv4Addr source;
    Ipv4Addr destination;
    // All others in host order; 0 where the packet has none.
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    uint16_t length = 0;    // IPv4 total length
    uint16_t fragment = 0;  // flags and offset, as in the header
    uint16_t ip_id = 0;
    uint8_t protocol = 0;
    uint8_t tos = 0;
    uint8_t ttl = 0;
    uint8_t icmp_type = 0;
    uint8_t icmp_code = 0;
    uint8_t tcp_flags = 0;     // all eight
    uint8_t tcp_reserved = 0;  // four bits
    bool has_ethernet = false;
    std::array<uint8_t, 14> ethernet{};  // as it arrived
    uint16_t tcp_window = 0;
    uint16_t tcp_urgent = 0;
    uint16_t udp_length = 0;
    uint16_t echo_id = 0;
    uint16_t echo_sequence = 0;

    bool is_later_fragment() const { return (fragment & 0x1fff) != 0; }
};
static_assert(sizeof(RuleLogRecord) <= 96);

// A rule's first action log; nullptr: it has none.
const rules::Log* log_of(const rules::Rule& rule);

// A packet's bytes, as they are now. Without `ip` there are none.
struct PacketBytes {
    const uint8_t* ip = nullptr;        // a whole header
    uint16_t length = 0;                // of the datagram, as far as it is here
    const uint8_t* ethernet = nullptr;  // of arrival, 14 bytes; nullptr: it has not arrived
};
// Without rule and hook. What `bytes` does not have stays 0.
RuleLogRecord record_of(const rules::RulePacket& packet, const PacketBytes& bytes);

class RuleLog {
  public:
    static constexpr size_t kRing = 4096;
    static constexpr uint32_t kPerMinute = 600;

    RuleLog() : ring_(kRing) {}

    // For rules with ids below `bound`; what is known of their rates goes on. While the shard rests.
    void make_room(uint32_t bound) {
        if (buckets_.size() < bound) {
            buckets_.resize(bound);
        }
    }
    // `per_minute`: of the rule's action; 0: kPerMinute.
    void write(RuleLogRecord record, uint32_t per_minute);

    // A record that has no place where it is gathered.
    void lose() { lost_.add(1); }

    // Takes the records out that `out` has room for, in order.
    size_t read(std::span<RuleLogRecord> out) { return ring_.pop(out); }

    uint64_t written() const { return written_.read(); }
    uint64_t lost() const { return lost_.read(); }
    uint64_t suppressed() const { return suppressed_.read(); }

  private:
    struct Bucket {
        uint32_t milli_tokens = 0;
        uint32_t filled_at = 0;  // tick
        uint32_t suppressed = 0;
        bool is_used = false;
    };
    static bool take(Bucket& bucket, uint32_t per_minute, Tick now);

    base::SpscRing<RuleLogRecord> ring_;
    std::vector<Bucket> buckets_;  // by RuleId
    base::Counter written_;
    base::Counter lost_;
    base::Counter suppressed_;
};

}  // namespace sekisho::dataplane
