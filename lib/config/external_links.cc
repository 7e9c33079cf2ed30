#include "config/external_links.h"

namespace sekisho::config {

rules::ByteSet external_links(const Config& config) {
    rules::ByteSet links;
    for (size_t i = 0; i < config.links.size(); ++i) {
        if (config.links[i].side == Side::kExternal) {
            links.add(static_cast<uint8_t>(i));
        }
    }
    return links;
}

}  // namespace sekisho::config
