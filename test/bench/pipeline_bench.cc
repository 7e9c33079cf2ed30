// What a packet costs: bursts from memory through Shard::receive() and poll(), no DPDK, one thread.
//
//   pipeline_bench [mixed] [sessions ...]   default: 1000 100000 1000000 (16000000 needs 4 GiB)
//
// Established UDP (`mixed`: every other flow TCP), 64-byte frames, both directions mixed, sessions in random order, one mapping a session. Frames lie ready
// in memory and are copied into a few buffers one burst ahead, so that no store is still under way when parse loads it.
// Cycles are of the TSC. Each sample runs the same loop with and without the pipeline; the difference is what is printed,
// as min / median / max. Beside it a fixed loop (a chain of multiplications), to tell a disturbed run.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include <x86intrin.h>

#include "dataplane/network.h"
#include "dataplane/shard.h"
#include "packet/checksum.h"
#include "packet/views.h"

namespace {

using namespace sekisho;
using packet::kBurst;

constexpr size_t kFrame = 64;
constexpr size_t kBuffers = 4 * kBurst;
constexpr size_t kStride = 37;       // lines from buffer to buffer: odd, as packet pools pad theirs
constexpr unsigned kFlowsEach = 64;  // of a subscriber
constexpr unsigned kSamples = 15;
constexpr MacAddr kPeer{{2, 0, 0, 0, 0, 1}};
constexpr MacAddr kMacs[] = {{{2, 0, 0, 0, 16, 0}}, {{2, 0, 0, 0, 16, 1}}};

struct alignas(64) Image {
    uint8_t bytes[kFrame];
};

// Buffers belong to the bench; nothing is ever allocated.
class NoStore final : public PacketStore {
  public:
    PacketRef allocate() override { return {}; }
    void free(std::span<const PacketRef> packets) override { freed += packets.size(); }
    void sync(PacketRef&) override {}
    size_t in_use() const override { return 0; }
    size_t freed = 0;
};

class Sink final : public dataplane::Transmitter {
  public:
    Sink() : Transmitter(2) {}
    void send(unsigned, std::span<PacketRef> packets) override {
        sent += packets.size();
        if (look) {
            for (const PacketRef& packet : packets) {
                look(packet);
            }
        }
    }
    size_t sent = 0;
    std::function<void(const PacketRef&)> look;
};

struct Flow {
    Ipv4Addr internal, remote;
    Port internal_port, remote_port;
    bool tcp = false;
};

bool mixed = false;  // every other flow is TCP

Flow flow_of(uint32_t i) {
    return {
        Ipv4Addr::from_host(0x0a000001 + i / kFlowsEach),
        Ipv4Addr::from_host(0xc0000200 + i % 251),
        Port::from_host(static_cast<uint16_t>(10000 + i % kFlowsEach)),
        Port::from_host(443),
        mixed && i % 2 == 1};
}

void build(
    Image& image,
    const MacAddr& to,
    Ipv4Addr from,
    Ipv4Addr dest,
    Port from_port,
    Port to_port,
    bool tcp,
    uint8_t flags
) {
    std::memset(image.bytes, 0, sizeof image.bytes);
    std::memcpy(image.bytes, to.bytes, 6);
    std::memcpy(image.bytes + 6, kPeer.bytes, 6);
    packet::store<uint16_t>(image.bytes + 12, base::swap16(packet::kEtherIpv4));
    uint8_t* l3 = image.bytes + 14;
    l3[0] = 0x45;
    packet::store<uint16_t>(l3 + 2, base::swap16(50));
    l3[8] = 64;
    l3[9] = tcp ? 6 : 17;
    packet::store(l3 + 12, from.raw);
    packet::store(l3 + 16, dest.raw);
    packet::store(l3 + 10, packet::full_checksum({l3, 20}));
    uint8_t* l4 = l3 + 20;
    packet::store(l4, from_port.raw);
    packet::store(l4 + 2, to_port.raw);
    if (tcp) {
        l4[12] = 0x50;
        l4[13] = flags;
        packet::store<uint16_t>(l4 + 14, 0xffff);
        packet::store<uint16_t>(l4 + 16, 0x1234);
    } else {
        packet::store<uint16_t>(l4 + 4, base::swap16(30));
        packet::store<uint16_t>(l4 + 6, 0x1234);
    }
}

using External = std::pair<Ipv4Addr, Port>;

void build_of(
    Image& image, uint32_t i, Direction direction, const External& external, uint8_t flags
) {
    const Flow f = flow_of(i);
    if (direction == Direction::kOutbound) {
        build(image, kMacs[0], f.internal, f.remote, f.internal_port, f.remote_port, f.tcp, flags);
    } else {
        build(
            image, kMacs[1], f.remote, external.first, f.remote_port, external.second, f.tcp, flags
        );
    }
}

// One shard with `sessions` sessions of room, and both gateways known.
class Appliance {
  public:
    explicit Appliance(uint32_t sessions) : table_(base::ShardTable::even(1)) {
        config::Config config = links();
        config.nat = settings(sessions);
        settings_ = config.nat;
        network_ = std::make_unique<dataplane::Network>(
            config, std::vector<unsigned>{0, 1}, std::vector<MacAddr>{kMacs[0], kMacs[1]}
        );
        directory_ = std::make_unique<nat::ExternalDirectory>(settings_, 1);
        fabric_ = std::make_unique<dataplane::Fabric>(1);
        nat::NatShardPlan plan;
        plan.sessions = sessions;
        plan.mappings = sessions;
        plan.subscribers = sessions / kFlowsEach + 64;
        plan.secret = HashSecret{{1, 2, 3, 4}};
        auto nat = nat::NatShard::create(plan, settings_, *directory_, now);
        if (!nat) {
            std::fprintf(stderr, "%s\n", nat.error().message.c_str());
            std::exit(1);
        }
        dataplane::ShardPlan shard;
        shard.network = network_.get();
        shard.settings = &settings_;
        shard.directory = directory_.get();
        shard.toeplitz = &toeplitz_;
        shard.table = &table_;
        shard.fabric = fabric_.get();
        shard.store = &store;
        shard.transmitter = &sink;
        shard_ = std::make_unique<dataplane::Shard>(shard, std::move(*nat));
        know(1, Ipv4Addr::of(100, 64, 0, 2), LinkId{0});
        know(2, Ipv4Addr::of(198, 51, 100, 1), LinkId{1});
        shard_->poll(now);
    }

