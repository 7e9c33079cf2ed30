// DryKernel: answers the tools of a script in the place of a sekishod, without an appliance, and remembers what was asked.
//
//   Machine   the links and pools of a configuration; no packet was ever counted.
//   Thread    one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "legacy/kernel.h"

namespace sekisho::old {

struct DryCall {
    std::string place;  // "rc.firewall:12"; empty: nobody knows
    legacy::ToolCall call;
    legacy::Answer answer;
};

class DryKernel {
  public:
    // `config` outlives it.
    explicit DryKernel(const config::Config& config);
    ~DryKernel();
    DryKernel(const DryKernel&) = delete;
    DryKernel& operator=(const DryKernel&) = delete;

    // A socket of that name; fails with a sentence.
    Result<void> listen(const std::string& path);
    // Answers who asks now, and waits for somebody a while at most.
    void serve_for_a_while();

    // As the tool settings tells them.
    std::string settings();
    // What a script has written, whenever that was.
    void write_settings(const std::map<std::string, std::string>& settings);

    const legacy::Kernel& kernel() const { return kernel_; }
    const std::vector<DryCall>& calls() const { return calls_; }

  private:
    void serve_client(int client);
    bool answer_lines(std::string& input, int client);
    std::string answer_line(const std::string& line);

    legacy::NameTables names_;
    legacy::Machine machine_;
    legacy::Kernel kernel_;
    std::vector<DryCall> calls_;
    int listener_ = -1;
};

}  // namespace sekisho::old
