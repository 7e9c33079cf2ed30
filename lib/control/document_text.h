// Values of results as text.
//
//   Safety    whatever came over the wire is made printable; what is not there is "-".
//   Thread    pure.
#pragma once

#include <string>
#include <string_view>

#include "control/rpc_error.h"

namespace sekisho::control {

inline constexpr const char* kNoValue = "-";

std::string text_of(const Document& value);
// The value of a key, or of a key in an object: "blocks/free"; null: there is none.
Document value_of(const Document& object, std::string_view key);
// A whole number that is not negative; 0: it is none.
uint64_t count_of(const Document& value);
uint64_t number_of(const Document& object, std::string_view key);

}  // namespace sekisho::control
