// The parser of ipchains: takes options in ipchains_parse.cc, judges the whole in ipchains_check.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "legacy/ipchains.h"
#include "legacy/options.h"

namespace sekisho::legacy {

class IpchainsParser {
  public:
    IpchainsParser(const Words& words, const Names& names);

    Parsed<Ipchains> parse(const std::string& program);

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
    bool has(char option) const { return given_.find(option) != std::string::npos; }
    bool is_inverted(char option) const { return inverted_.find(option) != std::string::npos; }

    void take_option(int code);
    void take_word();
    bool take_command(char letter);
    void take_parameter(char letter);
    void start(char letter, Ipchains::Command command);
    void take_masquerading();
    void take_list_or_zero(char letter);
    void take_chain_if_any();
    void take_number(bool is_needed);
    void take_policy();
    void take_timeouts();
    std::string take_invertible();
    void note(char letter);
    void take_side(
        char letter, std::optional<std::string>& host, std::optional<std::string>& ports
    );
    void take_protocol();
    void take_interface();
    void take_mark();
    void take_copy_size();
    void take_tos();

    void finish();
    void finish_rule();
    void finish_ports();
    void finish_icmp();
    void check_addresses();
    void check_protocol();
    void check_packet();
    void check_target();
    void check_options();
    void check_tos();
    std::vector<HostMask> read_hosts(const std::string& text);
    PortRange read_ports(const std::optional<std::string>& text);
    uint16_t read_port(std::string_view text);
    bool is_of(uint8_t protocol) const {
        return made_.rule.protocol.value == protocol && !is_inverted('p');
    }
    bool is_rule() const {
        return command_ && (made_.command == Ipchains::Command::kAppend ||
                            made_.command == Ipchains::Command::kInsert ||
                            made_.command == Ipchains::Command::kReplace ||
                            made_.command == Ipchains::Command::kDelete);
    }
    bool is_on(const char* chain) const { return made_.chain == chain; }

    const Names& names_;
    OptionReader reader_;
    std::optional<std::string> reason_;
    std::optional<Answer> answer_;  // help and the version
    Ipchains made_;
    bool command_ = false;
    bool masquerading_ = false;
    bool invert_ = false;
    bool warns_ = true;
    std::string given_;
    std::string inverted_;
    std::optional<std::string> source_;
    std::optional<std::string> destination_;
    std::optional<std::string> source_ports_;
    std::optional<std::string> destination_ports_;
    std::string redirect_ = "0";
    std::string program_;
};

}  // namespace sekisho::legacy
