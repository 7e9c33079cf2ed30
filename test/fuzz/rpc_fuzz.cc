// Any line that a client can send: answered by valid JSON or by nothing, never by a crash.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/rule_text.h"
#include "config/rules_to_yaml.h"
#include "control/exchange.h"
#include "legacy/kernel.h"
#include "support/fake_inspector.h"
#include "support/fake_rules.h"

namespace {

using namespace sekisho;

void must(bool holds) {
    if (!holds) {
        std::abort();
    }
}

// Rules that a client has changed can be said again, and mean the same.
void check_rules(const config::Config& config) {
    for (const rules::ChainId id : config.rules.set.chains()) {
        for (const rules::RulePtr& rule : config.rules.set.chain(id)->rules) {
            const auto again = config::parse_rule(config::rule_to_yaml(config, *rule), config, id);
            must(again.has_value() && again->says_the_same(*rule));
        }
    }
}

// What a tool leaves behind names no file outside of its folder.
void check_settings(legacy::Kernel& kernel, const legacy::Machine& machine) {
    const legacy::Answer answer =
        kernel.run({std::string(legacy::kOwnTool), {"settings"}, ""}, machine);
    for (std::string_view rest = answer.out; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        const std::string path = "/" + std::string(line.substr(0, line.find('\t'))) + "/";
        must(line.find('\t') != std::string_view::npos);
        must(path.find("//") == std::string::npos && path.find("/../") == std::string::npos);
        rest.remove_prefix(line.size() + 1);
    }
}

struct Rig {
    Rig() {
        methods.set_tools([this](const control::LegacyCall& call) {
            const legacy::AskedNames names(tables, call.hosts);
            const auto no_pool = [](const auto& /*range*/, const auto& /*ports*/) {
                return std::nullopt;
            };
            const legacy::Machine machine{names, {}, {}, {}, no_pool};
            control::LegacyAnswer done{kernel.run(call.call, machine), names.unknown()};
            check_settings(kernel, machine);
            return done;
        });
        for (uint32_t i = 0; i < 40; ++i) {
            inspector.add(test::session_of(i));
        }
        nat::MappingView mapping{};
        inspector.add(mapping);
        inspector.add(nat::SubscriberView{});
        inspector.pool_views.resize(1);
        inspector.link_views.resize(2);
        inspector.worker_views.resize(1);
        inspector.neighbour_views.resize(1);
        rules::RuleSet& set = config.rules.set;
        must(set.add_built_in("passing", rules::Hook::kForward, 0, rules::Accept{}).has_value());
        must(set.add_built_in("to-us", rules::Hook::kLocalIn, 0, rules::Deny{}).has_value());
        must(set.add_chain("apart").has_value());
        at_first = config.rules;
    }
    config::Config config = test::small_config();
    config::RulesSettings at_first;
    test::FakeInspector inspector{config};
    test::FakeRules access{config};
    legacy::NameTables tables;
    legacy::Kernel kernel;
    control::Methods methods{inspector, config, {}, &access};
};

void check(const std::string& reply) {
    if (reply.empty()) {
        return;
    }
    const bool one_line = reply.find('\n') == reply.size() - 1;
    const auto parsed = control::Json::parse(reply, nullptr, false);
    must(one_line && (parsed.is_object() || parsed.is_array()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static Rig rig;
    rig.inspector.cleared.clear();
    rig.config.rules = rig.at_first;
    rig.kernel = {};
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    while (!rest.empty()) {
        const size_t end = rest.find('\n');
        check(control::answer(rest.substr(0, end), rig.methods));
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    check_rules(rig.config);
    return 0;
}
