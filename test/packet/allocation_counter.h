// Counts every way to get memory that this thread takes while a Counting lives: operator new, the malloc family, mmap.
//
//   How       this program's own malloc, calloc, realloc, aligned_alloc, memalign, posix_memalign, mmap and mremap stand before the
//             C library's. Under AddressSanitizer its allocation hook counts instead, and mmap is ours.
//   Limits    what the C library maps for itself is not seen, but it does so only in the calls above.
//   Thread    each counts its own.
#pragma once

#include <cstddef>

namespace sekisho::test {

class Counting {
  public:
    Counting();
    ~Counting();
    Counting(const Counting&) = delete;
    Counting& operator=(const Counting&) = delete;
};

// Since the thread began, while it was counting.
size_t allocations();

}  // namespace sekisho::test
