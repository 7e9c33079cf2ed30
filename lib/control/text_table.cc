#include "control/text_table.h"

#include <algorithm>

#include <fmt/format.h>

namespace sekisho::control {

std::string TextTable::line(const std::vector<std::string>& cells) const {
    std::string out;
    for (size_t i = 0; i < columns_.size(); ++i) {
        out += i == 0 ? "" : "  ";
        out += columns_[i].right ? fmt::format("{:>{}}", cells[i], columns_[i].width)
                                 : fmt::format("{:<{}}", cells[i], columns_[i].width);
    }
    out.erase(out.find_last_not_of(' ') + 1);
    return out + "\n";
}

std::string TextTable::take() {
    for (size_t i = 0; i < columns_.size(); ++i) {
        size_t width = std::max(columns_[i].width, columns_[i].title.size());
        for (const auto& row : rows_) {
            width = std::max(width, row[i].size());
        }
        columns_[i].width = width;
    }
    std::string out;
    if (!titled_) {
        std::vector<std::string> titles;
        for (const auto& column : columns_) {
            titles.push_back(column.title);
        }
        out = line(titles);
        titled_ = true;
    }
    for (const auto& row : rows_) {
        out += line(row);
    }
    rows_.clear();
    return out;
}

}  // namespace sekisho::control
