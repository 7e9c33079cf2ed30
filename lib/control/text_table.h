// TextTable: rows of text in aligned columns, for people.
//
//   Shape     titles first, two blanks between columns, no blanks at a line's end; numbers to the
//             right. Widths only grow, so a listing that comes page by page stays aligned as far as
//             what was printed allows.
//   Thread    one.
#pragma once

#include <string>
#include <vector>

namespace sekisho::control {

struct TableColumn {
    std::string title;
    bool right = false;
    size_t width = 0;  // at least
};

class TextTable {
  public:
    explicit TextTable(std::vector<TableColumn> columns) : columns_(std::move(columns)) {}
    // One cell a column; already printable.
    void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    // The lines of what was added since the last call; the titles come with the first.
    std::string take();

  private:
    std::string line(const std::vector<std::string>& cells) const;
    std::vector<TableColumn> columns_;
    std::vector<std::vector<std::string>> rows_;
    bool titled_ = false;
};

}  // namespace sekisho::control
