// The naive scanner behind a StreamTable: what a payload rule is to find, without any library that finds it fast.
#include <catch2/catch.hpp>

#include "naive_scanner.h"
#include "payload_checks.h"

using namespace sekisho::test;

TEST_CASE(
    "a pattern cut anywhere, out of order, overlapped or repeated is found, naively", "[stream]"
) {
    NaiveScanner scanner(8, sought_patterns());
    check_scanner(scanner);
}
