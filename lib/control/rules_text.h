// What the commands about rules answer, as text for people.
//
//   Safety    as document_text.h. Thread: pure.
#pragma once

#include <string>
#include <vector>

#include "control/rpc_error.h"
#include "control/text_table.h"

namespace sekisho::control {

// A counter above 99999 in thousands, above 9999K in millions, above 9999M in thousands of millions, as ipchains shows it.
std::string rounded(uint64_t count);

std::vector<TableColumn> rules_columns();
std::vector<std::string> rules_cells(const Document& row, bool exact);

// Of rules.change.
std::string edited_text(const Document& result);
// Of rules.check.
std::string check_text(const Document& result);

}  // namespace sekisho::control
