// A small valid file, and files that differ from it by one line.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "config/config.h"

namespace sekisho::config {

inline const MachineFacts kTwoCpus{{0, 1}};

inline constexpr const char* kBaseFile =
    "system:\n"                                          // 1
    "  workers: 1\n"                                     // 2
    "links:\n"                                           // 3
    "  - name: int0\n"                                   // 4
    "    device: af_packet:i0\n"                         // 5
    "    realm: internal\n"                              // 6
    "    addresses: [100.64.0.1/10]\n"                   // 7
    "  - name: ext0\n"                                   // 8
    "    device: af_packet:e0\n"                         // 9
    "    realm: external\n"                              // 10
    "    addresses: [198.51.100.2/24]\n"                 // 11
    "routes:\n"                                          // 12
    "  - {prefix: 0.0.0.0/0, next-hop: 198.51.100.1}\n"  // 13
    "pools:\n"                                           // 14
    "  - name: main\n"                                   // 15
    "    addresses: [203.0.113.0/28]\n"                  // 16
    "    ports: 1024-65535\n"                            // 17
    "policies:\n"                                        // 18
    "  - name: all\n"                                    // 19
    "    source: [100.64.0.0/10]\n"                      // 20
    "    pool: main\n";                                  // 21

// The base file with one line replaced (by any number of lines; line 22 is a line after the last).
inline std::string base_with(int line, const std::string& replacement) {
    std::istringstream in(kBaseFile);
    std::string out;
    std::string text;
    for (int number = 1; std::getline(in, text); ++number) {
        const std::string& kept = number == line ? replacement : text;
        out += kept.empty() ? "" : kept + "\n";
    }
    return line == 22 ? out + replacement + "\n" : out;
}

// All mistakes as they are printed, one a line.
inline std::string mistakes_of(const std::string& text) {
    std::string out;
    for (const Mistake& mistake : parse(text, "f", kTwoCpus).mistakes) {
        out += (out.empty() ? "" : "\n") + mistake.text();
    }
    return out;
}

}  // namespace sekisho::config
