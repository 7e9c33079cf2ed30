#include "config/schema.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

namespace sekisho::config {
namespace {

constexpr size_t kLongestKey = 40;  // anything longer is near to nothing

// Levenshtein distance; `b` no longer than kLongestKey.
size_t edit_distance(std::string_view a, std::string_view b) {
    std::array<size_t, kLongestKey + 1> row{};
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= a.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row[b.size()];
}

}  // namespace

std::string list_keys(const Section& section) {
    std::vector<std::string_view> names;
    for (const Key& key : section.keys) {
        if (!key.name.starts_with("not-")) {
            names.push_back(key.name);
        }
    }
    std::string out;
    for (size_t i = 0; i < names.size(); ++i) {
        out += i == 0 ? "" : i + 1 == names.size() ? " and " : ", ";
        out += names[i];
    }
    return out;
}

std::string nearest_key(const Section& section, std::string_view written) {
    std::string any = (section.keys.size() == 1 ? "" : "one of ") + list_keys(section);
    if (written.size() > kLongestKey) {
        return any;
    }
    const Key* nearest = nullptr;
    size_t least = 2 + written.size() / 3;  // beyond this it is another word, not a slip
    for (const Key& key : section.keys) {
        const size_t distance = edit_distance(key.name, written);
        if (distance < least) {
            least = distance;
            nearest = &key;
        }
    }
    return nearest != nullptr ? std::string(nearest->name) : any;
}

}  // namespace sekisho::config
