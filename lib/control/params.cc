#include "control/params.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "control/json_text.h"

namespace sekisho::control {

ParamReader::ParamReader(const Json& params) : params_(params) {
    if (!params_.is_object() && !params_.is_null()) {
        complain("params", quoted(params_), "an object of named parameters");
    }
}

const Json* ParamReader::find(std::string_view name) {
    known_.emplace_back(name);
    if (!params_.is_object()) {
        return nullptr;
    }
    const auto it = params_.find(std::string(name));
    return it == params_.end() || it->is_null() ? nullptr : &*it;
}

std::optional<std::string> ParamReader::text(std::string_view name, std::string_view wanted) {
    const Json* value = find(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (!value->is_string()) {
        complain(name, quoted(*value), wanted);
        return std::nullopt;
    }
    return value->get_ref<const std::string&>();
}

std::optional<std::vector<std::string>> ParamReader::texts(std::string_view name, size_t most) {
    const Json* value = find(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    const auto is_text = [](const Json& each) { return each.is_string(); };
    if (!value->is_array() || value->size() > most ||
        !std::all_of(value->begin(), value->end(), is_text)) {
        complain(name, quoted(*value), fmt::format("a list of at most {} texts", most));
        return std::nullopt;
    }
    return value->get<std::vector<std::string>>();
}

std::optional<uint64_t> ParamReader::number(std::string_view name, uint64_t least, uint64_t most) {
    const Json* value = find(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (value->is_number_unsigned() || (value->is_number_integer() && *value >= 0)) {
        const auto number = value->get<uint64_t>();
        if (number >= least && number <= most) {
            return number;
        }
    }
    complain(name, quoted(*value), fmt::format("a whole number from {} to {}", least, most));
    return std::nullopt;
}

bool ParamReader::flag(std::string_view name) {
    const Json* value = find(name);
    if (value != nullptr && !value->is_boolean()) {
        complain(name, quoted(*value), "true or false");
        return false;
    }
    return value != nullptr && value->get<bool>();
}

void ParamReader::complain(
    std::string_view name, const std::string& found, std::string_view wanted
) {
    if (!mistake_) {
        mistake_ = RpcError{
            kInvalidParams,
            fmt::format("parameter '{}': found {}, wanted {}", name, found, wanted)};
    }
}

tl::expected<void, RpcError> ParamReader::finish() {
    const auto end = params_.is_object() ? params_.end() : params_.begin();
    for (auto it = params_.begin(); it != end; ++it) {
        if (std::find(known_.begin(), known_.end(), it.key()) == known_.end()) {
            const std::string wanted =
                known_.empty() ? "none" : fmt::format("one of {}", fmt::join(known_, ", "));
            complain("params", fmt::format("the name {}", quoted(Json(it.key()))), wanted);
        }
    }
    if (mistake_) {
        return tl::unexpected<RpcError>(*mistake_);
    }
    return {};
}

}  // namespace sekisho::control
