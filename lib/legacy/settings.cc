#include "legacy/settings.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "legacy/numbers.h"
#include "legacy/usage.h"

namespace sekisho::legacy {
namespace {

constexpr const char* kProgram = "/proc/sys/net/ipv4";

struct Known {
    std::string_view path;  // of those of a link: behind "conf/LINK/"
    std::string_view initial;
    bool is_always_so;  // as it is initially
    std::string_view why;
};
constexpr Known kKnown[] = {
    {"ip_forward", "1", true, "packets are forwarded for as long as sekishod runs"},
    {"ip_always_defrag", "1", true, "fragments are always followed"},
    {"ip_dynaddr", "0", false, "a pool of a link follows the link's address by itself"},
    {"ip_masq_debug", "0", false, ""},
    {"ip_default_ttl", "64", false, ""},
    {"ip_local_port_range", "32768\t60999", false, "ports are those of the pools"},
    {"ip_no_pmtu_disc", "0", false, ""},
    {"tcp_syncookies", "0", false, "no connection ends here"},
    {"tcp_timestamps", "1", false, "no connection ends here"},
    {"tcp_fin_timeout", "60", false, "no connection ends here"},
    {"icmp_echo_ignore_all", "0", false, "a rule can deny pings"},
    {"icmp_echo_ignore_broadcasts", "1", true, "broadcasts are not answered"},
    {"icmp_ignore_bogus_error_responses", "1", true, "they are dropped and counted"},
    {"netfilter/ip_ct_tcp_log_out_of_window",
     "0",
     false,
     "a policy's tcp-window says what of it is logged"},
};
constexpr Known kOfLinks[] = {
    {"forwarding", "1", true, "packets are forwarded for as long as sekishod runs"},
    {"rp_filter", "0", false, "rules say which sources may come by which link"},
    {"accept_source_route", "0", true, "packets with a source route are dropped"},
    {"accept_redirects", "0", true, "redirects are not followed"},
    {"secure_redirects", "0", true, "redirects are not followed"},
    {"send_redirects", "0", true, "no redirects are sent"},
    {"log_martians", "0", false, "rules say what is logged"},
    {"bootp_relay", "0", true, "none is relayed"},
    {"proxy_arp", "0", false, "a link's proxy-arp says so"},
};

constexpr std::string_view kConf = "conf/";
constexpr std::string_view kMost[] = {"ip_conntrack_max", "netfilter/ip_conntrack_max"};
constexpr std::string_view kEstablished = "netfilter/ip_conntrack_tcp_timeout_established";
constexpr std::string_view kFinWait = "netfilter/ip_conntrack_tcp_timeout_fin_wait";
constexpr std::string_view kUdp = "netfilter/ip_conntrack_udp_timeout";

const Known* find(std::string_view path) {
    const bool is_of_link = path.starts_with(kConf);
    const std::string_view name =
        is_of_link ? path.substr(std::min(path.size(), path.rfind('/') + 1)) : path;
    const auto known =
        is_of_link ? std::span<const Known>(kOfLinks) : std::span<const Known>(kKnown);
    const auto found = std::ranges::find(known, name, &Known::path);
    return found == known.end() ? nullptr : &*found;
}

// Where a number of the appliance's own is meant.
std::optional<uint32_t*> number_of(std::string_view path, Tracking& tracking) {
    if (std::ranges::find(kMost, path) != std::end(kMost)) {
        return &tracking.most_sessions;
    }
    if (path == kEstablished) {
        return &tracking.timeouts.tcp.value;
    }
    if (path == kFinWait) {
        return &tracking.timeouts.tcp_fin.value;
    }
    return path == kUdp ? std::optional(&tracking.timeouts.udp.value) : std::nullopt;
}

// Names of folders and of a file, each of which stays in its folder: whoever shows them writes files of these names, as root.
bool is_path(std::string_view path) {
    constexpr size_t kLongest = 128;
    const auto is_plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("_-.:@").find(c) != std::string_view::npos;
    };
    if (path.empty() || path.size() > kLongest) {
        return false;
    }
    for (size_t from = 0; from <= path.size();) {
        const std::string_view name = path.substr(from, path.find('/', from) - from);
        if (name.empty() || name == "." || name == ".." || !std::ranges::all_of(name, is_plain)) {
            return false;
        }
        from += name.size() + 1;
    }
    return true;
}

// One line, as such files have it; some have tabs in it.
bool is_value(std::string_view value) {
    constexpr size_t kLongest = 1024;
    return value.size() <= kLongest &&
           std::ranges::all_of(value, [](char c) { return c == '\t' || (c >= ' ' && c <= '~'); });
}

Answer refuse(std::string_view found, std::string_view wanted) {
    return refusal(std::string(kProgram), fmt::format("found '{}', wanted {}", found, wanted), 1);
}

Answer no_effect(const std::string& path, const std::string& value, std::string_view why) {
    Answer answer;
    answer.err = fmt::format(
        "{}/{}: warning: {} has no effect{}{}\n",
        kProgram,
        path,
        value,
        why.empty() ? "" : ": ",
        why
    );
    return answer;
}

}  // namespace

std::map<std::string, std::string> Settings::all(const Links& links, const Tracking& tracking)
    const {
    std::map<std::string, std::string> all;
    for (const Known& known : kKnown) {
        all.emplace(known.path, known.initial);
    }
    std::vector<std::string> names = {"all", "default"};
    std::ranges::transform(links, std::back_inserter(names), &Link::name);
    for (const std::string& name : names) {
        for (const Known& known : kOfLinks) {
            all.emplace(fmt::format("{}{}/{}", kConf, name, known.path), known.initial);
        }
    }
    for (const auto& [path, value] : written_) {
        all[path] = value;
    }
    for (const std::string_view path : kMost) {
        all.emplace(path, fmt::format("{}", tracking.most_sessions));
    }
    all.emplace(kEstablished, fmt::format("{}", tracking.timeouts.tcp.value));
    all.emplace(kFinWait, fmt::format("{}", tracking.timeouts.tcp_fin.value));
    all.emplace(kUdp, fmt::format("{}", tracking.timeouts.udp.value));
    return all;
}

Answer Settings::write(const std::string& path, const std::string& value, Tracking& tracking) {
    if (!is_path(path)) {
        return refuse(
            "another name", "names of letters, digits, _, -, ., : and @ with a / between"
        );
    }
    if (!is_value(value)) {
        return refuse("another text", "one line of at most 1024 printable ASCII characters");
    }
    if (const auto number = number_of(path, tracking)) {
        const auto wanted = read_number(value, std::numeric_limits<int32_t>::max());
        if (!wanted || *wanted == 0) {
            return refusal(
                fmt::format("{}/{}", kProgram, path),
                fmt::format("found '{}', wanted a number from 1", value),
                1
            );
        }
        **number = *wanted;
        return {};
    }
    constexpr size_t kMostWritten = 1024;
    if (written_.size() == kMostWritten && !written_.contains(path)) {
        return refuse("one setting more", "at most 1024 that have no effect");
    }
    const Known* const known = find(path);
    written_[path] = value;
    if (known == nullptr) {
        return no_effect(path, value, "");
    }
    const bool is_so = known->is_always_so && value == known->initial;
    return is_so ? Answer{} : no_effect(path, value, known->why);
}

}  // namespace sekisho::legacy
