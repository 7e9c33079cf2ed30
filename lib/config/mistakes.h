// The mistakes of one file, and of those that it names, while it is being checked: collected in any order,
// given out in the order of the file.
//
//   Thread    one checker. Cost: start-up.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace sekisho::config {

struct Place {  // both count from 1
    int line = 1;
    int column = 1;
};

class Mistakes {
  public:
    explicit Mistakes(std::string file) : file_(std::move(file)) {}

    void add(Place place, std::string found, std::string wanted);
    // In a file that this one names.
    void add_in(const std::string& file, Place place, std::string found, std::string wanted);
    void warn(Place place, std::string found, std::string wanted);
    bool empty() const { return mistakes_.empty(); }
    size_t count() const { return mistakes_.size(); }
    std::vector<Mistake> in_file_order() &&;  // those of other files last
    const std::vector<Mistake>& warnings() const { return warnings_; }

  private:
    std::string file_;
    std::vector<Mistake> mistakes_;
    std::vector<Mistake> warnings_;
};

// Text from the file as it may stand in a message: in quotes, on one line, no control characters,
// cut at 80 bytes.
std::string quote(std::string_view text);

}  // namespace sekisho::config
