#include "hyperscan/scanner.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <hs.h>

namespace sekisho::hyperscan {
namespace {

using rules::PatternId;
using rules::ScanSlot;

constexpr size_t kLine = 64;

// Where the stream that this thread opens is to lie.
struct Cell {
    void* at = nullptr;
    size_t room = 0;
};
thread_local Cell g_cell;

void* take_cell(size_t size) {
    return size <= g_cell.room ? g_cell.at : nullptr;
}
void leave_cell(void* /*cell*/) {}

bool install_cells() {
    static const bool is_installed = hs_set_stream_allocator(take_cell, leave_cell) == HS_SUCCESS;
    return is_installed;
}

// What on_match() knows: for whom, and by which stream's count of bytes.
struct Finding {
    const CompiledPatterns::Traits* traits;
    uint64_t* marks;
    uint32_t* found;
    uint64_t before;
    bool is_late;
};

}  // namespace

void Scanner::FreeMemory::operator()(uint8_t* memory) const {
    std::free(memory);
}

Scanner::Scanner(const ScannerSizes& sizes)
    : sizes_(sizes),
      cell_bytes_((sizes.state_bytes + kLine - 1) / kLine * kLine),
      cells_(static_cast<uint8_t*>(std::aligned_alloc(kLine, cell_bytes_ * (sizes.streams + 1)))),
      slots_(sizes.streams + 1) {
    for (uint32_t i = sizes.streams; i-- > 0;) {
        slots_[i].next_free = free_;
        free_ = i;
    }
}

Result<std::unique_ptr<Scanner>> Scanner::create(
    const ScannerSizes& sizes, std::shared_ptr<const CompiledPatterns> patterns
) {
    std::unique_ptr<Scanner> scanner(new Scanner(sizes));
    if (scanner->cells_ == nullptr || !install_cells()) {
        return failure(fmt::format(
            "no memory for the state of {} scanned streams, {} bytes each",
            sizes.streams,
            sizes.state_bytes
        ));
    }
    // Resident from the start: the packet route waits for no page.
    std::memset(scanner->cells_.get(), 0, scanner->cell_bytes_ * (sizes.streams + 1));
    scanner->slots_[sizes.streams].is_open = true;
    if (auto followed = scanner->follow(std::move(patterns)); !followed) {
        return tl::unexpected(followed.error());
    }
    return scanner;
}

Scanner::~Scanner() {
    for (uint32_t i = 0; i < slots_.size(); ++i) {
        end(i);
    }
    hs_free_scratch(scratch_);
}

Result<void> Scanner::follow(std::shared_ptr<const CompiledPatterns> patterns) {
    if (patterns->state_bytes() > sizes_.state_bytes) {
        return failure(fmt::format(
            "the payload patterns need {} bytes of state for each stream, and there are {}",
            patterns->state_bytes(),
            sizes_.state_bytes
        ));
    }
    // Scratch only grows: it serves the old patterns too.
    if (patterns->database() != nullptr &&
        hs_alloc_scratch(patterns->database(), &scratch_) != HS_SUCCESS) {
        return failure("no memory to scan payload in");
    }
    found_.reserve(patterns->traits().size());
    for (uint32_t i = 0; i < slots_.size(); ++i) {
        end(i);
    }
    const size_t words = patterns_ == nullptr ? 0 : patterns_->marks().size();
    patterns_ = std::move(patterns);
    for (uint32_t i = 0; i < slots_.size(); ++i) {
        if (slots_[i].is_open) {
            keep_marks(i, words);
            note_new_beginning(slots_[i]);
            begin(i);
        }
    }
    return {};
}

void Scanner::note_new_beginning(Slot& slot) {
    slot.before += slot.scanned;
    slot.scanned = 0;
    slot.is_late |= slot.before > 0;
}

uint64_t* Scanner::marks_of(uint32_t slot) const {
    return reinterpret_cast<uint64_t*>(cells_.get() + slot * cell_bytes_);
}

// What was found and is still looked for, where there were marks in so many words.
void Scanner::keep_marks(uint32_t index, size_t words) {
    const std::vector<uint64_t>& looked_for = patterns_->marks();
    uint64_t* const marks = marks_of(index);
    Slot& slot = slots_[index];
    slot.found = 0;
    for (size_t i = 0; i < looked_for.size(); ++i) {
        marks[i] = i < words ? marks[i] & looked_for[i] : 0;
        slot.found += static_cast<uint32_t>(std::popcount(marks[i]));
    }
}

void Scanner::begin(uint32_t index) {
    Slot& slot = slots_[index];
    if (patterns_->database() == nullptr) {
        return;
    }
    const size_t marks = patterns_->marks().size() * sizeof(uint64_t);
    g_cell = {cells_.get() + index * cell_bytes_ + marks, cell_bytes_ - marks};
    hs_stream_t* stream = nullptr;
    faults_ += hs_open_stream(patterns_->database(), 0, &stream) == HS_SUCCESS ? 0 : 1;
    slot.stream = stream;
}

void Scanner::end(uint32_t index) {
    Slot& slot = slots_[index];
    if (slot.stream != nullptr) {
        hs_close_stream(slot.stream, nullptr, nullptr, nullptr);
        slot.stream = nullptr;
    }
}

ScanSlot Scanner::open() {
    if (free_ == kNoIndex) {
        return ScanSlot{kNoIndex};
    }
    const uint32_t index = free_;
    free_ = slots_[index].next_free;
    slots_[index] = {};
    slots_[index].is_open = true;
    std::fill_n(marks_of(index), patterns_->marks().size(), 0);
    begin(index);
    ++size_;
    return ScanSlot{index};
}

void Scanner::close(ScanSlot slot) {
    end(slot.value);
    slots_[slot.value].is_open = false;
    slots_[slot.value].next_free = free_;
    free_ = slot.value;
    --size_;
}

int Scanner::on_match(
    unsigned id,
    unsigned long long /*from*/,
    unsigned long long to,
    unsigned /*flags*/,
    void* context
) {
    const Finding& finding = *static_cast<const Finding*>(context);
    const CompiledPatterns::Traits& traits = finding.traits[id];
    const bool is_behind = traits.within != 0 && finding.before + to > traits.within;
    if (is_behind || (finding.is_late && traits.is_anchored)) {
        return 0;
    }
    const uint64_t mark = uint64_t{1} << id % 64;
    *finding.found += (finding.marks[id / 64] & mark) == 0 ? 1 : 0;
    finding.marks[id / 64] |= mark;
    return 0;
}

// What `finder` finds is marked in `slot`.
void Scanner::feed(uint32_t index, uint32_t finder, std::span<const uint8_t> bytes, bool is_end) {
    Slot& slot = slots_[index];
    Slot& by = slots_[finder];
    if (by.stream == nullptr) {
        return;
    }
    Finding finding{
        patterns_->traits().data(), marks_of(index), &slot.found, by.before, by.is_late};
    if (!bytes.empty()) {
        const hs_error_t result = hs_scan_stream(
            by.stream,
            reinterpret_cast<const char*>(bytes.data()),
            static_cast<unsigned>(bytes.size()),
            0,
            scratch_,
            on_match,
            &finding
        );
        faults_ += result == HS_SUCCESS ? 0 : 1;
    }
    if (is_end) {
        const hs_error_t result = hs_reset_stream(by.stream, 0, scratch_, on_match, &finding);
        faults_ += result == HS_SUCCESS ? 0 : 1;
    }
}

std::span<const PatternId> Scanner::scan(
    ScanSlot slot, std::span<const uint8_t> bytes, bool is_end
) {
    feed(slot.value, slot.value, bytes, is_end);
    Slot& state = slots_[slot.value];
    state.scanned += bytes.size();
    if (is_end) {
        note_new_beginning(state);
    }
    return found(slot);
}

std::span<const PatternId> Scanner::scan_datagram(ScanSlot slot, std::span<const uint8_t> bytes) {
    feed(slot.value, sizes_.streams, bytes, true);
    return found(slot);
}

void Scanner::restart(ScanSlot slot) {
    Slot& state = slots_[slot.value];
    note_new_beginning(state);
    state.is_late = true;  // also where nothing was scanned: bytes are missing
    if (state.stream != nullptr) {
        faults_ +=
            hs_reset_stream(state.stream, 0, nullptr, nullptr, nullptr) == HS_SUCCESS ? 0 : 1;
    }
}

std::span<const PatternId> Scanner::found(ScanSlot slot) {
    found_.clear();
    if (slots_[slot.value].found == 0) {
        return found_;
    }
    const uint64_t* const marks = marks_of(slot.value);
    for (size_t i = 0; i < patterns_->marks().size(); ++i) {
        for (uint64_t word = marks[i]; word != 0; word &= word - 1) {
            const auto bit = static_cast<size_t>(std::countr_zero(word));
            found_.push_back(PatternId{static_cast<uint16_t>(i * 64 + bit)});
        }
    }
    return found_;
}

uint64_t Scanner::bytes() const {
    size_t scratch_bytes = 0;
    if (scratch_ != nullptr) {
        hs_scratch_size(scratch_, &scratch_bytes);
    }
    return cell_bytes_ * slots_.size() + slots_.size() * sizeof(Slot) +
           found_.capacity() * sizeof(PatternId) + scratch_bytes;
}

}  // namespace sekisho::hyperscan
