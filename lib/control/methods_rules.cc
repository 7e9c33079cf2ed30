// show.rules, rules.change: the running rules with what they have counted, and how they change.
#include <algorithm>

#include "config/rules_to_yaml.h"
#include "control/json_text.h"
#include "control/methods.h"
#include "control/params.h"
#include "control/rule_edit.h"
#include "rules/residue.h"

namespace sekisho::control {
namespace {

constexpr std::chrono::seconds kCountPatience{1};
constexpr size_t kTextPerPage = size_t{1} << 20;
constexpr size_t kRowsBetweenLooks = 32;

// One request for a page of rules.
struct RulesPage {
    std::optional<rules::ChainId> chain;
    std::optional<rules::Hook> hook;
    Cursor cursor;
    bool begins = true;
    bool zeroes = false;
    uint32_t limit = kDefaultRows;

    bool admits(const rules::RuleSet& set, rules::ChainId id) const {
        return (!chain || *chain == id) && (!hook || set.chain(id)->hook == hook);
    }
};

tl::expected<RulesPage, RpcError> read_rules_page(const Json& params, const rules::RuleSet& set) {
    ParamReader reader(params);
    RulesPage page;
    page.chain = read_value(reader, "chain", "the name of a chain", [&](std::string_view name) {
        return set.find_chain(name);
    });
    page.hook = read_value(reader, "hook", kWantedHook, find_hook);
    const auto cursor =
        read_value(reader, "cursor", "the 'next' of an earlier page", Cursor::parse);
    page.begins = !cursor;
    page.cursor = cursor.value_or(Cursor{});
    page.zeroes = reader.flag("zero");
    if (const auto limit = reader.number("limit", 1, kMaxRows)) {
        page.limit = static_cast<uint32_t>(*limit);
    }
    if (const auto done = reader.finish(); !done) {
        return tl::make_unexpected(done.error());
    }
    return page;
}

// A rule, or the end of a chain: its policy, or of a user-defined one where it goes back.
struct Row {
    const rules::Chain* chain;
    size_t position;  // from 0
    size_t references = 0;
    std::string text;

    const rules::Rule* rule() const {
        return position < chain->rules.size() ? chain->rules[position].get() : nullptr;
    }
    rules::RuleId id() const { return rule() != nullptr ? rule()->id : chain->policy_id; }
};

// Collects rows from a cursor on, and moves it behind the last of them.
class RulesWalk {
  public:
    RulesWalk(const config::Config& config, RulesPage& page)
        : config_(config), set_(config.rules.set), page_(page) {}

    std::vector<Row> take() {
        for (const rules::ChainId id : set_.chains()) {
            const bool is_behind = id.value < page_.cursor.place.shard;
            if (is_behind || !page_.admits(set_, id)) {
                continue;
            }
            if (id.value > page_.cursor.place.shard) {
                page_.cursor.place = {id.value, 0};
            }
            if (!take_chain(id)) {
                return std::move(rows_);
            }
        }
        more_ = false;
        return std::move(rows_);
    }
    bool more() const { return more_; }

  private:
    // Whether all of it has been taken.
    bool take_chain(rules::ChainId id) {
        const rules::Chain& chain = *set_.chain(id);
        for (uint32_t& at = page_.cursor.place.entry; at <= chain.rules.size(); ++at) {
            if (is_full()) {
                return false;
            }
            Row row{&chain, at, at == chain.rules.size() ? set_.references_to(id) : 0, ""};
            row.text = text_of(row);
            bytes_ += row.text.size();
            rows_.push_back(std::move(row));
        }
        return true;
    }

    std::string text_of(const Row& row) const {
        if (row.rule() != nullptr) {
            return config::rule_to_yaml(config_, *row.rule());
        }
        return row.chain->hook ? config::action_to_yaml(config_, row.chain->policy) : "return";
    }

    bool is_full() const {
        const bool looks = rows_.size() % kRowsBetweenLooks == 0 && !rows_.empty();
        return rows_.size() >= page_.limit || bytes_ >= kTextPerPage ||
               (looks && std::chrono::steady_clock::now() >= deadline_);
    }

