// ipautofw, ipportfw, ipmasqadm (autofw, portfw, mfw) and redir: grammars over Forwards.
//
//   Errors    one sentence on standard error; status 2 of ipportfw and ipmasqadm's portfw and mfw, 1 of autofw and redir,
//             as the originals'; 255 where an entry is there already, or is not. Nothing is changed then.
//   -u        of autofw (and -i) lets anybody outside use what somebody inside has called for; without it only whom they
//             called (LEGACY F5).
//   redir     becomes a forward of TCP ports; that there is a process no more, and options for one, are passed over.
//   Thread    one at a time.
//   Source    LEGACY F1 to F5; SEEDS B5, B6, B8.
#pragma once

#include <string>

#include "legacy/answer.h"
#include "legacy/forwards.h"
#include "legacy/names.h"

namespace sekisho::legacy {

Answer run_ipautofw(
    const Words& words,
    Forwards& forwards,
    const Names& names,
    const std::string& program = "ipautofw"
);
Answer run_ipportfw(
    const Words& words, Forwards& forwards, const std::string& program = "ipportfw"
);
// The first word names the module.
Answer run_ipmasqadm(const Words& words, Forwards& forwards, const Names& names);
Answer run_redir(const Words& words, Forwards& forwards, const Names& names);

}  // namespace sekisho::legacy
