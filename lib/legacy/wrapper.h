// ipfwadm-wrapper: ipfwadm's command language over the firewall chains of Linux 2.2, for scripts that were not rewritten.
//
//   Chains    its rules stand in chains of its own, made when it is first called: inp, out and fwd, to which input, output
//             and forward lead, and before these acctin, acctout and acctboth. ipchains shows and changes them like others.
//   Ports     ipchains takes one range a side: of several ports each combination is a rule.
//   -V        finds the link that has the address; no such link, or several: status 1, and nothing is changed.
//   Listing   ipchains' own.
//   Thread    one at a time.
//   Source    issue 5; LEGACY S, C.
#pragma once

#include <string>

#include "legacy/answer.h"
#include "legacy/chains.h"
#include "legacy/names.h"

namespace sekisho::legacy {

Answer run_ipfwadm_wrapper(
    const Words& words, Chains& chains, const Appliance& appliance, const Names& names
);

}  // namespace sekisho::legacy
