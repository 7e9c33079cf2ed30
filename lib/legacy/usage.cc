#include "legacy/usage.h"

#include <fmt/format.h>

namespace sekisho::legacy {

Answer wrong_usage(const std::string& program, const std::string& reason) {
    constexpr int kUsage = 2;
    return {
        "",
        fmt::format("{}: {}\nTry `{} -h' for more information.\n", program, reason, program),
        kUsage};
}

Answer refusal(const std::string& program, const std::string& reason, int status) {
    return {"", fmt::format("{}: {}\n", program, reason), status};
}

}  // namespace sekisho::legacy
