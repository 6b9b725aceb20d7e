// rans_scalar_encode.cpp - writes the `compressai` form, one symbol after the other. See rans.h.
#include "latentsr/rans.h"

#include <algorithm>
#include <bit>

namespace latentsr {
namespace {

constexpr std::uint32_t kSlotMask = (1u << kProbabilityBits) - 1;
constexpr std::uint32_t kGroupMask = (1u << kGroupBits) - 1;
constexpr std::uint32_t kGroupFrequency = 1u << (kProbabilityBits - kGroupBits);

// Words come out last first; the caller turns them round once at the end.
class Encoder {
 public:
  explicit Encoder(std::vector<std::uint32_t>& words) : words_(words) {}

  void put_slot(std::uint32_t slot) {
    const std::uint32_t frequency = slot >> 16;
    make_room(frequency);
    state_ = ((state_ / frequency) << kProbabilityBits) + (slot & kSlotMask) + state_ % frequency;
  }

  void put_group(std::uint32_t group) {
    make_room(kGroupFrequency);
    state_ = state_ << kGroupBits | group;
  }

  // The reverse of what a decoder reads: groups from the highest, then their number.
  void put_raw(std::uint64_t raw) {
    const int groups = (static_cast<int>(std::bit_width(raw)) + kGroupBits - 1) / kGroupBits;
    for (int i = groups - 1; i >= 0; --i) {
      put_group(static_cast<std::uint32_t>(raw >> (i * kGroupBits)) & kGroupMask);
    }
    put_group(static_cast<std::uint32_t>(groups));
  }

  void flush() {
    words_.push_back(static_cast<std::uint32_t>(state_ >> 32));
    words_.push_back(static_cast<std::uint32_t>(state_));
  }

 private:
  void make_room(std::uint64_t frequency) {
    if (state_ >= frequency * (kStateEnd >> kProbabilityBits)) {
      words_.push_back(static_cast<std::uint32_t>(state_));
      state_ >>= 32;
    }
  }

  std::vector<std::uint32_t>& words_;
  std::uint64_t state_ = kStateLow;
};

}  // namespace

template <class Index>
Result encode_compressai(const CdfTables& tables, const std::int32_t* symbols,
                         const Index* indexes, std::size_t count,
                         std::vector<std::uint32_t>& words) {
  const auto before = static_cast<std::ptrdiff_t>(words.size());
  Encoder encoder(words);
  for (std::size_t i = count; i-- > 0;) {
    const auto index = static_cast<std::size_t>(indexes[i]);  // negative becomes huge
    if (index >= tables.rows.size()) {
      return {Status::bad_index, i, static_cast<std::int64_t>(indexes[i])};
    }
    const CdfRow& row = tables.rows[index];
    const std::uint32_t* slots = tables.slots.data() + row.first;
    const std::int64_t value = std::int64_t{symbols[i]} - row.offset;
    if (value >= 0 && value < row.escape) {
      encoder.put_slot(slots[value]);
      continue;
    }
    encoder.put_raw(static_cast<std::uint64_t>(value < 0 ? -2 * value - 1
                                                         : 2 * (value - row.escape)));
    encoder.put_slot(slots[row.escape]);
  }
  encoder.flush();
  std::reverse(words.begin() + before, words.end());
  return {};
}

template Result encode_compressai(const CdfTables&, const std::int32_t*, const std::uint8_t*,
                                  std::size_t, std::vector<std::uint32_t>&);
template Result encode_compressai(const CdfTables&, const std::int32_t*, const std::int32_t*,
                                  std::size_t, std::vector<std::uint32_t>&);

}  // namespace latentsr
