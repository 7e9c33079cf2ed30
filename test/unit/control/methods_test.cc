// Each method: its keys, its filters, its mistakes.
#include "control/methods.h"

#include <set>

#include <catch2/catch.hpp>

#include "control/rows.h"
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
    control::RpcError refusal(const std::string& method, const Json& params) {
        const auto reply = methods.call(method, params);
        REQUIRE_FALSE(reply);
        return reply.error();
    }
    // All pages of a listing; `pages` counts them.
    Document all(const std::string& method, Json params = Json::object()) {
        const std::string name = method.substr(method.find('.') + 1);
        Document rows = Document::array();
        for (pages = 1;; ++pages) {
            const Document page = call(method, params);
            for (const auto& row : page.at(name)) {
                rows.push_back(row);
            }
            if (page.at("next").is_null()) {
                return rows;
            }
            params["cursor"] = page.at("next").get<std::string>();
        }
    }
    int pages = 0;
};

nat::MappingView mapping_of(const nat::SessionView& session, uint32_t sessions) {
    nat::MappingView view{};
    view.mapping.internal_address = session.session.internal_address;
    view.mapping.internal_port = session.session.internal_port;
    view.mapping.external_address = session.session.external_address;
    view.mapping.external_port = session.session.external_port;
    view.mapping.protocol = session.session.protocol;
    view.mapping.realm = session.session.realm;
    view.mapping.sessions = sessions;
    view.index = session.session.mapping;
    view.shard = session.shard;
    return view;
}

nat::SubscriberView subscriber_of(const nat::SessionView& session) {
    nat::SubscriberView view{};
    view.address = Ipv4Addr{session.session.internal_address};
    view.realm = kInternalRealm;
    view.external_address = Ipv4Addr{session.session.external_address};
    view.sessions = 3;
    view.ports = 2;
    view.blocks = 1;
    return view;
}

}  // namespace

TEST_CASE("show.status tells name, tables, buffers and memory", "[control][rfc6888-req10]") {
    Rig rig;
    rig.inspector.status_view = {
        "lab", "0.1.0", 61, 2, 3, true, {1, 10}, {2, 20}, {3, 30}, {5, 50}, {4, 40}, 4096};
    REQUIRE(
        rig.call("show.status") == Document::parse(R"({
        "name": "lab", "version": "0.1.0", "uptime": 61, "workers": 2, "shards": 3,
        "huge-pages": true, "arena-bytes": 4096,
        "sessions": {"used": 1, "capacity": 10}, "mappings": {"used": 2, "capacity": 20},
        "subscribers": {"used": 3, "capacity": 30},
        "address-only-sessions": {"used": 5, "capacity": 50}, "buffers": {"capacity": 40, "in-use": 4}})"
                                   )
    );
}

TEST_CASE("show.counters has the keys of the law, and only reasons that occurred", "[control]") {
    Rig rig;
    auto& totals = rig.inspector.totals;
    totals.received = 100;
    totals.generated = 5;
    totals.forwarded = 90;
    totals.consumed = 8;
    totals.held = 4;
    totals.handed_off = 2;
    totals.punted = 1;
    totals.untranslated = 9;
    totals.multicast = 4;
    totals.syns_waiting = 7;
    totals.syns_answered = 6;
    totals.pings_answered = 5;
    totals.pcp[static_cast<size_t>(nat::PcpResult::kSuccess)] = 2;
    totals.dropped[static_cast<size_t>(DropReason::kNoPolicy)] = 3;
    REQUIRE(
        rig.call("show.counters") == Document::parse(R"({
        "received": 100, "generated": 5, "forwarded": 90, "consumed": 8, "held": 4,
        "dropped": {"no-policy": 3}, "handed-off": 2, "punted": 1, "untranslated": 9, "multicast": 4,
        "syns-waiting": 7, "syns-answered": 6, "pings-answered": 5, "pcp-answers": {"granted": 2}})"
                                     )
    );

    SECTION("show.drops lists every reason with its sentence, and the sum") {
        const Document drops = rig.call("show.drops");
        REQUIRE(drops.at("total") == 3);
        REQUIRE(drops.at("drops").size() == base::kDropReasonCount);
        for (const auto& row : drops.at("drops")) {
            REQUIRE(row.at("count") == (row.at("reason") == "no-policy" ? 3 : 0));
            REQUIRE_FALSE(row.at("sentence").get<std::string>().empty());
            REQUIRE_FALSE(row.at("source").get<std::string>().empty());
        }
    }
    SECTION("clear.counters lets them begin from zero") {
        REQUIRE(rig.call("clear.counters").at("cleared") == true);
        REQUIRE(rig.call("show.counters").at("received") == 0);
    }
}

