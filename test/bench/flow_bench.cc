// Cycles of the flow index and the session touch, in bursts of 32, at a full table (both directions
// indexed).
//
//   flow_bench [SESSIONS...]   default: 1000 and 1000000; 16000000 needs 1.6 GiB
//
// Counts are of the TSC. A fixed calibration loop is timed beside each sample: compare only what
// has the same calibration.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <vector>

#include <x86intrin.h>

#include "base/arena.h"
#include "base/keyed_hash.h"
#include "flow/flow_index.h"
#include "flow/session_table.h"
#include "flow/timing_wheel.h"
#include "packet/batch.h"

using namespace sekisho;

namespace {

constexpr unsigned kBurstPackets = 32;
// A sample is shorter than a time slice, so that on a shared machine the least are undisturbed.
constexpr unsigned kSamples = 64;
constexpr size_t kProbes = size_t{1} << 14;
constexpr HashSecret kSecret{
    {0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89}};

struct Probe {
    FlowKey key;
    Direction direction;
};

struct Figures {
    std::vector<double> samples;
    void add(uint64_t cycles, size_t n) {
        samples.push_back(static_cast<double>(cycles) / static_cast<double>(n));
    }
    void print(const char* what) {
        std::sort(samples.begin(), samples.end());
        std::printf(
            "  %-34s %8.1f %8.1f %8.1f\n",
            what,
            samples.front(),
            samples[samples.size() / 2],
            samples.back()
        );
    }
};

uint64_t hash_of(const FlowKey& key) {
    return keyed_hash(kSecret, key.addresses, key.rest);
}

// What was begun before is done; nothing that follows has begun.
uint64_t cycles_now() {
    _mm_lfence();
    const uint64_t cycles = __rdtsc();
    _mm_lfence();
    return cycles;
}

double calibrate() {
    uint64_t x = 1;
    const uint64_t start = __rdtsc();
    for (int i = 0; i < 1'000'000; ++i) {
        x = x * 6364136223846793005ULL + 1442695040888963407ULL;
        __asm__ volatile("" : "+r"(x));
    }
    return static_cast<double>(__rdtsc() - start) / 1e6;
}

class Bench {
  public:
    explicit Bench(uint32_t sessions) : sessions_(sessions), random_(7) {
        ArenaPlan plan;
        plan.sections = {
            {0, SessionTable::bytes_for(sessions), sessions, false},
            {1, FlowIndex::bytes_for(2 * size_t{sessions}), 2 * size_t{sessions}, false},
            {2, TimingWheel::bytes_for(sessions), sessions, false}};
        auto arena = Arena::create(plan);
        if (!arena) {
            std::fprintf(stderr, "%s\n", arena.error().message.c_str());
            std::exit(1);
        }
        arena_ = std::move(*arena);
        table_ = SessionTable(arena_.records<Session>(0));
        index_ = FlowIndex(arena_.section(1), 2 * size_t{sessions});
        wheel_ = TimingWheel(arena_.section(2), sessions, Tick{0});
    }

    void fill() {
        for (uint32_t i = 0; i < sessions_; ++i) {
            make(table_.allocate());
        }
    }

    void run() {
        draw();
        Figures hit, miss, memory, churn_erase, churn_insert, timer, calibration;
        for (unsigned sample = 0; sample < kSamples; ++sample) {
            calibration.samples.push_back(calibrate());
            hit.add(probe_all(sample, known_, kProbes), kProbes);
            memory.add(two_lines(), kProbes);
            miss.add(probe_all(sample, strangers_, 0), kProbes);
            timer.add(reschedule(), kProbes);
            churn(churn_erase, churn_insert);
        }
        std::printf(
            "%u sessions, %zu index entries (%.0f %% load), TSC cycles: min, median, max of %u\n",
            sessions_,
            index_.size(),
            100.0 * static_cast<double>(index_.size()) / static_cast<double>(index_.slots()),
            kSamples
        );
        hit.print("find and touch, hit, a packet");
        memory.print("the same two lines, memory alone");
        miss.print("find, miss, a packet");
        churn_insert.print("insert, an entry");
        churn_erase.print("erase, an entry");
        timer.print("timer moved");
        calibration.print("calibration loop, an iteration");
    }

