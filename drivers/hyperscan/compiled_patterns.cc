#include "hyperscan/compiled_patterns.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>
#include <hs.h>

namespace sekisho::hyperscan {
namespace {

using rules::Pattern;
using rules::PatternId;
using rules::PatternSet;

constexpr size_t kMostNamed = 10;  // in one sentence

std::string expression_of(const Pattern& pattern) {
    if (pattern.kind == Pattern::Kind::kRegex) {
        return pattern.text;
    }
    std::string expression;
    for (const char c : pattern.text) {
        expression += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
    return expression;
}

unsigned flags_of(const Pattern& pattern) {
    return HS_FLAG_DOTALL | HS_FLAG_SINGLEMATCH |
           (pattern.ignores_case ? unsigned{HS_FLAG_CASELESS} : 0U) |
           (pattern.is_multiline ? unsigned{HS_FLAG_MULTILINE} : 0U);
}

// Of a literal the first match tells all, and on_match() sees where that ends; bounds would cost it 15 ms to compile.
hs_expr_ext bounds_of(const Pattern& pattern) {
    hs_expr_ext bounds{};
    if (pattern.within != 0 && pattern.kind == Pattern::Kind::kRegex) {
        bounds.flags = HS_EXT_FLAG_MAX_OFFSET;
        bounds.max_offset = pattern.within;
    }
    return bounds;
}

struct Compiled {
    hs_database_t* database = nullptr;
    std::string refusal;
};

Compiled compile_patterns(const PatternSet& set, const std::vector<PatternId>& ids) {
    std::vector<std::string> texts;
    std::vector<hs_expr_ext> bounds;
    std::vector<unsigned> flags, numbers;
    for (const PatternId id : ids) {
        const Pattern& pattern = *set.find(id);
        texts.push_back(expression_of(pattern));
        bounds.push_back(bounds_of(pattern));
        flags.push_back(flags_of(pattern));
        numbers.push_back(id.value);
    }
    std::vector<const char*> expressions;
    std::vector<const hs_expr_ext*> all_bounds;
    for (size_t i = 0; i < ids.size(); ++i) {
        expressions.push_back(texts[i].c_str());
        all_bounds.push_back(&bounds[i]);
    }
    Compiled compiled;
    hs_compile_error_t* error = nullptr;
    const hs_error_t result = hs_compile_ext_multi(
        expressions.data(),
        flags.data(),
        numbers.data(),
        all_bounds.data(),
        static_cast<unsigned>(ids.size()),
        HS_MODE_STREAM,
        nullptr,
        &compiled.database,
        &error
    );
    if (result != HS_SUCCESS) {
        compiled.refusal = error != nullptr ? error->message : "no reason is given";
        hs_free_compile_error(error);
    }
    return compiled;
}

std::vector<PatternId> ids_of(const PatternSet& set) {
    std::vector<PatternId> ids;
    for (size_t i = 0; i < set.id_bound(); ++i) {
        const PatternId id{static_cast<uint16_t>(i)};
        if (set.find(id) != nullptr) {
            ids.push_back(id);
        }
    }
    return ids;
}

// Each that is refused by itself; if none is, what is said of all.
Error refusals_of(const PatternSet& set, const std::string& of_all) {
    std::string text;
    size_t refused = 0;
    for (const PatternId id : ids_of(set)) {
        const Compiled alone = compile_patterns(set, {id});
        hs_free_database(alone.database);
        if (alone.database != nullptr || ++refused > kMostNamed) {
            continue;
        }
        text += fmt::format(
            "{}the payload pattern {} is refused: {}",
            text.empty() ? "" : "\n",
            quoted(*set.find(id)),
            alone.refusal
        );
    }
    if (refused > kMostNamed) {
        text += fmt::format("\nand {} more are refused", refused - kMostNamed);
    }
    return {text.empty() ? "the payload patterns are refused: " + of_all : text};
}

Error too_much_state(const PatternSet& set, size_t needed, size_t there) {
    struct Need {
        size_t bytes;
        PatternId id;
    };
    std::vector<Need> needs;
    for (const PatternId id : ids_of(set)) {
        const Compiled alone = compile_patterns(set, {id});
        size_t bytes = 0;
        if (alone.database != nullptr && hs_stream_size(alone.database, &bytes) == HS_SUCCESS) {
            needs.push_back({bytes, id});
        }
        hs_free_database(alone.database);
    }
    std::ranges::stable_sort(needs, std::ranges::greater{}, &Need::bytes);
    needs.resize(std::min<size_t>(needs.size(), 3));
    std::string text = fmt::format(
        "the payload patterns need {} bytes of state for each stream, and there are {}; by "
        "themselves need most:",
        needed,
        there
    );
    for (const Need& need : needs) {
        text += fmt::format(" {} {} bytes,", quoted(*set.find(need.id)), need.bytes);
    }
    text.pop_back();
    return {text};
}

}  // namespace

Result<std::shared_ptr<const CompiledPatterns>> CompiledPatterns::compile(
    const PatternSet& set, size_t state_bytes
) {
    if (hs_valid_platform() != HS_SUCCESS) {
        return failure("payload patterns need a processor with SSSE3");
    }
    const std::shared_ptr<CompiledPatterns> compiled(new CompiledPatterns);
    compiled->traits_.resize(set.id_bound());
    compiled->marks_.resize((set.id_bound() + 63) / 64);
    const std::vector<PatternId> ids = ids_of(set);
    for (const PatternId id : ids) {
        const Pattern& pattern = *set.find(id);
        compiled->traits_[id.value] = {pattern.within, has_start_anchor(pattern)};
        compiled->marks_[id.value / 64] |= uint64_t{1} << id.value % 64;
    }
    if (!ids.empty()) {
        const Compiled made = compile_patterns(set, ids);
        if (made.database == nullptr) {
            return tl::unexpected(refusals_of(set, made.refusal));
        }
        compiled->database_ = made.database;
    }
    if (auto measured = compiled->measure(set, state_bytes); !measured) {
        return tl::unexpected(measured.error());
    }
    return compiled;
}

std::vector<CompiledPatterns::Fault> CompiledPatterns::faults(
    const PatternSet& set, size_t state_bytes
) {
    std::vector<Fault> faults;
    for (const PatternId id : ids_of(set)) {
        const Compiled alone = compile_patterns(set, {id});
        size_t bytes = 0;
        if (alone.database == nullptr) {
            faults.push_back({id, alone.refusal});
        } else if (hs_stream_size(alone.database, &bytes) == HS_SUCCESS && bytes > state_bytes) {
            faults.push_back(
                {id,
                 fmt::format(
                     "it needs {} bytes of state for each stream, and there are {}",
                     bytes,
                     state_bytes
                 )}
            );
        }
        hs_free_database(alone.database);
    }
    return faults;
}

Result<void> CompiledPatterns::measure(const PatternSet& set, size_t there) {
    if (database_ == nullptr) {
        return {};
    }
    const bool is_measured = hs_stream_size(database_, &stream_bytes_) == HS_SUCCESS &&
                             hs_database_size(database_, &database_bytes_) == HS_SUCCESS;
    if (!is_measured) {
        return failure("Hyperscan does not tell how large its database is");
    }
    if (state_bytes() > there) {
        return tl::unexpected(too_much_state(set, state_bytes(), there));
    }
    return {};
}

CompiledPatterns::~CompiledPatterns() {
    hs_free_database(database_);
}

}  // namespace sekisho::hyperscan