    const config::Config& config_;
    const rules::RuleSet& set_;
    RulesPage& page_;
    std::vector<Row> rows_;
    size_t bytes_ = 0;
    bool more_ = true;
    SteadyTime deadline_ = std::chrono::steady_clock::now() + kTimePerPage;
};

Document row_of(const Row& row, const rules::RuleTotal& total) {
    const rules::Rule* const rule = row.rule();
    const bool counts = rule != nullptr || row.chain->hook;
    Document out = Document::object();
    out["chain"] = row.chain->name;
    out["hook"] = row.chain->hook ? Document(rules::name_of(*row.chain->hook)) : Document();
    out["priority"] = row.chain->hook ? Document(row.chain->priority) : Document();
    out["position"] = rule != nullptr ? Document(row.position + 1) : Document();
    out["id"] = counts ? Document(row.id().value) : Document();
    out["packets"] = counts ? Document(total.packets) : Document();
    out["bytes"] = counts ? Document(total.bytes) : Document();
    if (rule == nullptr) {
        out["policy"] = row.text;
        out["references"] = row.chain->hook ? Document() : Document(row.references);
        return out;
    }
    out["rule"] = row.text;
    out["comment"] = rule->comment.empty() ? Document() : Document(rule->comment);
    out["residue"] = rules::varying_fields(*rule);
    return out;
}

RpcError without_rules() {
    return {kInternalError, "there is no appliance whose rules could be asked or changed"};
}

}  // namespace

// What a listing shows of a moment may be a little older on its later pages: counting anew for each would be the dear part.
const std::vector<rules::RuleTotal>& Methods::rules_counted(bool anew) {
    const SteadyTime now = std::chrono::steady_clock::now();
    if (anew || now - counted_at_ > kCountPatience) {
        counted_ = rules_->counted();
        counted_at_ = now;
    }
    return counted_;
}

Reply Methods::show_rules(const Json& params) {
    if (rules_ == nullptr) {
        return tl::make_unexpected(without_rules());
    }
    auto page = read_rules_page(params, config_.rules.set);
    if (!page) {
        return tl::make_unexpected(page.error());
    }
    RulesWalk walk(config_, *page);
    const std::vector<Row> rows = walk.take();
    std::vector<rules::RuleId> ids;
    ids.reserve(rows.size());
    for (const Row& row : rows) {
        ids.push_back(row.id());
    }
    const auto totals = rules_->since_zero(ids, rules_counted(page->begins), page->zeroes);
    Document list = Document::array();
    for (size_t i = 0; i < rows.size(); ++i) {
        list.push_back(row_of(rows[i], totals[i]));
    }
    return Document{
        {"rules", std::move(list)},
        {"next", walk.more() ? Document(page->cursor.text()) : Document()}};
}

Reply Methods::rules_change(const Json& params) {
    if (rules_ == nullptr) {
        return tl::make_unexpected(without_rules());
    }
    const auto edit = read_rule_edit(params);
    if (!edit) {
        return tl::make_unexpected(edit.error());
    }
    auto edited = edit_rules(config_, *edit);
    if (!edited) {
        return tl::make_unexpected(edited.error());
    }
    const auto rested =
        rules_->change(printable_start(edited->what, kMostLogged), [&](const config::Config&) {
            return Result<config::RulesSettings>(std::move(edited->rules));
        });
    if (!rested) {
        return refuse(kInternalError, rested.error().message);
    }
    return edited_object(*edited, *rested);
}

// What stands there now; and what has gone, with all that it had counted that nobody has read as zeroed.
Document Methods::edited_object(const Edited& edited, std::chrono::nanoseconds rested) {
    Document out = {
        {"changed", rested.count() > 0},
        {"chain", edited.chain},
        {"position", edited.position ? Document(*edited.position) : Document()}};
    const auto chain = config_.rules.set.find_chain(edited.chain);
    if (chain && edited.comes) {
        const rules::Rule& rule = *config_.rules.set.chain(*chain)->rules[*edited.position - 1];
        out["id"] = rule.id.value;
        out["rule"] = config::rule_to_yaml(config_, rule);
    }
    if (edited.gone != nullptr && rested.count() > 0) {
        const rules::RuleId id = edited.gone->id;
        const auto total = rules_->since_zero({&id, 1}, rules_counted(true), false).at(0);
        out["gone"] = {
            {"id", id.value},
            {"rule", config::rule_to_yaml(config_, *edited.gone)},
            {"packets", total.packets},
            {"bytes", total.bytes}};
    }
    if (edited.flushed > 0) {
        out["flushed"] = edited.flushed;
    }
    out["rested-ns"] = rested.count();
    return out;
}

}  // namespace sekisho::control
