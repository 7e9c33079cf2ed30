#include "allocation_counter.h"

#include <cerrno>
#include <cstdlib>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SEKISHO_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SEKISHO_ASAN 1
#endif
#endif

namespace {

thread_local bool g_counting = false;
thread_local size_t g_allocations = 0;

void count_one() {
    g_allocations += g_counting ? 1 : 0;
}

}  // namespace

namespace sekisho::test {

Counting::Counting() {
    g_counting = true;
}
Counting::~Counting() {
    g_counting = false;
}
size_t allocations() {
    return g_allocations;
}

}  // namespace sekisho::test

extern "C" {

#ifdef SEKISHO_ASAN

// Of the sanitizers' allocator interface, whose header comes with clang alone.
int __sanitizer_install_malloc_and_free_hooks(  // NOLINT(bugprone-reserved-identifier)
    void (*allocated)(const volatile void*, size_t),
    void (*freed)(const volatile void*)
);

namespace {
[[maybe_unused]] const int kHooked = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, size_t) { count_one(); }, [](const volatile void*) {}
);
}  // namespace

#else

// The C library's own, under the names that stay when the others are replaced. Its free() takes what they give.
void* __libc_malloc(size_t bytes);                      // NOLINT(bugprone-reserved-identifier)
void* __libc_calloc(size_t count, size_t bytes);        // NOLINT(bugprone-reserved-identifier)
void* __libc_realloc(void* memory, size_t bytes);       // NOLINT(bugprone-reserved-identifier)
void* __libc_memalign(size_t alignment, size_t bytes);  // NOLINT(bugprone-reserved-identifier)

void* malloc(size_t bytes) {
    count_one();
    return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
    count_one();
    return __libc_calloc(count, bytes);
}
void* realloc(void* memory, size_t bytes) {
    count_one();
    return __libc_realloc(memory, bytes);
}
void* memalign(size_t alignment, size_t bytes) {
    count_one();
    return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
    count_one();
    return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** out, size_t alignment, size_t bytes) {
    count_one();
    void* memory = __libc_memalign(alignment, bytes);
    if (memory == nullptr) {
        return ENOMEM;
    }
    *out = memory;
    return 0;
}

#endif

// Under both names of the C library: <sys/mman.h> gives mmap the second one where files may be large.
void* counted_mmap(
    void* at, size_t bytes, int protection, int flags, int file, long offset
) __asm__("mmap");
void* counted_mmap64(
    void* at, size_t bytes, int protection, int flags, int file, long offset
) __asm__("mmap64");
void* counted_mremap(void* old, size_t old_bytes, size_t bytes, int flags, void* at) __asm__(
    "mremap"
);

void* counted_mmap64(void* at, size_t bytes, int protection, int flags, int file, long offset) {
    count_one();
    return reinterpret_cast<void*>(syscall(SYS_mmap, at, bytes, protection, flags, file, offset));
}
void* counted_mmap(void* at, size_t bytes, int protection, int flags, int file, long offset) {
    return counted_mmap64(at, bytes, protection, flags, file, offset);
}
void* counted_mremap(void* old, size_t old_bytes, size_t bytes, int flags, void* at) {
    count_one();
    return reinterpret_cast<void*>(syscall(SYS_mremap, old, old_bytes, bytes, flags, at));
}

}  // extern "C"
