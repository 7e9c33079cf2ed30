// LegacyForwards: what ipautofw, ipportfw, ipmasqadm and redir have set up, behind the static mappings, services and forwards of the
// configuration's file.
//
//   Address   where a tool names none, the usual external address (config/recheck.h) of the configuration. Of one that it has named, and
//             that no pool has any more, nothing stands until the address comes back: a kernel's would have been dead.
//   Names     of rules and trigger forwards: of those that tell the tool and a number the first that the file has not given away.
//   Thread    the control thread; a value.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "legacy/forwards.h"

namespace sekisho::daemon {

// The chain of those by mark (ipmasqadm mfw), asked about what comes by external links.
inline constexpr const char* kMarkChain = "ipmasqadm:mfw";
// Has `set` say what `forwards` say of marks. `had_any`: it may have such a chain of ours already.
Result<void> put_marks(
    const legacy::Forwards& forwards,
    const rules::ByteSet& external,
    bool had_any,
    rules::RuleSet& set
);

// Those whose address no pool of `config` has, each as a person would name it.
std::vector<std::string> without_address(
    const legacy::Forwards& forwards, const config::Config& config
);

class LegacyForwards {
  public:
    // Puts them into `config` in the place of those that it has of them. Fails with what would be wrong with it then. `standing`: of
    // these those are left out whose address no pool has.
    Result<void> take(
        const legacy::Forwards& forwards, const legacy::Forwards& standing, config::Config& config
    );
    // `config` has just those of `forwards` by now.
    void settle(const legacy::Forwards& forwards, const config::Config& config);

  private:
    legacy::ForwardSettings own_;  // which the configuration has
};

}  // namespace sekisho::daemon
