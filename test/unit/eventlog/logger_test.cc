// The logger between real shards and a file.
#include "eventlog/logger.h"

#include <filesystem>
#include <set>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "unit/nat/cluster.h"

using namespace sekisho;
using namespace sekisho::test;
using eventlog::Logger;

namespace {

constexpr int64_t kNoon = 1'767'355'200'000;

struct Rig {
    explicit Rig(const std::string& path, unsigned shards = 1, uint32_t ring = 64)
        : cluster(settings(ring), shards) {
        plan.file = path;
        plan.name = "lab";
        plan.version = "1";
        plan.realms = {"external", "internal"};
        plan.pools = {"main"};
        for (unsigned i = 0; i < shards; ++i) {
            plan.shards.push_back(&cluster.shard(i));
        }
        plan.clocks = {
            [this] { return cluster.now; },
            [this] { return kNoon + cluster.now.ms + step; },
            [] { return true; }};
        plan.say = [this](const std::string& text) { said.push_back(text); };
    }
    static nat::NatSettings settings(uint32_t ring) {
        nat::NatSettings s = lab(4);
        s.events = {nat::kLogMappings, ring, nat::OnLogLoss::kRefuse};
        return s;
    }
    void start() {
        auto made = Logger::create(plan);
        REQUIRE(made);
        logger = std::move(*made);
    }
    bool open(uint16_t x) {
        return cluster.open(Protocol::kUdp, subscriber(x), x).kind == nat::MakeResult::kMade;
    }
    void turns(unsigned n) {
        for (unsigned i = 0; i < n; ++i) {
            logger->turn();
        }
    }

    Cluster cluster;
    int64_t step = 0;
    eventlog::LoggerPlan plan;
    std::vector<std::string> said;
    std::unique_ptr<Logger> logger;
};

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        lines.push_back(line);
    }
    return lines;
}

// The internal ports of the mappings that were created, by the lines, in their order.
std::vector<int> created(const std::vector<std::string>& lines) {
    std::vector<int> ports;
    for (const std::string& line : lines) {
        const std::string key = "\"internal-src-port\":";
        if (line.find("mapping-created") != std::string::npos) {
            ports.push_back(std::stoi(line.substr(line.find(key) + key.size())));
        }
        CHECK(line.front() == '{');
        CHECK(line.back() == '}');
    }
    return ports;
}

std::vector<int> one_to(int last) {
    std::vector<int> all;
    for (int i = 1; i <= last; ++i) {
        all.push_back(i);
    }
    return all;
}

}  // namespace

TEST_CASE("events reach the file, with anchors, in order, and none twice", "[eventlog]") {
    const Folder folder;
    Rig rig(folder / "log");
    rig.start();
    for (uint16_t x = 1; x <= 20; ++x) {
        REQUIRE(rig.open(x));
        rig.turns(1);
    }
    rig.turns(3);
    auto lines = lines_of(content(folder / "log"));
    REQUIRE(lines.size() == 21);
    CHECK(
        lines[0] ==
        fmt::format(
            R"({{"time":"2026-01-02T12:00:01.000Z","event":"anchor","cause":"start","name":"lab","version":"1","epoch":{},"shards":1,"tick":1000,"clock-synchronised":true,"tells-of":"mappings","numbers":[0]}})",
            kNoon + 1000
        )
    );
    CHECK(created(lines) == one_to(20));
    CHECK(rig.logger->view().written == 20);
    CHECK(rig.logger->view().rings.at(0).used == 0);
    rig.cluster.now.ms += 60'000;
    rig.turns(2);
    lines = lines_of(content(folder / "log"));
    REQUIRE(lines.size() == 22);
    CHECK(lines[21].find("\"cause\":\"minute\"") != std::string::npos);
    CHECK(lines[21].ends_with(",\"numbers\":[20]}"));
    CHECK(rig.logger->finish(100, [] {}) == 0);
    lines = lines_of(content(folder / "log"));
    REQUIRE(lines.size() == 23);
    CHECK(lines[22].find("\"event\":\"stopped\"") != std::string::npos);
    CHECK(rig.said.empty());
}

TEST_CASE("an event has the time of before the clock was set if it is older", "[eventlog]") {
    const Folder folder;
    Rig rig(folder / "log");
    rig.start();
    rig.turns(1);
    rig.open(1);
    rig.cluster.now.ms += 500;
    rig.step = -3'600'000;
    rig.turns(1);
    rig.open(2);
    rig.turns(2);
    const auto lines = lines_of(content(folder / "log"));
    REQUIRE(lines.size() == 4);
    CHECK(lines[1].find("\"cause\":\"step\"") != std::string::npos);
    CHECK(lines[2].substr(0, 35) == R"({"time":"2026-01-02T12:00:01.000Z",)");
    CHECK(lines[3].substr(0, 35) == R"({"time":"2026-01-02T11:00:01.500Z",)");
}

