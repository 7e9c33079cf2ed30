// Drives a fuzz target without libFuzzer: first every file of the corpus, then a deterministic run
// of mutations of it.
//
//   Usage     fuzz_NAME [CORPUS-FOLDER | FILE]...
//   Settings  SEKISHO_FUZZ_RUNS: stop after so many inputs; otherwise after 3 s, or 300 s where
//             SEKISHO_LONG is set. SEKISHO_FUZZ_SEED: another sequence; the same seed gives the
//             same inputs in the same order.
//   Errors    a crash writes its input to crash-NAME in the working folder and ends with the
//             signal.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::vector<uint8_t>;

constexpr size_t kLongestInput = 4096;

// What the signal handler needs: plain data, set before each input.
const uint8_t* g_data = nullptr;
size_t g_size = 0;
char g_crash_file[256] = "crash";

// Async-signal-safe: saves the input, then dies of the signal as if there were no handler.
extern "C" void save_input(int signal_number) {
    const int file = open(g_crash_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file >= 0) {
        [[maybe_unused]] const ssize_t written = write(file, g_data, g_size);
        close(file);
        constexpr char kMessage[] = "the input is saved in the working folder as crash-NAME\n";
        [[maybe_unused]] const ssize_t told = write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1);
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

void run(const Input& input) {
    g_data = input.data();
    g_size = input.size();
    LLVMFuzzerTestOneInput(input.data(), input.size());
}

std::vector<Input> read_corpus(int count, char** names) {
    std::vector<std::filesystem::path> files;
    for (int i = 1; i < count; ++i) {
        const std::filesystem::path path = names[i];
        if (std::filesystem::is_directory(path)) {
            for (const auto& entry : std::filesystem::directory_iterator(path)) {
                files.push_back(entry.path());
            }
        } else if (std::filesystem::exists(path)) {
            files.push_back(path);
        }
    }
    std::sort(files.begin(), files.end());
    std::vector<Input> corpus;
    for (const auto& path : files) {
        std::ifstream stream(path, std::ios::binary);
        corpus.emplace_back(
            std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()
        );
    }
    return corpus;
}

// The iterator to the byte at an index.
template <class Bytes>
auto offset(Bytes& bytes, size_t at) {
    return bytes.begin() + static_cast<std::ptrdiff_t>(at);
}

class Mutator {
  public:
    Mutator(const std::vector<Input>& corpus, uint64_t seed) : corpus_(corpus), random_(seed) {}

    // A corpus file with one to eight changes; one time in sixteen plain noise.
    Input next() {
        if (corpus_.empty() || below(16) == 0) {
            return noise();
        }
        Input input = corpus_[below(corpus_.size())];
        for (size_t changes = 1 + below(8); changes > 0; --changes) {
            change(input);
        }
        if (input.size() > kLongestInput) {
            input.resize(kLongestInput);
        }
        return input;
    }

  private:
    size_t below(size_t bound) { return static_cast<size_t>(random_() % bound); }
    uint8_t byte() { return static_cast<uint8_t>(random_()); }

    Input noise() {
        Input input(below(256));
        for (uint8_t& b : input) {
            b = byte();
        }
        return input;
    }

    void change(Input& input) {
        if (input.empty()) {
            input.push_back(byte());
            return;
        }
        const size_t at = below(input.size());
        constexpr uint8_t kEdges[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
        switch (below(8)) {
            case 0:
                input[at] = byte();
                break;
            case 1:
                input[at] = kEdges[below(std::size(kEdges))];
                break;
            case 2:
                input[at] = static_cast<uint8_t>(input[at] ^ (1U << below(8)));
                break;
            case 3:
                input.resize(at);
                break;
            case 4:
                remove(input, at);
                break;
            case 5:
                repeat(input, at);
                break;
            case 6:
                splice(input, at);
                break;
            default:
                std::swap(input[at], input[below(input.size())]);
                break;
        }
    }

    void remove(Input& input, size_t at) {
        const size_t count = 1 + below(std::min<size_t>(input.size() - at, 32));
        input.erase(offset(input, at), offset(input, at + count));
    }

    void repeat(Input& input, size_t at) {
        const size_t count = 1 + below(std::min<size_t>(input.size() - at, 64));
        const Input piece(offset(input, at), offset(input, at + count));
        input.insert(offset(input, at), piece.begin(), piece.end());
    }

    // The tail of another corpus file in the place of this one's.
    void splice(Input& input, size_t at) {
        const Input& other = corpus_[below(corpus_.size())];
        const size_t from = other.empty() ? 0 : below(other.size());
        input.resize(at);
        input.insert(input.end(), offset(other, from), other.end());
    }

    const std::vector<Input>& corpus_;
    std::mt19937_64 random_;
};

uint64_t setting(const char* name, uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

int main(int count, char** names) {
    using Clock = std::chrono::steady_clock;
    const std::string name = std::filesystem::path(names[0]).filename().string();
    std::snprintf(g_crash_file, sizeof(g_crash_file), "crash-%s", name.c_str());
    for (const int number : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL}) {
        std::signal(number, save_input);
    }

    const std::vector<Input> corpus = read_corpus(count, names);
    for (const Input& input : corpus) {
        run(input);
    }

    const uint64_t runs = setting("SEKISHO_FUZZ_RUNS", 0);
    const uint64_t seed = setting("SEKISHO_FUZZ_SEED", 1);
    const auto limit = std::chrono::seconds(std::getenv("SEKISHO_LONG") != nullptr ? 300 : 3);
    const auto start = Clock::now();
    Mutator mutator(corpus, seed);
    uint64_t done = 0;
    while (runs != 0 ? done < runs : Clock::now() - start < limit) {
        run(mutator.next());
        ++done;
    }
    std::printf(
        "%s: %zu corpus files, %llu mutations, seed %llu\n",
        name.c_str(),
        corpus.size(),
        static_cast<unsigned long long>(done),
        static_cast<unsigned long long>(seed)
    );
    return 0;
}
