// sekisho-legacy: the tools of earlier packet filters for a running sekishod (doc/legacy.md). Called by a tool's name it is
// that tool; by its own name it runs and translates scripts that use them.
#include <cstdlib>
#include <string>
#include <vector>

#include <signal.h>

#include "control/descriptors.h"
#include "legacy/kernel.h"
#include "sekisho-legacy/output.h"
#include "sekisho-legacy/private_view.h"
#include "sekisho-legacy/run_script.h"
#include "sekisho-legacy/tool_caller.h"
#include "sekisho-legacy/translate.h"

namespace sekisho::old {
namespace {

constexpr const char* kHelp =
    "Usage: sekisho-legacy [--socket PATH] COMMAND\n"
    "\n"
    "  run SCRIPT [ARG...]    runs a script that uses them, as it is; needs root\n"
    "  translate [--config FILE] SCRIPT [ARG...]\n"
    "                         prints what the script comes to in the language of sekisho.yaml; "
    "needs root\n"
    "  TOOL [ARGUMENT...]     what the tool does, as when this program is called by the tool's "
    "name\n"
    "  settings               what is below /proc/sys/net/ipv4 for a script\n"
    "  set PATH VALUE         writes one of these settings\n"
    "  listing NAME           a file of /proc/net: ip_conntrack, ip_masquerade, ip_fwchains, "
    "ip_fwnames,\n"
    "                         ip_tables_names\n"
    "  clear                  takes back all rules, chains and policies that the tools have made\n"
    "  --help, --version\n"
    "\n"
    "  --socket PATH          the control socket of sekishod (or SEKISHO_SOCKET)\n"
    "\n"
    "Tools:";

std::string help() {
    std::string text = kHelp;
    for (const std::string_view tool : legacy::tool_names()) {
        text += " " + std::string(tool);
    }
    return text + "\n";
}

// What the program is called, without a folder.
std::string name_of(const std::string& path) {
    return path.substr(path.rfind('/') == std::string::npos ? 0 : path.rfind('/') + 1);
}

// A tool; of a script that is run here it tells what the script wrote, too.
int call_tool(ToolCaller& caller, const std::string& tool, const std::vector<std::string>& words) {
    if (!has_private_view()) {
        return caller.call(tool, words);
    }
    caller.set_place(place_in_script());
    tell_settings(caller);
    const int status = caller.call(tool, words);
    show_listings(caller);
    return status;
}

int run_own(std::vector<std::string> words, std::string socket) {
    if (words.size() >= 2 && words[0] == "--socket") {
        socket = words[1];
        words.erase(words.begin(), words.begin() + 2);
    }
    const std::string command = words.empty() ? "" : words.front();
    if (command == "--help" || command == "-h") {
        return print(help()) ? 0 : kUnusable;
    }
    if (command == "--version") {
        return print("sekisho-legacy " SEKISHO_VERSION "\n") ? 0 : kUnusable;
    }
    ToolCaller caller(std::move(socket));
    if (command == "clear" || command == "settings" || command == "set" || command == "listing") {
        return caller.call(std::string(legacy::kOwnTool), words);
    }
    const std::vector<std::string> others(words.begin() + (words.empty() ? 0 : 1), words.end());
    if (command == "run") {
        return run_script(others, caller);
    }
    if (command == "translate") {
        return translate(others);
    }
    if (command != legacy::kOwnTool && legacy::is_tool(command)) {
        return call_tool(caller, command, others);
    }
    complain(
        "sekisho-legacy", "found '" + command + "', wanted a command: see sekisho-legacy --help"
    );
    return kUnusable;
}

}  // namespace
}  // namespace sekisho::old

int main(int count, char** arguments) {
    using namespace sekisho;
    if (!control::fill_closed_descriptors()) {
        std::_Exit(old::kUnusable);
    }
    signal(SIGPIPE, SIG_IGN);
    const std::vector<std::string> all(arguments, arguments + count);
    const char* const given = std::getenv("SEKISHO_SOCKET");
    const std::string socket = given != nullptr ? given : old::kDefaultSocket;
    const std::string name = all.empty() ? "" : old::name_of(all[0]);
    const std::vector<std::string> words(all.begin() + (all.empty() ? 0 : 1), all.end());
    if (name != legacy::kOwnTool && legacy::is_tool(name)) {
        old::ToolCaller caller(socket);
        return old::call_tool(caller, name, words);
    }
    return old::run_own(words, socket);
}
