// Mutations: switches that take one required behaviour away, so that the tests of that requirement can be
// seen to fail (tools/conformance --mutate). A test that passes all the same shows nothing.
//
//   X(symbol, name)   name: the requirement's, in tools/conformance.d/requirements.json.
//   Place     where lib/ fulfils a requirement it asks is_mutated(); no other code depends on one.
//   Cost      none: a constant false, but with the build option `mutations`, which is for tests alone.
//             With it, one is chosen by SEKISHO_MUTATION, read once when a program starts.
//   Thread    constant data.
#pragma once

#include <cstdint>

// clang-format off
#define SEKISHO_MUTATIONS(X) \
    X(kRfc4787Req1, "rfc4787-req1") \
    X(kRfc4787Req3, "rfc4787-req3") \
    X(kRfc4787Req5, "rfc4787-req5") \
    X(kRfc4787Req6, "rfc4787-req6") \
    X(kRfc4787Req7, "rfc4787-req7") \
    X(kRfc4787Req9, "rfc4787-req9") \
    X(kRfc4787Req9a, "rfc4787-req9a") \
    X(kRfc4787Req11, "rfc4787-req11") \
    X(kRfc4787Req12, "rfc4787-req12") \
    X(kRfc4787Req13, "rfc4787-req13") \
    X(kRfc4787Req13a, "rfc4787-req13a") \
    X(kRfc4787Req14, "rfc4787-req14") \
    X(kRfc4787Req14a, "rfc4787-req14a") \
    X(kRfc5382Req1, "rfc5382-req1") \
    X(kRfc5382Req2, "rfc5382-req2") \
    X(kRfc5382Req2a, "rfc5382-req2a") \
    X(kRfc5382Req4, "rfc5382-req4") \
    X(kRfc5382Req4Drop, "rfc5382-req4-drop") \
    X(kRfc5382Req4a, "rfc5382-req4a") \
    X(kRfc5382Req5, "rfc5382-req5") \
    X(kRfc5382Req7, "rfc5382-req7") \
    X(kRfc5382Req8, "rfc5382-req8") \
    X(kRfc5382Req8a, "rfc5382-req8a") \
    X(kRfc5382Req10, "rfc5382-req10") \
    X(kRfc5508Req1, "rfc5508-req1") \
    X(kRfc5508Req2, "rfc5508-req2") \
    X(kRfc5508Req3b, "rfc5508-req3b") \
    X(kRfc5508Req3d, "rfc5508-req3d") \
    X(kRfc5508Req4a, "rfc5508-req4a") \
    X(kRfc5508Req4b, "rfc5508-req4b") \
    X(kRfc5508Req4c, "rfc5508-req4c") \
    X(kRfc5508Req5a, "rfc5508-req5a") \
    X(kRfc5508Req5b, "rfc5508-req5b") \
    X(kRfc5508Req5c, "rfc5508-req5c") \
    X(kRfc5508Req6, "rfc5508-req6") \
    X(kRfc5508Req7, "rfc5508-req7") \
    X(kRfc5508Req7Query, "rfc5508-req7-query") \
    X(kRfc5508Req7a, "rfc5508-req7a") \
    X(kRfc5508Req10aUnreachable, "rfc5508-req10a-unreachable") \
    X(kRfc5508Req10aTimeExceeded, "rfc5508-req10a-time-exceeded") \
    X(kRfc5508Req10aEcho, "rfc5508-req10a-echo") \
    X(kRfc6888Req1, "rfc6888-req1") \
    X(kRfc6888Req2, "rfc6888-req2") \
    X(kRfc6888Req3Ranges, "rfc6888-req3-ranges") \
    X(kRfc6888Req4, "rfc6888-req4") \
    X(kRfc6888Req4a, "rfc6888-req4a") \
    X(kRfc6888Req6, "rfc6888-req6") \
    X(kRfc6888Req8Settings, "rfc6888-req8-settings") \
    X(kRfc6888Req9, "rfc6888-req9") \
    X(kRfc6888Req11a, "rfc6888-req11a") \
    X(kRfc6888Req11d, "rfc6888-req11d") \
    X(kRfc7857S2_2, "rfc7857-2.2") \
    X(kRfc7857S5, "rfc7857-5") \
    X(kRfc7857S6, "rfc7857-6") \
    X(kRfc7857S12, "rfc7857-12")
// clang-format on

namespace sekisho::base {

enum class Mutation : uint8_t {
    kNone,
#define SEKISHO_X(symbol, name) symbol,
    SEKISHO_MUTATIONS(SEKISHO_X)
#undef SEKISHO_X
};

#ifdef SEKISHO_WITH_MUTATIONS
extern const Mutation kChosenMutation;
inline bool is_mutated(Mutation mutation) {
    return mutation == kChosenMutation;
}
#else
constexpr bool is_mutated(Mutation /*mutation*/) {
    return false;
}
#endif

}  // namespace sekisho::base

namespace sekisho {
using base::is_mutated;
using base::Mutation;
}  // namespace sekisho
