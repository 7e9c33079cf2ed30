#include "base/mutation.h"

#ifdef SEKISHO_WITH_MUTATIONS

#include <cstdlib>
#include <string_view>

namespace sekisho::base {
namespace {

Mutation read_mutation() {
    const char* const wanted = std::getenv("SEKISHO_MUTATION");
    if (wanted == nullptr) {
        return Mutation::kNone;
    }
#define SEKISHO_X(symbol, name)             \
    if (std::string_view(name) == wanted) { \
        return Mutation::symbol;            \
    }
    SEKISHO_MUTATIONS(SEKISHO_X)
#undef SEKISHO_X
    return Mutation::kNone;
}

}  // namespace

const Mutation kChosenMutation = read_mutation();

}  // namespace sekisho::base

#endif
