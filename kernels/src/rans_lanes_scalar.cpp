// rans_lanes_scalar.cpp - symbols of the `lanes` form, one after the other. See rans_lanes.h.
#include <bit>
#include <cstring>

#include "latentsr/rans_lanes.h"
#include "rans_lanes_job.h"

namespace latentsr {
namespace {

static_assert(std::endian::native == std::endian::little, "words are loaded in host order");

// One symbol of one lane, without its refill. The escape mark is left in `out`.
template <class Index>
std::uint32_t step(const LaneJob<Index>& job, std::uint32_t x, std::uint32_t row,
                   std::int32_t& out) {
  const std::uint32_t low = x & 0xffff;
  const std::uint32_t where = job.buckets_of_row[row];
  const std::uint32_t bucket = (where >> kShiftBits) + (low >> (where & 15));
  const LaneSlot* slot = job.buckets + bucket;
  if (low - (slot->range & 0xffff) >= slot->range >> 16) {
    slot = job.slots + job.bucket_slots[bucket] + 1;
    while (low - (slot->range & 0xffff) >= slot->range >> 16) {  // ends: the last reaches 65536
      ++slot;
    }
  }
  out = slot->value;
  return (x >> 16) * (slot->range >> 16) + low - (slot->range & 0xffff);
}

}  // namespace

template <class Index>
bool decode_turns_scalar(LaneJob<Index>& job) {
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
      const std::uint32_t x =
          step(job, job.states[lane], static_cast<std::uint32_t>(index), job.out[i]);
      std::uint16_t word;
      std::memcpy(&word, job.word, sizeof word);
      const bool empty = x < kLaneLow;
      job.states[lane] = empty ? x << 16 | word : x;
      job.word += empty ? 2 : 0;
      if (job.out[i] == kEscapeValue && !resolve_escapes(job, i, 1)) {
        return false;
      }
    }
    job.position += lanes;
  }
  return true;
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
    state = step(job, state, static_cast<std::uint32_t>(index), job.out[i]);
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
    if (job.out[i] == kEscapeValue && !resolve_escapes(job, i, 1)) {
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
