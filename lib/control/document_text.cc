#include "control/document_text.h"

#include "control/json_text.h"

namespace sekisho::control {

std::string text_of(const Document& value) {
    if (value.is_string()) {
        return printable(value.get_ref<const std::string&>());
    }
    if (value.is_null()) {
        return kNoValue;
    }
    if (value.is_boolean()) {
        return value.get<bool>() ? "yes" : "no";
    }
    if (!value.is_array()) {
        return to_line(value, true);
    }
    std::string out;
    for (const Document& element : value) {
        out += (out.empty() ? "" : ",") + text_of(element);
    }
    return out;
}

// The value of a key, or of a key in an object: "blocks/free".
Document value_of(const Document& object, std::string_view key) {
    const size_t slash = key.find('/');
    if (!object.is_object() || !object.contains(key.substr(0, slash))) {
        return {};
    }
    const Document& value = object.at(std::string(key.substr(0, slash)));
    return slash == std::string_view::npos ? value : value_of(value, key.substr(slash + 1));
}

uint64_t count_of(const Document& value) {
    return value.is_number_integer() && value >= 0 ? value.get<uint64_t>() : 0;
}

uint64_t number_of(const Document& object, std::string_view key) {
    return count_of(value_of(object, key));
}

}  // namespace sekisho::control
