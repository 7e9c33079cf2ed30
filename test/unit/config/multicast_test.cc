// Mistakes in the section multicast.
#include "cases.h"

using namespace sekisho::config;

TEST_CASE("groups that may pass are checked", "[config]") {
    const std::string wanted = "wanted a prefix of groups, such as 239.1.0.0/16";
    check({
        {"a host's address",
         22,
         "multicast: [{groups: 10.0.0.0/8, from: ext0, to: int0}]",
         "f:22:22: found \"10.0.0.0/8\", " + wanted},
        {"more than all groups",
         22,
         "multicast: [{groups: 224.0.0.0/3, from: ext0, to: int0}]",
         "f:22:22: found \"224.0.0.0/3\", " + wanted},
        {"groups that stay on their link",
         22,
         "multicast: [{groups: 224.0.0.0/16, from: ext0, to: int0}]",
         "f:22:22: found \"224.0.0.0/16\", wanted groups outside of 224.0.0.0/24, which stay on "
         "their link"},
        {"no such link",
         22,
         "multicast: [{groups: 239.1.0.0/16, from: ext9, to: int0}]",
         "f:22:42: found \"ext9\", wanted the name of a link"},
        {"outwards",
         22,
         "multicast: [{groups: 239.1.0.0/16, from: int0, to: ext0}]",
         "f:22:52: found \"ext0\", a link on the external side, wanted a link on the internal "
         "side"},
        {"back",
         22,
         "multicast: [{groups: 239.1.0.0/16, from: int0, to: int0}]",
         "f:22:52: found the link from which the packets come, wanted another one"},
        {"two ways",
         22,
         "multicast:\n  - {groups: 239.1.0.0/16, from: ext0, to: int0}\n"
         "  - {groups: 239.1.9.0/24, from: ext0, to: int0}",
         "f:24:5: found groups of another entry from the same link, wanted one way for each"},
    });
}
