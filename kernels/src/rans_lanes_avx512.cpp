// rans_lanes_avx512.cpp - 16 or 32 lanes of the `lanes` form at once. See rans_lanes.h.
#include <immintrin.h>

#include <cstddef>

#include "rans_lanes_job.h"

namespace latentsr {
namespace {

struct Sixteen {
  __m512i state;
  __m512i value;
  __mmask16 escaped;
};

__m512i load_indexes(const std::uint8_t* indexes) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(indexes)));
}

__m512i load_indexes(const std::int32_t* indexes) { return _mm512_loadu_si512(indexes); }

// Pairs of 32-bit numbers, number `at` of an array, split into their two halves. Eight whole
// pairs a gather: a gather costs by the number of its loads.
void load_pairs(const void* pairs, __m512i at, __m512i& first, __m512i& second) {
  const __m512i low = _mm512_i32gather_epi64(_mm512_castsi512_si256(at), pairs, 8);
  const __m512i high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(at, 1), pairs, 8);
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_or_si512(even, _mm512_set1_epi32(1));
  first = _mm512_permutex2var_epi32(low, even, high);
  second = _mm512_permutex2var_epi32(low, odd, high);
}

// Where states lie: number of the slot, its frequency, and how far inside.
struct Place {
  __m512i slot;
  __m512i frequency;
  __m512i inside;
};

// Goes on, for the lanes in `beyond`, from the slots of `place` to the later ones that hold `low`.
template <class Index>
void search(const LaneJob<Index>& job, __m512i low, __m512i row, __mmask16 beyond, Place& place) {
  static_assert(sizeof(CdfRow) == 12 && offsetof(CdfRow, first) == 0);
  const __m512i threefold = _mm512_add_epi32(row, _mm512_add_epi32(row, row));
  const __m512i first = _mm512_i32gather_epi32(threefold, job.rows, 4);
  do {  // ends: a row's last slot reaches 65536
    place.slot = _mm512_mask_add_epi32(place.slot, beyond, place.slot, _mm512_set1_epi32(1));
    const __m512i range = _mm512_mask_i32gather_epi32(
        _mm512_setzero_si512(), beyond, _mm512_add_epi32(first, place.slot), job.slots, 4);
    const __m512i start = _mm512_and_si512(range, _mm512_set1_epi32(0xffff));
    place.inside = _mm512_mask_sub_epi32(place.inside, beyond, low, start);
    place.frequency = _mm512_mask_srli_epi32(place.frequency, beyond, range, 16);
    beyond = _mm512_mask_cmpge_epu32_mask(beyond, place.inside, place.frequency);
  } while (beyond != 0);
}

// One symbol of each lane, without the refill. `where` and `offset` are the rows' LaneRow.
template <class Index>
Sixteen step(const LaneJob<Index>& job, __m512i state, __m512i row, __m512i where,
             __m512i offset) {
  const __m512i half = _mm512_set1_epi32(0xffff);
  const __m512i low = _mm512_and_si512(state, half);
  const __m512i shift = _mm512_and_si512(where, _mm512_set1_epi32((1 << kShiftBits) - 1));
  const __m512i bucket =
      _mm512_add_epi32(_mm512_srli_epi32(where, kShiftBits), _mm512_srlv_epi32(low, shift));
  __m512i range;
  __m512i second;
  load_pairs(job.buckets, bucket, range, second);
  Place place{_mm512_srli_epi32(second, 16), _mm512_srli_epi32(range, 16),
              _mm512_sub_epi32(low, _mm512_and_si512(range, half))};
  __mmask16 beyond = _mm512_cmpge_epu32_mask(place.inside, place.frequency);
  place.inside = _mm512_mask_sub_epi32(place.inside, beyond, place.inside, place.frequency);
  place.frequency = _mm512_mask_and_epi32(place.frequency, beyond, second, half);
  place.slot = _mm512_mask_add_epi32(place.slot, beyond, place.slot, _mm512_set1_epi32(1));
  beyond = _mm512_cmpge_epu32_mask(place.inside, place.frequency);
  if (__builtin_expect(beyond != 0, 0)) {
    search(job, low, row, beyond, place);
  }
  const __m512i product = _mm512_mullo_epi32(_mm512_srli_epi32(state, 16), place.frequency);
  const __m512i start = _mm512_sub_epi32(low, place.inside);
  // Only the escape slot, the last one, ends at 65536.
  const __mmask16 escaped = _mm512_cmpeq_epi32_mask(_mm512_add_epi32(start, place.frequency),
                                                    _mm512_set1_epi32(0x10000));
  return {_mm512_add_epi32(product, place.inside), _mm512_add_epi32(offset, place.slot), escaped};
}

