// Formula: which external address and ports a subscriber of a pool with `port-selection: deterministic`
// has, and whose an external port is (RFC 7422): from the settings alone, whatever happened before.
//
//   Numbers   the internal addresses that the pool's policies cover are numbered in the order of the
//             policies and of their `source` prefixes; the pool's port blocks in the order of its
//             addresses and of the ports of each. Subscriber n has block n.
//   Holes     an address that an earlier policy or prefix covers keeps its first number; the later one
//             is nobody's.
//   Cost      O(prefixes and ranges). Allocates when it is made. Thread: constant data.
//   Source    RFC 7422 2; doc/configuration.md.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/types.h"
#include "nat/settings.h"

namespace sekisho::nat {

struct FormulaExternal {
    Ipv4Addr address;
    PortRange ports;
    friend bool operator==(const FormulaExternal&, const FormulaExternal&) = default;
};
struct FormulaInternal {
    Ipv4Addr address;
    RealmId realm;
    friend bool operator==(const FormulaInternal&, const FormulaInternal&) = default;
};

class Formula {
  public:
    // `settings` must outlive it; the pool is deterministic.
    Formula(const NatSettings& settings, PoolId pool);

    uint64_t subscribers() const { return subscribers_; }  // numbers in use
    uint64_t blocks() const { return blocks_; }
    std::optional<FormulaExternal> external_of(Ipv4Addr internal, RealmId realm) const;
    std::optional<FormulaInternal> internal_of(Ipv4Addr external, uint16_t port) const;

  private:
    struct Source {
        Ipv4Prefix prefix;
        RealmId realm;
        uint64_t first;  // number of its first address
    };
    std::optional<uint64_t> number_of(Ipv4Addr internal, RealmId realm) const;

    const NatSettings* settings_;
    PoolId pool_;
    std::vector<Source> sources_;
    uint64_t subscribers_ = 0;
    uint64_t blocks_ = 0;
    uint32_t blocks_each_ = 0;  // of an address
    uint32_t first_block_ = 0;
};

}  // namespace sekisho::nat