TEST_CASE("show.links joins the configuration with the device", "[control]") {
    Rig rig;
    dataplane::LinkView view;
    view.id = LinkId{1};
    view.up = true;
    view.mac = MacAddr{{2, 0, 0, 0, 0, 2}};
    view.driver = "net_af_packet";
    view.steering = "software";
    view.queues = 1;
    view.stats = {10, 1000, 1, 2, 20, 2000, 3, 4};
    rig.inspector.link_views = {view};
    REQUIRE(rig.call("show.links") == Document::parse(R"({"links": [{
        "name": "ext0", "device": "af_packet:veth-ext", "realm": "external",
        "addresses": ["198.51.100.2/24"], "mtu": 1500, "vlans": [100], "up": true,
        "mac": "02:00:00:00:00:02", "driver": "net_af_packet", "steering": "software", "queues": 1,
        "received-packets": 10, "received-bytes": 1000, "received-missed": 1, "received-errors": 2,
        "sent-packets": 20, "sent-bytes": 2000, "sent-errors": 3, "no-buffer": 4, "downs": 0}]})"));
}

TEST_CASE(
    "show.workers, show.neighbours, show.routes and show.pools have their keys", "[control]"
) {
    Rig rig;
    rig.inspector.worker_views = {{WorkerId{1}, 3, {1, 5}, 10, 11, 12, 13, 14, false, {"int0/1"}}};
    REQUIRE(rig.call("show.workers") == Document::parse(R"({"workers": [{"worker": 1, "cpu": 3,
        "alive": false, "shards": [1, 5], "queues": ["int0/1"], "heartbeat": 10, "busy": 11,
        "packets": 12, "pauses": 13, "sent-for-others": 14}]})"));

    rig.inspector.neighbour_views = {
        {Ipv4Addr::of(198, 51, 100, 1),
         LinkId{1},
         MacAddr{{2, 0, 0, 0, 0, 9}},
         "reachable",
         12,
         1,
         true}};
    REQUIRE(rig.call("show.neighbours") == Document::parse(R"({"neighbours": [{
        "address": "198.51.100.1", "link": "ext0", "realm": "external", "mac": "02:00:00:00:00:09",
        "state": "reachable", "gateway": true, "age": 12, "held": 1}]})"));

    REQUIRE(rig.call("show.routes") == Document::parse(R"({"routes": [
        {"prefix": "198.51.100.0/24", "next-hop": null, "link": "ext0", "realm": "external",
         "on-link": true},
        {"prefix": "100.64.0.0/10", "next-hop": null, "link": "int0", "realm": "internal",
         "on-link": true},
        {"prefix": "0.0.0.0/0", "next-hop": "198.51.100.1", "link": "ext0", "realm": "external",
         "on-link": false}]})"));

    rig.inspector.pool_views = {{100, 7, 30, 4, 2}};
    REQUIRE(rig.call("show.pools") == Document::parse(R"({"pools": [{"name": "main",
        "addresses": ["203.0.113.0-203.0.113.15"], "ports": "1024-65535", "reserved-ports": [],
        "port-block-size": 256, "blocks-per-subscriber": 8, "port-selection": "random",
        "port-ranges": "any", "port-parity": false, "port-contiguity": false, "pairing": "hard",
        "overflow-pool": null, "port-quarantine": 120, "port-quarantine-ports": 0,
        "block-release-delay": 60, "block-max-age": 0, "keep-first-block": false,
        "blocks": {"free": 100, "granted": 7}, "ports-in-use": 30, "ports-resting": 4,
         "addresses-draining": 0, "sessions-withdrawn": 0,
        "ports-total": 3096576, "refused": 2}]})"));
}

