// Names of hosts, networks, services and protocols, as the tools look them up.
//
//   Listing   asks only for services and protocols: addresses are shown as numbers, so that no listing waits for a
//             name server (SEEDS A11).
//   Thread    the caller's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/types.h"

namespace sekisho::legacy {

class Names {
  public:
    Names() = default;
    Names(const Names&) = default;
    Names& operator=(const Names&) = default;
    virtual ~Names() = default;

    virtual std::optional<Ipv4Addr> network(std::string_view name) const = 0;
    // All addresses of a host; none: not known.
    virtual std::vector<Ipv4Addr> host(std::string_view name) const = 0;
    virtual std::optional<uint16_t> port_of(std::string_view service, Protocol protocol) const = 0;
    virtual std::optional<std::string> service_at(uint16_t port, Protocol protocol) const = 0;
    virtual std::optional<uint8_t> protocol_of(std::string_view name) const = 0;
    virtual std::optional<std::string> protocol_name(uint8_t protocol) const = 0;
};

// Those of a machine, and what a caller has looked up besides. Keeps the names of hosts that nobody knows.
class AskedNames final : public Names {
  public:
    // `hosts`: lines as in /etc/hosts. `machine` outlives it.
    AskedNames(const Names& machine, std::string_view hosts);

    std::optional<Ipv4Addr> network(std::string_view name) const override;
    std::vector<Ipv4Addr> host(std::string_view name) const override;
    std::optional<uint16_t> port_of(std::string_view service, Protocol protocol) const override;
    std::optional<std::string> service_at(uint16_t port, Protocol protocol) const override;
    std::optional<uint8_t> protocol_of(std::string_view name) const override;
    std::optional<std::string> protocol_name(uint8_t protocol) const override;
    const std::vector<std::string>& unknown() const { return unknown_; }

  private:
    const Names& machine_;
    std::map<std::string, std::vector<Ipv4Addr>, std::less<>> given_;
    mutable std::vector<std::string> unknown_;
};

// Names from the texts of /etc/services, /etc/protocols, /etc/networks and /etc/hosts; what stands in none of them may
// be asked of a resolver. Of two entries the first holds; lines that make no sense are passed over.
class NameTables : public Names {
  public:
    using Resolver = std::function<std::vector<Ipv4Addr>(std::string_view name)>;

    void read_services(std::string_view text);
    void read_protocols(std::string_view text);
    void read_networks(std::string_view text);
    void read_hosts(std::string_view text);
    void set_resolver(Resolver resolver) { resolver_ = std::move(resolver); }

    std::optional<Ipv4Addr> network(std::string_view name) const override;
    std::vector<Ipv4Addr> host(std::string_view name) const override;
    std::optional<uint16_t> port_of(std::string_view service, Protocol protocol) const override;
    std::optional<std::string> service_at(uint16_t port, Protocol protocol) const override;
    std::optional<uint8_t> protocol_of(std::string_view name) const override;
    std::optional<std::string> protocol_name(uint8_t protocol) const override;

  private:
    template <class Value>
    using ByName = std::map<std::string, Value, std::less<>>;

    std::map<Protocol, ByName<uint16_t>> ports_;
    std::map<Protocol, std::map<uint16_t, std::string>> services_;
    ByName<uint8_t> protocols_;
    std::map<uint8_t, std::string> protocol_names_;
    ByName<Ipv4Addr> networks_;
    ByName<std::vector<Ipv4Addr>> hosts_;
    Resolver resolver_;
};

}  // namespace sekisho::legacy
