// rans_lanes_scalar.cpp - symbols of the `lanes` form, one after the other. See rans_lanes.h.
#include <bit>
#include <cstring>

#include "latentsr/rans_lanes.h"
#include "rans_lanes_job.h"
#include "select.h"

namespace latentsr {
namespace {

static_assert(std::endian::native == std::endian::little, "words are loaded in host order");

// Symbols that a word of 16 bits must be worth for a stream to be sparse; 12 is 1.3 bits a symbol.
constexpr std::size_t kSymbolsPerWord = 12;

struct Symbol {
  std::uint32_t state;  // before the refill
  bool escaped;
};

// One symbol of one lane; that of the escape slot goes to `out` like any other. Which of a bucket's
// two slots it is hangs on coded bits: `Sparse` streams hold so few that a jump is foreseen, in
// others it would cost more than the symbol.
template <bool Sparse, class Index>
Symbol step(const LaneJob<Index>& job, std::uint32_t x, std::uint32_t row, std::int32_t& out) {
  const std::uint32_t low = x & 0xffff;
  const LaneRow lane_row = job.lane_rows[row];
  const LaneBucket bucket =
      job.buckets[(lane_row.buckets >> kShiftBits) + (low >> (lane_row.buckets & 15))];
  std::uint32_t inside = low - (bucket.range & 0xffff);
  std::uint32_t frequency = bucket.range >> 16;
  std::uint32_t slot = bucket.second >> 16;
  if constexpr (Sparse) {
    if (inside >= frequency) {
      inside -= frequency;
      frequency = bucket.second & 0xffff;
      ++slot;
    }
  } else {
    const std::uint32_t beyond = select_below(inside, frequency, 0u, ~0u);  // all bits or none
    inside -= frequency & beyond;
    frequency += ((bucket.second & 0xffff) - frequency) & beyond;
    slot -= beyond;
  }
  if (inside >= frequency) {
    const std::uint32_t* slots = job.slots + job.rows[row].first;
    do {  // ends: the last slot reaches 65536
      ++slot;
      inside = low - (slots[slot] & 0xffff);
      frequency = slots[slot] >> 16;
    } while (inside >= frequency);
  }
  out = lane_row.offset + static_cast<std::int32_t>(slot);
  // Only the escape slot, the last one, ends at 65536.
  return {(x >> 16) * frequency + inside, low - inside + frequency == 0x10000};
}

template <bool Sparse, class Index>
bool decode_turns(LaneJob<Index>& job) {
  const std::uint32_t lanes = job.lanes;
  while (job.count - job.position >= lanes &&
         static_cast<std::size_t>(job.words_end - job.word) >= 2 * std::size_t{lanes}) {
    for (std::uint32_t lane = 0; lane < lanes; ++lane) {
      const std::size_t i = job.position + lane;
      const auto index = static_cast<std::size_t>(job.indexes[i]);  // negative becomes huge
      if (index >= job.row_count) {
        job.fault = {Status::bad_index, i, static_cast<std::int64_t>(job.indexes[i])};
        return false;
      }
      const Symbol next =
          step<Sparse>(job, job.states[lane], static_cast<std::uint32_t>(index), job.out[i]);
      std::uint16_t word;
      std::memcpy(&word, job.word, sizeof word);
      const std::uint32_t full = next.state << 16 | word;
      if constexpr (Sparse) {
        const bool empty = next.state < kLaneLow;
        job.states[lane] = empty ? full : next.state;
        job.word += empty ? 2 : 0;
      } else {
        job.states[lane] = select_below(next.state, kLaneLow, full, next.state);
        job.word += select_below(next.state, kLaneLow, 2u, 0u);
      }
      if (next.escaped && !resolve_escapes(job, i, 1)) {
        return false;
      }
    }
    job.position += lanes;
  }
  return true;
}

}  // namespace

template <class Index>
bool decode_turns_scalar(LaneJob<Index>& job) {
  const auto words = static_cast<std::size_t>(job.words_end - job.word) / 2;
  return words < (job.count - job.position) / kSymbolsPerWord ? decode_turns<true>(job)
                                                              : decode_turns<false>(job);
}

template <class Index>
bool decode_rest(LaneJob<Index>& job, std::int64_t bytes) {
  for (; job.position < job.count; ++job.position) {
    const std::size_t i = job.position;
    const auto index = static_cast<std::size_t>(job.indexes[i]);
    if (index >= job.row_count) {
      job.fault = {Status::bad_index, i, static_cast<std::int64_t>(job.indexes[i])};
      return false;
    }
    std::uint32_t& state = job.states[i & (job.lanes - 1)];
    const Symbol next = step<false>(job, state, static_cast<std::uint32_t>(index), job.out[i]);
    state = next.state;
    if (state < kLaneLow) {
      if (job.word == job.words_end) {
        job.fault = {Status::truncated, i, bytes};
        return false;
      }
      std::uint16_t word;
      std::memcpy(&word, job.word, sizeof word);
      state = state << 16 | word;
      job.word += 2;
    }
    if (next.escaped && !resolve_escapes(job, i, 1)) {
      return false;
    }
  }
  return true;
}

template bool decode_turns_scalar(LaneJob<std::uint8_t>&);
template bool decode_turns_scalar(LaneJob<std::int32_t>&);
template bool decode_rest(LaneJob<std::uint8_t>&, std::int64_t);
template bool decode_rest(LaneJob<std::int32_t>&, std::int64_t);

}  // namespace latentsr
