// rans_scalar_decode.cpp - reads the `compressai` form, trusting no byte of it. See rans.h.
#include "latentsr/rans.h"

#include <bit>
#include <cstring>
#include <limits>

namespace latentsr {
namespace {

static_assert(std::endian::native == std::endian::little, "words are loaded in host order");

constexpr std::uint32_t kSlotMask = (1u << kProbabilityBits) - 1;
constexpr std::uint32_t kGroupMask = (1u << kGroupBits) - 1;

class Decoder {
 public:
  Decoder(const std::uint8_t* data, std::size_t size) : next_(data), end_(data + size) {}

  // Reads the state; false when these two words cannot be one.
  bool start() {
    const std::uint64_t low = load_word();
    state_ = std::uint64_t{load_word()} << 32 | low;
    return state_ >= kStateLow && state_ < kStateEnd;
  }

  // Finds the slot that holds the state. `slots` is a row of CdfTables, `buckets` its buckets.
  std::int32_t find(const std::uint32_t* slots, const std::uint16_t* buckets,
                    std::uint32_t& slot) const {
    const auto low = static_cast<std::uint32_t>(state_) & kSlotMask;
    std::int32_t at = buckets[low >> 8];
    slot = slots[at];
    while (low - (slot & kSlotMask) >= slot >> 16) {  // ends: the last slot reaches 65536
      slot = slots[++at];
    }
    return at;
  }

  bool take_slot(std::uint32_t slot) {
    const auto low = static_cast<std::uint32_t>(state_) & kSlotMask;
    state_ = (state_ >> kProbabilityBits) * (slot >> 16) + (low - (slot & kSlotMask));
    return refill();
  }

  bool take_group(std::uint32_t& group) {
    group = static_cast<std::uint32_t>(state_) & kGroupMask;
    state_ >>= kGroupBits;
    return refill();
  }

  std::uint64_t state() const { return state_; }
  std::size_t words_left() const { return static_cast<std::size_t>(end_ - next_) / 4; }

 private:
  bool refill() {
    if (state_ >= kStateLow) {
      return true;
    }
    if (next_ == end_) {
      return false;
    }
    state_ = state_ << 32 | load_word();
    return true;
  }

  std::uint32_t load_word() {
    std::uint32_t word;
    std::memcpy(&word, next_, sizeof word);  // streams are slices of files: no alignment
    next_ += sizeof word;
    return word;
  }

  const std::uint8_t* next_;
  const std::uint8_t* end_;
  std::uint64_t state_ = 0;
};

// Reads an escaped value and checks that an encoder could have written it.
Result take_escaped(Decoder& decoder, const CdfRow& row, std::int32_t& symbol) {
  std::uint32_t groups = 0;
  if (!decoder.take_group(groups)) {
    return {Status::truncated};
  }
  if (groups > kMaxGroups) {
    return {Status::bad_escape, 0, groups};
  }
  std::uint64_t raw = 0;
  std::uint32_t group = 1;
  for (std::uint32_t i = 0; i < groups; ++i) {
    if (!decoder.take_group(group)) {
      return {Status::truncated};
    }
    raw |= std::uint64_t{group} << (i * kGroupBits);
  }
  const auto half = static_cast<std::int64_t>(raw >> 1);
  const std::int64_t value = ((raw & 1) != 0 ? -half - 1 : half + row.escape) + row.offset;
  if (group == 0 || value < std::numeric_limits<std::int32_t>::min() ||
      value > std::numeric_limits<std::int32_t>::max()) {
    return {Status::bad_escape, 0, groups};
  }
  symbol = static_cast<std::int32_t>(value);
  return {};
}

// The one check of the form itself: everything that the encoder put in has come out.
Result check_end(const Decoder& decoder, std::size_t count) {
  if (decoder.words_left() != 0) {
    return {Status::trailing, count, static_cast<std::int64_t>(decoder.words_left())};
  }
  if (decoder.state() != kStateLow) {
    return {Status::bad_end, count, static_cast<std::int64_t>(decoder.state())};
  }
  return {};
}

}  // namespace

template <class Index>
Result decode_compressai(const CdfTables& tables, const std::uint8_t* data, std::size_t size,
                         const Index* indexes, std::size_t count, std::int32_t* out) {
  const auto bytes = static_cast<std::int64_t>(size);
  if (size % 4 != 0) {
    return {Status::odd_size, 0, bytes};
  }
  if (size < 8) {
    return {Status::truncated, 0, bytes};
  }
  Decoder decoder(data, size);
  if (!decoder.start()) {
    return {Status::bad_start, 0, static_cast<std::int64_t>(decoder.state())};
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto index = static_cast<std::size_t>(indexes[i]);  // negative becomes huge
    if (index >= tables.rows.size()) {
      return {Status::bad_index, i, static_cast<std::int64_t>(indexes[i])};
    }
    const CdfRow& row = tables.rows[index];
    std::uint32_t slot;
    const std::int32_t at =
        decoder.find(tables.slots.data() + row.first, tables.buckets.data() + index * 256, slot);
    if (!decoder.take_slot(slot)) {
      return {Status::truncated, i, bytes};
    }
    out[i] = at + row.offset;
    if (at == row.escape) {
      const Result result = take_escaped(decoder, row, out[i]);
      if (result.status != Status::ok) {
        return {result.status, i, result.status == Status::truncated ? bytes : result.detail};
      }
    }
  }
  return check_end(decoder, count);
}

template Result decode_compressai(const CdfTables&, const std::uint8_t*, std::size_t,
                                  const std::uint8_t*, std::size_t, std::int32_t*);
template Result decode_compressai(const CdfTables&, const std::uint8_t*, std::size_t,
                                  const std::int32_t*, std::size_t, std::int32_t*);

}  // namespace latentsr
