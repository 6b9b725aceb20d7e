// lane_lookup.cuh - one symbol of one lane: tables, states and the rANS step both ways.
#pragma once

#include <cstdint>

#include "latentsr/cuda/lane_view.h"
#include "warp.cuh"

namespace latentsr::cuda {

// Tables never change while a kernel runs. A pair of numbers is one load of 8 bytes, which
// PackedTables aligns.
#ifdef __CUDA_ARCH__
LATENTSR_DEVICE LaneRow load(const LaneRow* at) {
  const uint2 pair = __ldg(reinterpret_cast<const uint2*>(at));
  return {pair.x, static_cast<std::int32_t>(pair.y)};
}
LATENTSR_DEVICE LaneBucket load(const LaneBucket* at) {
  const uint2 pair = __ldg(reinterpret_cast<const uint2*>(at));
  return {pair.x, pair.y};
}
LATENTSR_DEVICE std::uint32_t load(const std::uint32_t* at) { return __ldg(at); }
LATENTSR_DEVICE std::uint64_t load(const std::uint64_t* at) {
  const uint2 pair = __ldg(reinterpret_cast<const uint2*>(at));
  return static_cast<std::uint64_t>(pair.y) << 32 | pair.x;
}
LATENTSR_DEVICE CdfRow load(const CdfRow* at) {
  const auto* numbers = reinterpret_cast<const int*>(at);
  return {static_cast<std::uint32_t>(__ldg(numbers)), __ldg(numbers + 1), __ldg(numbers + 2)};
}
#else
template <class T>
LATENTSR_DEVICE T load(const T* at) {
  return *at;
}
#endif

struct DecodedSymbol {
  std::uint32_t state;  // before the refill
  std::int32_t symbol;
  bool escaped;
};

// Undoes an encoder's step. `row()` names the row of `lane_row`; it is asked for seldom.
template <class F>
LATENTSR_DEVICE DecodedSymbol decode_symbol(const LaneView& tables, std::uint32_t state,
                                            const LaneRow& lane_row, const F& row) {
  const std::uint32_t low = state & 0xffff;
  const LaneBucket bucket = load(
      tables.buckets + (lane_row.buckets >> kShiftBits) + (low >> (lane_row.buckets & 15)));
  std::uint32_t inside = low - (bucket.range & 0xffff);
  std::uint32_t frequency = bucket.range >> 16;
  std::uint32_t slot = bucket.second >> 16;
  const bool beyond = inside >= frequency;
  inside -= beyond ? frequency : 0;
  frequency = beyond ? bucket.second & 0xffff : frequency;
  slot += beyond ? 1 : 0;
  if (inside >= frequency) {
    const std::uint32_t* slots = tables.slots + load(tables.rows + row()).first;
    do {  // ends: the last slot reaches 65536
      ++slot;
      const std::uint32_t range = load(slots + slot);
      inside = low - (range & 0xffff);
      frequency = range >> 16;
    } while (inside >= frequency);
  }
  // Only the escape slot, the last one, ends at 65536.
  return {(state >> 16) * frequency + inside, lane_row.offset + static_cast<std::int32_t>(slot),
          low - inside + frequency == 0x10000};
}

// A symbol as the encoder's step needs it.
struct EncodedSymbol {
  std::uint32_t range = 0;         // start | frequency << 16
  std::uint64_t reciprocal = 0;    // ceil(2^48 / frequency)
  std::uint64_t raw = 0;           // of an escaped one: what the side section holds
  std::uint32_t side = 0;          // its bytes there, 0 for others
};

LATENTSR_DEVICE std::uint32_t number_size(std::uint64_t number) {
  return 1u + (number >> 7 != 0 ? 1u : 0u) + (number >> 14 != 0 ? 1u : 0u) +
         (number >> 21 != 0 ? 1u : 0u) + (number >> 28 != 0 ? 1u : 0u);
}

LATENTSR_DEVICE EncodedSymbol look_up(const LaneView& tables, std::uint32_t row,
                                      std::int32_t symbol) {
  const CdfRow found = load(tables.rows + row);
  const std::int64_t value = static_cast<std::int64_t>(symbol) - found.offset;
  const bool escaped = value < 0 || value >= found.escape;
  const std::uint32_t at =
      found.first + static_cast<std::uint32_t>(escaped ? found.escape : value);
  EncodedSymbol made;
  made.range = load(tables.slots + at);
  made.reciprocal = load(tables.reciprocals + at);
  if (escaped) {
    made.raw = static_cast<std::uint64_t>(value < 0 ? -2 * value - 1 : 2 * (value - found.escape));
    made.side = number_size(made.raw);
  }
  return made;
}

// The step for a state that has room: below frequency * 2^16. The division is a product;
// ../rans_lanes_encode.cpp says why it is exact.
LATENTSR_DEVICE std::uint32_t advance(std::uint32_t state, const EncodedSymbol& symbol) {
  const auto quotient = static_cast<std::uint32_t>(state * symbol.reciprocal >> 48);
  return (quotient << 16) + (symbol.range & 0xffff) + (state - quotient * (symbol.range >> 16));
}

}  // namespace latentsr::cuda