TEST_CASE("show.log tells of the log and of each ring", "[control][log]") {
    Rig rig;
    REQUIRE(rig.call("show.log") == Document::parse(R"({"state": "off", "file": null,
        "on-log-loss": "refuse", "events": 0, "written": 0, "written-bytes": 0, "lost": 0,
        "pending": 0, "failures": 0, "opened": 0, "last-error": null,
        "clock-synchronised": false, "rings": [], "rules": {"to": "", "sent": 0, "failed": 0,
        "suppressed": 0, "lost": 0, "last-error": null}})"));
    auto& log = rig.inspector.log_view;
    log.state = dataplane::LogState::kFailing;
    log.file = "/l";
    log.error = "cannot write /l: No space left on device";
    log.written = 90;
    log.bytes = 18000;
    log.failures = 3;
    log.opened = 1;
    log.clock_synchronised = true;
    log.rings = {{64, 10, 60, 1, 2}, {64, 0, 40, 0, 5}};
    log.rules = {"/dev/log", "No such file or directory", 4, 3, 2, 1};
    REQUIRE(rig.call("show.log") == Document::parse(R"({"state": "failing", "file": "/l",
        "on-log-loss": "refuse", "events": 100, "written": 90, "written-bytes": 18000, "lost": 1,
        "pending": 7, "failures": 3, "opened": 1,
        "last-error": "cannot write /l: No space left on device", "clock-synchronised": true,
        "rings": [
          {"shard": 0, "events": 60, "lost": 1, "pending": 2, "used": 10, "capacity": 64},
          {"shard": 1, "events": 40, "lost": 0, "pending": 5, "used": 0, "capacity": 64}],
        "rules": {"to": "/dev/log", "sent": 4, "failed": 3, "suppressed": 2, "lost": 1,
          "last-error": "No such file or directory"}})"));
}

TEST_CASE("show.config gives the file as read and what is in effect", "[control]") {
    Rig rig;
    const Document reply = rig.call("show.config");
    REQUIRE(reply.at("source") == "system: {name: lab}\n");
    REQUIRE(reply.at("effective").get<std::string>().find("veth-int") != std::string::npos);
}

TEST_CASE("a session's keys follow RFC 8512", "[control][rfc8512]") {
    Rig rig;
    rig.inspector.add(session_of(1));
    REQUIRE(rig.all("show.sessions") == Document::parse(R"([{
        "transport-protocol": "udp", "internal-src-address": "100.64.0.10",
        "internal-src-port": 40001, "external-src-address": "203.0.113.5",
        "external-src-port": 1025, "remote-address": "192.0.2.1", "remote-port": 53,
        "realm": "internal", "pool": "main", "policy": "everyone", "state": "udp",
        "packets-outbound": 7, "packets-inbound": 6, "idle": 2, "lifetime": 297, "shard": 0}])"));
}

TEST_CASE(
    "a redirected flow is found by its target and by whom its subscriber has sent to", "[control]"
) {
    Rig rig;
    auto redirected = session_of(1);
    redirected.session.realm |= flow::kRedirectedRealm;
    redirected.original = {Ipv4Addr::of(192, 0, 2, 200), Port::from_host(80)};
    auto mapping = mapping_of(redirected, 1);
    mapping.mapping.realm = kInternalRealm.value;
    mapping.remote = {redirected.original.address.raw, redirected.original.port.raw, 1};
    rig.inspector.add(redirected);
    rig.inspector.add(mapping);
    rig.inspector.add(session_of(2));
    const Document row = rig.all("show.sessions", {{"remote", "192.0.2.200:80"}}).at(0);
    CHECK(row.at("internal-dst-address") == "192.0.2.200");
    CHECK(row.at("internal-dst-port") == 80);
    const auto target = row.at("remote-address").get<std::string>();
    CHECK(target != "192.0.2.200");
    CHECK(rig.all("show.sessions", {{"remote", target}}).size() >= 1);
    CHECK(rig.all("show.sessions", {{"remote", "192.0.2.200:81"}}).empty());
    const Document mappings = rig.all("show.mappings", {{"remote", "192.0.2.200"}});
    REQUIRE(mappings.size() == 1);
    CHECK(mappings.at(0).at("internal-dst-address") == "192.0.2.200");
    CHECK_FALSE(mappings.at(0).contains("remote-address"));
}

TEST_CASE("who is called alike in two realms is told apart by a filter", "[control]") {
    Rig rig;
    auto other = session_of(1);
    other.session.realm = 2;
    rig.inspector.add(session_of(1));
    rig.inspector.add(other);
    CHECK(rig.all("show.sessions", {{"subscriber", "100.64.0.10"}}).size() == 2);
    for (const char* realm : {"internal", "lab"}) {
        const Document rows =
            rig.all("show.sessions", {{"subscriber", "100.64.0.10"}, {"realm", realm}});
        REQUIRE(rows.size() == 1);
        CHECK(rows.at(0).at("realm") == realm);
    }
    for (const char* realm : {"external", "nowhere"}) {
        const std::string refused = rig.refusal("show.sessions", {{"realm", realm}}).message;
        CHECK(
            refused.find("wanted the name of a realm on the internal side: internal, lab") !=
            std::string::npos
        );
    }
}

