// Nothing is allocated on a packet's route after start: whole turns of the workers and of the slow path are counted.
#include <cstdlib>
#include <memory>

#include <catch2/catch.hpp>
#include <malloc.h>
#include <sys/mman.h>

#include "allocation_counter.h"
#include "fragmenter.h"
#include "packet/fragment.h"
#include "scenario.h"

namespace sekisho::test {
namespace {

constexpr auto kServer = "192.0.2.1";
constexpr unsigned kHosts = 24;

// Lets the appliance work, counted, until it has had time for everything that it may do in several turns; then the bed runs it
// on and checks its laws.
void work(TestBed& bed) {
    {
        const Counting counting;
        bed.turn_quietly(12);
    }
    bed.run();
}

// A new session of each host.
void open_sessions(TestBed& bed, uint16_t port) {
    for (unsigned i = 0; i < kHosts; ++i) {
        bed.push_internal(udp_out(bed, host(5 + i), port, kServer, 53));
        bed.push_internal(tcp_out(bed, host(5 + i), port, kServer, 80, packet::kSyn));
    }
}

// From everybody to everybody's neighbour, and answers from outside.
void use_sessions(TestBed& bed, uint16_t port) {
    for (unsigned i = 0; i < kHosts; ++i) {
        const Endpoint other = external_of(bed, Protocol::kUdp, host(5 + (i + 3) % kHosts), port);
        bed.push_internal(bed.from_internal().ipv4(host(5 + i), other.address).udp(port, other.port)
        );
        bed.push_external(udp_in(bed, kServer, 53, host(5 + i), port));
    }
}

// Errors that the appliance owes, and errors of others about its packets; both ways.
void raise_errors(TestBed& bed, uint16_t port) {
    bed.push_internal(bed.from_internal().ipv4(host(9), ip(kServer)).ttl(1).udp(1, 2));
    bed.push_internal(bed.from_internal()
                          .ipv4(host(9), ip(kServer))
                          .dont_fragment()
                          .udp(port, 53)
                          .payload(std::string(1400, 'x')));
    const Endpoint external = external_of(bed, Protocol::kUdp, host(5), port);
    const auto sent =
        bed.from_external().ipv4(external.address, ip(kServer)).udp(external.port, 53);
    bed.push_external(
        bed.from_external().ipv4(ip("198.51.100.77"), external.address).icmp_error(11, 0, sent.l3())
    );
    const auto received = bed.from_internal().ipv4(ip(kServer), host(5)).udp(53, port);
    bed.push_internal(bed.from_internal().ipv4(host(5), ip(kServer)).icmp_error(3, 3, received.l3())
    );
}

}  // namespace

TEST_CASE("the allocation counter sees every way to allocate", "[packet][allocation]") {
    const size_t before = allocations();
    size_t count = 0;
    void* volatile memory = nullptr;  // so that no compiler leaves out what it sees is not used
    void* aligned = nullptr;
    const auto check = [&] {
        CHECK(memory != nullptr);
        CHECK(allocations() == before + ++count);
        std::free(memory);
    };
#define SEKISHO_COUNTED(expression) \
    {                               \
        const Counting counting;    \
        memory = expression;        \
    }                               \
    check()
    SEKISHO_COUNTED(std::malloc(100));
    SEKISHO_COUNTED(std::calloc(3, 100));
    SEKISHO_COUNTED(std::realloc(nullptr, 100));
    SEKISHO_COUNTED(aligned_alloc(64, 128));
    SEKISHO_COUNTED(memalign(64, 128));
    SEKISHO_COUNTED((posix_memalign(&aligned, 64, 128) == 0 ? aligned : nullptr));
#undef SEKISHO_COUNTED
    std::unique_ptr<std::vector<int>> made;
    {
        const Counting counting;
        made = std::make_unique<std::vector<int>>(10);  // the vector, and what it holds
        memory = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memory = mremap(memory, 4096, 8192, MREMAP_MAYMOVE);
    }
    CHECK(allocations() == before + count + 4);
    CHECK(munmap(memory, 8192) == 0);
    made.reset();
    memory = std::malloc(1);
    std::free(memory);
    CHECK(allocations() == before + count + 4);
}

TEST_CASE(
    "the usual route, hairpins, hand-offs, errors and timers allocate nothing",
    "[packet][allocation]"
) {
    BedOptions options;
    options.shards = GENERATE(1U, 2U, 3U, 8U);
    options.workers = std::min(options.shards, 2U);
    options.checking = HeapStore::Checking::kFast;
    options.external_mtu = 1400;
    TestBed bed(options);
    const size_t before = allocations();
    for (unsigned round = 0; round < 30; ++round) {
        const auto port = static_cast<uint16_t>(1000 + round);
        open_sessions(bed, port);
        work(bed);
        use_sessions(bed, port);
        raise_errors(bed, port);
        work(bed);
        bed.take();
        if (round % 10 == 9) {
            REQUIRE(bed.session_count() > 0);
            for (unsigned i = 0; i < 800;
                 ++i) {  // beyond every timeout of UDP and of half-open TCP
                bed.pass(512);
                const Counting counting;
                bed.turn_quietly(1);
            }
            bed.run();
            CHECK(bed.session_count() == 0);
        }
    }
    CHECK(allocations() == before);
    const auto totals = bed.totals();
    CHECK(totals.forwarded >= 30 * 4 * kHosts);
    CHECK(totals.generated > 0);
    CHECK(bed.dropped(DropReason::kTtlExceeded) + bed.dropped(DropReason::kTooBig) > 0);
    CHECK((totals.handed_off > 0) == (options.shards > 1));
}

TEST_CASE(
    "blocks by formula, blocks that grow old and single ports allocate nothing",
    "[packet][allocation]"
) {
    BedOptions options;
    options.shards = GENERATE(1U, 3U);
    options.checking = HeapStore::Checking::kFast;
    options.nat = nat_settings();
    nat::PoolSettings& pool = options.nat.pools[0];
    const unsigned kind = GENERATE(0U, 1U, 2U);
    if (kind == 0) {
        pool.ports = {1024, 65535};
        pool.port_block_size = 256;
        pool.port_selection = nat::PortSelection::kDeterministic;
        options.nat.policies[0].source = {{ip("100.64.0.0"), 24}};
    } else if (kind == 1) {
        pool.block_max_age = Seconds{60};
        pool.keeps_first_block = true;
    } else {
        pool.port_selection = nat::PortSelection::kPreserve;
    }
    TestBed bed(options);
    const size_t before = allocations();
    for (unsigned round = 0; round < 4; ++round) {
        open_sessions(bed, static_cast<uint16_t>(2000 + round));
        work(bed);
        bed.take();
        bed.pass(100'000);
        work(bed);
    }
    CHECK(allocations() == before);
    CHECK(bed.totals().forwarded >= 4 * 2 * kHosts);
}

TEST_CASE(
    "full tables, dry pools and full rings allocate nothing", "[packet][allocation][pitfall-6]"
) {
    BedOptions options;
    options.shards = 2;
    options.workers = GENERATE(1U, 2U);
    options.checking = HeapStore::Checking::kFast;
    options.sessions = 128;
    options.mappings = 128;
    options.subscribers = 6;
    options.held_packets = 8;
    options.rings.hand_off = 32;
    options.rings.message = 32;
    options.nat = nat_settings("203.0.113.9", "203.0.113.9");
    options.nat.pools[0].ports = {1024, 1024 + 8 * 64 - 1};
    options.nat.pools[0].port_block_size = 64;
    TestBed bed(options);
    const size_t before = allocations();
    for (unsigned round = 0; round < 20; ++round) {
        for (unsigned i = 0; i < 10; ++i) {
            open_sessions(bed, static_cast<uint16_t>(1000 + round * 10 + i));
        }
        work(bed);
        bed.take();
    }
    CHECK(allocations() == before);
    const auto refused = [&](std::initializer_list<DropReason> reasons) {
        uint64_t sum = 0;
        for (const DropReason reason : reasons) {
            sum += bed.dropped(reason);
        }
        return sum;
    };
    CHECK(refused({DropReason::kPoolExhausted}) > 0);
    CHECK(refused({DropReason::kSessionTableFull, DropReason::kMappingTableFull}) > 0);
    CHECK(refused({DropReason::kSubscriberTableFull}) > 0);
    CHECK(refused({DropReason::kHandOffRingFull, DropReason::kHeldOverflow}) > 0);
}

TEST_CASE(
    "fragments, a table of them that is full, and cutting allocate nothing",
    "[packet][allocation][fragments]"
) {
    BedOptions options;
    options.shards = GENERATE(1U, 3U);
    options.checking = HeapStore::Checking::kFast;
    options.external_mtu = 600;
    options.nat = nat_settings();
    options.nat.limits.fragments = 512;
    TestBed bed(options);
    open_sessions(bed, 1000);
    bed.run();
    bed.take();
    const size_t before = allocations();
    for (uint16_t round = 1; round < 40; ++round) {
        for (unsigned i = 0; i < kHosts; ++i) {
            const auto whole = udp_out(bed, host(5 + i), 1000, kServer, 53)
                                   .ip_id(static_cast<uint16_t>(i))
                                   .payload_size(1300);
            auto fragments = split(PacketBuilder(whole).ip_id(round).bytes(), 400);
            std::swap(fragments[0], fragments[i % 4]);
            for (const ByteVector& fragment : fragments) {
                bed.push(kInternalLink, fragment);
            }
            fragments.erase(fragments.begin());
            for (const ByteVector& fragment : fragments) {  // of a datagram without end
                auto stray = fragment;
                packet::rewrite_id(&stray[14], Be16::from_host(static_cast<uint16_t>(~round)));
                bed.push(kInternalLink, stray);
            }
            bed.push_internal(whole);
        }
        work(bed);
        bed.take();
    }
    CHECK(allocations() == before);
    CHECK(bed.dropped(DropReason::kFragmentOverflow) > 0);
    CHECK(bed.totals().consumed > 500);
}

}  // namespace sekisho::test
