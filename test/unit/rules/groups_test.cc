#include "rules/groups.h"

#include "support/rules_support.h"

namespace sekisho::rules {
namespace {

Ipv4Prefix prefix(const char* text) {
    return base::parse_ipv4_prefix(text).value();
}

}  // namespace

TEST_CASE(
    "of the groups of its realm a subscriber belongs to that with the longest prefix", "[rules]"
) {
    constexpr RealmId kRed{1};
    constexpr RealmId kBlue{2};
    SubscriberGroups groups;
    CHECK(groups.is_empty());
    CHECK(groups.group_of(kRed, test::address("10.0.0.1")) == kNoGroup);
    groups.add(kRed, prefix("10.0.0.0/8"), GroupId{0});
    groups.add(kRed, prefix("10.1.0.0/16"), GroupId{1});
    groups.add(kRed, prefix("10.1.2.3/32"), GroupId{2});
    groups.add(kRed, prefix("10.1.0.0/16"), GroupId{9});
    groups.add(kBlue, prefix("0.0.0.0/0"), GroupId{3});
    CHECK(groups.group_of(kRed, test::address("10.0.0.1")) == GroupId{0});
    CHECK(groups.group_of(kRed, test::address("10.1.255.255")) == GroupId{1});
    CHECK(groups.group_of(kRed, test::address("10.1.2.3")) == GroupId{2});
    CHECK(groups.group_of(kRed, test::address("11.0.0.1")) == kNoGroup);
    CHECK(groups.group_of(kBlue, test::address("10.1.2.3")) == GroupId{3});
}

}  // namespace sekisho::rules
