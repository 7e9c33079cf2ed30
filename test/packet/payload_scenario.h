// What the cases about payload rules share: TCP connections whose ends remember what they got.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "payload_checks.h"
#include "scenario.h"
#include "support/rules_support.h"

namespace sekisho::test {

inline constexpr auto kWeb = "192.0.2.80";

// A rule set with one chain at `hook`, whose rules have a payload condition, and `to port` 80 before it.
inline rules::Condition has_pattern(uint16_t id) {
    return {rules::PayloadTest{rules::PatternId{id}}};
}

// Of host(5) with kWeb:80, on ports of its own. What each end gets is put where its sequence number says.
class Connection {
  public:
    static constexpr uint32_t kClient =
        0xfffffff8;  // the first byte of what the client says; wraps
    static constexpr uint32_t kServer = 5000;

    Connection(TestBed& bed, uint16_t port, uint16_t to_port = 80)
        : bed_(bed), port_(port), to_port_(to_port) {}

    void open() {
        push(client(packet::kSyn).sequence(kClient - 1));
        push(server(packet::kSyn | packet::kAck).sequence(kServer - 1).acknowledgement(kClient));
        push(client(packet::kAck).sequence(kClient).acknowledgement(kServer));
    }
    // What the client says: the bytes of `text` from `begin` to `end`.
    void say(const std::string& text, size_t begin, size_t end, uint8_t flags = packet::kAck) {
        push(segment(text, begin, end, flags));
    }
    void say(const std::string& text) { say(text, 0, text.size()); }
    PacketBuilder segment(
        const std::string& text, size_t begin, size_t end, uint8_t flags = packet::kAck
    ) const {
        return client(flags)
            .sequence(kClient + static_cast<uint32_t>(begin))
            .acknowledgement(kServer)
            .payload(text.substr(begin, end - begin));
    }
    // What the server answers, with its acknowledgement of so many bytes.
    void answer(const std::string& text, size_t begin, size_t end, size_t acknowledged = 0) {
        push(server(packet::kAck)
                 .sequence(kServer + static_cast<uint32_t>(begin))
                 .acknowledgement(kClient + static_cast<uint32_t>(acknowledged))
                 .payload(text.substr(begin, end - begin)));
    }
    void answer(const std::string& text) { answer(text, 0, text.size()); }
    void acknowledge(size_t bytes) { answer("", 0, 0, bytes); }

    PacketBuilder client(uint8_t flags) const {
        return tcp_out(bed_, host(5), port_, kWeb, to_port_, flags);
    }
    PacketBuilder server(uint8_t flags) const {
        return tcp_in(bed_, kWeb, to_port_, host(5), port_, flags);
    }
    void push(const PacketBuilder& packet) { push(packet.bytes()); }
    void push(const ByteVector& frame) {
        bed_.push(decode(frame).source == host(5) ? kInternalLink : kExternalLink, frame);
        run();
    }
    void run() {
        bed_.run();
        for (const auto& sent : bed_.take()) {
            note(decode(sent.bytes));
        }
    }

    // What has come without a gap.
    std::string got_by_server() const { return without_gap(by_server_, kClient); }
    std::string got_by_client() const { return without_gap(by_client_, kServer); }
    unsigned resets = 0;  // that the client got
    unsigned contradictions = 0;

  private:
    using Bytes = std::map<uint32_t, char>;

    void note(const Decoded& packet) {
        if (packet.protocol != static_cast<uint8_t>(Protocol::kTcp)) {
            return;
        }
        const bool is_to_server = packet.destination == ip(kWeb);
        Bytes& bytes = is_to_server ? by_server_ : by_client_;
        resets += !is_to_server && (packet.tcp_flags & packet::kRst) != 0 ? 1 : 0;
        const uint32_t first = packet.sequence + ((packet.tcp_flags & packet::kSyn) != 0 ? 1U : 0U);
        for (size_t i = 0; i < packet.payload.size(); ++i) {
            const auto byte = static_cast<char>(packet.payload[i]);
            const auto [at, is_new] = bytes.emplace(first + static_cast<uint32_t>(i), byte);
            contradictions += at->second == byte ? 0 : 1;
        }
    }
    static std::string without_gap(const Bytes& bytes, uint32_t from) {
        std::string text;
        for (auto at = bytes.find(from); at != bytes.end(); at = bytes.find(++from)) {
            text += at->second;
        }
        return text;
    }

    TestBed& bed_;
    uint16_t port_;
    uint16_t to_port_;
    Bytes by_server_;
    Bytes by_client_;
};

}  // namespace sekisho::test
