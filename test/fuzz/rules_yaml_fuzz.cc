// Rules, sets, groups and patterns from any bytes, behind a configuration that has the rest: every mistake has a place
// and is one line, and what is accepted reads back as itself. What stands before a line "---" is the sections, what is
// behind it the file that a set may name.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "config/config.h"
#include "config/rules_difference.h"

using namespace sekisho;
using namespace sekisho::config;

namespace {

constexpr const char* kRest =
    "system: {workers: 1}\n"
    "realms: [{name: guests, side: internal}]\n"
    "links:\n"
    "  - {name: int0, device: af_packet:i0, realm: internal, addresses: [100.64.0.1/10]}\n"
    "  - {name: ext0, device: af_packet:e0, realm: external, addresses: [198.51.100.2/24]}\n"
    "pools: [{name: main, addresses: [203.0.113.0/28]}]\n"
    "policies: [{name: all, source: [100.64.0.0/10], pool: main}]\n";
constexpr const char* kBehind = "\n---\n";

void must(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check_lines(const std::vector<Mistake>& mistakes) {
    for (const Mistake& mistake : mistakes) {
        must(mistake.line >= 1 && mistake.column >= 1);
        must(mistake.text().find('\n') == std::string::npos);
    }
}

}  // namespace

// The name is libFuzzer's. NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string input(reinterpret_cast<const char*>(data), size);
    const size_t end = input.find(kBehind);
    const std::string file = end == std::string::npos ? "" : input.substr(end + 5);
    MachineFacts machine{{0}};
    machine.read_file = [&](const std::string&, size_t most) -> Result<std::string> {
        return file.substr(0, most + 1);
    };
    Checked checked = parse(kRest + input.substr(0, end), "fuzz", machine);
    must(checked.config.has_value() == checked.mistakes.empty());
    check_lines(checked.mistakes);
    check_lines(checked.warnings);
    if (checked.config) {
        Checked again = parse(to_yaml(*checked.config), "again", machine);
        must(again.config.has_value());
        again.config->source_text = checked.config->source_text;
        must(*again.config == *checked.config);
        must(rules_differences(*checked.config, *again.config).empty());
    }
    return 0;
}
