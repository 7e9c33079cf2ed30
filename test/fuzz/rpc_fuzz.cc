// Any line that a client can send: answered by valid JSON or by nothing, never by a crash.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "control/exchange.h"
#include "support/fake_inspector.h"

namespace {

using namespace sekisho;

struct Rig {
    Rig() {
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
    }
    config::Config config = test::small_config();
    test::FakeInspector inspector{config};
    control::Methods methods{inspector, config};
};

void check(const std::string& reply) {
    if (reply.empty()) {
        return;
    }
    const bool one_line = reply.find('\n') == reply.size() - 1;
    const auto parsed = control::Json::parse(reply, nullptr, false);
    if (!one_line || (!parsed.is_object() && !parsed.is_array())) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static Rig rig;
    rig.inspector.cleared.clear();
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    while (!rest.empty()) {
        const size_t end = rest.find('\n');
        check(control::answer(rest.substr(0, end), rig.methods));
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    return 0;
}
