// legacy.command: a tool of an earlier packet filter, run here.
#include "control/methods.h"
#include "control/params.h"

namespace sekisho::control {

Reply Methods::legacy_command(const Json& params) {
    constexpr size_t kMostWords = 1024;
    ParamReader reader(params);
    LegacyCall asked;
    const auto tool = reader.text("tool", "the name of a tool");
    if (!tool || !legacy::is_tool(*tool)) {
        reader.complain("tool", tool ? *tool : "nothing", "the name of a tool, as ipchains");
    }
    asked.call.tool = tool.value_or("");
    asked.call.words = reader.texts("words", kMostWords).value_or(legacy::Words{});
    asked.call.input = reader.text("input", "a text").value_or("");
    asked.hosts = reader.text("hosts", "lines of an address and its names").value_or("");
    if (const auto read = reader.finish(); !read) {
        return tl::unexpected<RpcError>(read.error());
    }
    if (!call_tool_) {
        return refuse(kInternalError, "nobody here runs tools of earlier packet filters");
    }
    const LegacyAnswer done = call_tool_(asked);
    Document out = {
        {"out", done.answer.out}, {"err", done.answer.err}, {"status", done.answer.status}};
    out["unknown-hosts"] = done.unknown_hosts;
    return out;
}

}  // namespace sekisho::control
