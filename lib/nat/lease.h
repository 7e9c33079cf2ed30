// Leases: mappings that their subscribers have asked for (RFC 6888 REQ-9, RFC 6887), and the table of them.
//
//   Lease     one more reference to a mapping, beside its sessions': counted in Mapping::sessions, so that the mapping lives at least as
//             long, and ends with whichever of them is the last.
//   Owner     who knows the nonce that it was made with (RFC 6887 11.3).
//   Bounds    capacity() of the shard; a subscriber's are counted, the bound is the caller's.
//   Cost      O(1) each; nothing allocates. A subscriber's leases form a list.
//   Errors    add() returns kNoIndex and has changed nothing where there is no room.
//   Thread    the shard's worker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/keyed_hash.h"
#include "base/types.h"
#include "flow/flow_index.h"
#include "flow/record_pool.h"
#include "flow/timing_wheel.h"
#include "nat/original.h"

namespace sekisho::nat {

using LeaseNonce = std::array<uint8_t, 12>;  // as it stands in the request

// What becomes of a request: the result codes of RFC 6887 7.4, by their numbers.
enum class PcpResult : uint8_t {
    kSuccess = 0,
    kUnsupportedVersion = 1,
    kNotAuthorized = 2,
    kMalformedRequest = 3,
    kUnsupportedOpcode = 4,
    kUnsupportedOption = 5,
    kMalformedOption = 6,
    kNetworkFailure = 7,
    kNoResources = 8,
    kUnsupportedProtocol = 9,
    kUserExceededQuota = 10,
    kCannotProvideExternal = 11,
    kAddressMismatch = 12,
};
inline constexpr size_t kPcpResults = 13;
// As counters and the command line name them.
inline constexpr std::array<std::string_view, kPcpResults> kPcpResultNames = {
    "granted",
    "unsupported-version",
    "not-authorized",
    "malformed-request",
    "unsupported-opcode",
    "unsupported-option",
    "malformed-option",
    "network-failure",
    "no-resources",
    "unsupported-protocol",
    "user-exceeded-quota",
    "cannot-provide-external",
    "address-mismatch"};

struct LeaseRequest {
    RealmId realm = kInternalRealm;
    Ipv4Addr internal;
    Port port;  // 0: all of them, only where they are to end
    Protocol protocol = Protocol::kUdp;
    bool all_protocols = false;  // the same
    bool must_match = false;     // the suggested external endpoint, or none
    LeaseNonce nonce{};
    Seconds lifetime;            // 0: it is to end
    RemoteEndpoint suggested{};  // zero what does not matter
};

struct LeaseAnswer {
    // kHold: ask again when the wait of subscriber `waiting` is over.
    enum Kind : uint8_t { kGranted, kRefused, kHold } kind = kRefused;
    PcpResult result = PcpResult::kSuccess;
    RemoteEndpoint external{};
    Seconds lifetime{};
    SubscriberIndex waiting{kNoIndex};
};

struct Lease {
    uint32_t mapping;     // MappingIndex
    uint32_t subscriber;  // SubscriberIndex
    uint32_t end_ms;      // Tick
    uint32_t previous;    // of the same subscriber; kNoIndex: it is the first
    uint32_t next;
    LeaseNonce nonce;
    uint16_t count;  // of the first: how many its subscriber has
    uint8_t state;   // written last: 0 free, 1 live
    uint8_t reserved;
};
static_assert(sizeof(Lease) == 36);

class LeaseTable {
  public:
    struct Memory {  // of the arena
        std::span<Lease> records;
        std::span<std::byte> index;  // FlowIndex::bytes_for(2 * records)
        std::span<std::byte> wheel;  // TimingWheel::bytes_for(records)
    };
    LeaseTable() = default;
    LeaseTable(const Memory& memory, const HashSecret& secret, Tick now);

    const Lease& operator[](uint32_t lease) const { return records_[lease]; }
    bool has_room() const { return records_.has_room() && index_.has_room(2); }
    uint32_t size() const { return records_.size(); }
    uint32_t capacity() const { return records_.capacity(); }
    uint32_t high_water() const { return records_.high_water(); }
    // Of a mapping; of a subscriber the first. kNoIndex: none.
    uint32_t find(uint32_t mapping) const;
    uint32_t first_of(uint32_t subscriber) const;
    uint32_t count_of(uint32_t subscriber) const;
    uint32_t add(uint32_t mapping, uint32_t subscriber, const LeaseNonce& nonce, Tick end);
    void renew(uint32_t lease, Tick end);
    void remove(uint32_t lease);
    void end_of_burst() { records_.end_of_burst(); }
    // Calls fire(lease) for those whose time is over, at most `budget`; it removes them.
    template <class Fire>
    void advance(Tick now, uint32_t budget, Fire&& fire) {
        now_ = now;
        if (records_.capacity() == 0) {  // an empty wheel must go on with the clock
            return;
        }
        wheel_.advance(now, budget, [&](uint32_t lease) {
            const Tick end{records_[lease].end_ms};
            if (elapsed_ms(now, end) > 0) {
                wheel_.schedule(lease, end);
            } else {
                fire(lease);
            }
        });
    }
    // Milliseconds that were left of it at the last advance().
    uint32_t left_ms(uint32_t lease) const {
        const int32_t left = elapsed_ms(now_, Tick{records_[lease].end_ms});
        return left < 0 ? 0 : static_cast<uint32_t>(left);
    }

  private:
    uint64_t hash_of(uint32_t owner, uint32_t kind) const {
        return keyed_hash(secret_, owner, uint64_t{kind} << 32 | 0x6c656173);
    }

    RecordPool<Lease> records_;
    flow::FlowIndex
        index_;  // lease << 1: by its mapping; lease << 1 | 1: the first, by its subscriber
    TimingWheel wheel_;
    HashSecret secret_;
    Tick now_{};
};

// Seconds since the shard was made, also when the Tick has wrapped (RFC 6887 8.5). Asked at least once in 24 days.
class LeaseEpoch {
  public:
    LeaseEpoch() = default;
    explicit LeaseEpoch(Tick now) : at_(now) {}
    uint32_t seconds(Tick now) {
        const int32_t passed = elapsed_ms(at_, now);
        if (passed >= 1000) {
            const uint32_t whole = static_cast<uint32_t>(passed) / 1000;
            seconds_ += whole;
            at_ = at_ + whole * 1000;
        }
        return seconds_;
    }

  private:
    Tick at_{};
    uint32_t seconds_ = 0;
};

}  // namespace sekisho::nat
