// The section log: what is wrong with it.
#include "cases.h"

using namespace sekisho::config;

TEST_CASE("the log's settings are checked", "[config][log]") {
    const std::string path = "wanted the absolute path of a file, at most 4095 bytes";
    check({
        {"no file", 22, "log: {ring: 4Ki}", "f:22:6: found log without file, wanted the key file"},
        {"a relative file", 22, "log: {file: log}", "f:22:13: found \"log\", " + path},
        {"a folder", 22, "log: {file: /var/log/}", "f:22:13: found \"/var/log/\", " + path},
        {"no power of two",
         22,
         "log: {file: /l, ring: 5000}",
         "f:22:23: found \"5000\", wanted a power of two from 2048 to 16777216"},
        {"a ring too small",
         22,
         "log: {file: /l, ring: 1Ki}",
         "f:22:23: found \"1Ki\", wanted a count from 2048 to 16777216, with k, M, Ki or Mi if "
         "need "
         "be"},
        {"an unknown event",
         22,
         "log: {file: /l, events: [mappings, flows]}",
         "f:22:36: found \"flows\", wanted mappings, blocks, limits, sessions or invalid"},
        {"an event twice",
         22,
         "log: {file: /l, events: [blocks, blocks]}",
         "f:22:34: found blocks a second time, wanted each once"},
        {"an unknown reaction",
         22,
         "log: {file: /l, on-log-loss: ignore}",
         "f:22:30: found \"ignore\", wanted refuse or count"},
    });
}
