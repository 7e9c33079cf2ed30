// Nothing is allocated on a packet's route after start: operator new is counted while shards work.
#include <cstdlib>
#include <new>

#include <catch2/catch.hpp>

#include "scenario.h"

namespace {

thread_local bool g_counting = false;
thread_local size_t g_allocations = 0;

void* allocate(size_t bytes) {
    g_allocations += g_counting ? 1 : 0;
    void* memory = std::malloc(bytes == 0 ? 1 : bytes);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

}  // namespace

void* operator new(size_t bytes) {
    return allocate(bytes);
}
void* operator new[](size_t bytes) {
    return allocate(bytes);
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
    return allocate(bytes);
}
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
    return allocate(bytes);
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete[](void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
    std::free(memory);
}

namespace sekisho::test {
namespace {

// Runs shards only: receives, polls; what they transmit collects in the worker's arrays.
void work(TestBed& bed, const std::vector<std::pair<LinkId, ByteVector>>& frames) {
    std::vector<PacketRef> refs;
    for (const auto& [link, bytes] : frames) {
        refs.push_back(bed.store().make(bytes, link));
    }
    g_counting = true;
    bed.shard(0).receive(refs, false, bed.now());
    for (unsigned round = 0; round < 4; ++round) {
        for (unsigned i = 0; i < bed.shards(); ++i) {
            bed.shard(i).poll(bed.now());
        }
    }
    g_counting = false;
    bed.run();
}

}  // namespace

TEST_CASE("new sessions, hand-offs, hairpins and timers allocate nothing", "[packet][allocation]") {
    BedOptions options;
    options.shards = GENERATE(1U, 2U, 3U, 8U);
    options.checking = HeapStore::Checking::kFast;
    TestBed bed(options);
    g_allocations = 0;
    for (unsigned round = 0; round < 60; ++round) {
        std::vector<std::pair<LinkId, ByteVector>> frames;
        for (unsigned i = 0; i < 24; ++i) {
            const auto port = static_cast<uint16_t>(1000 + round);
            frames.emplace_back(
                kInternalLink, udp_out(bed, host(5 + i), port, "192.0.2.1", 53).bytes()
            );
        }
        const auto external = bed.external_of(Protocol::kUdp, host(5), 1000);
        if (external) {
            frames.emplace_back(
                kInternalLink,
                bed.from_internal()
                    .ipv4(host(9), external->address)
                    .udp(1000, external->port)
                    .bytes()
            );
            frames.emplace_back(
                kExternalLink,
                bed.from_external()
                    .ipv4(ip("192.0.2.1"), external->address)
                    .udp(53, external->port)
                    .bytes()
            );
        }
        frames.emplace_back(
            kInternalLink,
            bed.from_internal().ipv4(host(9), ip("192.0.2.1")).ttl(1).udp(1, 2).bytes()
        );
        work(bed, frames);
        bed.take();
        if (round % 20 == 19) {
            bed.advance(320'000);
            bed.take();
        }
    }
    CHECK(bed.totals().forwarded > 60 * 20);
    CHECK(g_allocations == 0);
}

}  // namespace sekisho::test
