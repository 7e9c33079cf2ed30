#include "dataplane/rule_log.h"

#include <algorithm>

#include "packet/views.h"

namespace sekisho::dataplane {
namespace {

namespace at = packet::offset;

uint16_t number_at(const uint8_t* bytes) {
    return packet::load<Be16>(bytes).host();
}

// The first bytes of the transport header that are there.
void read_transport(std::span<const uint8_t> l4, RuleLogRecord& record) {
    const auto protocol = static_cast<Protocol>(record.protocol);
    if (protocol == Protocol::kTcp && l4.size() >= packet::kTcpHeader) {
        record.tcp_reserved = l4[at::kTcpOffset] & 0x0f;
        record.tcp_window = number_at(&l4[at::kTcpWindow]);
        record.tcp_urgent = number_at(&l4[at::kTcpUrgent]);
    }
    if ((protocol == Protocol::kUdp || protocol == Protocol::kUdpLite) &&
        l4.size() >= packet::kUdpHeader) {
        record.udp_length = number_at(&l4[at::kUdpLength]);
    }
    if (protocol == Protocol::kIcmp && l4.size() >= packet::kIcmpHeader) {
        record.echo_id = number_at(&l4[at::kIcmpIdentifier]);
        record.echo_sequence = number_at(&l4[at::kIcmpSequence]);
    }
}

void read_bytes(const PacketBytes& bytes, RuleLogRecord& record) {
    record.ip_id = number_at(bytes.ip + at::kIpId);
    record.fragment = number_at(bytes.ip + at::kIpFragment);
    const size_t header = static_cast<size_t>(bytes.ip[0] & 0x0f) * 4;
    if (!record.is_later_fragment() && header < bytes.length) {
        read_transport({bytes.ip + header, bytes.length - header}, record);
    }
    record.has_ethernet = bytes.ethernet != nullptr;
    if (record.has_ethernet) {
        std::copy_n(bytes.ethernet, record.ethernet.size(), record.ethernet.begin());
    }
}

}  // namespace

const rules::Log* log_of(const rules::Rule& rule) {
    for (const rules::Action& action : rule.actions) {
        if (const auto* const log = std::get_if<rules::Log>(&action)) {
            return log;
        }
    }
    return nullptr;
}

RuleLogRecord record_of(const rules::RulePacket& packet, const PacketBytes& bytes) {
    RuleLogRecord record;
    record.now = packet.now;
    record.state = packet.state;
    record.in_link = packet.in_link;
    record.out_link = packet.out_link;
    record.realm = packet.realm;
    record.mark = packet.mark;
    record.source = packet.source;
    record.destination = packet.destination;
    record.source_port = packet.has_ports() ? packet.source_port.host() : uint16_t{0};
    record.destination_port = packet.has_ports() ? packet.destination_port.host() : uint16_t{0};
    record.length = packet.length;
    record.protocol = packet.protocol;
    record.tos = packet.tos;
    record.ttl = packet.ttl;
    record.icmp_type = packet.icmp_type;
    record.icmp_code = packet.icmp_code;
    record.tcp_flags = packet.tcp_flags;
    if (bytes.ip != nullptr) {
        read_bytes(bytes, record);
    }
    return record;
}

// A thousandth of a token for each thousandth of what comes in a minute.
bool RuleLog::take(Bucket& bucket, uint32_t per_minute, Tick now) {
    constexpr uint64_t kToken = 1000;
    constexpr uint64_t kMinuteMs = 60'000;
    constexpr uint64_t kBurstsAMinute = 10;
    const uint64_t full = std::max<uint64_t>(per_minute / kBurstsAMinute, 1) * kToken;
    const uint64_t passed = bucket.is_used ? uint64_t{now.ms - bucket.filled_at} : kMinuteMs;
    const uint64_t tokens =
        std::min<uint64_t>(full, bucket.milli_tokens + passed * per_minute * kToken / kMinuteMs);
    // What is less than a thousandth is not forgotten: the clock stands until there is one.
    if (tokens != bucket.milli_tokens || !bucket.is_used || tokens == full) {
        bucket.filled_at = now.ms;
    }
    bucket.is_used = true;
    const bool is_granted = tokens >= kToken;
    bucket.milli_tokens =
        static_cast<uint32_t>(std::min<uint64_t>(tokens - (is_granted ? kToken : 0), 0xffffffff));
    return is_granted;
}

void RuleLog::write(RuleLogRecord record, uint32_t per_minute) {
    if (record.rule.value >= buckets_.size()) {
        return lost_.add(1);
    }
    Bucket& bucket = buckets_[record.rule.value];
    if (!take(bucket, per_minute != 0 ? per_minute : kPerMinute, record.now)) {
        ++bucket.suppressed;
        return suppressed_.add(1);
    }
    record.suppressed = bucket.suppressed;
    if (!ring_.push(record)) {
        return lost_.add(1);
    }
    bucket.suppressed = 0;
    written_.add(1);
}

}  // namespace sekisho::dataplane
