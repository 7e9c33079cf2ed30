// What must be known of a capture before a device loops over it: how many frames it holds, and how long the longest is.
//
//   Errors    one sentence: unreadable, no pcap file, no frame, not Ethernet, a frame too long for a buffer, cut short.
//   Cost      start-up; reads the file once. Source: draft-ietf-opsawg-pcap.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace sekisho::dpdk {

struct CaptureFacts {
    uint64_t frames = 0;
    uint32_t longest = 0;  // bytes
};

Result<CaptureFacts> scan_capture(const std::string& path);

// A pipe or the like, whose first byte may never come.
bool is_waited_for(const std::string& path);
// Whether it begins as a capture of any kind that libpcap reads: pcap in either byte order and resolution, pcapng.
bool is_capture(const std::string& path);

}  // namespace sekisho::dpdk
