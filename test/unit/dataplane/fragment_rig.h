// Fragments without bytes, for the table: packets are told apart by a number.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "dataplane/fragment_table.h"

namespace sekisho::dataplane {

inline constexpr HashSecret kSecret{{5, 6, 7, 8}};

inline FragmentFacts facts(
    uint32_t source, uint16_t id, uint16_t begin, uint16_t end, bool more = true
) {
    FragmentFacts f;
    f.addresses = uint64_t{source} | uint64_t{0x01020304} << 32;
    f.id = id;
    f.protocol = 17;
    f.realm = kInternalRealm;
    f.extent = {begin, end, more};
    return f;
}

// Number and port or reason of what a table has given back, sorted.
using Given = std::vector<std::pair<uint64_t, uint32_t>>;

class Packets {
  public:
    PacketRef make(uint64_t number) {
        PacketRef packet;
        packet.data = bytes_.data();
        packet.handle = reinterpret_cast<void*>(number);
        return packet;
    }
    static uint64_t number_of(const PacketRef& packet) {
        return reinterpret_cast<uint64_t>(packet.handle);
    }

  private:
    std::array<uint8_t, 64> bytes_{};
};

inline Given take_ready(FragmentTable& table) {
    Given given;
    std::array<PacketRef, 8> some;
    while (const unsigned count = table.take_ready(some)) {
        for (unsigned i = 0; i < count; ++i) {
            given.emplace_back(Packets::number_of(some[i]), some[i].fragment_ports);
        }
    }
    return given;
}

inline Given take_ended(FragmentTable& table) {
    Given given;
    while (table.has_ended()) {
        const FragmentTable::Ended ended = table.take_ended();
        given.emplace_back(Packets::number_of(ended.packet), static_cast<uint32_t>(ended.reason));
    }
    return given;
}

}  // namespace sekisho::dataplane
