// The section pcp: what it says, what is refused, what may change while it runs.
#include <algorithm>

#include "cases.h"
#include "config/change.h"

using namespace sekisho;
using namespace sekisho::config;

namespace {

Config with(const std::string& pcp) {
    const Checked checked = parse(base_with(22, pcp), "f", kTwoCpus);
    REQUIRE(checked.config);
    return *checked.config;
}

}  // namespace

TEST_CASE("subscribers may ask for mappings unless the file says otherwise", "[config][pcp]") {
    CHECK(with("").nat.pcp == nat::PcpSettings{});
    CHECK(with("").nat.pcp.enabled);
    const nat::PcpSettings all =
        with(
            "pcp: {enabled: false, min-lifetime: 5m, max-lifetime: 1h, mappings-per-subscriber: 8,"
            " mappings: 1k}"
        )
            .nat.pcp;
    CHECK(all == nat::PcpSettings{false, {300}, {3600}, 8, 1000});
    const Config config = with("pcp: {min-lifetime: 200, mappings: 77}");
    const Checked again = parse(to_yaml(config), "f", kTwoCpus);
    REQUIRE(again.config);
    CHECK(again.config->nat.pcp == config.nat.pcp);
}

TEST_CASE("mistakes in the section pcp are named", "[config][pcp]") {
    check({
        {"a lifetime of nothing",
         22,
         "pcp: {min-lifetime: 0}",
         "f:22:21: found \"0\", wanted a duration from 1 to 1209600 seconds, such as 300, 300s, 5m "
         "or 2h"},
        {"longer than the clock's half",
         22,
         "pcp: {max-lifetime: 1209601}",
         "f:22:21: found \"1209601\", wanted a duration from 1 to 1209600 seconds, such as 300, "
         "300s, 5m or 2h"},
        {"bounds that cross",
         22,
         "pcp: {min-lifetime: 2h, max-lifetime: 1h}",
         "f:22:21: found a min-lifetime of 7200 s with a max-lifetime of 3600 s, wanted a "
         "min-lifetime that is no more than the max-lifetime"},
        {"a bound below the other's default",
         22,
         "pcp: {max-lifetime: 60}",
         "f:22:21: found a min-lifetime of 120 s with a max-lifetime of 60 s, wanted a "
         "min-lifetime that is no more than the max-lifetime"},
    });
}

TEST_CASE("lifetimes and quotas change at once, the table with a restart", "[config][pcp]") {
    const Config start = with("");
    const Change change =
        compare(start, with("pcp: {max-lifetime: 1h, mappings: 5, enabled: false}"), start);
    const auto names = [](const std::vector<Difference>& all) {
        std::vector<std::string> settings;
        std::ranges::transform(all, std::back_inserter(settings), &Difference::setting);
        return settings;
    };
    CHECK(names(change.at_once) == std::vector<std::string>{"pcp.enabled", "pcp.max-lifetime"});
    CHECK(names(change.after_restart) == std::vector<std::string>{"pcp.mappings"});
    const Config off = with("pcp: {enabled: false}");
    CHECK(names(compare(off, start, off).after_restart) == std::vector<std::string>{"pcp.enabled"});
    CHECK(compare(off, start, start).after_restart.empty());
}
