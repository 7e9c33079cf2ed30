#include "config/read_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace sekisho::config {
namespace {

constexpr size_t kPiece = 65536;

tl::unexpected<Error> unreadable() {
    return failure(fmt::format("no readable file ({})", std::strerror(errno)));
}

}  // namespace

// A pipe would hold the control thread for ever.
Result<std::string> read_regular_file(const std::string& path, size_t most) {
    const int opened = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const std::unique_ptr<FILE, int (*)(FILE*)> file(
        opened < 0 ? nullptr : ::fdopen(opened, "r"), &std::fclose
    );
    struct stat facts {};
    if (file == nullptr || ::fstat(opened, &facts) != 0) {
        return unreadable();
    }
    if (!S_ISREG(facts.st_mode)) {
        return failure(S_ISDIR(facts.st_mode) ? "a directory" : "a pipe, socket or device");
    }
    std::string text;
    for (size_t got = 1; got > 0 && text.size() <= most;) {
        const size_t had = text.size();
        text.resize(std::min(had + kPiece, most + 1));
        got = std::fread(text.data() + had, 1, text.size() - had, file.get());
        text.resize(had + got);
    }
    if (std::ferror(file.get()) != 0) {
        return unreadable();
    }
    return text;
}

}  // namespace sekisho::config
