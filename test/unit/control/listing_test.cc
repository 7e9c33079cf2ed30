// Pages, cursors and clears: bounded work, nothing twice, nothing left out.
#include <cstdlib>
#include <set>

#include <catch2/catch.hpp>

#include "control/methods.h"
#include "fake_inspector.h"

using namespace sekisho;
using control::Document;
using control::Json;
using test::session_of;

namespace {

struct Rig {
    config::Config config = test::small_config();
    test::FakeInspector inspector{config};
    control::Methods methods{inspector, config};
    Document call(const std::string& method, const Json& params = Json()) {
        const auto reply = methods.call(method, params);
        INFO((reply ? "" : reply.error().message));
        REQUIRE(reply);
        return *reply;
    }
};

nat::MappingView mapping_of(uint32_t number) {
    const auto session = session_of(number);
    nat::MappingView view{};
    view.mapping.internal_address = session.session.internal_address;
    view.mapping.internal_port = session.session.internal_port;
    view.mapping.external_address = session.session.external_address;
    view.mapping.external_port = session.session.external_port;
    view.mapping.protocol = session.session.protocol;
    view.mapping.sessions = 1;
    view.index = number;
    return view;
}

}  // namespace

TEST_CASE(
    "every session of a large table is listed once, in bounded pages", "[control][pitfall-31]"
) {
    Rig rig;
    // A million rows take minutes in a build with sanitizers.
    const uint32_t count = std::getenv("SEKISHO_LONG") != nullptr ? 1'000'000 : 100'000;
    rig.inspector.generated_sessions = count;
    uint64_t seen = 0;
    Json params = {{"limit", 10000}};
    while (true) {
        const uint64_t before = rig.inspector.entries_looked_at;
        const Document page = rig.call("show.sessions", params);
        REQUIRE(page.at("sessions").size() <= 10000);
        REQUIRE(rig.inspector.entries_looked_at - before <= control::kEntriesPerPage);
        seen += page.at("sessions").size();
        if (page.at("next").is_null()) {
            break;
        }
        params["cursor"] = page.at("next").get<std::string>();
    }
    REQUIRE(seen == count);
    REQUIRE(rig.inspector.most_entries <= control::kEntriesPerCall);
}

TEST_CASE("a page keeps to its limit, whatever the limit", "[control]") {
    Rig rig;
    for (uint32_t i = 0; i < 3000; ++i) {
        auto session = session_of(i);
        session.shard = ShardId{static_cast<uint8_t>(i % 3)};
        rig.inspector.add(session);
    }
    const auto limit = GENERATE(as<uint32_t>(), 1, 7, 1000, 1024, 1500, 10000);
    std::multiset<std::pair<unsigned, unsigned>> seen;
    Json params = {{"limit", limit}};
    while (true) {
        const Document page = rig.call("show.sessions", params);
        REQUIRE(page.at("sessions").size() <= limit);
        for (const auto& row : page.at("sessions")) {
            seen.emplace(
                row.at("shard").get<unsigned>(), row.at("external-src-port").get<unsigned>()
            );
        }
        if (page.at("next").is_null()) {
            break;
        }
        params["cursor"] = page.at("next").get<std::string>();
    }
    REQUIRE(seen.size() == 3000);
    REQUIRE(std::set(seen.begin(), seen.end()).size() == 3000);
}

TEST_CASE("a filter that admits nothing does not look at a million entries at once", "[control]") {
    Rig rig;
    rig.inspector.generated_sessions = 1'000'000;
    const Document page = rig.call("show.sessions", {{"subscriber", "10.9.9.9"}});
    REQUIRE(page.at("sessions").empty());
    REQUIRE(page.at("next").is_string());
    REQUIRE(rig.inspector.entries_looked_at <= control::kEntriesPerPage);
}

TEST_CASE("any cursor is safe; one beyond the end ends the listing", "[control]") {
    Rig rig;
    rig.inspector.add(session_of(1));
    for (const char* cursor : {"4294967295.4294967295", "0.4294967295", "77.0"}) {
        const Document page = rig.call("show.sessions", {{"cursor", cursor}});
        REQUIRE(page.at("sessions").empty());
        REQUIRE(page.at("next").is_null());
    }
    for (const char* cursor :
         {"", ".", "1.", "-1.0", "0.0 ", "4294967296.0", "1.2.0.0", "1.1.1.1.1"}) {
        const auto reply = rig.methods.call("show.sessions", {{"cursor", cursor}});
        INFO(cursor);
        REQUIRE_FALSE(reply);
        REQUIRE(reply.error().code == control::kInvalidParams);
    }
    const auto unknown = rig.methods.call("show.mappings", {{"cursor", "99.1.0.0"}});
    REQUIRE_FALSE(unknown);
    REQUIRE(unknown.error().message.find("begin again") != std::string::npos);
}