  private:
    void make(uint32_t i) {
        Session& s = table_[i];
        s.internal_address = static_cast<uint32_t>(random_());
        s.remote_address = static_cast<uint32_t>(random_());
        s.external_address = static_cast<uint32_t>(random_());
        s.internal_port = static_cast<uint16_t>(random_());
        s.remote_port = static_cast<uint16_t>(random_());
        s.external_port = static_cast<uint16_t>(random_());
        s.protocol = 6;
        s.realm = 1;
        table_.publish(i);
        for (const Direction d : {Direction::kOutbound, Direction::kInbound}) {
            if (!index_.insert(hash_of(key_of(s, d)), i)) {
                std::fprintf(stderr, "an insert was refused\n");
                std::exit(1);
            }
        }
        wheel_.schedule(i, Tick{static_cast<uint32_t>(random_() % 7'000'000)});
    }

    void draw() {
        known_.resize(kProbes * kSamples);
        strangers_.resize(kProbes * kSamples);
        for (size_t i = 0; i < known_.size(); ++i) {
            const auto direction = static_cast<Direction>(random_() & 1);
            const auto session = static_cast<uint32_t>(random_() % sessions_);
            known_[i] = {key_of(table_[session], direction), direction};
            strangers_[i] = {{random_(), random_() & 0xffffffffffff}, direction};
        }
    }

    // The first entry whose tag fits, or the second bucket where there is none in the first.
    void prefetch_candidate(uint64_t hash) const {
        bool more = false;
        const uint32_t found = index_.find_first(
            hash, [](uint32_t) { return true; }, more
        );
        if (found != kNoIndex) {
            table_.prefetch(found);
        } else if (more) {
            index_.prefetch_second(hash);
        }
    }

    // Find in passes over a burst, as flow_index.h tells, and a touch as track's.
    uint64_t probe_all(unsigned sample, const std::vector<Probe>& probes, size_t wanted) {
        size_t found = 0;
        std::array<uint64_t, kBurstPackets> hash;
        std::array<uint32_t, kBurstPackets> entry;
        std::array<Probe, kBurstPackets> probe;
        uint64_t cycles = 0;
        for (size_t at = 0; at < kProbes; at += kBurstPackets) {
            std::copy_n(&probes[sample * kProbes + at], kBurstPackets, probe.begin());
            const uint64_t start = cycles_now();
            for (unsigned i = 0; i < kBurstPackets; ++i) {
                hash[i] = hash_of(probe[i].key);
            }
            for (const uint64_t h : hash) {
                index_.prefetch_first(h);
            }
            for (const uint64_t h : hash) {
                prefetch_candidate(h);
            }
            for (unsigned i = 0; i < kBurstPackets; ++i) {
                entry[i] = index_.find(hash[i], [&](uint32_t v) {
                    return is_flow(table_[v], probe[i].key, probe[i].direction);
                });
            }
            for (unsigned i = 0; i < kBurstPackets; ++i) {
                if (entry[i] != kNoIndex) {
                    Session& s = table_[entry[i]];
                    s.last_activity = static_cast<uint32_t>(at);
                    ++s.packets[static_cast<size_t>(probe[i].direction)];
                    ++found;
                }
            }
            cycles += cycles_now() - start;
        }
        if (found != wanted) {
            std::fprintf(stderr, "found %zu sessions, wanted %zu\n", found, wanted);
            std::exit(1);
        }
        return cycles;
    }

    // What the memory alone costs: two random lines a packet, the second one written, nothing
    // looked for.
    uint64_t two_lines() {
        const std::span<flow::Bucket> buckets = arena_.records<flow::Bucket>(1);
        std::array<uint64_t, kBurstPackets> first;
        std::array<uint32_t, kBurstPackets> second;
        uint64_t cycles = 0;
        for (size_t at = 0; at < kProbes; at += kBurstPackets) {
            for (unsigned i = 0; i < kBurstPackets; ++i) {
                first[i] = random_() % (2 * size_t{sessions_} / FlowIndex::kEntriesPerBucket);
                second[i] = static_cast<uint32_t>(random_() % sessions_);
            }
            const uint64_t start = cycles_now();
            for (const uint64_t i : first) {
                __builtin_prefetch(&buckets[i]);
            }
            for (unsigned i = 0; i < kBurstPackets; ++i) {
                second[i] ^= buckets[first[i]].overflowed;  // 0: only to depend on it
                table_.prefetch(second[i]);
            }
            for (const uint32_t i : second) {
                table_[i].last_activity = static_cast<uint32_t>(at);
                ++table_[i].packets[0];
            }
            cycles += cycles_now() - start;
        }
        return cycles;
    }

