// ipautofw, and ipmasqadm autofw.
#include <fmt/format.h>

#include "legacy/forward_reading.h"
#include "legacy/forward_tools.h"
#include "legacy/usage.h"

namespace sekisho::legacy {
namespace {

constexpr int kWrong = 1;
constexpr int kRefused = 255;

class Parser {
  public:
    Parser(const Words& words, const Names& names) : words_(words), names_(names) {}

    // The reason why not, or nothing.
    std::optional<std::string> parse() {
        while (!reason_ && at_ < words_.size()) {
            const std::string& word = words_[at_++];
            if (word.size() != 2 || word[0] != '-') {
                complain("Invalid option: " + word);
            } else {
                take(word[1]);
            }
        }
        if (!reason_ && !ports_) {
            complain("You must select a type of forwarding (direct, port, or range)");
        }
        if (!reason_ && !host_ && !control_port_) {
            complain("a range goes to a host (-h) or to whoever uses a control port (-c)");
        }
        return reason_;
    }
    bool is_fixed() const { return host_.has_value(); }
    bool tells() const { return tells_; }
    FixedForward fixed() const {
        return {
            protocol_,
            std::nullopt,
            *ports_,
            *host_,
            host_port_,
            kUsualPreference,
            ForwardTool::kAutofw};
    }
    CalledForward called() const {
        return {
            protocol_,
            *ports_,
            control_protocol_,
            *control_port_,
            is_open_ ? nat::TriggerAccess::kAnyone : nat::TriggerAccess::kContacted};
    }

  private:
    void complain(std::string reason) {
        if (!reason_) {
            reason_ = std::move(reason);
        }
    }
    std::string next() {
        if (at_ == words_.size()) {
            complain("Invalid option: something is missing at the end");
            return "";
        }
        return words_[at_++];
    }
    Protocol take_protocol() {
        const auto protocol = read_transport(next());
        if (!protocol) {
            complain("protocol must be either tcp or udp");
        }
        return protocol.value_or(Protocol::kTcp);
    }
    uint16_t take_port() {
        const auto port = read_real_port(next());
        if (!port) {
            complain("Illegal port numbers");
        }
        return port.value_or(1);
    }
    void take_type() {
        if (ports_) {
            complain("-r, -p and -d cannot be used in conjunction");
        }
        protocol_ = take_protocol();
    }
    void take_host(const std::string& text) {
        host_ = read_host(text, names_);
        if (!host_) {
            complain("Invalid IP address: " + text);
        }
    }

    void take(char option) {
        switch (option) {
            case 'r':
                return take_range();
            case 'p':
                return take_bounce();
            case 'd':
                return complain("-d: no port range is set apart for masquerading here");
            case 'h':
                return take_host(next());
            case 'c':
                control_protocol_ = take_protocol();
                control_port_ = take_port();
                return;
            case 'u':
            case 'i':
                is_open_ = true;
                return;
            case 'v':
                tells_ = true;
                return;
            default:
                complain(fmt::format("Invalid option: -{}", option));
        }
    }

    void take_range() {
        take_type();
        const uint16_t first = take_port();
        ports_ = {first, take_port()};
        if (ports_->last < ports_->first) {
            complain("Illegal port numbers");
        }
    }

    // A visible port, then HOST:PORT.
    void take_bounce() {
        take_type();
        const uint16_t visible = take_port();
        ports_ = {visible, visible};
        const std::string target = next();
        const size_t colon = target.rfind(':');
        const auto port =
            colon == std::string::npos ? std::nullopt : read_real_port(target.substr(colon + 1));
        if (!port) {
            return complain("Illegal port numbers");
        }
        host_port_ = *port;
        take_host(target.substr(0, colon));
    }

    const Words& words_;
    const Names& names_;
    size_t at_ = 1;  // behind the command
    std::optional<std::string> reason_;
    Protocol protocol_ = Protocol::kTcp;
    std::optional<nat::PortRange> ports_;
    std::optional<Ipv4Addr> host_;
    uint16_t host_port_ = 0;
    Protocol control_protocol_ = Protocol::kUdp;
    std::optional<uint16_t> control_port_;
    bool is_open_ = false;
    bool tells_ = false;
};

bool add(Forwards& forwards, const Parser& parser) {
    return parser.is_fixed() ? add_first(forwards.fixed, parser.fixed())
                             : add_first(forwards.called, parser.called());
}

bool remove(Forwards& forwards, const Parser& parser) {
    if (parser.is_fixed()) {
        return erase_all(forwards.fixed, [entry = parser.fixed()](const auto& e) {
            return e == entry;
        });
    }
    return erase_all(forwards.called, [entry = parser.called()](const auto& e) {
        return e == entry;
    });
}

}  // namespace

Answer run_ipautofw(
    const Words& words, Forwards& forwards, const Names& names, const std::string& program
) {
    if (words.empty()) {
        return {
            fmt::format(
                "Usage: {} -A|-D -r tcp|udp LOW HIGH [-c tcp|udp PORT] [-h HOST] [-u] [-v]\n"
                "       {} -A|-D -p tcp|udp PORT HOST:PORT\n"
                "       {} -F\n",
                program,
                program,
                program
            ),
            "",
            kWrong};
    }
    if (words[0] == "-F") {
        if (words.size() > 1) {
            return refusal(program, "The flush command does not take options", kWrong);
        }
        forwards.called.clear();
        std::erase_if(forwards.fixed, [](const FixedForward& forward) {
            return forward.tool == ForwardTool::kAutofw;
        });
        return {};
    }
    if (words[0] != "-A" && words[0] != "-D") {
        return refusal(program, "Command must be either -A, -D, or -F", kWrong);
    }
    Parser parser(words, names);
    if (const auto reason = parser.parse()) {
        return refusal(program, *reason, kWrong);
    }
    const bool adds = words[0] == "-A";
    if (!(adds ? add(forwards, parser) : remove(forwards, parser))) {
        return refusal(program, adds ? "it is there already" : "there is no such entry", kRefused);
    }
    Answer answer;
    if (parser.tells()) {
        answer.out = adds ? "Adding autofwd\n" : "Deleting autofwd\n";
    }
    return answer;
}

}  // namespace sekisho::legacy
