#include "sekishod/tell_past.h"

#include <cstdio>

#include "base/protocol_name.h"
#include "base/text.h"
#include "eventlog/past.h"

namespace sekisho::daemon {
namespace {

std::optional<eventlog::PastQuestion> question_of(const std::string& whom, const std::string& at) {
    const size_t slash = whom.find('/');
    const std::string endpoint = whom.substr(0, slash);
    const size_t colon = endpoint.find(':');
    const auto address = base::parse_ipv4(endpoint.substr(0, colon));
    const auto port =
        colon == std::string::npos ? std::nullopt : base::parse_port(endpoint.substr(colon + 1));
    const auto span = eventlog::parse_utc(at);
    const auto protocol =
        slash == std::string::npos ? std::nullopt : base::parse_protocol(whom.substr(slash + 1));
    const bool is_protocol = slash == std::string::npos || protocol;
    const uint16_t number = port ? port->host() : 0;
    if (!address || number == 0 || !span || !is_protocol) {
        return std::nullopt;
    }
    return eventlog::PastQuestion{*address, number, *span, protocol};
}

}  // namespace

int tell_past(
    const std::string& whom, const std::string& at, const std::vector<std::string>& logs
) {
    const auto question = question_of(whom, at);
    if (!question) {
        std::fputs(
            "wanted an external endpoint such as 203.0.113.5:40123 or 203.0.113.5:40123/udp (what "
            "has no ports is told by "
            "the lines of its sessions), a time in UTC such as 2026-01-02T12:04:05Z or "
            "2026-01-02T12:04:05.678Z\n",
            stderr
        );
        return 1;
    }
    const auto answer = eventlog::who_had(*question, logs);
    if (!answer) {
        std::fputs((answer.error().message + "\n").c_str(), stderr);
        return 1;
    }
    std::fputs(answer->text(*question).c_str(), stdout);
    return answer->kind == eventlog::PastAnswer::kNotKnown ? 2 : 0;
}

}  // namespace sekisho::daemon
