// The profile language of flowgen devices: no text makes it crash, and what it takes can be played.
#include <cstdlib>
#include <string>

#include "config/flowgen_profile.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace sekisho::config;
    const std::string text(reinterpret_cast<const char*>(data), size);
    std::vector<std::string> items;
    for (size_t from = 0; from <= text.size();) {
        const size_t comma = std::min(text.find(',', from), text.size());
        items.push_back(text.substr(from, comma - from));
        from = comma + 1;
    }
    const auto profile = parse_flowgen_profile(items);
    if (!profile) {
        const DeviceMistake& mistake = profile.error();
        if (mistake.found.empty() || mistake.wanted.empty() ||
            mistake.found.find('\n') != std::string::npos) {
            std::abort();
        }
        return 0;
    }
    const uint64_t all = uint64_t{profile->subscribers} * profile->sessions;
    const uint64_t hosts = uint64_t{1} << (32 - profile->prefix.length);
    if (profile->flows == 0 || profile->flows > all || profile->flows > kFlowgenMostFlows ||
        profile->subscribers + uint64_t{2} > hosts || profile->fan_out == 0 ||
        (profile->sessions - 1) / profile->fan_out + kFlowgenFirstPort > 65535 ||
        (profile->size != 0 && profile->size < kFlowgenLeastSize)) {
        std::abort();
    }
    return 0;
}