TEST_CASE("every session state has a name of its own", "[control]") {
    std::set<std::string> names;
    for (int i = 0; i < static_cast<int>(SessionState::kCount); ++i) {
        names.insert(control::state_name(static_cast<SessionState>(i)));
    }
    REQUIRE(names.size() == static_cast<size_t>(SessionState::kCount));
    REQUIRE(names.contains("tcp-established"));
}

TEST_CASE(
    "a mapping's keys follow RFC 8512; its lifetime is its last session's", "[control][rfc8512]"
) {
    Rig rig;
    auto session = session_of(1);
    session.lifetime_ms = 10000;
    rig.inspector.add(session);
    session.lifetime_ms = 297900;
    rig.inspector.add(session);
    session.lifetime_ms = 60000;
    rig.inspector.add(session);
    rig.inspector.add(mapping_of(session, 3));
    REQUIRE(rig.all("show.mappings") == Document::parse(R"([{
        "transport-protocol": "udp", "internal-src-address": "100.64.0.10",
        "internal-src-port": 40001, "external-src-address": "203.0.113.5",
        "external-src-port": 1025, "realm": "internal", "pool": "main", "policy": "everyone",
        "type": "dynamic", "sessions": 3, "lifetime": 297, "shard": 0}])"));
}

TEST_CASE("a static mapping is one row, found by any port of it", "[control]") {
    Rig rig;
    const auto session = session_of(1);  // 100.64.0.10:40001, 203.0.113.5:1025
    rig.inspector.add(session);
    auto entry = mapping_of(session, 1);
    entry.kind = nat::MappingView::kStatic;
    entry.index = kNoIndex;
    entry.more_ports = 9;
    rig.inspector.add(entry);
    auto use = mapping_of(session, 1);
    use.kind = nat::MappingView::kStaticUse;
    rig.inspector.add(use);
    const Document rows = rig.all("show.mappings");
    REQUIRE(rows == Document::parse(R"([{
        "transport-protocol": "udp", "internal-src-address": "100.64.0.10",
        "internal-src-port": 40001, "external-src-address": "203.0.113.5",
        "external-src-port": 1025, "realm": "internal", "pool": "main", "policy": "everyone",
        "type": "static", "sessions": 1, "lifetime": null, "shard": 0,
        "internal-last-port": 40010, "external-last-port": 1034}])"));
    const auto found = [&](const char* filter, const char* value) {
        return rig.all("show.mappings", {{filter, value}}).size();
    };
    CHECK(found("external", "203.0.113.5:1025") == 1);
    CHECK(found("external", "203.0.113.5:1034") == 1);
    CHECK(found("external", "203.0.113.5:1035") == 0);
    CHECK(found("external", "203.0.113.5:1024") == 0);
    CHECK(found("subscriber", "100.64.0.10") == 1);
    // Who asks for a remote endpoint is told which port of it is in use.
    const Document in_use = rig.all("show.mappings", {{"remote", "192.0.2.1"}});
    REQUIRE(in_use.size() == 1);
    CHECK(in_use[0].at("lifetime") == 297);
    CHECK(in_use[0].at("type") == "static");
}

TEST_CASE("lifetimes are told apart by shard, index and external endpoint", "[control]") {
    Rig rig;
    auto here = session_of(1);
    here.lifetime_ms = 5000;
    auto there = here;
    there.shard = ShardId{1};
    there.lifetime_ms = 9000;
    rig.inspector.add(here);
    rig.inspector.add(there);
    rig.inspector.add(mapping_of(here, 1));
    rig.inspector.add(mapping_of(there, 1));
    auto reused = mapping_of(here, 1);  // the index belongs to another mapping by now
    reused.mapping.external_port = Port::from_host(2000).raw;
    rig.inspector.add(reused);
    const Document rows = rig.all("show.mappings");
    REQUIRE(rows.size() == 3);
    REQUIRE(rows[0].at("lifetime") == 5);
    REQUIRE(rows[1].at("lifetime") == 300);  // younger than the walk: the timeout it began with
    REQUIRE(rows[2].at("lifetime") == 9);
}

