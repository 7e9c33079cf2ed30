// EndpointTable: what the Internet side knows of each session: the external endpoint from which it came.
//
//   Shape     8 bytes a session, in zeroed pages of their own (huge ones where the kernel gives them).
//   Errors    create() fails with the number of bytes that were wanted.
//   Thread    its queue's.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include <fmt/format.h>
#include <sys/mman.h>

#include "base/result.h"
#include "base/types.h"

namespace sekisho::flowgen {

struct Endpoint {
    Ipv4Addr address;
    Port port;
    uint8_t learnt = 0;    // a frame of the session has come
    uint8_t answered = 0;  // a frame has been sent back
};
static_assert(sizeof(Endpoint) == 8);

struct EndpointUnmap {
    size_t bytes = 0;
    void operator()(Endpoint* memory) const { munmap(memory, bytes); }
};

class EndpointTable {
  public:
    static Result<EndpointTable> create(uint32_t sessions) {
        const size_t bytes = size_t{sessions} * sizeof(Endpoint);
        void* memory =
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            return failure(fmt::format("no {} bytes for flowgen's {} sessions", bytes, sessions));
        }
        madvise(memory, bytes, MADV_HUGEPAGE);
        EndpointTable table;
        table.memory_ = {static_cast<Endpoint*>(memory), EndpointUnmap{bytes}};
        table.clear();
        return table;
    }
    Endpoint& operator[](uint32_t session) { return memory_.get()[session]; }
    // Also touches every page, so that none is new to the process later.
    void clear() {
        if (memory_) {
            std::memset(static_cast<void*>(memory_.get()), 0, memory_.get_deleter().bytes);
        }
    }
    void prefetch(uint32_t session) const { __builtin_prefetch(memory_.get() + session); }

  private:
    std::unique_ptr<Endpoint, EndpointUnmap> memory_;
};

}  // namespace sekisho::flowgen
