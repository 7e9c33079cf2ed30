#include "dpdk/memif_talk.h"

#include <cstring>

#include <sys/stat.h>

namespace sekisho::dpdk {
namespace {

constexpr size_t kMessageBytes = 128;
constexpr size_t kMostRegions = 256;
constexpr unsigned kMostLog2Ring = 14;
constexpr uint64_t kRingHeaderBytes = 128;
constexpr uint64_t kDescriptorBytes = 16;
constexpr uint16_t kToServer = 1;  // a flag of ADD_RING

enum Type : uint16_t {
    kAck = 1,
    kHello = 2,
    kInit = 3,
    kAddRegion = 4,
    kAddRing = 5,
    kConnect = 6,
    kConnected = 7,
    kDisconnect = 8
};

template <class T>
T read(std::span<const std::byte> bytes, size_t at) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    return value;
}

}  // namespace

bool MemifTalk::carries_region(std::span<const std::byte> message) {
    return read<uint16_t>(message, 0) == kAddRegion;
}

bool MemifTalk::carries_ring(std::span<const std::byte> message) {
    return read<uint16_t>(message, 0) == kAddRing;
}

bool MemifTalk::pass(Turn from, Turn to) {
    if (turn_ != from) {
        return false;
    }
    turn_ = to;
    return true;
}

bool MemifTalk::hear(std::span<const std::byte> message, int file) {
    if (message.size() != kMessageBytes) {
        return false;
    }
    const auto body = message.subspan(sizeof(uint16_t));
    switch (read<uint16_t>(message, 0)) {
        case kHello:
            return pass(Turn::kNobody, Turn::kClient);
        case kInit:
            return pass(Turn::kNobody, Turn::kServer);
        case kAddRegion:
            return turn_ == Turn::kServer && add_region(body, file);
        case kAddRing:
            return turn_ == Turn::kServer && add_ring(body, file);
        case kConnect:
            return rings_[0] > 0 && rings_[1] > 0 && pass(Turn::kServer, Turn::kConnected);
        case kConnected:
            return pass(Turn::kClient, Turn::kConnected);
        case kAck:
            return turn_ == Turn::kClient;
        case kDisconnect:
            return turn_ != Turn::kNobody && pass(turn_, Turn::kEnded);
        default:
            return false;
    }
}

// Body: index (2 bytes), bytes of it (8).
bool MemifTalk::add_region(std::span<const std::byte> body, int file) {
    const auto index = read<uint16_t>(body, 0);
    const auto size = read<uint64_t>(body, 2);
    struct stat facts {};
    if (index != regions_.size() || index >= kMostRegions || fstat(file, &facts) != 0 ||
        !S_ISREG(facts.st_mode) || size == 0 || size > static_cast<uint64_t>(facts.st_size)) {
        return false;
    }
    regions_.push_back(size);
    return true;
}

// Body: flags (2 bytes), index (2), region (2), offset in it (4), log2 of its descriptors (1).
bool MemifTalk::add_ring(std::span<const std::byte> body, int file) {
    const auto to_server = (read<uint16_t>(body, 0) & kToServer) != 0 ? 1U : 0U;
    const auto index = read<uint16_t>(body, 2);
    const auto region = read<uint16_t>(body, 4);
    const uint64_t offset = read<uint32_t>(body, 6);
    const unsigned log2_size = read<uint8_t>(body, 10);
    if (file < 0 || index != rings_[to_server] || index >= most_rings_ ||
        region >= regions_.size() || log2_size > kMostLog2Ring) {
        return false;
    }
    if (offset + kRingHeaderBytes + (kDescriptorBytes << log2_size) > regions_[region]) {
        return false;
    }
    ++rings_[to_server];
    return true;
}

}  // namespace sekisho::dpdk
