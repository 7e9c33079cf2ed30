// ParamReader: the named parameters of one request, read strictly.
//
//   Use       take each parameter that the method knows, then finish(). The first mistake is kept;
//             what is read after it does not matter, since finish() returns it.
//   Errors    kInvalidParams: the parameter, what was found, what was wanted. Unknown names are
//             mistakes too.
//   Lifetime  the request outlives the reader.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/json_text.h"
#include "control/rpc_error.h"

namespace sekisho::control {

class ParamReader {
  public:
    explicit ParamReader(const Json& params);

    // Absent and null are the same: not given.
    std::optional<std::string> text(std::string_view name, std::string_view wanted);
    // A list of at most so many texts.
    std::optional<std::vector<std::string>> texts(std::string_view name, size_t most);
    std::optional<uint64_t> number(std::string_view name, uint64_t least, uint64_t most);
    bool flag(std::string_view name);

    // Reports a parameter whose text did not say what was wanted.
    void complain(std::string_view name, const std::string& found, std::string_view wanted);
    tl::expected<void, RpcError> finish();

  private:
    const Json* find(std::string_view name);
    const Json& params_;
    std::vector<std::string> known_;
    std::optional<RpcError> mistake_;
};

// A parameter whose text `parse` makes a value of, or nothing.
template <class Parse>
auto read_value(
    ParamReader& params, std::string_view name, std::string_view wanted, const Parse& parse
) -> decltype(parse(std::string_view{})) {
    const auto text = params.text(name, wanted);
    if (!text) {
        return std::nullopt;
    }
    auto value = parse(std::string_view(*text));
    if (!value) {
        params.complain(name, quoted(Json(*text)), wanted);
    }
    return value;
}

}  // namespace sekisho::control
