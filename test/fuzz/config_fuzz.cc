// The configuration reader on any bytes: it never throws, every mistake has a place and is one
// line, and what it accepts reads back as itself.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "config/config.h"

using namespace sekisho::config;

// The name is libFuzzer's. NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    MachineFacts machine{{0, 1, 2, 3}};
    machine.read_file = [](const std::string&, size_t) -> sekisho::Result<std::string> {
        return std::string("192.0.2.0/24\n");
    };
    const std::string text(reinterpret_cast<const char*>(data), size);
    const Checked checked = parse(text, "fuzz", machine);
    if (checked.config.has_value() != checked.mistakes.empty()) {
        std::abort();
    }
    for (const Mistake& mistake : checked.mistakes) {
        const std::string line = mistake.text();
        if (mistake.line < 1 || mistake.column < 1 || line.find('\n') != std::string::npos) {
            std::abort();
        }
    }
    if (checked.config) {
        Checked again = parse(to_yaml(*checked.config), "again", machine);
        if (!again.config) {
            std::abort();
        }
        again.config->source_text = checked.config->source_text;
        if (!(*again.config == *checked.config)) {
            std::abort();
        }
    }
    return 0;
}
