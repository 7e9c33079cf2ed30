// MemifTalk: what one end of a memif may hear on its socket, message by message.
//
//   Why       DPDK's net_memif believes its far end: a ring that lies nowhere, a region larger than its file or a message out
//             of turn end the process. So what it hears is checked here first (memif_guard.cc).
//   Takes     each message whole, with the file that came with it. 128 bytes, host byte order (the far end is on this
//             machine), packed, in the order HELLO | INIT, ADD_REGION ..., ADD_RING ..., CONNECT: memif protocol 2.0.
//   Not       what lies in the memory that both ends share: a far end that has connected is trusted with its descriptors.
//   Owner     one channel; whoever reads from it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sekisho::dpdk {

class MemifTalk {
  public:
    static constexpr unsigned kMostRings = 256;

    explicit MemifTalk(unsigned most_rings = kMostRings) : most_rings_(most_rings) {}

    // Whether the driver may be given the message. `file` is -1 if none came with it.
    bool hear(std::span<const std::byte> message, int file);

    bool is_connected() const { return turn_ == Turn::kConnected; }
    bool has_ended() const { return turn_ == Turn::kEnded; }  // by the far end's own word

    // What kind of file the driver takes with a message that it may be given; it forgets to close any other one.
    static bool carries_region(std::span<const std::byte> message);
    static bool carries_ring(std::span<const std::byte> message);

  private:
    enum class Turn { kNobody, kServer, kClient, kConnected, kEnded };
    bool pass(Turn from, Turn to);
    bool add_region(std::span<const std::byte> body, int file);
    bool add_ring(std::span<const std::byte> body, int file);

    unsigned most_rings_;                 // each way
    Turn turn_ = Turn::kNobody;           // whose part this end plays, and how far it has come
    std::vector<uint64_t> regions_;       // bytes of each
    std::array<unsigned, 2> rings_ = {};  // to the client, to the server
};

}  // namespace sekisho::dpdk
