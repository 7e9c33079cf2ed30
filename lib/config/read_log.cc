// The section log.
#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "base/text.h"
#include "config/draft.h"
#include "config/rule_parts.h"
#include "config/rule_words.h"
#include "config/scalars.h"

namespace sekisho::config {
namespace {

constexpr Choice<nat::EventClass> kClasses[] = {
    {"mappings", nat::kLogMappings},
    {"blocks", nat::kLogBlocks},
    {"limits", nat::kLogLimits},
    {"sessions", nat::kLogSessions},
    {"invalid", nat::kLogInvalid}};
constexpr Choice<nat::OnLogLoss> kOnLoss[] = {
    {"refuse", nat::OnLogLoss::kRefuse}, {"count", nat::OnLogLoss::kCount}};
constexpr uint8_t kByDefault = nat::kLogMappings | nat::kLogBlocks | nat::kLogLimits;

void read_file(const Map& map, Draft& draft, Mistakes& mistakes) {
    const Node* node = map.find("file");
    if (node == nullptr) {
        return;
    }
    if (const std::string* path = read_absolute_path(*node, "a file", kMaxLogPath, mistakes)) {
        draft.config.log.file = *path;
    }
}

void read_events(const Node& node, uint8_t& logged, Mistakes& mistakes) {
    const std::string wanted =
        "a list of mappings, blocks, limits, sessions and invalid, each once";
    const auto* items = read_list(node, std::size(kClasses), wanted, mistakes);
    if (items == nullptr) {
        return;
    }
    ChoiceName names[std::size(kClasses)];
    std::ranges::transform(kClasses, names, [](const auto& c) {
        return ChoiceName{c.name, c.available};
    });
    uint8_t read = 0;
    for (const Node& item : *items) {
        const auto index = read_choice_name(item, names, mistakes);
        if (!index) {
            continue;
        }
        if ((read & kClasses[*index].value) != 0) {
            mistakes.add(item.place, fmt::format("{} a second time", item.text), "each once");
        }
        read = static_cast<uint8_t>(read | kClasses[*index].value);
    }
    if (read != 0) {
        logged = read;
    }
}

// A path, or ADDRESS or ADDRESS:PORT.
void read_target(const Node& node, SyslogSettings& syslog, Mistakes& mistakes) {
    const std::string_view text = text_of(node);
    if (text.starts_with('/')) {
        const auto* path = read_absolute_path(node, "a socket", kMaxSocketPath, mistakes);
        syslog.socket = path != nullptr ? *path : syslog.socket;
        return;
    }
    const size_t colon = text.find(':');
    const auto address = parse_address(text.substr(0, colon));
    const bool has_port = colon != std::string_view::npos;
    const uint64_t port = has_port
                              ? base::parse_decimal(text.substr(colon + 1), UINT16_MAX).value_or(0)
                              : SyslogSettings{}.port;
    if (!address || !is_unicast(*address) || port == 0) {
        mistakes.add(
            node.place,
            describe(node),
            "the path of a socket (/dev/log), or an address of a host with or without a port: "
            "192.0.2.1:514"
        );
        return;
    }
    syslog.socket.clear();
    syslog.address = *address;
    syslog.port = static_cast<uint16_t>(port);
}

}  // namespace

void read_log(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto map = Map::open(node, kLog, mistakes);
    if (!map) {
        return;
    }
    nat::EventSettings& events = draft.config.nat.events;
    events.logged = kByDefault;
    read_file(*map, draft, mistakes);
    if (const Node* list = map->find("events")) {
        read_events(*list, events.logged, mistakes);
    }
    if (const Node* ring = map->find("ring")) {
        const auto value = read_number(*ring, kLogRing, mistakes);
        if (value && !std::has_single_bit(*value)) {
            mistakes.add(ring->place, describe(*ring), "a power of two from 2048 to 16777216");
        } else if (value) {
            events.ring = static_cast<uint32_t>(*value);
        }
    }
    read_choice(*map, "on-log-loss", kOnLoss, events.on_loss, mistakes);
}

void read_syslog(const Node& node, Draft& draft, Mistakes& mistakes) {
    const auto map = Map::open(node, kSyslog, mistakes);
    if (!map) {
        return;
    }
    if (const Node* to = map->find("to")) {
        read_target(*to, draft.config.syslog, mistakes);
    }
    if (const Node* facility = map->find("facility")) {
        const auto word = find_word(kFacilityWords, text_of(*facility));
        draft.config.syslog.facility = word.value_or(draft.config.syslog.facility);
        if (!word) {
            mistakes.add(facility->place, describe(*facility), list_words(kFacilityWords));
        }
    }
}

}  // namespace sekisho::config