TEST_CASE("a subscriber's keys; without a paired address it is null", "[control]") {
    Rig rig;
    auto view = subscriber_of(session_of(1));
    rig.inspector.add(view);
    view.external_address = {};
    view.waiting = true;
    rig.inspector.add(view);
    const Document rows = rig.all("show.subscribers");
    REQUIRE(rows[0] == Document::parse(R"({"address": "100.64.0.10", "realm": "internal",
        "external-address": "203.0.113.5", "policy": "everyone", "sessions": 3, "ports": 2,
        "blocks": 1, "waiting": false, "shard": 0})"));
    REQUIRE(rows[1].at("external-address").is_null());
    REQUIRE(rows[1].at("waiting") == true);
}

TEST_CASE("filters choose sessions, their mappings and their subscribers", "[control]") {
    Rig rig;
    // Three subscribers with a session and a mapping each.
    auto dns = session_of(0);
    auto web = session_of(4);
    web.session.protocol = 6;
    web.session.state = SessionState::kTcpEstablished;
    web.session.remote_address = Ipv4Addr::of(192, 0, 2, 80).raw;
    web.session.remote_port = Port::from_host(443).raw;
    auto ping = session_of(8);
    ping.session.protocol = 1;
    ping.session.external_address = Ipv4Addr::of(203, 0, 113, 9).raw;
    for (const auto& session : {dns, web, ping}) {
        rig.inspector.add(session);
        rig.inspector.add(mapping_of(session, 1));
        rig.inspector.add(subscriber_of(session));
    }
    struct Case {
        Json filter;
        std::vector<std::string> addresses;
    };
    const std::string a = "100.64.0.10";
    const std::string b = "100.64.0.11";
    const std::string c = "100.64.0.12";
    const auto chosen = GENERATE_REF(values<Case>({
        {Json::object(), {a, b, c}},
        {{{"subscriber", b}}, {b}},
        {{{"subscriber", "100.64.9.9"}}, {}},
        {{{"external", "203.0.113.9"}}, {c}},
        {{{"external", "203.0.113.5"}}, {a, b}},
        {{{"external", "203.0.113.5:1028"}}, {b}},
        {{{"external", "203.0.113.5:9"}}, {}},
        {{{"remote", "192.0.2.80"}}, {b}},
        {{{"remote", "192.0.2.80:443"}}, {b}},
        {{{"remote", "192.0.2.80:80"}}, {}},
        {{{"remote", "192.0.2.1"}}, {a, c}},
        {{{"protocol", "tcp"}}, {b}},
        {{{"protocol", "udp"}}, {a}},
        {{{"protocol", "icmp"}}, {c}},
        {{{"protocol", "icmp"}, {"subscriber", a}}, {}},
        {{{"remote", "192.0.2.1"}, {"external", "203.0.113.5"}}, {a}},
    }));
    INFO(chosen.filter.dump());
    for (const auto& [method, key] : std::vector<std::pair<std::string, std::string>>{
             {"show.sessions", "internal-src-address"},
             {"show.mappings", "internal-src-address"},
             {"show.subscribers", "address"}}) {
        INFO(method);
        std::vector<std::string> found;
        for (const auto& row : rig.all(method, chosen.filter)) {
            found.push_back(row.at(key));
        }
        REQUIRE(found == chosen.addresses);
    }
}

