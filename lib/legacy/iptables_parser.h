// The parser of iptables: commands and the rule's own options in iptables_parse.cc, those of -m and -j in
// iptables_extensions.cc and iptables_matches.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "legacy/iptables.h"
#include "legacy/options.h"

namespace sekisho::legacy {

class IptablesParser {
  public:
    IptablesParser(const Words& words, const Names& names);

    Parsed<Iptables> parse(const std::string& program);

  private:
    void complain(std::string reason) {
        if (!reason_) {
            reason_ = std::move(reason);
        }
    }
    void want(bool holds, const char* reason) {
        if (!holds) {
            complain(reason);
        }
    }
    const std::string& argument() const { return reader_.argument(); }
    bool take_turn() {
        const bool turned = invert_;
        invert_ = false;
        return turned;
    }

    void take_option(int code);
    bool take_command(int code);
    void start(char letter, Iptables::Command command);
    void take_chain_if_any();
    void take_number(bool is_needed);
    void take_word(const char* what);
    bool take_parameter(int code);
    void take_switch(int code);
    void take_host(std::optional<std::string>& host, Maybe<HostMask>& side, char letter);
    void take_protocol();
    void take_link(Maybe<std::string>& link, char letter);
    void take_counters();
    void take_table();

    void load(std::span<const LongOption> options);
    void load_protocol(uint8_t protocol);
    void take_match(const std::string& name);
    void take_target(const std::string& name, bool goes);
    void take_extension(int code);
    void take_port_option(int code);
    void take_match_option(int code);
    void take_target_option(int code);
    template <class T>
    T& match_of();
    void take_flags();
    void take_icmp_type();
    void take_states();
    void take_limit();
    void take_burst();
    void take_comment();
    void take_range(bool is_source);
    void take_length();
    void take_string_option(int code);
    void take_string(StringMatch& match, bool is_hex);
    uint16_t take_position(const char* option);
    void take_ttl(int code);
    void take_tos_match();
    void take_multiport(rules::Side side);
    void take_mark_match();
    void take_level();
    void take_prefix();
    void take_tos();
    void take_dscp();
    void take_reject();
    void take_nat_ports();
    void take_nat_address();
    Maybe<PortRange> take_ports();
    void take_mark_target(bool is_xmark);

    void finish();
    void finish_rule();
    void finish_matches();
    void finish_target();
    void check_links();
    void check_options();
    std::vector<HostMask> read_hosts(const std::string& text);
    std::optional<PortRange> read_ports(std::string_view text, char between);
    std::optional<uint16_t> read_port(std::string_view text);
    bool is_of(Protocol protocol) const {
        return made_.rule.protocol == Maybe<uint8_t>{static_cast<uint8_t>(protocol), false};
    }
    bool is_rule() const;

    const Names& names_;
    OptionReader reader_;
    std::vector<LongOption> longs_;
    std::optional<std::string> reason_;
    Iptables made_;
    bool command_ = false;
    bool invert_ = false;
    std::string given_;        // letters of options
    std::vector<int> wanted_;  // options that a match or target must have
    std::optional<std::string> source_;
    std::optional<std::string> destination_;
    std::string program_;
};

}  // namespace sekisho::legacy
