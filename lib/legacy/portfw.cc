// ipportfw, ipmasqadm portfw and mfw, and redir.
#include <limits>

#include <fmt/format.h>

#include "base/text.h"
#include "legacy/forward_reading.h"
#include "legacy/forward_tools.h"
#include "legacy/options.h"
#include "legacy/usage.h"

namespace sekisho::legacy {
namespace {

constexpr int kWrong = 2;
constexpr int kRefused = 255;

const char* text_of(Protocol protocol) {
    return protocol == Protocol::kTcp ? "TCP" : "UDP";
}

struct Endpoint {
    Ipv4Addr address;
    uint16_t port = 0;
};

// What the three have in common: one command, entries that are added, removed, flushed and listed.
struct Request {
    char command = 0;
    std::optional<Protocol> protocol;
    std::optional<Endpoint> local;
    std::optional<Endpoint> remote;
    std::optional<uint32_t> mark;
    uint32_t preference = kUsualPreference;
    bool has_preference = false;
    bool wants_help = false;
    std::string reason;  // empty: good

    void want(bool holds, const char* why) {
        if (!holds) {
            complain(why);
        }
    }
    void complain(const char* why) { reason = reason.empty() ? why : reason; }
    void take_command(char letter) {
        if (command != 0) {
            complain("multiple commands specified");
        }
        command = letter;
    }
    void take_preference(std::string_view text, uint32_t least) {
        const auto value = read_number(text, std::numeric_limits<int32_t>::max());
        if (!value || *value < least) {
            complain("illegal preference value specified");
        }
        preference = value.value_or(kUsualPreference);
        has_preference = true;
    }
};

// "ADDRESS/PORT".
std::optional<Endpoint> read_with_slash(const std::string& text) {
    const size_t slash = text.find('/');
    const auto address = read_dotted(text.substr(0, slash));
    const auto port =
        slash == std::string::npos ? std::nullopt : read_real_port(text.substr(slash + 1));
    return address && port ? std::optional(Endpoint{*address, *port}) : std::nullopt;
}

// An address, and a port in the next word.
std::optional<Endpoint> take_endpoint(
    OptionReader& reader, const Names& names, Protocol protocol, bool port_is_needed
) {
    const auto address = read_host(reader.argument(), names);
    const std::string* word = reader.take();
    if (!address || (word == nullptr && port_is_needed)) {
        return std::nullopt;
    }
    const auto port = word != nullptr ? read_service(*word, protocol, names) : 0;
    return port ? std::optional(Endpoint{*address, *port}) : std::nullopt;
}

FixedForward forward_of(const Request& request) {
    const Endpoint local = *request.local;
    FixedForward forward;
    forward.protocol = *request.protocol;
    if (local.address != Ipv4Addr{}) {
        forward.local = local.address;
    }
    forward.ports = {local.port, local.port};
    if (request.remote) {
        forward.host = request.remote->address;
        forward.host_port = request.remote->port;
    }
    forward.preference = request.preference;
    return forward;
}

std::string list(const std::vector<FixedForward>& forwards) {
    std::string text = fmt::format(
        "{:<4} {:<20} {:<20} {:>8} {:>8} {:>5} {:>5}\n",
        "prot",
        "localaddr",
        "rediraddr",
        "lport",
        "rport",
        "pcnt",
        "pref"
    );
    for (const FixedForward& forward : forwards) {
        if (forward.tool != ForwardTool::kPortfw) {
            continue;
        }
        text += fmt::format(
            "{:<4} {:<20} {:<20} {:>8} {:>8} {:>5} {:>5}\n",
            text_of(forward.protocol),
            forward.local.value_or(Ipv4Addr{}),
            forward.host,
            forward.ports.first,
            forward.host_ports().first,
            forward.preference,
            forward.preference
        );
    }
    return text;
}

Answer refuse(const std::string& program, const char* reason) {
    return refusal(program, reason, kRefused);
}

// What ipportfw and portfw do with a request that has been read.
Answer do_portfw(Request request, Forwards& forwards, const std::string& program) {
    const bool is_entry = request.protocol || request.local || request.remote;
    const bool changes_one = request.command == 'a' || request.command == 'd';
    if (changes_one && (!request.protocol || !request.local)) {
        request.complain("insufficient options specified");
    }
    if (request.command == 'a' && !request.remote) {
        request.complain("insufficient options specified");
    }
    if (!changes_one && is_entry) {
        request.complain("incompatible options specified");
    }
    if (!request.reason.empty()) {
        return refusal(program, request.reason, kWrong);
    }
    if (request.command == 'l') {
        return {list(forwards.fixed), "", 0};
    }
    if (request.command == 'f') {
        std::erase_if(forwards.fixed, [](const FixedForward& one) {
            return one.tool == ForwardTool::kPortfw;
        });
        return {};
    }
    const FixedForward forward = forward_of(request);
    if (request.command == 'a') {
        return add_first(forwards.fixed, forward) ? Answer{}
                                                  : refuse(program, "it is there already");
    }
    const bool is_any = !request.remote;
    const bool was_there = erase_all(forwards.fixed, [&](const FixedForward& one) {
        // What redir has set up is taken back so, too: there is no process to end.
        return one.tool != ForwardTool::kAutofw && one.protocol == forward.protocol &&
               one.local == forward.local && one.ports == forward.ports &&
               (is_any || (one.host == forward.host && one.host_port == forward.host_port));
    });
    return was_there ? Answer{} : refuse(program, "there is no such entry");
}

Request read_portfw(const Words& words, const Names& names) {
    Request request;
    OptionReader reader(words, "adflnP:R:L:p:h");
    for (int code = reader.next(); code != OptionReader::kEnd && request.reason.empty();
         code = reader.next()) {
        const Protocol protocol = request.protocol.value_or(Protocol::kTcp);
        switch (code) {
            case 'a':
            case 'd':
            case 'f':
            case 'l':
                request.take_command(static_cast<char>(code));
                break;
            case 'n':
                break;
            case 'P':
                request.want(!request.protocol, "multiple protocols specified");
                request.protocol = read_transport(reader.argument());
                request.want(request.protocol.has_value(), "invalid protocol specified");
                break;
            case 'L':
                request.local = take_endpoint(reader, names, protocol, true);
                request.want(request.local.has_value(), "illegal local address/port specified");
                break;
            case 'R':
                request.remote = take_endpoint(reader, names, protocol, true);
                request.want(request.remote.has_value(), "illegal destination specified");
                break;
            case 'p':
                request.take_preference(reader.argument(), 1);
                break;
            case OptionReader::kWord:
                request.complain("unknown arguments found on commandline");
                break;
            default:
                request.wants_help = true;
        }
    }
    return request;
}

Answer run_portfw(const Words& words, Forwards& forwards, const Names& names) {
    const Request request = read_portfw(words, names);
    if (request.reason.empty() && (request.wants_help || request.command == 0)) {
        return {
            "Usage: portfw -a -P PROTO -L LADDR LPORT -R RADDR RPORT [-p PREF]\n"
            "       portfw -d -P PROTO -L LADDR LPORT [-R RADDR RPORT]\n"
            "       portfw -f | -l [-n]\n",
            "",
            0};
    }
    return do_portfw(request, forwards, "portfw");
}

Request read_mfw(const Words& words, const Names& names) {
    Request request;
    OptionReader reader(words, "AEDFSLnm:r:p:h");
    for (int code = reader.next(); code != OptionReader::kEnd && request.reason.empty();
         code = reader.next()) {
        switch (code) {
            case 'A':
            case 'E':
            case 'D':
            case 'F':
            case 'S':
            case 'L':
                request.take_command(static_cast<char>(code));
                break;
            case 'n':
                break;
            case 'm':
                request.mark = read_number(reader.argument(), 0xffffffff);
                break;
            case 'r':
                request.remote = take_endpoint(reader, names, Protocol::kTcp, false);
                request.want(request.remote.has_value(), "illegal destination specified");
                break;
            case 'p':
                request.take_preference(reader.argument(), 0);
                break;
            case OptionReader::kWord:
                request.complain("unknown arguments found on commandline");
                break;
            default:
                request.wants_help = true;
        }
    }
    return request;
}

std::string list(const std::vector<MarkForward>& forwards) {
    std::string text = fmt::format(
        "{:<8} {:<20} {:>8} {:>5} {:>5}\n", "fwmark", "rediraddr", "rport", "pcnt", "pref"
    );
    for (const MarkForward& forward : forwards) {
        text += fmt::format(
            "{:<8} {:<20} {:>8} {:>5} {:>5}\n",
            forward.mark,
            forward.host,
            forward.port,
            forward.preference,
            forward.preference
        );
    }
    return text;
}

Answer change_marks(const Request& request, Forwards& forwards) {
    const Endpoint remote = request.remote.value_or(Endpoint{});
    const auto is_meant = [&](const MarkForward& one) {
        return one.mark == *request.mark &&
               (!request.remote || (one.host == remote.address && one.port == remote.port));
    };
    if (request.command == 'A') {
        if (!request.remote) {
            return refusal("mfw", "insufficient options specified", kWrong);
        }
        const MarkForward forward{*request.mark, remote.address, remote.port, request.preference};
        return add_first(forwards.marks, forward) ? Answer{} : refuse("mfw", "it is there already");
    }
    if (request.command == 'D') {
        return erase_all(forwards.marks, is_meant) ? Answer{}
                                                   : refuse("mfw", "there is no such entry");
    }
    bool was_there = false;
    for (MarkForward& one : forwards.marks) {
        if (is_meant(one)) {
            was_there = true;
            one.preference = request.has_preference ? request.preference : one.preference;
        }
    }
    return was_there ? Answer{} : refuse("mfw", "there is no such entry");
}

Answer run_mfw(const Words& words, Forwards& forwards, const Names& names) {
    Request request = read_mfw(words, names);
    if (request.reason.empty() && (request.wants_help || request.command == 0)) {
        return {
            "Usage: mfw -A -m FWMARK -r RADDR [RPORT] [-p PREF]\n"
            "       mfw -D|-E|-S -m FWMARK [-r RADDR [RPORT]] [-p PREF]\n"
            "       mfw -F | -L [-n]\n",
            "",
            0};
    }
    const bool is_of_all = request.command == 'F' || request.command == 'L';
    if (is_of_all && (request.mark || request.remote)) {
        request.complain("incompatible options specified");
    }
    if (!is_of_all && request.mark.value_or(0) == 0) {
        request.complain("insufficient options specified");
    }
    if (!request.reason.empty()) {
        return refusal("mfw", request.reason, kWrong);
    }
    if (request.command == 'L') {
        return {list(forwards.marks), "", 0};
    }
    if (request.command == 'F') {
        forwards.marks.clear();
        return {};
    }
    return change_marks(request, forwards);
}

void take_ipportfw_option(Request& request, int code, const std::string& text) {
    switch (code) {
        case 'A':
            return request.take_command('a');
        case 'D':
            return request.take_command('d');
        case 'C':
            return request.take_command('f');
        case 'L':
            return request.take_command('l');
        case 't':
        case 'u':
            request.want(!request.protocol, "multiple protocols specified");
            request.protocol = code == 't' ? Protocol::kTcp : Protocol::kUdp;
            request.local = read_with_slash(text);
            return request.want(request.local.has_value(), "illegal local address/port specified");
        case 'R':
            request.want(!request.remote, "multiple destinations specified");
            request.remote = read_with_slash(text);
            return request.want(request.remote.has_value(), "illegal destination specified");
        case OptionReader::kWord:
            return request.complain("unknown arguments found on commandline");
        default:
            request.wants_help = true;
    }
}

constexpr LongOption kRedirOptions[] = {
    {"laddr", 1001, Takes::kWord},
    {"lport", 1002, Takes::kWord},
    {"caddr", 1003, Takes::kWord},
    {"cport", 1004, Takes::kWord},
    {"bind_addr", 1005, Takes::kWord},
    {"timeout", 1005, Takes::kWord},
    {"name", 1005, Takes::kWord},
    {"debug", 1006, Takes::kNothing},
    {"syslog", 1006, Takes::kNothing},
    {"transproxy", 1006, Takes::kNothing},
    {"inetd", 1007, Takes::kNothing}};

}  // namespace

Answer run_ipportfw(const Words& words, Forwards& forwards, const std::string& program) {
    Request request;
    OptionReader reader(words, "ADCLt:u:R:h");
    for (int code = reader.next(); code != OptionReader::kEnd && request.reason.empty();
         code = reader.next()) {
        take_ipportfw_option(request, code, reader.argument());
    }
    if (request.reason.empty() && (request.wants_help || request.command == 0)) {
        return {
            fmt::format(
                "Usage: {} -A -t|-u ADDRESS/PORT -R ADDRESS/PORT\n"
                "       {} -D -t|-u ADDRESS/PORT\n"
                "       {} -C | -L\n",
                program,
                program,
                program
            ),
            "",
            0};
    }
    if (request.command == 'd' && request.remote) {
        request.complain("incompatible options specified");
    }
    return do_portfw(request, forwards, program);
}

Answer run_ipmasqadm(const Words& words, Forwards& forwards, const Names& names) {
    const std::string name = words.empty() ? "" : words.front();
    const Words rest(words.begin() + (words.empty() ? 0 : 1), words.end());
    if (name == "autofw") {
        return run_ipautofw(rest, forwards, names, "autofw");
    }
    if (name == "portfw") {
        return run_portfw(rest, forwards, names);
    }
    if (name == "mfw") {
        return run_mfw(rest, forwards, names);
    }
    return refusal("ipmasqadm", "usage: ipmasqadm autofw|portfw|mfw OPTIONS", 1);
}

Answer run_redir(const Words& words, Forwards& forwards, const Names& names) {
    FixedForward forward;
    forward.tool = ForwardTool::kRedir;
    std::optional<uint16_t> outside;
    std::optional<uint16_t> inside;
    std::optional<Ipv4Addr> host;
    OptionReader reader(words, "", kRedirOptions);
    for (int code = reader.next(); code != OptionReader::kEnd; code = reader.next()) {
        const std::string& text = reader.argument();
        const bool is_wrong =
            (code == 1001 && !(forward.local = read_host(text, names))) ||
            (code == 1002 && !(outside = read_service(text, Protocol::kTcp, names))) ||
            (code == 1003 && !(host = read_host(text, names))) ||
            (code == 1004 && !(inside = read_service(text, Protocol::kTcp, names)));
        if (code < 1001 || code == 1007 || is_wrong) {
            const std::string why = code == OptionReader::kBad ? reader.complaint()
                                    : code == 1007             ? "no connection comes by inetd here"
                                                   : fmt::format("'{}' makes no sense here", text);
            return refusal("redir", why, 1);
        }
    }
    if (!outside || !inside) {
        return refusal("redir", "--lport and --cport are needed", 1);
    }
    if (!host) {
        return refusal("redir", "--caddr is needed: the connection goes to a host inside", 1);
    }
    forward.ports = {*outside, *outside};
    forward.host = *host;
    forward.host_port = *inside;
    return add_first(forwards.fixed, forward) ? Answer{}
                                              : refusal("redir", "it is there already", 1);
}

}  // namespace sekisho::legacy
