// What the fuzz targets of the old tools share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "legacy/answer.h"
#include "legacy/appliance.h"
#include "legacy/names.h"

namespace sekisho::fuzz {

// Each line as words between spaces; a bounded number of lines.
inline std::vector<legacy::Words> lines_of(const uint8_t* data, size_t size) {
    constexpr size_t kMostLines = 64;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    std::vector<legacy::Words> lines(1);
    bool is_in_word = false;
    for (const char c : text) {
        if (c == '\n') {
            if (lines.size() == kMostLines) {
                break;
            }
            lines.emplace_back();
        } else if (c != ' ') {
            if (!is_in_word) {
                lines.back().emplace_back();
            }
            lines.back().back() += c;
        }
        is_in_word = c != ' ' && c != '\n';
    }
    return lines;
}

struct QuietAppliance : legacy::Appliance {
    legacy::Links links() const override {
        return {
            {"eth0", LinkId{0}, {Ipv4Addr::of(10, 0, 0, 1)}},
            {"ppp0", LinkId{1}, {Ipv4Addr::of(192, 0, 2, 1)}}};
    }
    legacy::Counts counts() const override { return {}; }
    std::vector<legacy::MasqueradedSession> masqueraded() const override {
        return {
            {Protocol::kTcp,
             1000,
             Ipv4Addr::of(10, 0, 0, 2),
             Ipv4Addr::of(192, 0, 2, 2),
             {},
             {},
             {}}};
    }
};

inline legacy::NameTables few_names() {
    legacy::NameTables names;
    names.read_services("smtp 25/tcp\ndomain 53/tcp\ndomain 53/udp\nhttp 80/tcp\n");
    names.read_protocols("icmp 1\ntcp 6\nudp 17\ngre 47\n");
    names.read_networks("inside 192.168\n");
    names.read_hosts("192.0.2.1 pair\n192.0.2.2 pair\n192.0.2.80 one\n");
    return names;
}

}  // namespace sekisho::fuzz
