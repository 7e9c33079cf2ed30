// Result: what control code returns. Nothing throws after start-up; a packet that cannot pass is no error but a verdict.
#pragma once

#include <string>

#include <tl/expected.hpp>

namespace sekisho::base {

// One sentence for a person: what is missing or wrong, and how to get it.
struct Error {
    std::string message;
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> failure(std::string message) {
    return tl::unexpected<Error>(Error{std::move(message)});
}

}  // namespace sekisho::base

namespace sekisho {
using base::Error;
using base::failure;
using base::Result;
}  // namespace sekisho
