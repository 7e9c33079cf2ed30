// One frame through parse, in a heap block of exactly its size, so that a read beyond it is seen by
// the sanitizer.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include <catch2/catch.hpp>

#include "packet/parse.h"
#include "support/packet_builder.h"

namespace sekisho::test {

inline constexpr LinkId kInternalLink{0};
inline constexpr LinkId kExternalLink{1};

inline std::vector<LinkView> two_links() {
    LinkView internal;
    internal.mac = kRouterMac;
    internal.realm = kInternalRealm;
    internal.device = 0;
    LinkView external = internal;
    external.realm = kExternalRealm;
    external.internal = false;
    external.device = 1;
    return {internal, external};
}

struct Parsed {
    std::unique_ptr<uint8_t[]> memory;
    PacketRef ref;
    PacketMeta meta;
};

// The short way for usual packets must not differ from the long one: every frame of every test is asked.
inline void require_same(const Parsed& p, const PacketRef& ref, const PacketMeta& meta) {
    CHECK(p.ref.length == ref.length);
    CHECK(p.ref.frame_length == ref.frame_length);
    CHECK(p.ref.in_link == ref.in_link);
    CHECK(p.meta.key == meta.key);
    CHECK(p.meta.l3_offset == meta.l3_offset);
    CHECK(p.meta.l4_offset == meta.l4_offset);
    CHECK(p.meta.l3_length == meta.l3_length);
    CHECK(p.meta.quote_offset == meta.quote_offset);
    CHECK(p.meta.verdict == meta.verdict);
    CHECK(p.meta.reason == meta.reason);
    CHECK(p.meta.kind == meta.kind);
    CHECK(p.meta.direction == meta.direction);
    CHECK(p.meta.tcp_flags == meta.tcp_flags);
    CHECK(p.meta.ttl == meta.ttl);
    CHECK(p.meta.session_index == kNoIndex);
    CHECK(p.meta.next_hop == meta.next_hop);
    CHECK(p.meta.error_detail == meta.error_detail);
    CHECK(p.meta.out_link == meta.out_link);
}

// `first_segment`: bytes of the frame in the first buffer; the rest is not there to read.
inline Parsed parse_segment(
    Bytes frame_bytes,
    size_t first_segment,
    LinkId link = kInternalLink,
    uint8_t flags = 0,
    const std::vector<LinkView>& links = two_links()
) {
    Parsed out;
    out.memory = std::make_unique<uint8_t[]>(first_segment);
    std::copy_n(frame_bytes.begin(), first_segment, out.memory.get());
    out.ref.data = out.memory.get();
    out.ref.length = static_cast<uint16_t>(first_segment);
    out.ref.frame_length = static_cast<uint16_t>(frame_bytes.size());
    out.ref.in_link = link;
    out.ref.flags = flags;
    PacketRef same = out.ref;
    PacketMeta expected;
    packet::parse_any(same, expected, links);
    packet::parse_packet(out.ref, out.meta, links);
    require_same(out, same, expected);
    return out;
}

inline Parsed parse_frame(
    Bytes frame_bytes,
    LinkId link = kInternalLink,
    uint8_t flags = 0,
    const std::vector<LinkView>& links = two_links()
) {
    return parse_segment(frame_bytes, frame_bytes.size(), link, flags, links);
}

// What parse says of a frame: "pass", "neighbour", or the drop reason's text.
inline std::string outcome(const PacketMeta& meta) {
    switch (meta.verdict) {
        case Verdict::kPending:
            return "pass";
        case Verdict::kPuntNeighbour:
            return "neighbour";
        case Verdict::kDrop:
            return std::string(base::info(meta.reason).text);
        default:
            return "unexpected verdict";
    }
}
inline std::string outcome(
    const PacketBuilder& builder, LinkId link = kInternalLink, uint8_t flags = 0
) {
    return outcome(parse_frame(builder.bytes(), link, flags).meta);
}

}  // namespace sekisho::test