TEST_CASE(
    "what a full disk refuses stays in the rings, and is written later", "[eventlog][log-full]"
) {
    const Folder folder;
    const std::string path = folder / "log";
    std::filesystem::create_symlink("/dev/full", path);
    Rig rig(path);
    rig.start();
    uint16_t x = 1;
    for (; rig.open(x); ++x) {
        rig.turns(3);
        ++rig.cluster.now.ms;
    }
    CHECK(x > 40);
    CHECK(rig.logger->view().written == 0);
    CHECK(rig.logger->view().rings.at(0).used == x - 1U);
    CHECK(rig.logger->view().state == dataplane::LogState::kFailing);
    rig.cluster.now.ms += 1000;
    rig.turns(10);
    CHECK(
        rig.said ==
        std::vector<std::string>{"log: cannot write " + path + ": No space left on device"}
    );
    std::filesystem::remove(path);
    rig.cluster.now.ms += 1000;
    rig.turns(10);
    CHECK(rig.said.size() == 2);
    CHECK(rig.said.back() == "log " + path + " is written again");
    CHECK(created(lines_of(content(path))) == one_to(x - 1));
    CHECK(rig.open(x));
    rig.turns(3);
    CHECK(created(lines_of(content(path))) == one_to(x));
}

TEST_CASE("a line that a rotation tears is written whole into the new file", "[eventlog]") {
    const Folder folder;
    const std::string path = folder / "log";
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
    Rig rig(path, 1, 2048);
    rig.start();
    for (uint16_t x = 1; x <= 1000; ++x) {
        REQUIRE(rig.open(x));
    }
    rig.turns(10);
    CHECK(rig.logger->view().state == dataplane::LogState::kStalled);
    CHECK(rig.logger->view().rings.at(0).used > 0);
    std::filesystem::rename(path, path + ".1");
    rig.logger->reopen();
    rig.turns(10);
    std::string first(1 << 20, 0);
    first.resize(static_cast<size_t>(::read(reader, first.data(), first.size())));
    ::close(reader);
    first.resize(first.rfind('\n') + 1);  // a reader drops the torn end
    auto ports = created(lines_of(first));
    const auto rest = created(lines_of(content(path)));
    ports.insert(ports.end(), rest.begin(), rest.end());
    CHECK(ports == one_to(1000));
    CHECK(content(path).find("\"cause\":\"file\"") != std::string::npos);
}

TEST_CASE("no shard waits for another's events", "[eventlog]") {
    const Folder folder;
    Rig rig(folder / "log", 3, 2048);
    rig.start();
    for (uint16_t x = 1; x <= 900; ++x) {
        REQUIRE(rig.open(x));
    }
    rig.turns(1);
    std::set<std::string> shards;
    for (const std::string& line : lines_of(content(folder / "log"))) {
        if (const size_t at = line.find("\"shard\":"); at != std::string::npos) {
            shards.insert(line.substr(at + 8, 1));
        }
    }
    CHECK(shards == std::set<std::string>{"0", "1", "2"});
    rig.turns(5);
    CHECK(rig.logger->view().written == 900);
}

TEST_CASE("at the end ends that waited for room are written as well", "[eventlog][log-full]") {
    const Folder folder;
    Rig rig(folder / "log", 1, 16);
    rig.start();
    uint16_t made = 0;
    while (rig.open(static_cast<uint16_t>(made + 1))) {
        ++made;
    }
    rig.cluster.pass(400'000);
    CHECK(rig.cluster.shard().log().pending() > 0);
    rig.turns(1);  // its minute's anchor does not say that no end is missing
    const std::string before = content(folder / "log");
    const std::string minute = before.substr(before.find("\"cause\":\"minute\""));
    CHECK(minute.substr(0, minute.find('\n')).ends_with("\"tells-of\":\"mappings\"}"));
    CHECK(rig.logger->finish(100, [&] { rig.cluster.shard().flush_log(rig.cluster.now); }) == 0);
    const std::string all = content(folder / "log");
    size_t ended = 0;
    for (size_t at = all.find("mapping-ended"); at != std::string::npos;
         at = all.find("mapping-ended", at + 1)) {
        ++ended;
    }
    CHECK(ended == made);
}

TEST_CASE("an ending process does not wait for ever for its log", "[eventlog]") {
    Rig rig("/dev/full");
    rig.start();
    REQUIRE(rig.open(1));
    CHECK(rig.logger->finish(100, [&] { rig.cluster.now.ms += 10; }) == 1);
}
