// Any bytes as a run of fragments: what parse passes goes through a small table, and every datagram is cut and joined again.
//
// The input is a run of records: a control byte (what becomes of a first fragment, how time passes, the MTU), a length byte,
// and that many bytes of an IPv4 packet, whose version, lengths and checksum are made right. Each frame lies in a heap block
// of exactly its size, so that the sanitizer sees every read beyond it.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "dataplane/fragment_table.h"
#include "packet/checksum.h"
#include "packet/fragment.h"
#include "packet/parse.h"

namespace {

using namespace sekisho;          // NOLINT: a test
using namespace sekisho::packet;  // NOLINT
using dataplane::FragmentBinding;
using dataplane::FragmentFacts;
using dataplane::FragmentTable;

constexpr MacAddr kMac{{0x02, 0, 0, 0, 0, 0x02}};
constexpr size_t kL3 = kEthernetHeader;

void require(bool holds, const char* what) {
    if (!holds) {
        std::fprintf(stderr, "broken: %s\n", what);
        std::abort();
    }
}

// Frames stay where they are until the table has given them back.
using Memory = std::unique_ptr<uint8_t[]>;

struct Run {
    Run() : table({64, 8, Seconds{2}}, HashSecret{{1, 2, 3, 4}}) {
        links[0].mac = links[1].mac = kMac;
        links[0].realm = kInternalRealm;
        links[1].internal = false;
        links[1].device = 1;
    }

    FragmentTable table;
    std::vector<LinkView> links = std::vector<LinkView>(2);
    std::vector<Memory> frames;
    Tick now{0};
    uint64_t held = 0;
    uint64_t given = 0;
};

// A frame around the bytes, such that only what they say of themselves can be wrong.
Memory frame_of(Bytes bytes, size_t& size) {
    const size_t words = bytes.empty() ? 5 : std::clamp<size_t>(bytes[0] & 0x0f, 5, 15);
    const size_t l3 = std::max(bytes.size(), 4 * words);
    size = kL3 + l3;
    auto frame = std::make_unique<uint8_t[]>(size);
    std::copy(std::begin(kMac.bytes), std::end(kMac.bytes), frame.get());
    store(&frame[12], base::swap16(kEtherIpv4));
    std::copy(bytes.begin(), bytes.end(), &frame[kL3]);
    frame[kL3] = static_cast<uint8_t>(0x40 | words);
    store(&frame[kL3 + offset::kIpLength], Be16::from_host(static_cast<uint16_t>(l3)).raw);
    store<uint16_t>(&frame[kL3 + offset::kIpChecksum], 0);
    store(&frame[kL3 + offset::kIpChecksum], full_checksum({&frame[kL3], 4 * words}));
    return frame;
}

void check_cut(const uint8_t* frame, size_t size, uint16_t mtu) {
    const Bytes l3(frame + kL3, size - kL3);
    auto cutter = Cutter::of(l3, mtu);
    if (!cutter) {
        return;
    }
    const Bytes payload = Ipv4View::at(l3)->payload();
    const unsigned count = cutter->pieces();
    unsigned seen = 0;
    size_t end = 0;
    while (const auto piece = cutter->next()) {
        const auto header = std::make_unique<uint8_t[]>(cutter->header_length(*piece));
        cutter->write_header(*piece, Be16::from_host(1), header.get());
        const auto ip = Ipv4View::at({header.get(), cutter->header_length(*piece)});
        require(ip && verifies(ip->header()), "a piece has a right header");
        require(ip->total_length() <= mtu, "a piece fits");
        require(piece->begin == end && piece->length > 0, "pieces follow each other");
        require(piece->last || piece->length % 8 == 0, "a piece in the middle is whole units long");
        end += piece->length;
        ++seen;
    }
    require(end == payload.size() && seen == count, "the pieces are the whole");
}

void drain(Run& run) {
    PacketRef packet;
    while (run.table.take_ready({&packet, 1}) == 1) {
        require((packet.fragment & kFragmentBound) != 0, "what is ready knows its flow");
        ++run.given;
    }
    while (run.table.has_ended()) {
        const auto ended = run.table.take_ended();
        require(static_cast<size_t>(ended.reason) < base::kDropReasonCount, "an end has a reason");
        ++run.given;
    }
    require(run.held == run.given + run.table.held(), "no packet is lost");
    require(run.table.held() <= 8, "no more are held than may be");
}

void take(Run& run, PacketRef& ref, const PacketMeta& meta, uint8_t control) {
    const auto ip = *Ipv4View::at(Bytes(ref.data, ref.length).subspan(meta.l3_offset));
    FragmentFacts facts;
    facts.addresses = meta.key.addresses;
    facts.id = ip.id();
    facts.protocol = ip.protocol();
    facts.realm = meta.key.realm();
    facts.extent = extent_of(ip);
    require(facts.extent.begin < facts.extent.end, "a fragment has data");
    const auto outcome = run.table.take(facts, ref, meta.l3_offset, run.now);
    if (outcome.kind == FragmentTable::Outcome::kNoted && (control & 3) == 0) {
        run.table.refuse(facts, DropReason::kFiltered, run.now);
    } else if (outcome.kind == FragmentTable::Outcome::kNoted && (control & 3) != 1) {
        FragmentBinding binding;
        binding.ports = control;
        binding.has_new_id = (control & 4) != 0;
        binding.new_id = Be16::from_host(control);
        (void)run.table.bind(facts, binding, run.now);
    } else if (outcome.kind == FragmentTable::Outcome::kHeld) {
        ++run.held;
    }
}

void run_record(Run& run, uint8_t control, Bytes bytes) {
    size_t size = 0;
    Memory frame = frame_of(bytes, size);
    check_cut(frame.get(), size, static_cast<uint16_t>(28 + control));
    PacketRef ref;
    ref.data = frame.get();
    ref.length = ref.frame_length = static_cast<uint16_t>(size);
    ref.in_link = LinkId{static_cast<uint8_t>(control >> 3 & 1)};
    run.frames.push_back(std::move(frame));
    PacketMeta meta;
    parse_packet(ref, meta, run.links);
    if (meta.verdict == Verdict::kPending && (ref.fragment & kFragment) != 0) {
        take(run, ref, meta, control);
    }
    run.now = run.now + uint32_t{control} * 4;
    run.table.advance(run.now, control & 7);
    drain(run);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size > 65535) {
        return 0;
    }
    Run run;
    for (size_t at = 0; at + 2 <= size;) {
        const size_t length = std::min<size_t>(data[at + 1], size - at - 2);
        run_record(run, data[at], {data + at + 2, length});
        at += 2 + length;
    }
    run.table.end_all(DropReason::kShutdown);
    drain(run);
    require(run.given == run.held, "all is given back in the end");
    return 0;
}
