// The section log: what is wrong with it.
#include "cases.h"
#include "rules_support.h"

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

TEST_CASE("where lines of rules go is read, written and checked", "[config][log]") {
    CHECK(must_parse(kBaseFile).syslog == SyslogSettings{});
    const Config near = must_parse(base_with(22, "syslog: {to: /run/log s, facility: local7}"));
    CHECK(near.syslog == SyslogSettings{"/run/log s", {}, 514, 23});
    CHECK(must_parse(to_yaml(near)).syslog == near.syslog);
    const Config far = must_parse(base_with(22, "syslog: {to: 192.0.2.9}"));
    CHECK(far.syslog == SyslogSettings{"", sekisho::Ipv4Addr::of(192, 0, 2, 9), 514, 3});
    const Config port = must_parse(base_with(22, "syslog: {to: \"192.0.2.9:10514\"}"));
    CHECK(port.syslog.port == 10514);
    CHECK(must_parse(to_yaml(port)).syslog == port.syslog);
    const std::string target =
        "wanted the path of a socket (/dev/log), or an address of a host with or without a port: "
        "192.0.2.1:514";
    check({
        {"a name", 22, "syslog: {to: loghost}", "f:22:14: found \"loghost\", " + target},
        {"no port",
         22,
         "syslog: {to: \"192.0.2.9:0\"}",
         "f:22:14: found \"192.0.2.9:0\", " + target},
        {"half a port",
         22,
         "syslog: {to: \"192.0.2.9:\"}",
         "f:22:14: found \"192.0.2.9:\", " + target},
        {"a large port",
         22,
         "syslog: {to: \"192.0.2.9:65536\"}",
         "f:22:14: found \"192.0.2.9:65536\", " + target},
        {"a group", 22, "syslog: {to: 224.0.0.1}", "f:22:14: found \"224.0.0.1\", " + target},
        {"a list", 22, "syslog: {to: [/dev/log]}", "f:22:14: found a list, " + target},
        {"an unknown facility",
         22,
         "syslog: {facility: local8}",
         "f:22:20: found \"local8\", wanted kern, user, mail, daemon, auth, syslog, lpr, news, "
         "uucp, cron, authpriv, ftp, ntp, audit, alert, clock, local0, local1, local2, local3, "
         "local4, local5, local6 or local7"},
        {"an unknown key",
         22,
         "syslog: {port: 514}",
         "f:22:10: found unknown key \"port\" in syslog, wanted one of to and facility"},
    });
}