// Gives each lane below 2^16 the next word, in lane order. Loads 16 words, whatever it takes.
__m512i refill(__m512i state, const std::uint8_t*& word) {
  const __mmask16 empty = _mm512_cmplt_epu32_mask(state, _mm512_set1_epi32(1 << 16));
  const __m512i words =
      _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(word)));
  const __m512i spread = _mm512_maskz_expand_epi32(empty, words);
  word += 2 * _mm_popcnt_u32(empty);
  return _mm512_mask_or_epi32(state, empty, _mm512_slli_epi32(state, 16), spread);
}

// The LaneRow of valid rows. Up to 64 rows, the number of Gaussians of most codecs, lie in eight
// registers: twice as fast as a gather.
struct RowsInRegisters {
  RowsInRegisters(const LaneRow* rows, std::uint32_t count) {
    alignas(64) std::uint32_t buckets[64] = {};
    alignas(64) std::int32_t offsets[64] = {};
    for (std::uint32_t row = 0; row < count; ++row) {
      buckets[row] = rows[row].buckets;
      offsets[row] = rows[row].offset;
    }
    for (int g = 0; g < 4; ++g) {
      where[g] = _mm512_load_si512(buckets + 16 * g);
      offset[g] = _mm512_load_si512(offsets + 16 * g);
    }
  }
  void operator()(__m512i row, __m512i& buckets, __m512i& offsets) const {
    const __mmask16 high = _mm512_test_epi32_mask(row, _mm512_set1_epi32(32));
    buckets = look_up(where, row, high);
    offsets = look_up(offset, row, high);
  }
  static __m512i look_up(const __m512i* part, __m512i row, __mmask16 high) {
    const __m512i below = _mm512_permutex2var_epi32(part[0], row, part[1]);
    const __m512i above = _mm512_permutex2var_epi32(part[2], row, part[3]);
    return _mm512_mask_mov_epi32(below, high, above);
  }
  __m512i where[4];
  __m512i offset[4];
};

struct RowsInMemory {
  RowsInMemory(const LaneRow* rows, std::uint32_t) : base(rows) {}
  void operator()(__m512i row, __m512i& buckets, __m512i& offsets) const {
    load_pairs(base, row, buckets, offsets);
  }
  const LaneRow* base;
};

template <int Groups, class Rows, class Index>
void decode(LaneJob<Index>& job) {
  const Rows rows(job.lane_rows, job.row_count);
  constexpr std::size_t lanes = 16 * Groups;
  const __m512i row_count = _mm512_set1_epi32(static_cast<int>(job.row_count));
  const std::uint8_t* word = job.word;
  __m512i state[Groups];
  for (int g = 0; g < Groups; ++g) {
    state[g] = _mm512_loadu_si512(job.states + 16 * g);
  }
  std::size_t i = job.position;
  while (job.count - i >= lanes && static_cast<std::size_t>(job.words_end - word) >= 2 * lanes) {
    __m512i row[Groups];
    std::uint32_t valid = 0xffff;
    for (int g = 0; g < Groups; ++g) {
      row[g] = load_indexes(job.indexes + i + 16 * g);
      valid &= _mm512_cmplt_epu32_mask(row[g], row_count);
    }
    if (valid != 0xffff) {
      break;
    }
    std::uint32_t escaped = 0;
    for (int g = 0; g < Groups; ++g) {
      __m512i where;
      __m512i offset;
      rows(row[g], where, offset);
      const Sixteen next = step(job, state[g], row[g], where, offset);
      state[g] = refill(next.state, word);
      _mm512_storeu_si512(job.out + i + 16 * g, next.value);
      escaped |= std::uint32_t{next.escaped} << (16 * g);
    }
    if (__builtin_expect(escaped != 0, 0) && !resolve_escapes(job, i, escaped)) {
      return;
    }
    i += lanes;
  }
  for (int g = 0; g < Groups; ++g) {
    _mm512_storeu_si512(job.states + 16 * g, state[g]);
  }
  job.position = i;
  job.word = word;
}

}  // namespace

template <class Index>
void decode_turns_avx512(LaneJob<Index>& job) {
  if (job.row_count <= 64) {
    job.lanes == 32 ? decode<2, RowsInRegisters>(job) : decode<1, RowsInRegisters>(job);
  } else {
    job.lanes == 32 ? decode<2, RowsInMemory>(job) : decode<1, RowsInMemory>(job);
  }
}

template void decode_turns_avx512(LaneJob<std::uint8_t>&);
template void decode_turns_avx512(LaneJob<std::int32_t>&);

}  // namespace latentsr
