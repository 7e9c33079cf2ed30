#include "eventlog/json_lines.h"

#include <catch2/catch.hpp>

#include "base/drop_reason.h"
#include "nat/tcp_window.h"
#include "packet/views.h"

using namespace sekisho;
using namespace sekisho::eventlog;
using nat::Event;
using nat::EventKind;

namespace {

Event binding(EventKind kind) {
    Event event{};
    event.kind = kind;
    event.sequence = 7;
    event.realm = 1;
    event.protocol = static_cast<uint8_t>(Protocol::kUdp);
    event.internal_address = Ipv4Addr::of(100, 64, 0, 10).raw;
    event.external_address = Ipv4Addr::of(203, 0, 113, 5).raw;
    event.remote_address = Ipv4Addr::of(192, 0, 2, 1).raw;
    event.internal_port = Port::from_host(40000).raw;
    event.external_port = Port::from_host(1024).raw;
    event.remote_port = Port::from_host(53).raw;
    event.last_port = Port::from_host(1279).raw;
    event.cause = static_cast<uint8_t>(nat::EndCause::kClosed);
    return event;
}

std::string line(const Event& event, int64_t utc_ms = 1'767'355'445'678) {
    JsonLines lines({"external", "internal"}, {"main"});
    std::string out;
    lines.append(out, event, ShardId{3}, utc_ms, utc_ms - 1000);
    return out;
}

constexpr auto kHead = R"({"time":"2026-01-02T12:04:05.678Z","shard":3,"sequence":7,"event":")";
constexpr auto kEndpoints =
    R"("internal-src-address":"100.64.0.10","internal-src-port":40000,"external-src-address":"203.0.113.5","external-src-port":1024)";

}  // namespace

TEST_CASE("each kind of event is a line of JSON", "[eventlog]") {
    using std::string;
    const string ends = kEndpoints;
    const string who = R"(","transport-protocol":"udp","realm":"internal",)" + ends;
    const string remote = R"(,"remote-address":"192.0.2.1","remote-port":53)";
    const string block =
        R"(","realm":"internal","internal-src-address":"100.64.0.10","external-src-address":"203.0.113.5","first-port":1024,"last-port":1279,"pool":"main"})";
    const std::pair<EventKind, string> kinds[] = {
        {EventKind::kMappingCreated, "mapping-created" + who + remote + "}"},
        {EventKind::kMappingEnded, "mapping-ended" + who + remote + R"(,"cause":"closed"})"},
        {EventKind::kSessionCreated, "session-created" + who + remote + "}"},
        {EventKind::kSessionEnded, "session-ended" + who + remote + R"(,"cause":"closed"})"},
        {EventKind::kBlockGranted, "block-granted" + block},
        {EventKind::kBlockReleased, "block-released" + block},
    };
    for (const auto& [kind, rest] : kinds) {
        CHECK(line(binding(kind)) == kHead + rest + "\n");
    }
    // Who shares no port keeps to himself where he goes (RFC 6888 REQ-12).
    for (const EventKind kind : {EventKind::kMappingCreated, EventKind::kMappingEnded}) {
        Event alone = binding(kind);
        alone.remote_address = 0;
        CHECK(line(alone).find("remote") == string::npos);
        CHECK(line(alone).find(ends) != string::npos);
    }
    Event limit = binding(EventKind::kLimitReached);
    limit.cause = static_cast<uint8_t>(DropReason::kPoolExhausted);
    CHECK(
        line(limit) ==
        string(kHead) +
            R"(limit-reached","limit":"pool-exhausted","realm":"internal","internal-src-address":"100.64.0.10","pool":"main"})"
            "\n"
    );
    limit.pool = 0xffff;  // one that no pool could be named for
    CHECK(line(limit).find("pool\":") == string::npos);
    Event invalid = binding(EventKind::kSegmentInvalid);
    invalid.cause = static_cast<uint8_t>(nat::WindowFault::kAcksUnsent);
    invalid.inbound = 1;
    invalid.sequence_number = 4294967295;
    invalid.count = 17;
    const string told = line(invalid);
    CHECK(told.find(R"("fault":"acknowledges-unsent","direction":"inbound")") != string::npos);
    CHECK(
        told.find(R"("sequence-number":4294967295,"acknowledgement-number":17,)") != string::npos
    );
    CHECK(told.find("remote-address") == told.rfind("remote-address"));
    // One without a connection: what it is, and no external endpoint where it had none.
    Event stray = binding(EventKind::kSegmentInvalid);
    stray.cause = static_cast<uint8_t>(nat::WindowFault::kNoSession);
    stray.count = packet::kFin | packet::kAck;
    CHECK(
        line(stray).find(
            R"("fault":"no-session","direction":"outbound","tcp-flags":"fin ack","transport-protocol")"
        ) != string::npos
    );
    CHECK(line(stray).find("sequence-number") == string::npos);
    CHECK(line(stray).find("external-src-port") != string::npos);
    stray.external_address = 0;
    stray.external_port = 0;
    CHECK(line(stray).find("external-src") == string::npos);
    CHECK(line(stray).find("internal-src-port") != string::npos);
    // Of a redirected flow the outside has seen one remote endpoint, the subscriber another.
    Event redirected = binding(EventKind::kSessionEnded);
    redirected.sent_to_address = Ipv4Addr::of(192, 0, 2, 9).raw;
    redirected.sent_to_port = Port::from_host(54).raw;
    CHECK(
        line(redirected) == string(kHead) + "session-ended" + who + remote +
                                R"(,"internal-dst-address":"192.0.2.9","internal-dst-port":54)"
                                R"(,"cause":"closed"})"
                                "\n"
    );
    Event lost = binding(EventKind::kLost);
    lost.count = 12345678901;
    CHECK(
        line(lost) == string(kHead) +
                          R"(lost","count":12345678901,"since":"2026-01-02T12:04:04.678Z"})"
                          "\n"
    );
}

TEST_CASE("what has no name is written as a number", "[eventlog]") {
    Event event = binding(EventKind::kMappingCreated);
    event.realm = 9;
    event.protocol = 8;
    CHECK(line(event).find(R"("transport-protocol":"8","realm":"9")") != std::string::npos);
}

TEST_CASE("times are those of RFC 3339 in UTC", "[eventlog]") {
    CHECK(utc_text(0) == "1970-01-01T00:00:00.000Z");
    CHECK(utc_text(951'782'399'999) == "2000-02-28T23:59:59.999Z");
    CHECK(utc_text(951'782'400'000) == "2000-02-29T00:00:00.000Z");
    CHECK(utc_text(4'107'542'400'001) == "2100-03-01T00:00:00.001Z");
    CHECK(line(binding(EventKind::kMappingCreated), -7).find("1970-01-01T00:00:00.000Z") == 9);
    // The seconds' text is kept from line to line.
    JsonLines lines({}, {});
    for (const int64_t at : {1'000'000'000'001, 1'000'000'000'999, 1'000'000'001'000}) {
        std::string out;
        lines.append(out, binding(EventKind::kMappingCreated), ShardId{}, at, 0);
        CHECK(out.substr(9, 24) == utc_text(at));
    }
}
