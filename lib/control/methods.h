// Methods: what a client may ask, by name. The only way from the control socket to the dataplane.
//
//   Names     show.status, .links, .workers, .neighbours, .routes, .pools, .subscribers, .mappings,
//             .sessions, .counters, .drops, .log, .config, .rules; clear.sessions, .mappings, .counters;
//             config.compare, .reload; rules.change, .check.
//             Parameters and results: doc/cli.md.
//   Errors    kMethodNotFound, kInvalidParams, kServerBusy; kInternalError with the Inspector's
//             sentence.
//   Cost      bounded: a listing or a clear answers a page and a cursor (listing.h).
//   Thread    the control thread. Inspector and configuration outlive it.
#pragma once

#include <functional>
#include <string_view>

#include "config/config.h"
#include "control/legacy_call.h"
#include "control/listing.h"
#include "control/reload.h"
#include "control/rpc_error.h"
#include "control/rules_access.h"
#include "dataplane/inspector.h"

namespace sekisho::control {

struct Edited;

class Methods {
  public:
    // `rules`: nullptr: nobody has any.
    Methods(
        dataplane::Inspector& inspector,
        const config::Config& config,
        Reload reload = {},
        RulesAccess* rules = nullptr
    )
        : inspector_(inspector), config_(config), reload_(std::move(reload)), rules_(rules) {}

    // Who runs the tools of earlier packet filters.
    void set_tools(CallTool call) { call_tool_ = std::move(call); }

    // `params`: an object, or null where the request has none.
    Reply call(std::string_view method, const Json& params);

  private:
    struct Page;
    using Method = Reply (Methods::*)(const Json&);
    struct Entry {
        std::string_view name;
        Method method;
    };
    static const Entry kMethods[];

    Reply show_status(const Json& params);
    Reply show_links(const Json& params);
    Reply show_workers(const Json& params);
    Reply show_neighbours(const Json& params);
    Reply show_routes(const Json& params);
    Reply show_pools(const Json& params);
    Reply show_counters(const Json& params);
    Reply show_drops(const Json& params);
    Reply show_log(const Json& params);
    Reply show_config(const Json& params);
    Reply show_rules(const Json& params);
    Reply rules_change(const Json& params);
    Reply rules_check(const Json& params);
    Reply clear_counters(const Json& params);
    Reply config_compare(const Json& params);
    Reply config_reload(const Json& params);
    Reply legacy_command(const Json& params);

    Reply show_subscribers(const Json& params);
    Reply show_mappings(const Json& params);
    Reply show_who(const Json& params);
    Reply show_sessions(const Json& params);
    Reply clear_sessions(const Json& params);
    Reply clear_mappings(const Json& params);

    enum class Purpose : uint8_t { kShow, kClear };
    tl::expected<Page, RpcError> read_page(const Json& params, Purpose purpose);
    tl::expected<Join*, RpcError> join_of(Page& page);
    // One page of the walk over all sessions that a joined listing begins with.
    tl::expected<void, RpcError> walk(
        Page& page, const std::function<void(const nat::SessionView&)>& note
    );
    tl::expected<void, RpcError> walk_for_subscribers(Page& page);
    // The rows of one page that the filter and, where there is one, the join admit.
    tl::expected<void, RpcError> list_mappings(Page& page, Document& rows);
    tl::expected<void, RpcError> list_subscribers(Page& page, Document& rows);
    // Ends the sessions that `chosen` admits, page by page. Returns how many.
    tl::expected<uint64_t, RpcError> clear_where(
        Page& page, const std::function<bool(const nat::SessionView&)>& chosen
    );
    // Of one page: ends what subscribers have asked for. Returns how many mappings that the join has not counted.
    tl::expected<uint64_t, RpcError> clear_leases(Page& page);
    Document next_of(const Page& page);
    uint32_t opening_lifetime(const nat::Mapping& mapping) const;
    const std::vector<rules::RuleTotal>& rules_counted(bool anew);
    Document edited_object(const Edited& edited, std::chrono::nanoseconds rested);

    dataplane::Inspector& inspector_;
    const config::Config& config_;
    Reload reload_;
    RulesAccess* rules_;
    CallTool call_tool_;
    Joins joins_;
    std::vector<rules::RuleTotal> counted_;  // by rules_, then
    SteadyTime counted_at_{};
};

}  // namespace sekisho::control
