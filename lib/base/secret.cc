#include "base/secret.h"

#include <cerrno>
#include <cstring>

#include <sys/random.h>

namespace sekisho::base {

Result<void> fill_random(std::span<uint8_t> out) {
    while (!out.empty()) {
        const ssize_t got = getrandom(out.data(), out.size(), 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return failure(
                std::string("the kernel gives no random bytes: ") + std::strerror(errno)
            );
        }
        out = out.subspan(static_cast<size_t>(got));
    }
    return {};
}

Result<HashSecret> draw_secret() {
    HashSecret secret;
    auto* bytes = reinterpret_cast<uint8_t*>(secret.words);
    const auto filled = fill_random({bytes, sizeof secret.words});
    if (!filled) {
        return tl::make_unexpected(filled.error());
    }
    return secret;
}

}  // namespace sekisho::base
