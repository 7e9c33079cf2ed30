// The layout of records that outlive a process, as one number: whoever re-attaches to an arena was
// built with the same structs or is refused.
//
//   Shape     each module lists its records' fields (name, offset, bytes) beside the struct. A
//             static_assert with covers() says that the list is whole: no new field is forgotten.
//   Cost      constexpr. Thread: pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

namespace sekisho::base {

struct FieldLayout {
    std::string_view name;
    size_t offset;
    size_t bytes;
};

struct RecordLayout {
    std::string_view name;
    size_t bytes;
    std::span<const FieldLayout> fields;
};

// Whether the fields, in their order, fill the record without gap or overlap.
constexpr bool covers(const RecordLayout& record) {
    size_t at = 0;
    for (const FieldLayout& field : record.fields) {
        if (field.offset != at) {
            return false;
        }
        at += field.bytes;
    }
    return at == record.bytes;
}

namespace detail {

struct Fnv1a {
    uint64_t state = 0xcbf29ce484222325ULL;
    constexpr void add(std::string_view text) {
        for (const char c : text) {
            state = (state ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
        }
        add(text.size());
    }
    constexpr void add(uint64_t number) {
        for (int i = 0; i < 8; ++i) {
            state = (state ^ (number >> (8 * i) & 0xff)) * 0x100000001b3ULL;
        }
    }
};

}  // namespace detail

// The digest of records in the given order. It guards against mistakes, not against malice.
constexpr uint64_t layout_digest(std::initializer_list<RecordLayout> records) {
    detail::Fnv1a digest;
    for (const RecordLayout& record : records) {
        digest.add(record.name);
        digest.add(record.bytes);
        for (const FieldLayout& field : record.fields) {
            digest.add(field.name);
            digest.add(field.offset);
            digest.add(field.bytes);
        }
    }
    return digest.state;
}

}  // namespace sekisho::base

namespace sekisho {
using base::FieldLayout;
using base::layout_digest;
using base::RecordLayout;
}  // namespace sekisho
