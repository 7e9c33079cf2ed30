// What a request ends with when it does not succeed, and the two JSON types of the control module.
//
//   Types     requests are parsed into Json, whose objects are ordered maps: a hostile object costs
//             n log n. Replies are built as Document, which keeps the order in which people want to
//             read.
//   Source    JSON-RPC 2.0, section 5.1.
#pragma once

#include <string>

#include <nlohmann/json.hpp>
#include <tl/expected.hpp>

namespace sekisho::control {

using Json = nlohmann::json;
using Document = nlohmann::ordered_json;

enum RpcCode : int {
    kParseError = -32700,
    kInvalidRequest = -32600,
    kMethodNotFound = -32601,
    kInvalidParams = -32602,
    kInternalError = -32603,
    kServerBusy = -32000,  // a bound of the server is reached; the same request may succeed later
};

struct RpcError {
    int code = kInternalError;
    std::string message;  // one sentence for a person
};

using Reply = tl::expected<Document, RpcError>;

inline tl::unexpected<RpcError> refuse(int code, std::string message) {
    return tl::unexpected<RpcError>(RpcError{code, std::move(message)});
}

}  // namespace sekisho::control