    uint64_t reschedule() {
        std::array<uint32_t, kBurstPackets> entry;
        uint64_t cycles = 0;
        for (size_t at = 0; at < kProbes; at += kBurstPackets) {
            for (uint32_t& e : entry) {
                e = static_cast<uint32_t>(random_() % sessions_);
            }
            const uint64_t start = cycles_now();
            for (const uint32_t e : entry) {
                wheel_.prefetch(e);
            }
            for (const uint32_t e : entry) {
                wheel_.schedule(e, Tick{static_cast<uint32_t>(at * 16)});
            }
            cycles += cycles_now() - start;
        }
        return cycles;
    }

    // Erases 32 entries and inserts them again, in bursts, as sessions that end and new ones that
    // come.
    void churn(Figures& erase, Figures& insert) {
        std::array<uint32_t, kBurstPackets> entry;
        std::array<uint64_t, kBurstPackets> hash;
        std::array<uint64_t, kBurstPackets> fresh;
        uint64_t erase_cycles = 0;
        uint64_t insert_cycles = 0;
        constexpr size_t kChurned = kProbes / 4;
        for (size_t at = 0; at < kChurned; at += kBurstPackets) {
            const uint64_t first = random_() % sessions_;
            for (unsigned i = 0; i < kBurstPackets; ++i) {
                entry[i] = static_cast<uint32_t>((first + i) % sessions_);
                hash[i] = hash_of(key_of(table_[entry[i]], Direction::kOutbound));
            }
            const uint64_t start = cycles_now();
            for (const uint64_t h : hash) {
                index_.prefetch_first(h);
            }
            unsigned erased = 0;
            for (unsigned i = 0; i < kBurstPackets; ++i) {
                erased += index_.erase(hash[i], entry[i]);
            }
            erase_cycles += cycles_now() - start;
            std::generate(fresh.begin(), fresh.end(), std::ref(random_));
            const uint64_t again = cycles_now();
            for (const uint64_t h : fresh) {
                index_.prefetch_first(h);
            }
            unsigned inserted = 0;
            for (unsigned i = 0; i < kBurstPackets; ++i) {
                inserted += index_.insert(fresh[i], entry[i]);
            }
            insert_cycles += cycles_now() - again;
            for (unsigned i = 0; i < kBurstPackets; ++i) {
                erased -= index_.erase(fresh[i], entry[i]);
                erased += index_.insert(hash[i], entry[i]);
            }
            if (erased != kBurstPackets || inserted != kBurstPackets) {
                std::fprintf(stderr, "an entry was lost\n");
                std::exit(1);
            }
        }
        erase.add(erase_cycles, kChurned);
        insert.add(insert_cycles, kChurned);
    }

    uint32_t sessions_;
    std::mt19937_64 random_;
    Arena arena_;
    SessionTable table_;
    FlowIndex index_;
    TimingWheel wheel_;
    std::vector<Probe> known_;
    std::vector<Probe> strangers_;
};

}  // namespace

int main(int argc, char** argv) {
    std::vector<uint32_t> sizes;
    for (int i = 1; i < argc; ++i) {
        sizes.push_back(static_cast<uint32_t>(std::strtoul(argv[i], nullptr, 10)));
    }
    if (sizes.empty()) {
        sizes = {1'000, 1'000'000};
    }
    for (const uint32_t sessions : sizes) {
        if (sessions < 1000) {
            std::fprintf(stderr, "usage: flow_bench [SESSIONS...], each at least 1000\n");
            return 1;
        }
        Bench bench(sessions);
        bench.fill();
        bench.run();
    }
    return 0;
}
