#include "fragmenter.h"

#include <algorithm>
#include <map>

#include "packet/checksum.h"

namespace sekisho::test {
namespace {

using packet::Ipv4View;

constexpr size_t kL3 = packet::kEthernetHeader;

void put_header(ByteVector& frame, size_t header, uint16_t word) {
    uint8_t* ip = &frame[kL3];
    packet::store(
        ip + packet::offset::kIpLength,
        Be16::from_host(static_cast<uint16_t>(frame.size() - kL3)).raw
    );
    packet::store(ip + packet::offset::kIpFragment, Be16::from_host(word).raw);
    packet::store<uint16_t>(ip + packet::offset::kIpChecksum, 0);
    packet::store(ip + packet::offset::kIpChecksum, packet::full_checksum({ip, header}));
}

}  // namespace

std::vector<ByteVector> split(const ByteVector& frame, size_t size) {
    const auto ip = *Ipv4View::at(Bytes(frame).subspan(kL3));
    const Bytes payload = ip.payload();
    const size_t header = ip.header_length();
    std::vector<ByteVector> fragments;
    for (size_t begin = 0; begin < payload.size(); begin += size) {
        const size_t length = std::min(size, payload.size() - begin);
        const bool more = begin + length < payload.size();
        ByteVector one(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(kL3 + header));
        const Bytes part = payload.subspan(begin, length);
        one.insert(one.end(), part.begin(), part.end());
        put_header(
            one, header, static_cast<uint16_t>(begin / 8 | (more ? packet::kMoreFragments : 0))
        );
        fragments.push_back(one);
    }
    return fragments;
}

std::optional<ByteVector> join(const std::vector<ByteVector>& fragments) {
    std::map<size_t, ByteVector> parts;
    std::optional<size_t> end;
    const ByteVector* first = nullptr;
    std::optional<ByteVector> same;
    for (const ByteVector& fragment : fragments) {
        const auto ip = Ipv4View::at(Bytes(fragment).subspan(kL3));
        if (!ip || !packet::verifies(ip->header())) {
            return std::nullopt;
        }
        const ByteVector key{fragment[kL3 + 4], fragment[kL3 + 5], fragment[kL3 + 9]};
        if (same && *same != key) {
            return std::nullopt;
        }
        same = key;
        const size_t begin = size_t{8} * ip->fragment_offset();
        const Bytes payload = ip->payload();
        if (!parts.emplace(begin, ByteVector(payload.begin(), payload.end())).second) {
            return std::nullopt;
        }
        if ((ip->fragment_word() & packet::kMoreFragments) == 0) {
            end = begin + payload.size();
        }
        first = begin == 0 ? &fragment : first;
    }
    if (first == nullptr || !end) {
        return std::nullopt;
    }
    const size_t header = Ipv4View::at(Bytes(*first).subspan(kL3))->header_length();
    ByteVector whole(first->begin(), first->begin() + static_cast<std::ptrdiff_t>(kL3 + header));
    for (const auto& [begin, part] : parts) {
        if (whole.size() != kL3 + header + begin) {
            return std::nullopt;
        }
        whole.insert(whole.end(), part.begin(), part.end());
    }
    if (whole.size() != kL3 + header + *end) {
        return std::nullopt;
    }
    put_header(whole, header, 0);
    return whole;
}

ByteVector fragment_of(PacketBuilder header, size_t begin, bool more, const ByteVector& payload) {
    return header.fragment(static_cast<uint16_t>(begin / 8), more).payload(Bytes(payload)).bytes();
}

}  // namespace sekisho::test
