// rans_lanes_avx2.cpp - 8, 16 or 32 lanes of the `lanes` form at once. See rans_lanes.h.
#include <immintrin.h>

#include <cstddef>

#include "rans_lanes_job.h"

namespace latentsr {
namespace {

// For each set of lanes that take a word, which of the next 8 words each lane takes.
struct SpreadTable {
  std::uint32_t source[256][8];

  constexpr SpreadTable() : source{} {
    for (std::uint32_t mask = 0; mask < 256; ++mask) {
      std::uint32_t next = 0;
      for (std::uint32_t lane = 0; lane < 8; ++lane) {
        source[mask][lane] = next;
        next += mask >> lane & 1;
      }
      // The last lane may count to 8 only behind its own word, so every source is at most 7.
    }
  }
};

constexpr SpreadTable kSpread;

struct Eight {
  __m256i state;
  __m256i value;
  std::uint32_t escaped;
};

__m256i load_indexes(const std::uint8_t* indexes) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(indexes)));
}

__m256i load_indexes(const std::int32_t* indexes) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(indexes));
}

__m256i gather(const void* base, __m256i at) {
  return _mm256_i32gather_epi32(static_cast<const int*>(base), at, 4);
}

// Pairs of 32-bit numbers, number `at` of an array, split into their two halves; four whole pairs
// a gather.
void load_pairs(const void* pairs, __m256i at, __m256i& first, __m256i& second) {
  const auto* base = static_cast<const long long*>(pairs);
  const __m256i low = _mm256_i32gather_epi64(base, _mm256_castsi256_si128(at), 8);
  const __m256i high = _mm256_i32gather_epi64(base, _mm256_extracti128_si256(at, 1), 8);
  const __m256 a = _mm256_castsi256_ps(low);
  const __m256 b = _mm256_castsi256_ps(high);
  const __m256i even = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88));
  const __m256i odd = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd));
  first = _mm256_permute4x64_epi64(even, 0xd8);
  second = _mm256_permute4x64_epi64(odd, 0xd8);
}

// Where states lie: number of the slot, its frequency, and how far inside.
struct Place {
  __m256i slot;
  __m256i frequency;
  __m256i inside;
};

// All bits set in lanes at or beyond the end of their slot. Unsigned: a >= b is max(a, b) = a.
__m256i lanes_beyond(const Place& place) {
  return _mm256_cmpeq_epi32(_mm256_max_epu32(place.inside, place.frequency), place.inside);
}

std::uint32_t mask_of(__m256i lanes) {
  return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(lanes)));
}

// Goes on, for the lanes in `beyond`, from the slots of `place` to the later ones that hold `low`.
template <class Index>
void search(const LaneJob<Index>& job, __m256i low, __m256i row, __m256i beyond, Place& place) {
  static_assert(sizeof(CdfRow) == 12 && offsetof(CdfRow, first) == 0);
  const __m256i threefold = _mm256_add_epi32(row, _mm256_add_epi32(row, row));
  const __m256i first = gather(job.rows, threefold);
  do {  // ends: a row's last slot reaches 65536
    place.slot = _mm256_sub_epi32(place.slot, beyond);  // all bits set is -1
    // Lanes that are right look their own slot up again, which is there.
    const __m256i range = gather(job.slots, _mm256_add_epi32(first, place.slot));
    place.inside = _mm256_sub_epi32(low, _mm256_and_si256(range, _mm256_set1_epi32(0xffff)));
    place.frequency = _mm256_srli_epi32(range, 16);
    beyond = lanes_beyond(place);
  } while (mask_of(beyond) != 0);
}