TEST_CASE("a wrong parameter is named with what was found and wanted", "[control]") {
    Rig rig;
    struct Case {
        const char* method;
        Json params;
        std::string message;
    };
    const auto wrong = GENERATE(values<Case>({
        {"show.sessions",
         {{"limit", "ten"}},
         "parameter 'limit': found \"ten\", wanted a whole number from 1 to 10000"},
        {"show.sessions",
         {{"limit", 0}},
         "parameter 'limit': found 0, wanted a whole number from 1 to 10000"},
        {"show.sessions",
         {{"limit", -1}},
         "parameter 'limit': found -1, wanted a whole number from 1 to 10000"},
        {"show.sessions",
         {{"limit", 1.5}},
         "parameter 'limit': found 1.5, wanted a whole number from 1 to 10000"},
        {"show.mappings",
         {{"subscriber", 7}},
         "parameter 'subscriber': found 7, wanted an IPv4 address like 192.0.2.1"},
        {"show.mappings",
         {{"subscriber", "1.2.3"}},
         "parameter 'subscriber': found \"1.2.3\", wanted an IPv4 address like 192.0.2.1"},
        {"show.sessions",
         {{"external", "1.2.3.4:70000"}},
         "parameter 'external': found \"1.2.3.4:70000\", wanted an IPv4 address, or address and "
         "port like 192.0.2.1:4000"},
        {"show.sessions",
         {{"remote", "1.2.3.4:"}},
         "parameter 'remote': found \"1.2.3.4:\", wanted an IPv4 address, or address and port "
         "like 192.0.2.1:4000"},
        {"show.sessions",
         {{"protocol", "egp"}},
         "parameter 'protocol': found \"egp\", wanted tcp, udp, icmp, sctp, dccp, udp-lite, gre or "
         "esp"},
        {"show.sessions",
         {{"cursor", "x"}},
         "parameter 'cursor': found \"x\", wanted the 'next' of an earlier page"},
        {"show.sessions",
         {{"cursor", "1.2.3"}},
         "parameter 'cursor': found \"1.2.3\", wanted the 'next' of an earlier page"},
        {"show.sessions",
         {{"colour", "red"}},
         "parameter 'params': found the name \"colour\", wanted one of subscriber, realm, "
         "external, "
         "remote, protocol, limit, cursor"},
        {"show.status", {{"x", 1}}, "parameter 'params': found the name \"x\", wanted none"},
        {"show.status",
         Json::array({1}),
         "parameter 'params': found [1], wanted an object of named parameters"},
        {"clear.sessions",
         Json::object(),
         "parameter 'all': found no filter, wanted a filter (subscriber, realm, external, remote, "
         "protocol) or all: true"},
        {"clear.mappings",
         {{"all", true}, {"protocol", "udp"}},
         "parameter 'all': found true beside a filter, wanted a filter (subscriber, realm, "
         "external, "
         "remote, protocol) or all: true"},
        {"clear.sessions",
         {{"all", "yes"}},
         "parameter 'all': found \"yes\", wanted true or false"},
    }));
    INFO(wrong.method << " " << wrong.params.dump());
    const auto error = rig.refusal(wrong.method, wrong.params);
    REQUIRE(error.code == control::kInvalidParams);
    REQUIRE(error.message == wrong.message);
    REQUIRE(rig.inspector.cleared.empty());
}

TEST_CASE("a worker that does not answer is an internal error with its sentence", "[control]") {
    Rig rig;
    rig.inspector.trouble = "worker 2 does not answer";
    for (const char* method :
         {"show.sessions", "show.mappings", "show.subscribers", "show.pools"}) {
        const auto error = rig.refusal(method, Json());
        REQUIRE(error.code == control::kInternalError);
        REQUIRE(error.message == "worker 2 does not answer");
    }
}

TEST_CASE(
    "show.who answers by the formula, or by the mapping that is there", "[control][pitfall-30]"
) {
    Rig rig;
    const nat::MappingView view = mapping_of(session_of(2), 1);
    const nat::Mapping& second = view.mapping;
    rig.inspector.add(mapping_of(session_of(1), 1));
    rig.inspector.add(view);
    const auto external = [](Ipv4Addr address, uint16_t port) {
        return Json{{"external", base::to_text(address) + ":" + std::to_string(port)}};
    };
    const Json wanted = external({second.external_address}, Port{second.external_port}.host());
    const Document live = rig.all("show.who", wanted);
    REQUIRE(live.size() == 1);
    CHECK(live[0].at("by") == "mapping");
    CHECK(live[0].at("internal-src-port") == Port{second.internal_port}.host());

    rig.config.nat.pools[0].port_selection = nat::PortSelection::kDeterministic;
    rig.config.nat.policies[0].source = {{Ipv4Addr::of(100, 64, 3, 0), 24}};
    const Document told = rig.all("show.who", external(Ipv4Addr::of(203, 0, 113, 0), 1300));
    REQUIRE(told.size() == 1);
    CHECK(told[0].at("by") == "formula");
    CHECK(told[0].at("internal-src-address") == "100.64.3.1");
    CHECK(told[0].at("external-src-ports") == "1280-1535");
    CHECK(rig.all("show.who", external(Ipv4Addr::of(203, 0, 113, 9), 1300)).empty());
    for (const Json& wrong :
         {Json::object(), Json{{"external", "203.0.113.5"}}, Json{{"external", 7}}}) {
        CHECK(
            rig.refusal("show.who", wrong).message.find("wanted an external address and port") !=
            std::string::npos
        );
    }
}
