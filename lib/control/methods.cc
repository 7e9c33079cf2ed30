#include "control/methods.h"

#include <fmt/format.h>

#include "control/json_text.h"
#include "control/params.h"
#include "control/rows.h"

namespace sekisho::control {

const Methods::Entry Methods::kMethods[] = {
    {"show.status", &Methods::show_status},
    {"show.links", &Methods::show_links},
    {"show.workers", &Methods::show_workers},
    {"show.neighbours", &Methods::show_neighbours},
    {"show.routes", &Methods::show_routes},
    {"show.pools", &Methods::show_pools},
    {"show.subscribers", &Methods::show_subscribers},
    {"show.mappings", &Methods::show_mappings},
    {"show.who", &Methods::show_who},
    {"show.sessions", &Methods::show_sessions},
    {"show.counters", &Methods::show_counters},
    {"show.drops", &Methods::show_drops},
    {"show.log", &Methods::show_log},
    {"show.config", &Methods::show_config},
    {"show.rules", &Methods::show_rules},
    {"clear.sessions", &Methods::clear_sessions},
    {"clear.mappings", &Methods::clear_mappings},
    {"clear.counters", &Methods::clear_counters},
    {"config.compare", &Methods::config_compare},
    {"config.reload", &Methods::config_reload},
    {"legacy.command", &Methods::legacy_command},
    {"rules.change", &Methods::rules_change},
    {"rules.check", &Methods::rules_check},
};

Reply Methods::call(std::string_view method, const Json& params) {
    for (const Entry& entry : kMethods) {
        if (entry.name == method) {
            return (this->*entry.method)(params);
        }
    }
    return refuse(
        kMethodNotFound, fmt::format("there is no method {}", quoted(Json(std::string(method))))
    );
}

namespace {

// For methods without parameters: the object, unless some were given.
template <class Make>
Reply without_params(const Json& params, Make make) {
    if (const auto read = ParamReader(params).finish(); !read) {
        return tl::unexpected<RpcError>(read.error());
    }
    return make();
}

// {"NAME": [row, ...]}
template <class Things, class MakeRow>
Document list_of(const char* name, const Things& things, MakeRow make_row) {
    Document rows = Document::array();
    for (const auto& thing : things) {
        rows.push_back(make_row(thing));
    }
    Document out = Document::object();
    out[name] = std::move(rows);
    return out;
}

Document difference_row(const config::Difference& difference) {
    return {{"setting", difference.setting}, {"from", difference.from}, {"to", difference.to}};
}

Reply reloaded(const Reload& reload, ReloadKind kind) {
    if (!reload) {
        return refuse(kInternalError, "there is no file to read a configuration from");
    }
    const Reloaded done = reload(kind);
    if (!done) {
        return refuse(kInternalError, done.error().message);
    }
    const bool is_done = kind == ReloadKind::kCommit;
    Document out = list_of(is_done ? "changed" : "at-once", done->at_once, difference_row);
    if (is_done) {
        out["rested-ns"] = done->rested.count();
    } else {
        out.update(list_of("after-restart", done->after_restart, difference_row));
    }
    return out;
}

}  // namespace

Reply Methods::show_status(const Json& params) {
    return without_params(params, [this] { return status_object(inspector_.status()); });
}

Reply Methods::show_links(const Json& params) {
    return without_params(params, [this] {
        return list_of("links", inspector_.links(), [this](const auto& view) {
            return link_row(view, config_);
        });
    });
}

Reply Methods::show_workers(const Json& params) {
    return without_params(params, [this] {
        return list_of("workers", inspector_.workers(), worker_row);
    });
}

Reply Methods::show_neighbours(const Json& params) {
    return without_params(params, [this] {
        return list_of("neighbours", inspector_.neighbours(), [this](const auto& view) {
            return neighbour_row(view, config_);
        });
    });
}

Reply Methods::show_routes(const Json& params) {
    return without_params(params, [this] {
        return list_of("routes", inspector_.network().routes(), [this](const auto& route) {
            return route_row(route, config_);
        });
    });
}

Reply Methods::show_pools(const Json& params) {
    return without_params(params, [this]() -> Reply {
        const auto views = inspector_.pools();
        if (!views) {
            return refuse(kInternalError, views.error().message);
        }
        Document rows = Document::array();
        for (size_t i = 0; i < views->size() && i < config_.nat.pools.size(); ++i) {
            rows.push_back(pool_row(config_.nat.pools[i], (*views)[i], config_));
        }
        return Document{{"pools", std::move(rows)}};
    });
}

Reply Methods::show_counters(const Json& params) {
    return without_params(params, [this] { return counters_object(inspector_.counters()); });
}

Reply Methods::show_drops(const Json& params) {
    return without_params(params, [this] { return drops_object(inspector_.counters()); });
}

Reply Methods::show_log(const Json& params) {
    return without_params(params, [this] { return log_object(inspector_.log(), config_); });
}

Reply Methods::show_config(const Json& params) {
    return without_params(params, [this] {
        return Document{{"source", config_.source_text}, {"effective", config::to_yaml(config_)}};
    });
}

Reply Methods::clear_counters(const Json& params) {
    return without_params(params, [this] {
        inspector_.clear_counters();
        return Document{{"cleared", true}};
    });
}

Reply Methods::config_compare(const Json& params) {
    return without_params(params, [this] { return reloaded(reload_, ReloadKind::kCompare); });
}

Reply Methods::config_reload(const Json& params) {
    return without_params(params, [this] { return reloaded(reload_, ReloadKind::kCommit); });
}

}  // namespace sekisho::control