// One symbol of each lane, without the refill. `row` holds valid row numbers.
template <class Index>
Eight step(const LaneJob<Index>& job, __m256i state, __m256i row) {
  const __m256i half = _mm256_set1_epi32(0xffff);
  const __m256i low = _mm256_and_si256(state, half);
  __m256i where;
  __m256i offset;
  load_pairs(job.lane_rows, row, where, offset);
  const __m256i shift = _mm256_and_si256(where, _mm256_set1_epi32((1 << kShiftBits) - 1));
  const __m256i bucket =
      _mm256_add_epi32(_mm256_srli_epi32(where, kShiftBits), _mm256_srlv_epi32(low, shift));
  __m256i range;
  __m256i second;
  load_pairs(job.buckets, bucket, range, second);
  Place place{_mm256_srli_epi32(second, 16), _mm256_srli_epi32(range, 16),
              _mm256_sub_epi32(low, _mm256_and_si256(range, half))};
  __m256i beyond = lanes_beyond(place);
  place.inside = _mm256_sub_epi32(place.inside, _mm256_and_si256(beyond, place.frequency));
  place.frequency =
      _mm256_blendv_epi8(place.frequency, _mm256_and_si256(second, half), beyond);
  place.slot = _mm256_sub_epi32(place.slot, beyond);
  beyond = lanes_beyond(place);
  if (__builtin_expect(mask_of(beyond) != 0, 0)) {
    search(job, low, row, beyond, place);
  }
  const __m256i product = _mm256_mullo_epi32(_mm256_srli_epi32(state, 16), place.frequency);
  // Only the escape slot, the last one, ends at 65536.
  const __m256i end = _mm256_add_epi32(_mm256_sub_epi32(low, place.inside), place.frequency);
  const __m256i escaped = _mm256_cmpeq_epi32(end, _mm256_set1_epi32(0x10000));
  return {_mm256_add_epi32(product, place.inside), _mm256_add_epi32(offset, place.slot),
          mask_of(escaped)};
}

// Gives each lane below 2^16 the next word, in lane order. Loads 8 words, whatever it takes.
__m256i refill(__m256i state, const std::uint8_t*& word) {
  const __m256i empty = _mm256_cmpeq_epi32(_mm256_srli_epi32(state, 16), _mm256_setzero_si256());
  const auto mask = static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(empty)));
  const __m256i words =
      _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(word)));
  const __m256i source =
      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kSpread.source[mask]));
  const __m256i spread = _mm256_permutevar8x32_epi32(words, source);
  word += 2 * _mm_popcnt_u32(mask);
  return _mm256_blendv_epi8(state, _mm256_or_si256(_mm256_slli_epi32(state, 16), spread), empty);
}

bool rows_valid(__m256i row, __m256i last_row) {
  const __m256i valid = _mm256_cmpeq_epi32(_mm256_max_epu32(row, last_row), last_row);
  return _mm256_movemask_epi8(valid) == -1;
}

template <class Index, int Groups>
void decode(LaneJob<Index>& job) {
  constexpr std::size_t lanes = 8 * Groups;
  const __m256i last_row = _mm256_set1_epi32(static_cast<int>(job.row_count - 1));
  const std::uint8_t* word = job.word;
  __m256i state[Groups];
  for (int g = 0; g < Groups; ++g) {
    state[g] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(job.states + 8 * g));
  }
  std::size_t i = job.position;
  while (job.count - i >= lanes && static_cast<std::size_t>(job.words_end - word) >= 2 * lanes) {
    __m256i row[Groups];
    bool valid = true;
    for (int g = 0; g < Groups; ++g) {
      row[g] = load_indexes(job.indexes + i + 8 * g);
      valid &= rows_valid(row[g], last_row);
    }
    if (!valid) {
      break;
    }
    std::uint32_t escaped = 0;
    for (int g = 0; g < Groups; ++g) {
      const Eight next = step(job, state[g], row[g]);
      state[g] = refill(next.state, word);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(job.out + i + 8 * g), next.value);
      escaped |= next.escaped << (8 * g);
    }
    if (__builtin_expect(escaped != 0, 0) && !resolve_escapes(job, i, escaped)) {
      return;
    }
    i += lanes;
  }
  for (int g = 0; g < Groups; ++g) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(job.states + 8 * g), state[g]);
  }
  job.position = i;
  job.word = word;
}

}  // namespace

template <class Index>
void decode_turns_avx2(LaneJob<Index>& job) {
  if (job.row_count == 0) {
    return;
  }
  switch (job.lanes) {
    case 8: return decode<Index, 1>(job);
    case 16: return decode<Index, 2>(job);
    default: return decode<Index, 4>(job);
  }
}

template void decode_turns_avx2(LaneJob<std::uint8_t>&);
template void decode_turns_avx2(LaneJob<std::int32_t>&);

}  // namespace latentsr
