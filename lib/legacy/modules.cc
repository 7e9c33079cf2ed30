#include "legacy/modules.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "legacy/usage.h"

namespace sekisho::legacy {
namespace {

struct Known {
    std::string_view name;
    std::string_view helper;  // for what protocol; empty: what it did is built in
};
constexpr Known kKnown[] = {
    {"ip_masq_ftp", "FTP"},
    {"ip_masq_irc", "IRC's DCC"},
    {"ip_masq_raudio", "RealAudio"},
    {"ip_masq_vdolive", "VDOLive"},
    {"ip_masq_cuseeme", "CU-SeeMe"},
    {"ip_masq_quake", "Quake"},
    {"ip_masq_pptp", "PPTP"},
    {"ip_masq_user", ""},
    {"ip_masq_autofw", ""},
    {"ip_masq_portfw", ""},
    {"ip_masq_mfw", ""},
    {"ipchains", ""},
    {"ipfwadm", ""},
    {"ip_tables", ""},
    {"iptable_filter", ""},
    {"iptable_nat", ""},
    {"iptable_mangle", ""},
    {"iptable_raw", ""},
    {"ip_conntrack", ""},
    {"nf_conntrack", ""},
    {"ip_conntrack_ftp", "FTP"},
    {"ip_nat_ftp", "FTP"},
    {"ip_conntrack_irc", "IRC's DCC"},
    {"ip_nat_irc", "IRC's DCC"},
    {"ipt_LOG", ""},
    {"ipt_REJECT", ""},
    {"ipt_MASQUERADE", ""},
    {"ipt_REDIRECT", ""},
    {"ipt_MARK", ""},
    {"ipt_TOS", ""},
    {"ipt_limit", ""},
    {"ipt_mark", ""},
    {"ipt_multiport", ""},
    {"ipt_state", ""},
};

// "/lib/modules/2.0.36/ipv4/ip_masq_ftp.o" is "ip_masq_ftp".
std::string_view module_of(std::string_view word) {
    word.remove_prefix(word.rfind('/') == std::string_view::npos ? 0 : word.rfind('/') + 1);
    for (const std::string_view end : {".o", ".ko"}) {
        if (word.ends_with(end)) {
            word.remove_suffix(end.size());
        }
    }
    return word;
}

const Known* find(std::string_view name) {
    const auto found = std::ranges::find(kKnown, name, &Known::name);
    return found == std::end(kKnown) ? nullptr : &*found;
}

Answer list(const Modules& modules) {
    Answer answer{fmt::format("{:<24}{:>8}  {}\n", "Module", "Size", "Used by"), "", 0};
    for (auto name = modules.loaded.rbegin(); name != modules.loaded.rend(); ++name) {
        answer.out += fmt::format("{:<24}{:>8}  {}\n", *name, 0, 0);
    }
    return answer;
}

struct Request {
    bool removes = false;
    bool takes_all = false;  // every word is a module
    std::vector<std::string_view> names;
};

// `insmod ip_masq_irc ports=6667`: a word that is no option and no setting is a module, but only the first, unless -a or -r.
Request read(const std::string& tool, const Words& words) {
    Request request;
    request.removes = tool == "rmmod";
    for (const std::string& word : words) {
        const bool is_option = word.starts_with('-');
        request.removes |= word == "-r" || word == "--remove";
        request.takes_all |= word == "-a" || word == "--all";
        if (!is_option && word.find('=') == std::string::npos) {
            request.names.push_back(module_of(word));
        }
    }
    if (!request.removes && !request.takes_all && request.names.size() > 1) {
        request.names.resize(1);
    }
    return request;
}

std::optional<Answer> load(
    const std::string& tool, std::string_view name, Modules& modules, Answer& answer
) {
    const Known* const known = find(name);
    if (known == nullptr) {
        return refusal(tool, fmt::format("module {}: it is none of this appliance's", name), 1);
    }
    if (!known->helper.empty()) {
        answer.err += fmt::format(
            "{}: warning: {} has no effect: there is no helper for {} yet\n",
            tool,
            name,
            known->helper
        );
    }
    if (std::ranges::find(modules.loaded, name) == modules.loaded.end()) {
        modules.loaded.emplace_back(name);
    }
    return std::nullopt;
}

std::optional<Answer> unload(const std::string& tool, std::string_view name, Modules& modules) {
    return std::erase(modules.loaded, name) != 0
               ? std::nullopt
               : std::optional(refusal(tool, fmt::format("module {} is not loaded", name), 1));
}

}  // namespace

Answer run_module_tool(const std::string& tool, const Words& words, Modules& modules) {
    if (tool == "lsmod") {
        return list(modules);
    }
    if (tool == "depmod") {
        return {};
    }
    const Request request = read(tool, words);
    if (request.names.empty()) {
        return request.removes ? Answer{} : refusal(tool, "which module?", 1);
    }
    Answer answer;
    Modules changed = modules;
    for (const std::string_view name : request.names) {
        const auto bad =
            request.removes ? unload(tool, name, changed) : load(tool, name, changed, answer);
        if (bad) {
            return *bad;
        }
    }
    modules = std::move(changed);
    return answer;
}

}  // namespace sekisho::legacy
