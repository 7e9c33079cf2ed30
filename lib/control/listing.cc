#include "control/listing.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace sekisho::control {

uint32_t PageBudget::next_call(size_t rows_so_far) const {
    if (entries_ >= kEntriesPerPage || std::chrono::steady_clock::now() >= deadline_) {
        return 0;
    }
    const auto room = static_cast<uint32_t>(rows_ - std::min<size_t>(rows_, rows_so_far));
    // A full call or nothing, lest the last rows of a page be looked for one entry at a time.
    const bool is_full = rows_so_far > 0 && room < kEntriesPerCall;
    return is_full ? 0 : std::min({room, kEntriesPerCall, kEntriesPerPage - entries_});
}

std::string Cursor::text() const {
    if (listing == 0) {
        return fmt::format("{}.{}", place.shard, place.entry);
    }
    return fmt::format("{}.{}.{}.{}", listing, static_cast<int>(phase), place.shard, place.entry);
}

std::optional<Cursor> Cursor::parse(std::string_view text) {
    std::vector<uint64_t> parts;
    for (size_t from = 0; from <= text.size() && parts.size() <= 4;) {
        const size_t dot = std::min(text.find('.', from), text.size());
        const auto part = base::parse_decimal(text.substr(from, dot - from), UINT32_MAX);
        if (!part) {
            return std::nullopt;
        }
        parts.push_back(*part);
        from = dot + 1;
    }
    const auto place = [&parts](size_t at) {
        return dataplane::ListCursor{
            static_cast<unsigned>(parts[at]), static_cast<uint32_t>(parts[at + 1])};
    };
    if (parts.size() == 2) {
        return Cursor{0, kList, place(0)};
    }
    if (parts.size() == 4 && parts[0] != 0 && parts[1] <= kLeases) {
        return Cursor{parts[0], static_cast<Phase>(parts[1]), place(2)};
    }
    return std::nullopt;
}

uint32_t Join::identity(uint32_t address, uint16_t port, uint8_t protocol) {
    return (address ^ (uint32_t{port} << 16 | port)) * 0x9e3779b1U + protocol;
}

uint64_t Join::key(const Session& s) {
    return uint64_t{flow::realm_of(s).value} << 32 | s.internal_address;
}

void Join::note(const nat::SessionView& view, bool chosen, SteadyTime now) {
    const size_t shard = view.shard.value;
    if (entries_.size() <= shard) {
        entries_.resize(shard + 1);
    }
    auto& entries = entries_[shard];
    const Session& s = view.session;
    if (entries.size() <= s.mapping) {
        entries.resize(size_t{s.mapping} + 1);
    }
    const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now - started);
    const auto end =
        static_cast<uint32_t>((static_cast<uint64_t>(since.count()) + view.lifetime_ms) / 1000 + 1);
    Entry& entry = entries[s.mapping];
    const uint32_t is_now = identity(s.external_address, s.external_port, s.protocol);
    if (entry.identity != is_now) {
        entry = Entry{is_now};
    }
    entry.end = std::max<uint32_t>(entry.end, end) & 0x3fffffffU;
    entry.chosen |= chosen ? 1U : 0U;
}

const Join::Entry* Join::find(ShardId shard, uint32_t index) const {
    if (shard.value >= entries_.size() || index >= entries_[shard.value].size()) {
        return nullptr;
    }
    const Entry& entry = entries_[shard.value][index];
    return entry.end == 0 ? nullptr : &entry;
}

Join::Told Join::tell(const nat::MappingView& view, SteadyTime now) const {
    const Entry* entry = find(view.shard, view.index);
    const nat::Mapping& m = view.mapping;
    if (entry == nullptr ||
        entry->identity != identity(m.external_address, m.external_port, m.protocol)) {
        return {};
    }
    const auto since = std::chrono::duration_cast<std::chrono::seconds>(now - started).count();
    const auto left = int64_t{entry->end} - 1 - since;
    return {static_cast<uint32_t>(std::max<int64_t>(left, 0)), entry->chosen != 0};
}

bool Join::has_subscriber(const nat::SubscriberView& view) const {
    return subscribers_.contains(uint64_t{view.realm.value} << 32 | view.address.raw);
}

bool Join::has_mapping_of(const nat::SessionView& view, bool& first) {
    const Session& s = view.session;
    const Entry* noted = find(view.shard, s.mapping);
    if (noted == nullptr || noted->chosen == 0) {
        return false;
    }
    Entry& entry = entries_[view.shard.value][s.mapping];
    first = entry.counted == 0;
    const bool same = entry.identity == identity(s.external_address, s.external_port, s.protocol);
    entry.counted = same ? 1U : entry.counted;
    return same;
}

tl::expected<Join*, RpcError> Joins::begin(SteadyTime now) {
    if (joins_.size() >= kMaxJoins) {
        const auto oldest =
            std::min_element(joins_.begin(), joins_.end(), [](const Join& a, const Join& b) {
                return a.touched < b.touched;
            });
        if (now - oldest->touched < kJoinPatience) {
            return refuse(
                kServerBusy,
                fmt::format("{} listings of this kind are under way; try again", kMaxJoins)
            );
        }
        joins_.erase(oldest);
    }
    return &joins_.emplace_back(++last_id_, now);
}

tl::expected<Join*, RpcError> Joins::find(uint64_t id, SteadyTime now) {
    const auto it = std::find_if(joins_.begin(), joins_.end(), [id](const Join& join) {
        return join.id() == id;
    });
    if (it == joins_.end()) {
        return refuse(
            kInvalidParams,
            "parameter 'cursor': this listing is over, or was given up because nobody asked for "
            "its next page; begin again"
        );
    }
    it->touched = now;
    return &*it;
}

void Joins::end(uint64_t id) {
    joins_.remove_if([id](const Join& join) { return join.id() == id; });
}

}  // namespace sekisho::control
