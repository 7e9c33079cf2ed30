// PayloadFinder: who searches a packet's payload, once the rules first ask for it.
//
//   Thread    the shard's worker.
#pragma once

#include "rules/packet.h"

namespace sekisho::dataplane {

class PayloadFinder {
  public:
    virtual ~PayloadFinder() = default;
    // A rule may ask what is in the payload of the packet in question: `packet.patterns` is set to that, valid until the next
    // packet, and what else has changed of the packet. False: it goes no further now, and its verdict says so.
    virtual bool find(rules::RulePacket& packet) = 0;
};

}  // namespace sekisho::dataplane
