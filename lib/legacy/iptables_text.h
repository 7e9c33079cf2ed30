// Rules of iptables as text: options as -S and iptables-save write them, sentences as -L shows them.
#pragma once

#include <string>

#include "legacy/names.h"
#include "legacy/tables.h"

namespace sekisho::legacy {

// " -m tcp --dport 80"; of the protocol's own match "-m tcp" or "-m udp".
std::string option_text(const Match& match, uint8_t protocol);
// " --to-source 192.0.2.1".
std::string option_text(const TableRule& rule);

// " tcp dpt:http".
std::string shown_text(const Match& match, uint8_t protocol, const Names& names, bool numeric);
// " to:192.0.2.1".
std::string shown_text(const TableRule& rule);

// In quotes where it must be.
std::string quoted(const std::string& text);

}  // namespace sekisho::legacy