    void turn(std::span<PacketRef> burst) {
        shard_->receive(burst, false, now);
        shard_->poll(now);
        sink.flush();
    }
    void report_drops() const {
        for (size_t r = 0; r < base::kDropReasonCount; ++r) {
            if (const uint64_t n = shard_->counters().dropped[r].read(); n > 0) {
                std::printf(
                    "  dropped %s: %llu\n",
                    std::string(base::kDropReasons[r].text).c_str(),
                    static_cast<unsigned long long>(n)
                );
            }
        }
    }
    size_t bytes() const { return shard_->nat().arena_bytes(); }
    size_t sessions() const { return shard_->nat().session_count(); }

    Tick now{1000};
    NoStore store;
    Sink sink;

  private:
    static config::Config links() {
        config::Config config;
        config::LinkSettings internal;
        internal.name = "int0";
        internal.realm = kInternalRealm;
        internal.addresses = {{Ipv4Addr::of(100, 64, 0, 1), 10}};
        config::LinkSettings external;
        external.name = "ext0";
        external.side = config::Side::kExternal;
        external.addresses = {{Ipv4Addr::of(198, 51, 100, 2), 24}};
        config.links = {internal, external};
        config.routes = {
            {Ipv4Prefix{{}, 0}, Ipv4Addr::of(198, 51, 100, 1), LinkId{1}},
            {Ipv4Prefix{Ipv4Addr::of(10, 0, 0, 0), 8}, Ipv4Addr::of(100, 64, 0, 2), LinkId{0}},
        };
        return config;
    }
    static nat::NatSettings settings(uint32_t sessions) {
        nat::NatSettings settings;
        nat::PoolSettings pool;
        pool.port_block_size = 64;
        const uint32_t addresses = sessions / 32256 + 2;
        pool.addresses = {
            {Ipv4Addr::of(203, 0, 0, 0),
             Ipv4Addr::from_host(Ipv4Addr::of(203, 0, 0, 0).host() + addresses)}};
        settings.pools = {pool};
        nat::PolicySettings policy;
        policy.source = {{Ipv4Addr::of(10, 0, 0, 0), 8}};
        settings.policies = {policy};
        return settings;
    }
    void know(uint16_t id, Ipv4Addr address, LinkId link) {
        dataplane::Back back;
        back.kind = dataplane::Back::kNeighbour;
        back.update.id = NeighbourId{id};
        back.update.entry.address = address;
        back.update.entry.mac = kPeer;
        back.update.entry.link = link;
        back.update.entry.resolved = 1;
        back.update.entry.gateway = 1;
        (void)fabric_->back(ShardId{}).push(back);
    }

