#include <utility>

#include "control/json_text.h"
#include "control/methods.h"
#include "control/params.h"
#include "control/rows.h"

namespace sekisho::control {

// One request for a page of a listing or a clear: what it asks for, and where it stands.
struct Methods::Page {
    Filter filter;
    Cursor cursor;
    bool begins = true;  // no cursor was given
    bool more = true;    // something is left behind the cursor
    uint32_t limit = kDefaultRows;
    Join* join = nullptr;
    SteadyTime now = std::chrono::steady_clock::now();
};

tl::expected<Methods::Page, RpcError> Methods::read_page(const Json& params, Purpose purpose) {
    ParamReader reader(params);
    Page page;
    page.filter = read_filter(reader, config_.realms);
    if (const auto limit = reader.number("limit", 1, kMaxRows)) {
        page.limit = static_cast<uint32_t>(*limit);
    }
    constexpr std::string_view kWantedCursor = "the 'next' of an earlier page";
    if (const auto text = reader.text("cursor", kWantedCursor)) {
        const auto cursor = Cursor::parse(*text);
        const bool is_other =
            cursor && cursor->phase == Cursor::kLeases && purpose == Purpose::kShow;
        if (!cursor || is_other) {
            reader.complain("cursor", quoted(Json(*text)), kWantedCursor);
        }
        page.cursor = cursor.value_or(Cursor{});
        page.begins = false;
    }
    const bool clears = purpose == Purpose::kClear;
    const bool all = clears && reader.flag("all");
    if (clears && page.filter.is_empty() != all) {
        reader.complain(
            "all",
            all ? "true beside a filter" : "no filter",
            "a filter (subscriber, realm, external, remote, protocol) or all: true"
        );
    }
    if (const auto read = reader.finish(); !read) {
        return tl::unexpected<RpcError>(read.error());
    }
    return page;
}

tl::expected<Join*, RpcError> Methods::join_of(Page& page) {
    auto join = page.begins ? joins_.begin(page.now) : joins_.find(page.cursor.listing, page.now);
    if (join) {
        page.join = *join;
        page.cursor.listing = page.join->id();
    }
    return join;
}

// The 'next' of a reply. A joined listing that is over gives its memory back.
Document Methods::next_of(const Page& page) {
    if (page.more) {
        return page.cursor.text();
    }
    if (page.join != nullptr) {
        joins_.end(page.join->id());
    }
    return {};
}

tl::expected<void, RpcError> Methods::walk(
    Page& page, const std::function<void(const nat::SessionView&)>& note
) {
    PageBudget budget(kMaxRows);
    bool more = true;
    while (const uint32_t entries = more ? budget.next_call(0) : 0) {
        const auto listed = inspector_.list_sessions(page.cursor.place, entries, note);
        if (!listed) {
            return refuse(kInternalError, listed.error().message);
        }
        budget.spend(entries);
        more = *listed;
    }
    if (!more) {
        page.cursor.phase = Cursor::kList;
        page.cursor.place = {};
    }
    return {};
}

namespace {

// Fills a page with rows: `list` looks at so many entries and adds to `rows`.
template <class List>
tl::expected<bool, RpcError> fill(uint32_t limit, Document& rows, List list) {
    PageBudget budget(limit);
    bool more = true;
    while (const uint32_t entries = more ? budget.next_call(rows.size()) : 0) {
        const Result<bool> listed = list(entries);
        if (!listed) {
            return refuse(kInternalError, listed.error().message);
        }
        budget.spend(entries);
        more = *listed;
    }
    return more;
}

}  // namespace

Reply Methods::show_sessions(const Json& params) {
    auto page = read_page(params, Purpose::kShow);
    if (!page) {
        return tl::unexpected<RpcError>(page.error());
    }
    Document rows = Document::array();
    const auto add = [&](const nat::SessionView& view) {
        if (page->filter.admits(view)) {
            rows.push_back(session_row(view, config_));
        }
    };
    const auto more = fill(page->limit, rows, [&](uint32_t entries) {
        return inspector_.list_sessions(page->cursor.place, entries, add);
    });
    if (!more) {
        return tl::unexpected<RpcError>(more.error());
    }
    page->more = *more;
    return Document{{"sessions", std::move(rows)}, {"next", next_of(*page)}};
}

// What is said of a mapping younger than the walk: the timeout that its first session began with.
uint32_t Methods::opening_lifetime(const nat::Mapping& mapping) const {
    const nat::TimeoutSettings& timeouts = config_.nat.timeouts;
    switch (static_cast<Protocol>(mapping.protocol)) {
        case Protocol::kIcmp:
            return timeouts.icmp.value;
        case Protocol::kUdp:
        case Protocol::kUdpLite:
            return timeouts.udp.value;
        case Protocol::kTcp:
            return timeouts.tcp_transitory.value;
        default:
            return nat::kUnansweredFor.value;
    }
}

tl::expected<void, RpcError> Methods::list_mappings(Page& page, Document& rows) {
    // What of a static mapping is in use is told by itself only to who asks for a remote endpoint.
    const auto add = [&](const nat::MappingView& view) {
        const bool is_entry = view.kind == nat::MappingView::kStatic;
        if (is_entry && !page.filter.remote && page.filter.admits(view)) {
            rows.push_back(static_mapping_row(view, config_));
        }
        if (is_entry || (view.kind == nat::MappingView::kStaticUse && !page.filter.remote)) {
            return;
        }
        const auto told = page.join->tell(view, page.now);
        if (page.filter.admits(view.mapping) && (told.chosen || !page.filter.remote)) {
            const uint32_t lifetime =
                told.lifetime.value_or(view.is_leased ? 0 : opening_lifetime(view.mapping));
            rows.push_back(mapping_row(view, lifetime, config_));
        }
    };
    const auto more = fill(page.limit, rows, [&](uint32_t entries) {
        return inspector_.list_mappings(page.cursor.place, entries, add);
    });
    if (!more) {
        return tl::unexpected<RpcError>(more.error());
    }
    page.more = *more;
    return {};
}

Reply Methods::show_mappings(const Json& params) {
    auto page = read_page(params, Purpose::kShow);
    if (!page) {
        return tl::unexpected<RpcError>(page.error());
    }
    if (const auto join = join_of(*page); !join) {
        return tl::unexpected<RpcError>(join.error());
    }
    const auto note = [&](const nat::SessionView& view) {
        page->join->note(view, page->filter.admits(view), page->now);
    };
    Document rows = Document::array();
    tl::expected<void, RpcError> done;
    if (page->cursor.phase == Cursor::kWalk) {
        done = walk(*page, note);
    }
    if (done && page->cursor.phase == Cursor::kList) {
        done = list_mappings(*page, rows);
    }
    if (!done) {
        return tl::unexpected<RpcError>(done.error());
    }
    return Document{{"mappings", std::move(rows)}, {"next", next_of(*page)}};
}

tl::expected<void, RpcError> Methods::list_subscribers(Page& page, Document& rows) {
    const auto add = [&](const nat::SubscriberView& view) {
        const bool chosen = page.join == nullptr || page.join->has_subscriber(view);
        if (chosen && page.filter.admits(view)) {
            rows.push_back(subscriber_row(view, config_));
        }
    };
    const auto more = fill(page.limit, rows, [&](uint32_t entries) {
        return inspector_.list_subscribers(page.cursor.place, entries, add);
    });
    if (!more) {
        return tl::unexpected<RpcError>(more.error());
    }
    page.more = *more;
    return {};
}

// Joined with the sessions only where the filter asks for something that only sessions know.
tl::expected<void, RpcError> Methods::walk_for_subscribers(Page& page) {
    if (const auto join = join_of(page); !join) {
        return tl::unexpected<RpcError>(join.error());
    }
    if (page.cursor.phase != Cursor::kWalk) {
        return {};
    }
    return walk(page, [&page](const nat::SessionView& view) {
        if (page.filter.admits(view)) {
            page.join->note_subscriber(view.session);
        }
    });
}

Reply Methods::show_subscribers(const Json& params) {
    auto page = read_page(params, Purpose::kShow);
    if (!page) {
        return tl::unexpected<RpcError>(page.error());
    }
    const bool joined = page->filter.needs_sessions();
    Document rows = Document::array();
    tl::expected<void, RpcError> done;
    if (joined) {
        done = walk_for_subscribers(*page);
    }
    if (done && (!joined || page->cursor.phase == Cursor::kList)) {
        done = list_subscribers(*page, rows);
    }
    if (!done) {
        return tl::unexpected<RpcError>(done.error());
    }
    return Document{{"subscribers", std::move(rows)}, {"next", next_of(*page)}};
}

tl::expected<uint64_t, RpcError> Methods::clear_where(
    Page& page, const std::function<bool(const nat::SessionView&)>& chosen
) {
    PageBudget budget(page.limit);
    uint64_t cleared = 0;
    std::vector<nat::SessionView> found;
    const auto note = [&](const nat::SessionView& view) {
        if (chosen(view)) {
            found.push_back(view);
        }
    };
    while (const uint32_t entries = page.more ? budget.next_call(cleared) : 0) {
        found.clear();
        const auto listed = inspector_.list_sessions(page.cursor.place, entries, note);
        if (!listed) {
            return refuse(kInternalError, listed.error().message);
        }
        const auto ended = inspector_.clear_sessions(found);
        if (!ended) {
            return refuse(kInternalError, ended.error().message);
        }
        cleared += *ended;
        budget.spend(entries);
        page.more = *listed;
    }
    return cleared;
}

Reply Methods::clear_sessions(const Json& params) {
    auto page = read_page(params, Purpose::kClear);
    if (!page) {
        return tl::unexpected<RpcError>(page.error());
    }
    const auto cleared = clear_where(*page, [&page](const nat::SessionView& view) {
        return page->filter.admits(view);
    });
    if (!cleared) {
        return tl::unexpected<RpcError>(cleared.error());
    }
    return Document{{"cleared", *cleared}, {"next", next_of(*page)}};
}

tl::expected<uint64_t, RpcError> Methods::clear_leases(Page& page) {
    PageBudget budget(page.limit);
    uint64_t cleared = 0;
    page.more = true;
    std::vector<nat::MappingView> counted;
    std::vector<nat::MappingView> alone;
    const auto note = [&](const nat::MappingView& view) {
        const bool is_chosen = page.join->tell(view, page.now).chosen;
        const bool is_meant =
            page.filter.admits(view.mapping) && (is_chosen || !page.filter.remote);
        if (view.is_leased && is_meant) {
            (is_chosen ? counted : alone).push_back(view);
        }
    };
    while (const uint32_t entries = page.more ? budget.next_call(cleared) : 0) {
        counted.clear();
        alone.clear();
        const auto listed = inspector_.list_mappings(page.cursor.place, entries, note);
        if (!listed) {
            return refuse(kInternalError, listed.error().message);
        }
        const auto ended = inspector_.clear_leases(alone);
        const auto ended_counted = inspector_.clear_leases(counted);
        if (!ended || !ended_counted) {
            return refuse(kInternalError, (ended ? ended_counted : ended).error().message);
        }
        cleared += *ended;
        budget.spend(entries);
        page.more = *listed;
    }
    return cleared;
}

// A mapping lives while it has sessions or its subscriber has asked for it, so it is ended by ending all that: first those
// mappings are noted that have a session which the filter admits, then all sessions of the noted ones are ended, then the leases.
Reply Methods::clear_mappings(const Json& params) {
    auto page = read_page(params, Purpose::kClear);
    if (!page) {
        return tl::unexpected<RpcError>(page.error());
    }
    if (const auto join = join_of(*page); !join) {
        return tl::unexpected<RpcError>(join.error());
    }
    const auto note = [&](const nat::SessionView& view) {
        if (page->filter.admits(view)) {
            page->join->note(view, true, page->now);
        }
    };
    uint64_t mappings = 0;
    const auto is_noted = [&](const nat::SessionView& view) {
        bool first = false;
        const bool noted = page->join->has_mapping_of(view, first);
        mappings += noted && first ? 1 : 0;
        return noted;
    };
    tl::expected<uint64_t, RpcError> sessions = 0;
    if (page->cursor.phase == Cursor::kWalk) {
        sessions = walk(*page, note).map([] { return uint64_t{0}; });
    } else if (page->cursor.phase == Cursor::kList) {
        sessions = clear_where(*page, is_noted);
    }
    if (!sessions) {
        return tl::unexpected<RpcError>(sessions.error());
    }
    if (page->cursor.phase == Cursor::kList && !page->more) {
        page->cursor.phase = Cursor::kLeases;
        page->cursor.place = {};
    }
    if (page->cursor.phase == Cursor::kLeases) {
        const auto leases = clear_leases(*page);
        if (!leases) {
            return tl::unexpected<RpcError>(leases.error());
        }
        mappings += *leases;
    }
    return Document{{"cleared", mappings}, {"sessions", *sessions}, {"next", next_of(*page)}};
}

}  // namespace sekisho::control
