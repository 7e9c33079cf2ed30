// PacketRef and PacketStore: a packet without its framework.
//
//   PacketRef    names one buffer and what the receiving side knows of it. It owns the buffer: whoever holds the ref
//                passes it on, holds it in a bounded list, or frees it, exactly once.
//   PacketStore  allocates, clones and frees buffers in bulk: mbufs in drivers/dpdk, a heap in tests.
//   Thread       a ref belongs to one thread at a time and crosses threads only through rings. A store belongs to one
//                worker; the slow path gets buffers and gives them back through its rings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/types.h"

namespace sekisho::packet {

// Facts about a packet that outlive one pass through the pipeline; bits of PacketRef::flags.
enum PacketFlag : uint8_t {
    kIpChecksumGood = 1 << 0,  // the NIC has verified the IPv4 header checksum
    kIpChecksumBad = 1 << 1,   // the NIC found it wrong
    kL4ChecksumBad = 1 << 2,   // the NIC found the transport checksum wrong
    kHairpin =
        1 << 3,  // translated outbound, now on its second half: treated as inbound, TTL is done
    kCounted =
        1 << 4,  // counted as received or generated already: it comes from a ring or a held list
    kGenerated = 1 << 5,  // made by the appliance: needs no translation, only a route
    kRouteOnly = 1 << 6,  // translated already, waited for a neighbour: goes on at the route stage
    kLedInside = 1 << 7,  // on its way to the shard of the host that rules have led it to
};

// Of a fragment; bits of PacketRef::fragment. A packet that is none has no bit.
enum FragmentMark : uint8_t {
    kFragment = 1 << 0,
    kLaterFragment = 1 << 1,  // it does not begin the datagram: no transport header
    kFragmentNoted = 1 << 2,  // its datagram's table has it
    kFragmentBound = 1 << 3,  // its flow is known: a later one has its ports in `fragment_ports`
};

// 32 bytes; moved by value.
struct PacketRef {
    uint8_t* data = nullptr;    // first byte of the frame (the Ethernet header)
    void* handle = nullptr;     // the buffer behind it; opaque outside its store
    uint16_t length = 0;        // contiguous bytes from data: the first segment
    uint16_t frame_length = 0;  // bytes of the whole frame, all segments
    uint16_t headroom = 0;      // writable bytes before data
    LinkId in_link;        // the link that it arrived on, or that a generated packet belongs to
    uint8_t hops = 0;      // hand-offs so far
    uint8_t flags = 0;     // PacketFlag
    uint8_t fragment = 0;  // FragmentMark; set by parse, and where the datagram is known
    NeighbourId next_hop;  // by the route stage, kGenerated; 0: none; kLedInside: a host's port
    // kFragmentBound, of a later fragment: as FlowKey::ports(), of this half of its way; kLedInside, of no such one: the host.
    uint32_t fragment_ports = 0;
};
static_assert(sizeof(PacketRef) == 32);

inline constexpr unsigned kMaxHops = 5;      // ARCHITECTURE 2: more is a bug
inline constexpr unsigned kBurst = 32;       // packets a batch
inline constexpr size_t kBufferRoom = 2048;  // bytes of a buffer behind its headroom
inline constexpr size_t kBufferHeadroom = 128;

class PacketStore {
  public:
    virtual ~PacketStore() = default;
    // Takes a buffer with length 0 and kBufferHeadroom of headroom; handle is nullptr when there is none left.
    virtual PacketRef allocate() = 0;
    // Gives buffers back, in one call.
    virtual void free(std::span<const PacketRef> packets) = 0;
    // Sets data, length and frame_length of the buffer itself to those of the ref (before transmission or a ring to
    // code that looks at the buffer).
    virtual void sync(PacketRef& packet) = 0;
    // Copies bytes of the frame from `from` on, whatever segments they lie in; false: they are not all there.
    virtual bool copy(const PacketRef& packet, size_t from, std::span<uint8_t> to) const = 0;
    // Buffers not in the store now; for leak checks.
    virtual size_t in_use() const = 0;
};

}  // namespace sekisho::packet

namespace sekisho {
using packet::PacketRef;
using packet::PacketStore;
}  // namespace sekisho