    base::Toeplitz toeplitz_;
    base::ShardTable table_;
    nat::NatSettings settings_;
    std::unique_ptr<dataplane::Network> network_;
    std::unique_ptr<nat::ExternalDirectory> directory_;
    std::unique_ptr<dataplane::Fabric> fabric_;
    std::unique_ptr<dataplane::Shard> shard_;
};

// Copies frames into the buffers of the next burst while the last is on its way.
class Generator {
  public:
    Generator() : memory_(kBuffers * kStride) {}
    std::span<PacketRef> next(const Image* images) {
        std::swap(ready_, filling_);
        for (unsigned i = 0; i < kBurst; ++i) {
            uint8_t* data = room(half_ * kBurst + i);
            std::memcpy(data, images[i].bytes, kFrame);
            PacketRef& ref = (*filling_)[i];
            ref = PacketRef{};
            ref.data = data;
            ref.length = kFrame;
            ref.frame_length = kFrame;
            ref.headroom = 128;
            ref.in_link = LinkId{
                static_cast<uint8_t>(images[i].bytes[5])};  // the station address tells the link
        }
        half_ = (half_ + 1) % (kBuffers / kBurst);
        return *ready_;
    }

  private:
    uint8_t* room(size_t buffer) { return memory_[buffer * kStride].bytes + 128; }
    std::vector<Image> memory_;
    std::array<PacketRef, kBurst> a_{}, b_{};
    std::array<PacketRef, kBurst>* ready_ = &a_;
    std::array<PacketRef, kBurst>* filling_ = &b_;
    unsigned half_ = 0;
};

// Runs `count` images (a multiple of the burst) and returns cycles a packet.
template <class Turn>
double run(
    const std::vector<Image>& images, size_t first, size_t count, Generator& generator, Turn&& turn
) {
    generator.next(&images[first]);
    const uint64_t start = __rdtsc();
    for (size_t i = kBurst; i <= count; i += kBurst) {
        turn(generator.next(&images[first + (i < count ? i : 0)]));
    }
    return static_cast<double>(__rdtsc() - start) / static_cast<double>(count);
}

double calibrate() {
    const uint64_t start = __rdtsc();
    uint64_t x = 1;
    for (unsigned i = 0; i < 4000000; ++i) {
        x = x * 0x9e3779b97f4a7c15ULL + 1;
    }
    asm volatile("" ::"r"(x));  // the loop has a result that somebody wants
    return static_cast<double>(__rdtsc() - start) / 4e6;
}

void print(
    const char* what,
    std::vector<double> samples,
    std::vector<double> harness,
    std::vector<double> fixed
) {
    for (auto* v : {&samples, &harness, &fixed}) {
        std::sort(v->begin(), v->end());
    }
    std::printf(
        "  %-12s %7.1f / %7.1f / %7.1f   harness %5.1f   fixed loop %.2f / %.2f\n",
        what,
        samples.front(),
        samples[samples.size() / 2],
        samples.back(),
        harness[harness.size() / 2],
        fixed.front(),
        fixed.back()
    );
}

template <class Turn>
void sample(const char* what, const std::vector<Image>& images, size_t each, Turn&& turn) {
    Generator generator;
    std::vector<double> samples, harness, fixed;
    size_t packets = 0;
    for (size_t at = 0; at + each <= images.size(); at += each) {
        fixed.push_back(calibrate());
        const double null = run(images, at, each, generator, [&](std::span<PacketRef> b) {
            packets += b[0].length;
        });
        const double whole = run(images, at, each, generator, turn);
        harness.push_back(null);
        samples.push_back(whole - null);
    }
    print(what, samples, harness, fixed);
}

void bench(uint32_t sessions) {
    const uint32_t count = sessions / kBurst * kBurst;
    Appliance appliance(count + count / 8 + 1024);
    std::printf(
        "%u sessions, %s, %.0f MiB of state\n",
        count,
        mixed ? "UDP and TCP" : "UDP",
        static_cast<double>(appliance.bytes()) / 1048576
    );
    const auto turn = [&](std::span<PacketRef> burst) { appliance.turn(burst); };

    std::vector<External> external(count);
    {
        std::vector<Image> opening(count);
        for (uint32_t i = 0; i < count; ++i) {
            const Flow f = flow_of(i);
            build(
                opening[i],
                kMacs[0],
                f.internal,
                f.remote,
                f.internal_port,
                f.remote_port,
                f.tcp,
                packet::kSyn
            );
        }
        uint32_t made = 0;
        appliance.sink.look = [&](const PacketRef& packet) {
            const uint8_t* l3 = packet.data + 14;
            external[made++ % count] = {
                {packet::load<uint32_t>(l3 + 12)}, {packet::load<uint16_t>(l3 + 20)}};
        };
        sample("new session", opening, count / kSamples / kBurst * kBurst, turn);
        Generator generator;
        made = 0;
        run(opening, 0, count, generator, turn);
        appliance.sink.look = nullptr;
        for (const Direction direction :
             {Direction::kInbound, Direction::kOutbound}) {  // the rest of the handshake
            for (uint32_t i = 0; i < count; ++i) {
                const auto flags = static_cast<uint8_t>(
                    direction == Direction::kInbound ? packet::kSyn | packet::kAck : packet::kAck
                );
                build_of(opening[i], i, direction, external[i], flags);
            }
            run(opening, 0, count, generator, turn);
        }
    }
    std::vector<Image> images(
        std::clamp<size_t>(2 * size_t{count}, 1 << 18, 1 << 22) / (kSamples * kBurst) *
        (kSamples * kBurst)
    );
    uint64_t state = 88172645463325252ULL;
    for (Image& image : images) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        const auto i = static_cast<uint32_t>((state >> 33) % count);
        const auto direction = (state & 1) != 0 ? Direction::kOutbound : Direction::kInbound;
        build_of(image, i, direction, external[i], packet::kAck);
    }
    Generator generator;
    for (int warm = 0; warm < 2; ++warm) {
        run(images, 0, images.size(), generator, turn);
    }
    sample("established", images, images.size() / kSamples, turn);
    std::printf(
        "  %zu sessions stand, %zu packets sent\n", appliance.sessions(), appliance.sink.sent
    );
    appliance.report_drops();
}

}  // namespace

int main(int argc, char** argv) {
    std::printf("cycles a packet, min / median / max of %u samples\n", kSamples);
    if (argc > 1) {
        for (int i = 1; i < argc; ++i) {
            if (std::strcmp(argv[i], "mixed") == 0) {
                mixed = true;
            } else {
                bench(static_cast<uint32_t>(std::strtoul(argv[i], nullptr, 10)));
            }
        }
        return 0;
    }
    for (const uint32_t sessions : {1000U, 100000U, 1000000U}) {
        bench(sessions);
    }
    return 0;
}
