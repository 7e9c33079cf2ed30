#include "dpdk/capture.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <sys/stat.h>

#include "packet/packet.h"

namespace sekisho::dpdk {

namespace {

constexpr uint32_t kMicroseconds = 0xa1b2c3d4;
constexpr uint32_t kNanoseconds = 0xa1b23c4d;
constexpr uint32_t kPcapng = 0x0a0d0d0a;
constexpr uint32_t kEthernet = 1;  // LINKTYPE_ETHERNET

struct FileHeader {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t reserved[2];
    uint32_t snap_length;
    uint32_t link_type;  // and flags above its lower 16 bits
};
struct FrameHeader {
    uint32_t seconds, fraction;
    uint32_t captured, length;
};

uint32_t first_word(const std::string& path) {
    uint32_t magic = 0;
    std::ifstream file(path, std::ios::binary);
    file.read(reinterpret_cast<char*>(&magic), sizeof magic);
    return file ? magic : 0;
}

bool is_pcap(uint32_t magic) {
    return magic == kMicroseconds || magic == kNanoseconds;
}

class Reader {
  public:
    explicit Reader(const std::string& path)
        : file_(std::fopen(path.c_str(), "rbe"), &std::fclose), buffer_(size_t{1} << 20) {
        if (file_ != nullptr) {
            std::setvbuf(file_.get(), buffer_.data(), _IOFBF, buffer_.size());
        }
    }
    ~Reader() { file_.reset(); }  // before its buffer
    bool is_open() const { return file_ != nullptr; }
    size_t read(void* to, size_t bytes) { return std::fread(to, 1, bytes, file_.get()); }

  private:
    std::unique_ptr<FILE, int (*)(FILE*)> file_;
    std::vector<char> buffer_;
};

}  // namespace

bool is_waited_for(const std::string& path) {
    struct stat facts {};
    return ::stat(path.c_str(), &facts) == 0 && !S_ISREG(facts.st_mode);
}

bool is_capture(const std::string& path) {
    const uint32_t magic = first_word(path);
    return is_pcap(magic) || is_pcap(__builtin_bswap32(magic)) || magic == kPcapng;
}

Result<CaptureFacts> scan_capture(const std::string& path) {
    if (is_waited_for(path)) {
        return failure(fmt::format("{} is no plain file; a pcap file is wanted", path));
    }
    Reader file(path);
    FileHeader header{};
    if (!file.is_open() || file.read(&header, sizeof header) != sizeof header) {
        return failure(
            fmt::format("the capture {} cannot be read; it must exist and be readable", path)
        );
    }
    const bool swapped = is_pcap(__builtin_bswap32(header.magic));
    const auto value = [&](uint32_t word) { return swapped ? __builtin_bswap32(word) : word; };
    if (header.magic == kPcapng) {
        return failure(fmt::format(
            "{} is a pcapng file; a pcap file is wanted: `editcap -F pcap {} NEW`", path, path
        ));
    }
    if (!is_pcap(value(header.magic))) {
        return failure(fmt::format("{} is no capture; a pcap file is wanted", path));
    }
    if ((value(header.link_type) & 0xffff) != kEthernet) {
        return failure(fmt::format("{} holds no Ethernet frames", path));
    }
    CaptureFacts facts;
    FrameHeader frame{};
    std::vector<char> bytes(packet::kBufferRoom);
    size_t got = 0;
    while ((got = file.read(&frame, sizeof frame)) == sizeof frame) {
        const uint32_t length = value(frame.captured);
        ++facts.frames;
        if (length > packet::kBufferRoom) {
            return failure(fmt::format(
                "frame {} of {} is {} bytes long; at most {} fit a buffer",
                facts.frames,
                path,
                length,
                packet::kBufferRoom
            ));
        }
        if (file.read(bytes.data(), length) != length) {
            return failure(fmt::format("{} is cut short in frame {}", path, facts.frames));
        }
        facts.longest = std::max(facts.longest, length);
    }
    if (got != 0) {
        return failure(fmt::format("{} is cut short after frame {}", path, facts.frames));
    }
    if (facts.frames == 0) {
        return failure(fmt::format("{} holds no frame", path));
    }
    return facts;
}

}  // namespace sekisho::dpdk
