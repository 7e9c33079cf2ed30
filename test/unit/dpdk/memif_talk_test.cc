#include "dpdk/memif_talk.h"

#include <cstdio>
#include <cstring>
#include <vector>

#include <catch2/catch.hpp>
#include <unistd.h>

using namespace sekisho::dpdk;

namespace {

constexpr uint64_t kRegionBytes = 1 << 20;

// A file of the size of a region, which goes with what wants one.
class File {
  public:
    File() : file_(std::tmpfile()) { REQUIRE(ftruncate(number(), kRegionBytes) == 0); }
    ~File() { std::fclose(file_); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int number() const { return fileno(file_); }

  private:
    std::FILE* file_;
};

// A message of 128 bytes: its type, then the values one behind the other.
using Message = std::vector<std::byte>;
template <class... Values>
Message message(uint16_t type, Values... values) {
    Message made(128);
    size_t at = 0;
    const auto put = [&](auto value) {
        std::memcpy(&made[at], &value, sizeof(value));
        at += sizeof(value);
    };
    put(type);
    (put(values), ...);
    return made;
}

Message simple(uint16_t type) {
    return message(type);
}
Message region(uint16_t index, uint64_t size) {
    return message(4, index, size);
}
Message ring(
    uint16_t index,
    uint16_t to_server,
    uint16_t place = 0,
    uint32_t offset = 0,
    uint8_t log2_size = 10
) {
    return message(5, to_server, index, place, offset, log2_size);
}

const Message kAck = simple(1);
const Message kHello = simple(2);
const Message kInit = simple(3);
const Message kConnect = simple(6);
const Message kConnected = simple(7);
const Message kDisconnect = simple(8);

// How many of the messages are heard until one is refused.
size_t heard(const std::vector<Message>& said, unsigned most_rings = 2) {
    const File file;
    MemifTalk talk(most_rings);
    size_t count = 0;
    while (count < said.size() && talk.hear(said[count], file.number())) {
        ++count;
    }
    return count;
}

}  // namespace

TEST_CASE("what the ends of a memif say to each other is heard", "[dpdk][memif]") {
    const std::vector<Message> client = {
        kInit,
        region(0, kRegionBytes),
        region(1, 4096),
        ring(0, 1),
        ring(1, 1, 0, 32768),
        ring(0, 0, 0, 65536, 14),
        kConnect,
        kDisconnect};
    CHECK(heard(client) == client.size());
    const std::vector<Message> server = {kHello, kAck, kAck, kConnected, kDisconnect};
    CHECK(heard(server) == server.size());
}

TEST_CASE("what is no message, or is out of turn, is refused", "[dpdk][memif]") {
    const Message whole = region(0, kRegionBytes);
    const struct {
        const char* title;
        std::vector<Message> said;  // the last one is refused
    } rows[] = {
        {"empty", {Message()}},
        {"short", {Message(127)}},
        {"long", {Message(129)}},
        {"no type", {simple(0)}},
        {"unknown type", {simple(9)}},
        {"a client connects at once", {kConnect}},
        {"a disconnection of nothing", {kDisconnect}},
        {"a second beginning", {kInit, kInit}},
        {"both parts", {kInit, kHello}},
        {"a client acknowledges", {kInit, kAck}},
        {"a client is connected", {kInit, kConnected}},
        {"a server adds", {kHello, whole}},
        {"a server adds a ring", {kHello, ring(0, 1)}},
        {"a server connects", {kHello, kConnect}},
        {"no rings", {kInit, whole, kConnect}},
        {"one direction", {kInit, whole, ring(0, 1), kConnect}},
        {"the other direction", {kInit, whole, ring(0, 0), kConnect}},
        {"the second region first", {kInit, region(1, 4096)}},
        {"a region twice", {kInit, whole, whole}},
        {"an empty region", {kInit, region(0, 0)}},
        {"a region larger than its file", {kInit, region(0, kRegionBytes + 1)}},
        {"a region without end", {kInit, region(0, UINT64_MAX)}},
        {"a ring without a region", {kInit, ring(0, 1)}},
        {"a ring of another region", {kInit, whole, ring(0, 1, 1)}},
        {"the second ring first", {kInit, whole, ring(1, 1)}},
        {"a ring twice", {kInit, whole, ring(0, 1), ring(0, 1)}},
        {"a ring too many", {kInit, whole, ring(0, 1), ring(1, 1), ring(2, 1)}},
        {"a ring too large", {kInit, whole, ring(0, 1, 0, 0, 15)}},
        {"a ring that wraps", {kInit, whole, ring(0, 1, 0, 0, 64)}},
        {"a ring one byte too far",
         {kInit, whole, ring(0, 1, 0, kRegionBytes - 128 - 16 * 1024 + 1)}},
        {"a ring behind all", {kInit, whole, ring(0, 1, 0, UINT32_MAX)}},
        {"a region while it runs",
         {kInit, whole, ring(0, 1), ring(0, 0), kConnect, region(1, 4096)}},
        {"a ring while it runs", {kInit, whole, ring(0, 1), ring(0, 0), kConnect, ring(1, 0)}},
        {"connected twice", {kHello, kConnected, kConnected}},
        {"a word after the last", {kInit, kDisconnect, kInit}},
    };
    for (const auto& row : rows) {
        INFO(row.title);
        CHECK(heard(row.said) == row.said.size() - 1);
    }
}

TEST_CASE("the last ring that fits a region is heard", "[dpdk][memif]") {
    const std::vector<Message> said = {
        kInit, region(0, kRegionBytes), ring(0, 1, 0, kRegionBytes - 128 - 16 * 1024)};
    CHECK(heard(said) == said.size());
}

TEST_CASE("regions and rings want a file", "[dpdk][memif]") {
    const File file;
    int pipe_ends[2];
    REQUIRE(pipe(pipe_ends) == 0);
    for (const int other : {-1, pipe_ends[0]}) {
        MemifTalk talk;
        REQUIRE(talk.hear(kInit, -1));
        CHECK_FALSE(talk.hear(region(0, 4096), other));
    }
    MemifTalk talk;
    REQUIRE(talk.hear(kInit, -1));
    REQUIRE(talk.hear(region(0, kRegionBytes), file.number()));
    CHECK_FALSE(talk.hear(ring(0, 1), -1));
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}
