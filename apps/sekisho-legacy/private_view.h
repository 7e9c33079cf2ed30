// PrivateView: the machine as a script of an earlier kernel expects it, seen by this process and its children alone.
//
//   Tools     by all their names: first on PATH, and in the folders of system programs, whose other programs stay there.
//   Settings  below /proc/sys/net/ipv4 files of ours, with what is so on the appliance; the kernel's own are not reached.
//   Listings  /proc/net has files of ours beside the kernel's: as they were when a tool was last called.
//   End       all of it goes with the last process that sees it, however that ends. One empty folder stays: kFolder.
//   Errors    a sentence; the process sees things half changed then, and should end.
//   Thread    a process with one thread. Needs root.
#pragma once

#include <map>
#include <string>

#include "base/result.h"

namespace sekisho::old {

inline constexpr const char* kFolder = "/run/sekisho/legacy";
inline constexpr const char* kSettings = "/run/sekisho/legacy/settings";  // for /proc/sys/net/ipv4
inline constexpr const char* kListings = "/run/sekisho/legacy/net";       // for /proc/net
inline constexpr const char* kTools = "/run/sekisho/legacy/bin";

// `settings`: by their path below /proc/sys/net/ipv4, what is in them.
Result<void> make_private_view(const std::map<std::string, std::string>& settings);

// Whether this process sees one.
bool has_private_view();
// What the settings hold now, by their path, without the end of their line.
std::map<std::string, std::string> read_settings();
// A file for a setting, and for a listing; false: it cannot be written.
bool write_setting(const std::string& path, const std::string& value);
bool write_listing(const std::string& name, const std::string& text);

}  // namespace sekisho::old
