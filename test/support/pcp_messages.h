// Requests of PCP, spelled out as RFC 6887 7.1 and 11.1 have them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/types.h"
#include "nat/lease.h"
#include "packet_builder.h"

namespace sekisho::test {

struct PcpMap {
    Ipv4Addr client;
    uint16_t port = 4000;
    Protocol protocol = Protocol::kUdp;
    uint32_t lifetime = 3600;
    nat::RemoteEndpoint suggested{};
    nat::LeaseNonce nonce{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    ByteVector options{};

    ByteVector bytes() const {
        ByteVector b = {2, 1, 0, 0};
        put(b, lifetime, 4);
        put_address(b, client);
        b.insert(b.end(), nonce.begin(), nonce.end());
        b.insert(b.end(), {static_cast<uint8_t>(protocol), 0, 0, 0});
        put(b, port, 2);
        put(b, suggested.port.host(), 2);
        put_address(b, suggested.address);
        b.insert(b.end(), options.begin(), options.end());
        return b;
    }

  private:
    static void put(ByteVector& b, uint32_t value, int bytes) {
        for (int i = bytes - 1; i >= 0; --i) {
            b.push_back(static_cast<uint8_t>(value >> (8 * i)));
        }
    }
    static void put_address(ByteVector& b, Ipv4Addr address) {
        b.insert(b.end(), {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff});
        put(b, address.host(), 4);
    }
};

}  // namespace sekisho::test
