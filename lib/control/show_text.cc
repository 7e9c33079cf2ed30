#include "control/show_text.h"

#include <algorithm>

#include <fmt/format.h>

#include "control/document_text.h"
#include "control/json_text.h"
#include "control/rules_text.h"

namespace sekisho::control {

namespace {

// A column of a listing: the key whose value it shows, and a second one for address:port.
struct ColumnOf {
    std::string_view title;
    std::string_view key;
    bool right = false;
    size_t width = 0;
    std::string_view port_key = {};
};

struct Listing {
    std::string_view object;
    std::vector<ColumnOf> columns;
};

constexpr size_t kAddressWidth = 15;
constexpr size_t kEndpointWidth = 21;

std::vector<Listing> listings_of_the_appliance() {
    return {
        {"links",
         {{"NAME", "name"},
          {"UP", "up"},
          {"DOWNS", "downs", true},
          {"DEVICE", "device"},
          {"REALM", "realm"},
          {"ADDRESSES", "addresses"},
          {"MTU", "mtu", true},
          {"MAC", "mac"},
          {"RECEIVED", "received-packets", true},
          {"MISSED", "received-missed", true},
          {"SENT", "sent-packets", true},
          {"REFUSED", "sent-errors", true},
          {"QUEUES", "queues", true},
          {"DRIVER", "driver"},
          {"STEERING", "steering"}}},
        {"workers",
         {{"WORKER", "worker", true},
          {"CPU", "cpu", true},
          {"ALIVE", "alive"},
          {"HEARTBEAT", "heartbeat", true},
          {"BUSY", "busy", true},
          {"PACKETS", "packets", true},
          {"PAUSES", "pauses", true},
          {"SENT-FOR-OTHERS", "sent-for-others", true},
          {"SHARDS", "shards"},
          {"QUEUES", "queues"}}},
        {"neighbours",
         {{"ADDRESS", "address", false, kAddressWidth},
          {"LINK", "link"},
          {"REALM", "realm"},
          {"MAC", "mac"},
          {"STATE", "state"},
          {"GATEWAY", "gateway"},
          {"AGE", "age", true},
          {"HELD", "held", true}}},
        {"routes",
         {{"PREFIX", "prefix"}, {"NEXT-HOP", "next-hop"}, {"LINK", "link"}, {"REALM", "realm"}}},
        {"pools",
         {{"NAME", "name"},
          {"PORTS", "ports"},
          {"SELECTION", "port-selection"},
          {"BLOCK-SIZE", "port-block-size", true},
          {"FREE-BLOCKS", "blocks/free", true},
          {"GRANTED-BLOCKS", "blocks/granted", true},
          {"PORTS-IN-USE", "ports-in-use", true},
          {"PORTS-RESTING", "ports-resting", true},
          {"DRAINING", "addresses-draining", true},
          {"WITHDRAWN", "sessions-withdrawn", true},
          {"PORTS-TOTAL", "ports-total", true},
          {"REFUSED", "refused", true},
          {"PAIRING", "pairing"},
          {"RANGES", "port-ranges"},
          {"MAX-AGE", "block-max-age", true},
          {"OVERFLOW", "overflow-pool"},
          {"RESERVED", "reserved-ports"},
          {"ADDRESSES", "addresses"}}},
    };
}

std::vector<Listing> listings_of_traffic() {
    return {
        {"subscribers",
         {{"ADDRESS", "address", false, kAddressWidth},
          {"REALM", "realm"},
          {"EXTERNAL", "external-address", false, kAddressWidth},
          {"POLICY", "policy"},
          {"SESSIONS", "sessions", true},
          {"PORTS", "ports", true},
          {"BLOCKS", "blocks", true}}},
        {"mappings",
         {{"PROTOCOL", "transport-protocol"},
          {"INTERNAL", "internal-src-address", false, kEndpointWidth, "internal-src-port"},
          {"EXTERNAL", "external-src-address", false, kEndpointWidth, "external-src-port"},
          {"REALM", "realm"},
          {"POOL", "pool"},
          {"TYPE", "type"},
          {"SESSIONS", "sessions", true},
          {"LIFETIME", "lifetime", true}}},
        {"who",
         {{"INTERNAL", "internal-src-address", false, kEndpointWidth, "internal-src-port"},
          {"REALM", "realm"},
          {"EXTERNAL", "external-src-address", false, kAddressWidth},
          {"PORTS", "external-src-ports"},
          {"PROTOCOL", "transport-protocol"},
          {"POOL", "pool"},
          {"BY", "by"}}},
        {"sessions",
         {{"PROTOCOL", "transport-protocol"},
          {"INTERNAL", "internal-src-address", false, kEndpointWidth, "internal-src-port"},
          {"EXTERNAL", "external-src-address", false, kEndpointWidth, "external-src-port"},
          {"REMOTE", "remote-address", false, kEndpointWidth, "remote-port"},
          {"STATE", "state", false, 17},
          {"OUTBOUND", "packets-outbound", true, 10},
          {"INBOUND", "packets-inbound", true, 10},
          {"LIFETIME", "lifetime", true},
          {"POOL", "pool"},
          {"SENT-TO", "internal-dst-address", false, 0, "internal-dst-port"}}},
        {"drops", {{"COUNT", "count", true}, {"REASON", "reason"}, {"MEANS", "sentence"}}},
    };
}

const std::vector<Listing>& listings() {
    static const std::vector<Listing> all = [] {
        std::vector<Listing> both = listings_of_the_appliance();
        const std::vector<Listing> traffic = listings_of_traffic();
        both.insert(both.end(), traffic.begin(), traffic.end());
        return both;
    }();
    return all;
}

std::string cell_of(const Document& row, const ColumnOf& column) {
    std::string cell = text_of(value_of(row, column.key));
    if (!column.port_key.empty() && cell != kNoValue) {
        cell += ":" + text_of(value_of(row, column.port_key));
        // Of a run of ports: internal-src-port, internal-last-port.
        const size_t side = column.port_key.find('-');
        const Document last =
            value_of(row, std::string(column.port_key.substr(0, side)) + "-last-port");
        cell += last.is_null() ? "" : "-" + text_of(last);
    }
    return cell;
}

const Listing* listing_of(std::string_view object) {
    const auto it = std::find_if(listings().begin(), listings().end(), [object](const auto& l) {
        return l.object == object;
    });
    return it == listings().end() ? nullptr : &*it;
}

std::string duration(uint64_t seconds) {
    const std::string clock =
        fmt::format("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    return seconds < 86400 ? clock : fmt::format("{} d {}", seconds / 86400, clock);
}

std::string status_text(const Document& s) {
    std::string out;
    const auto add = [&out](std::string_view name, const std::string& value) {
        out += fmt::format("{:<13}{}\n", name, value);
    };
    add("name", text_of(value_of(s, "name")));
    add("version", text_of(value_of(s, "version")));
    add("uptime", duration(number_of(s, "uptime")));
    add("workers", text_of(value_of(s, "workers")));
    add("shards", text_of(value_of(s, "shards")));
    add("huge pages", text_of(value_of(s, "huge-pages")));
    add("arena", fmt::format("{} MiB", number_of(s, "arena-bytes") >> 20));
    TextTable table({{"TABLE"}, {"USED", true}, {"CAPACITY", true}, {"PERCENT", true}});
    const auto row = [&](const char* name, const char* used_key, const char* capacity_key) {
        const uint64_t used = number_of(s, used_key);
        const uint64_t capacity = number_of(s, capacity_key);
        const double share =
            capacity == 0 ? 0 : 100.0 * static_cast<double>(used) / static_cast<double>(capacity);
        table.add(
            {name, std::to_string(used), std::to_string(capacity), fmt::format("{:.1f}", share)}
        );
    };
    row("sessions", "sessions/used", "sessions/capacity");
    row("mappings", "mappings/used", "mappings/capacity");
    row("subscribers", "subscribers/used", "subscribers/capacity");
    row("address-only", "address-only-sessions/used", "address-only-sessions/capacity");
    row("buffers", "buffers/in-use", "buffers/capacity");
    return out + "\n" + table.take();
}

// The counters as the law that they obey: what came in is what went out, dropped or still held.
std::string counters_text(const Document& c) {
    TextTable table({{"PACKETS"}, {"COUNT", true}});
    const auto row = [&table](const std::string& name, uint64_t count) {
        table.add({name, std::to_string(count)});
    };
    uint64_t dropped = 0;
    const Document reasons = value_of(c, "dropped");
    for (const auto& [reason, count] : reasons.items()) {
        dropped += count_of(count);
    }
    const uint64_t in = number_of(c, "received") + number_of(c, "generated");
    const uint64_t out =
        number_of(c, "forwarded") + number_of(c, "consumed") + number_of(c, "held") + dropped;
    for (const char* name : {"received", "generated"}) {
        row(name, number_of(c, name));
    }
    row("= in", in);
    for (const char* name : {"forwarded", "consumed", "held"}) {
        row(name, number_of(c, name));
    }
    row("dropped", dropped);
    for (const auto& [reason, count] : reasons.items()) {
        row("  " + printable(reason), count_of(count));
    }
    row("= out", out);
    for (const char* name :
         {"handed-off",
          "punted",
          "untranslated",
          "multicast",
          "syns-waiting",
          "syns-answered",
          "pings-answered"}) {
        row(name, number_of(c, name));
    }
    const Document answers = value_of(c, "pcp-answers");
    for (const auto& [result, count] : answers.items()) {
        row("pcp " + printable(result), count_of(count));
    }
    std::string text = table.take();
    if (in == out) {
        return text + "\nin = out: every packet is accounted for\n";
    }
    return text + fmt::format(
                      "\nin {} out by {}: as many packets were on their way while this was read\n",
                      in > out ? "exceeds" : "is below",
                      in > out ? in - out : out - in
                  );
}

std::string rule_log_text(const Document& rules) {
    std::string out = "\nlines of rules that log\n";
    const auto add = [&](std::string_view name, std::string_view key) {
        out += fmt::format("{:<13}{}\n", name, text_of(value_of(rules, key)));
    };
    add("to", "to");
    add("last error", "last-error");
    add("sent", "sent");
    add("failed", "failed");
    add("suppressed", "suppressed");
    add("lost", "lost");
    return out;
}

std::string log_text(const Document& log) {
    std::string out;
    const auto add = [&](std::string_view name, std::string_view key) {
        out += fmt::format("{:<13}{}\n", name, text_of(value_of(log, key)));
    };
    add("state", "state");
    if (text_of(value_of(log, "state")) == "off") {
        return out + rule_log_text(value_of(log, "rules"));
    }
    add("file", "file");
    add("last error", "last-error");
    add("on log loss", "on-log-loss");
    add("events", "events");
    add("written", "written");
    add("lost", "lost");
    add("pending", "pending");
    add("failures", "failures");
    add("opened", "opened");
    add("clock synced", "clock-synchronised");
    TextTable table(
        {{"SHARD", true},
         {"EVENTS", true},
         {"LOST", true},
         {"PENDING", true},
         {"USED", true},
         {"CAPACITY", true}}
    );
    for (const Document& ring : value_of(log, "rings")) {
        std::vector<std::string> cells;
        for (const char* key : {"shard", "events", "lost", "pending", "used", "capacity"}) {
            cells.push_back(text_of(value_of(ring, key)));
        }
        table.add(std::move(cells));
    }
    return out + "\n" + table.take() + rule_log_text(value_of(log, "rules"));
}

void add_changes(const Document& list, std::string_view title, std::string& out) {
    if (!list.is_array() || list.empty()) {
        return;
    }
    out += fmt::format("{}{}\n", out.empty() ? "" : "\n", title);
    TextTable table({{"  SETTING", false}, {"FROM", false}, {"TO", false}});
    for (const Document& row : list) {
        table.add(
            {"  " + text_of(value_of(row, "setting")),
             text_of(value_of(row, "from")),
             text_of(value_of(row, "to"))}
        );
    }
    out += table.take();
}

std::string compare_text(const Document& result) {
    std::string out;
    add_changes(value_of(result, "at-once"), "at once, by `reload`:", out);
    add_changes(value_of(result, "after-restart"), "after a restart only:", out);
    return out.empty() ? "the file says what is in effect\n" : out;
}

std::string reload_text(const Document& result) {
    std::string out;
    add_changes(value_of(result, "changed"), "changed:", out);
    if (out.empty()) {
        return "nothing has changed\n";
    }
    const uint64_t us = number_of(result, "rested-ns") / 1000;
    return out + fmt::format("\nno worker stood still for more than {} us\n", us);
}

}  // namespace

TextView::TextView(const Command& command, bool exact)
    : command_(command), exact_(exact), lists_rules_(command.method == "show.rules") {
    if (lists_rules_) {
        table_.emplace(rules_columns());
        return;
    }
    const Listing* listing = command.verb == "show" ? listing_of(command.object) : nullptr;
    if (listing == nullptr) {
        return;
    }
    std::vector<TableColumn> columns;
    for (const ColumnOf& column : listing->columns) {
        columns.push_back({std::string(column.title), column.right, column.width});
    }
    table_.emplace(std::move(columns));
}

std::string TextView::rows(const Document& result) {
    const Document list = value_of(result, command_.row_name());
    for (const Document& row : list) {
        if (lists_rules_) {
            table_->add(rules_cells(row, exact_));
            continue;
        }
        std::vector<std::string> cells;
        for (const ColumnOf& column : listing_of(command_.object)->columns) {
            cells.push_back(cell_of(row, column));
        }
        table_->add(std::move(cells));
    }
    // A page without rows prints nothing yet, so that the widths of the titles can still grow.
    return list.empty() && command_.is_listing ? "" : table_->take();
}

std::string TextView::render(const Document& result) {
    if (command_.verb == "clear") {
        cleared_ += number_of(result, "cleared");
        return "";
    }
    if (command_.verb == "compare") {
        return compare_text(result);
    }
    if (command_.verb == "reload") {
        return reload_text(result);
    }
    if (command_.method == "rules.change") {
        return edited_text(result);
    }
    if (command_.method == "rules.check") {
        return check_text(result);
    }
    if (command_.object == "status") {
        return status_text(result);
    }
    if (command_.object == "counters") {
        return counters_text(result);
    }
    if (command_.object == "log") {
        return log_text(result);
    }
    if (command_.object == "config") {
        const Document effective = value_of(result, "effective");
        return effective.is_string() ? printable(effective.get_ref<const std::string&>(), true)
                                     : "";
    }
    if (!table_) {
        return to_lines(result) + "\n";
    }
    std::string out = rows(result);
    if (command_.object == "drops") {
        out += fmt::format("\n{} dropped in all\n", number_of(result, "total"));
    }
    return out;
}

std::string TextView::finish() {
    if (command_.verb != "clear") {
        return table_ ? table_->take() : "";
    }
    const std::string_view one = command_.object.substr(0, command_.object.size() - 1);
    return command_.is_listing
               ? fmt::format("{} {} cleared\n", cleared_, cleared_ == 1 ? one : command_.object)
               : fmt::format("{} cleared\n", command_.object);
}

}  // namespace sekisho::control