TEST_CASE("mappings of a large table: first the walk in empty pages, then rows", "[control]") {
    Rig rig;
    constexpr uint32_t kSessions = 200'000;
    rig.inspector.generated_sessions = kSessions;
    for (uint32_t i = 0; i < 5000; ++i) {
        rig.inspector.add(mapping_of(i));
    }
    Json params = {{"limit", 2000}};
    int empty = 0;
    size_t rows = 0;
    while (true) {
        const uint64_t before = rig.inspector.entries_looked_at;
        const Document page = rig.call("show.mappings", params);
        REQUIRE(rig.inspector.entries_looked_at - before <= 2 * control::kEntriesPerPage);
        rows += page.at("mappings").size();
        empty += page.at("mappings").empty() ? 1 : 0;
        for (const auto& row : page.at("mappings")) {
            REQUIRE(row.at("lifetime").get<int>() <= 297);
            REQUIRE(row.at("lifetime").get<int>() >= 250);
        }
        if (page.at("next").is_null()) {
            break;
        }
        params["cursor"] = page.at("next").get<std::string>();
    }
    REQUIRE(rows == 5000);
    REQUIRE(empty >= 3);
}

TEST_CASE(
    "joined listings are bounded in number, and one that is over gives its place back", "[control]"
) {
    Rig rig;
    rig.inspector.generated_sessions = 200'000;
    std::vector<std::string> cursors;
    for (size_t i = 0; i < control::kMaxJoins; ++i) {
        cursors.push_back(rig.call("show.mappings").at("next").get<std::string>());
    }
    const auto refused = rig.methods.call("show.mappings", Json());
    REQUIRE_FALSE(refused);
    REQUIRE(refused.error().code == control::kServerBusy);
    for (std::string& cursor : cursors) {  // every one of them still goes on to its end
        while (true) {
            const Document page = rig.call("show.mappings", {{"cursor", cursor}});
            if (page.at("next").is_null()) {
                break;
            }
            cursor = page.at("next").get<std::string>();
        }
    }
    REQUIRE(rig.call("show.mappings").at("next").is_string());
}

TEST_CASE("clear.sessions ends just those that the filter admits", "[control]") {
    Rig rig;
    for (uint32_t i = 0; i < 12; ++i) {
        rig.inspector.add(session_of(i));
    }
    const Document some = rig.call("clear.sessions", {{"subscriber", "100.64.0.11"}});
    REQUIRE(some == Document::parse(R"({"cleared": 4, "next": null})"));
    REQUIRE(rig.inspector.cleared == std::vector<uint32_t>{4, 5, 6, 7});

    const Document all = rig.call("clear.sessions", {{"all", true}});
    REQUIRE(all.at("cleared") == 12);
}

TEST_CASE(
    "clear.mappings ends what subscribers have asked for, with sessions or without", "[control]"
) {
    Rig rig;
    rig.inspector.add(session_of(3));
    const uint32_t with_session = session_of(3).session.mapping;
    for (uint32_t i = 0; i < 12; ++i) {
        nat::MappingView view = mapping_of(i);
        view.is_leased = i % 2 == 1 || view.index == with_session;
        rig.inspector.add(view);
    }
    const auto clear = [&](Json params) {
        uint64_t cleared = 0;
        while (true) {
            const Document page = rig.call("clear.mappings", params);
            cleared += page.at("cleared").get<uint64_t>();
            if (page.at("next").is_null()) {
                return cleared;
            }
            params["cursor"] = page.at("next").get<std::string>();
        }
    };
    const auto leased = [&](uint32_t i) { return i % 2 == 1 || i == with_session; };
    std::vector<uint32_t> all;
    for (uint32_t i = 0; i < 12; ++i) {
        if (leased(mapping_of(i).index)) {
            all.push_back(mapping_of(i).index);
        }
    }
    CHECK(clear({{"remote", "192.0.2.250"}}) == 0);
    CHECK(rig.inspector.cleared_leases.empty());
    CHECK(clear({{"all", true}, {"limit", 2}}) == all.size());
    std::ranges::sort(rig.inspector.cleared_leases);
    CHECK(rig.inspector.cleared_leases == all);
}

TEST_CASE("clear.mappings ends all sessions of the chosen mappings", "[control]") {
    Rig rig;
    auto session = session_of(3);
    rig.inspector.add(session);
    session.session.remote_address = Ipv4Addr::of(192, 0, 2, 99).raw;
    rig.inspector.add(session);        // the same mapping, another remote endpoint
    rig.inspector.add(session_of(5));  // another mapping
    uint64_t mappings = 0;
    uint64_t sessions = 0;
    Json params = {{"remote", "192.0.2.99"}};
    while (true) {
        const Document page = rig.call("clear.mappings", params);
        mappings += page.at("cleared").get<uint64_t>();
        sessions += page.at("sessions").get<uint64_t>();
        if (page.at("next").is_null()) {
            break;
        }
        params["cursor"] = page.at("next").get<std::string>();
    }
    REQUIRE(mappings == 1);
    REQUIRE(sessions == 2);
    REQUIRE(rig.inspector.cleared == std::vector<uint32_t>{0, 1});
}
