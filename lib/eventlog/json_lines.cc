#include "eventlog/json_lines.h"

#include <algorithm>
#include <ctime>

#include <fmt/format.h>

#include "base/drop_reason.h"
#include "base/protocol_name.h"
#include "nat/tcp_window.h"

namespace sekisho::eventlog {
namespace {

using nat::Event;
using nat::EventKind;

constexpr int64_t kMsPerSecond = 1000;

std::string_view name_of(EventKind kind) {
    constexpr std::string_view kNames[] = {
        "none",
        "mapping-created",
        "mapping-ended",
        "session-created",
        "session-ended",
        "block-granted",
        "block-released",
        "limit-reached",
        "lost",
        "segment-invalid"};
    return kind <= EventKind::kSegmentInvalid ? kNames[static_cast<size_t>(kind)] : kNames[0];
}

std::string_view name_of(nat::EndCause cause) {
    constexpr std::string_view kNames[] = {
        "idle", "closed", "cleared", "undone", "made-room", "address-withdrawn"};
    return cause <= nat::EndCause::kWithdrawn ? kNames[static_cast<size_t>(cause)] : "unknown";
}

std::string_view name_of(nat::WindowFault fault) {
    constexpr std::string_view kNames[] = {
        "none",
        "beyond-window",
        "too-old",
        "acknowledges-unsent",
        "acknowledges-too-old",
        "no-session"};
    return fault <= nat::WindowFault::kNoSession ? kNames[static_cast<size_t>(fault)] : "unknown";
}

std::string_view limit_name(uint8_t reason) {
    return reason < base::kDropReasonCount ? base::kDropReasons[reason].text : "unknown";
}

void append_number(std::string& out, uint64_t number) {
    const fmt::format_int text(number);
    out.append(text.data(), text.size());
}

void append_address(std::string& out, std::string_view key, uint32_t raw) {
    const uint32_t host = Ipv4Addr{raw}.host();
    out += ",\"";
    out += key;
    out += "\":\"";
    for (int shift = 24; shift >= 0; shift -= 8) {
        append_number(out, host >> shift & 0xff);
        out += shift == 0 ? '"' : '.';
    }
}

void append_port(std::string& out, std::string_view key, uint16_t raw) {
    out += ",\"";
    out += key;
    out += "\":";
    append_number(out, Port{raw}.host());
}

void append_text(std::string& out, std::string_view key, std::string_view value) {
    out += ",\"";
    out += key;
    out += "\":\"";
    out += value;  // a name of ours or of the configuration: nothing in it wants escaping
    out += '"';
}

void append_name(
    std::string& out, std::string_view key, const std::vector<std::string>& names, size_t id
) {
    append_text(out, key, id < names.size() ? names[id] : std::to_string(id));
}

void append_protocol(std::string& out, uint8_t protocol) {
    append_text(out, "transport-protocol", base::protocol_name(protocol));
}

// Those of a TCP segment, as "syn ack".
std::string flags_text(uint64_t flags) {
    constexpr std::string_view kNames[] = {"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"};
    std::string text;
    for (size_t bit = 0; bit < std::size(kNames); ++bit) {
        if ((flags >> bit & 1) != 0) {
            text += text.empty() ? "" : " ";
            text += kNames[bit];
        }
    }
    return text;
}

void append_segment(std::string& out, const Event& event) {
    const auto fault = static_cast<nat::WindowFault>(event.cause);
    append_text(out, "fault", name_of(fault));
    append_text(out, "direction", event.inbound != 0 ? "inbound" : "outbound");
    if (fault == nat::WindowFault::kNoSession) {
        append_text(out, "tcp-flags", flags_text(event.count));
        return;
    }
    out += ",\"sequence-number\":";
    append_number(out, event.sequence_number);
    out += ",\"acknowledgement-number\":";
    append_number(out, event.count);
}

void append_binding(std::string& out, const Event& event) {
    append_address(out, "internal-src-address", event.internal_address);
    append_port(out, "internal-src-port", event.internal_port);
    if (event.kind == EventKind::kSegmentInvalid && event.external_address == 0) {
        return;  // it was on its way out, and got none
    }
    append_address(out, "external-src-address", event.external_address);
    append_port(out, "external-src-port", event.external_port);
}

void append_ports(std::string& out, const Event& event, const std::vector<std::string>& pools) {
    append_address(out, "external-src-address", event.external_address);
    append_port(out, "first-port", event.external_port);
    append_port(out, "last-port", event.last_port);
    append_name(out, "pool", pools, event.pool);
    if (event.cause == nat::kOfTrigger) {
        append_text(out, "of", "trigger-forward");
    }
}

}  // namespace

std::string utc_text(int64_t utc_ms) {
    const auto seconds = static_cast<time_t>(utc_ms / kMsPerSecond);
    tm parts{};
    gmtime_r(&seconds, &parts);
    return fmt::format(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        parts.tm_year + 1900,
        parts.tm_mon + 1,
        parts.tm_mday,
        parts.tm_hour,
        parts.tm_min,
        parts.tm_sec,
        utc_ms % kMsPerSecond
    );
}

void JsonLines::append_time(std::string& out, int64_t utc_ms) {
    utc_ms = std::max<int64_t>(utc_ms, 0);  // a clock that has never been set begins at 0
    const int64_t second = utc_ms / kMsPerSecond;
    if (second != second_) {
        second_ = second;
        second_text_ = utc_text(second * kMsPerSecond);
        second_text_.resize(second_text_.size() - 4);  // without "000Z"
    }
    out += second_text_;
    const auto ms = static_cast<unsigned>(utc_ms % kMsPerSecond);
    const char digits[] = {
        static_cast<char>('0' + ms / 100),
        static_cast<char>('0' + ms / 10 % 10),
        static_cast<char>('0' + ms % 10),
        'Z'};
    out.append(digits, sizeof digits);
}

void JsonLines::append(
    std::string& out, const Event& event, ShardId shard, int64_t utc_ms, int64_t since_ms
) {
    out += "{\"time\":\"";
    append_time(out, utc_ms);
    out += "\",\"shard\":";
    append_number(out, shard.value);
    out += ",\"sequence\":";
    append_number(out, event.sequence);
    append_text(out, "event", name_of(event.kind));
    switch (event.kind) {
        case EventKind::kSegmentInvalid:
            append_segment(out, event);
            [[fallthrough]];
        case EventKind::kMappingCreated:
        case EventKind::kMappingEnded:
        case EventKind::kSessionCreated:
        case EventKind::kSessionEnded:
            append_protocol(out, event.protocol);
            append_name(out, "realm", realms_, event.realm);
            append_binding(out, event);
            break;
        case EventKind::kBlockGranted:
        case EventKind::kBlockReleased:
            append_name(out, "realm", realms_, event.realm);
            append_address(out, "internal-src-address", event.internal_address);
            append_ports(out, event, pools_);
            break;
        case EventKind::kLimitReached:
            append_text(out, "limit", limit_name(event.cause));
            append_name(out, "realm", realms_, event.realm);
            append_address(out, "internal-src-address", event.internal_address);
            if (event.pool < pools_.size()) {
                append_text(out, "pool", pools_[event.pool]);
            }
            break;
        case EventKind::kLost:
            out += ",\"count\":";
            append_number(out, event.count);
            append_text(out, "since", utc_text(since_ms));
            break;
        case EventKind::kNone:
            break;
    }
    const bool is_of_flow =
        event.kind <= EventKind::kSessionEnded || event.kind == EventKind::kSegmentInvalid;
    if (is_of_flow && event.remote_address != 0) {
        append_address(out, "remote-address", event.remote_address);
        append_port(out, "remote-port", event.remote_port);
    }
    if (is_of_flow && event.sent_to_address != 0) {
        append_address(out, "internal-dst-address", event.sent_to_address);
        append_port(out, "internal-dst-port", event.sent_to_port);
    }
    if (event.kind == EventKind::kMappingEnded || event.kind == EventKind::kSessionEnded) {
        append_text(out, "cause", name_of(static_cast<nat::EndCause>(event.cause)));
    }
    out += "}\n";
}

}  // namespace sekisho::eventlog
