// rans_scalar_encode.cpp - writes the `compressai` form, one symbol after the other. See rans.h.
#include "latentsr/rans.h"

#include <algorithm>
#include <bit>

#include "reciprocal.h"

namespace latentsr {
namespace {

constexpr std::uint32_t kSlotMask = (1u << kProbabilityBits) - 1;
constexpr std::uint32_t kGroupMask = (1u << kGroupBits) - 1;
constexpr std::uint32_t kGroupFrequency = 1u << (kProbabilityBits - kGroupBits);
// Words that one escaped value may emit: a group emits at most one, and there is their number.
constexpr std::size_t kEscapeWords = kMaxGroups + 1;
constexpr std::size_t kStateWords = 2;
// States below frequency << kFullBits have room for another symbol of that frequency.
constexpr int kFullBits = 63 - kProbabilityBits;
static_assert(kStateEnd == std::uint64_t{1} << 63);

}  // namespace

// Sees to it that `words` more fit in front of those that are there.
void CompressaiEncoder::reserve(std::size_t words) {
  const auto room = static_cast<std::size_t>(next_ - buffer_.get());
  if (room >= words) {
    return;
  }
  const std::size_t used = capacity_ - room;
  const std::size_t capacity = std::max(2 * capacity_, used + words);
  auto larger = std::make_unique_for_overwrite<std::uint32_t[]>(capacity);
  std::uint32_t* next = larger.get() + (capacity - used);
  std::copy_n(next_, used, next);
  buffer_ = std::move(larger);
  capacity_ = capacity;
  next_ = next;
}

void CompressaiEncoder::put_group(std::uint32_t group) {
  if (state_ >= std::uint64_t{kGroupFrequency} << kFullBits) {
    *--next_ = static_cast<std::uint32_t>(state_);
    state_ >>= 32;
  }
  state_ = state_ << kGroupBits | group;
}

// The reverse of what a decoder reads: groups from the highest, then their number.
void CompressaiEncoder::put_raw(std::uint64_t raw) {
  const int groups = (static_cast<int>(std::bit_width(raw)) + kGroupBits - 1) / kGroupBits;
  for (int i = groups - 1; i >= 0; --i) {
    put_group(static_cast<std::uint32_t>(raw >> (i * kGroupBits)) & kGroupMask);
  }
  put_group(static_cast<std::uint32_t>(groups));
}

template <class Index>
Result CompressaiEncoder::put(const CdfTables& tables, const std::int32_t* symbols,
                              const Index* indexes, std::size_t count) {
  const Reciprocal* reciprocal = reciprocals();
  const CdfRow* rows = tables.rows.data();
  const std::uint32_t* slots = tables.slots.data();
  const std::size_t row_count = tables.rows.size();
  reserve(count);
  std::uint64_t x = state_;
  std::uint32_t* next = next_;
  for (std::size_t i = count; i-- > 0;) {
    const auto index = static_cast<std::size_t>(indexes[i]);  // negative becomes huge
    if (index >= row_count) {
      return {Status::bad_index, i, static_cast<std::int64_t>(indexes[i])};
    }
    const CdfRow row = rows[index];
    std::int64_t value = std::int64_t{symbols[i]} - row.offset;
    if (value < 0 || value >= row.escape) [[unlikely]] {
      state_ = x;
      next_ = next;
      reserve(i + 1 + kEscapeWords);
      put_raw(static_cast<std::uint64_t>(value < 0 ? -2 * value - 1
                                                   : 2 * (value - row.escape)));
      x = state_;
      next = next_;
      value = row.escape;
    }
    const std::uint32_t slot = slots[row.first + static_cast<std::size_t>(value)];
    const std::uint32_t frequency = slot >> 16;
    if (x >= std::uint64_t{frequency} << kFullBits) {
      *--next = static_cast<std::uint32_t>(x);
      x >>= 32;
    }
    x = reciprocal[frequency].advance(x, frequency) + (slot & kSlotMask);
  }
  state_ = x;
  next_ = next;
  return {};
}

std::span<const std::uint32_t> CompressaiEncoder::finish() {
  reserve(kStateWords);
  *--next_ = static_cast<std::uint32_t>(state_ >> 32);
  *--next_ = static_cast<std::uint32_t>(state_);
  return {next_, buffer_.get() + capacity_};
}

template Result CompressaiEncoder::put(const CdfTables&, const std::int32_t*,
                                       const std::uint8_t*, std::size_t);
template Result CompressaiEncoder::put(const CdfTables&, const std::int32_t*,
                                       const std::int32_t*, std::size_t);

}  // namespace latentsr
