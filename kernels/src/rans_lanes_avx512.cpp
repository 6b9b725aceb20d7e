// rans_lanes_avx512.cpp - 16 or 32 lanes of the `lanes` form at once. See rans_lanes.h.
#include <immintrin.h>

#include "rans_lanes_job.h"

namespace latentsr {
namespace {

struct Sixteen {
  __m512i state;
  __m512i value;
};

__m512i load_indexes(const std::uint8_t* indexes) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(indexes)));
}

__m512i load_indexes(const std::int32_t* indexes) { return _mm512_loadu_si512(indexes); }

// Slots number `at`, split into their two halves. Eight whole slots a gather: a gather costs by
// the number of its loads.
void load_slots(const LaneSlot* slots, __m512i at, __m512i& range, __m512i& value) {
  const __m512i low = _mm512_i32gather_epi64(_mm512_castsi512_si256(at), slots, 8);
  const __m512i high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(at, 1), slots, 8);
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_or_si512(even, _mm512_set1_epi32(1));
  range = _mm512_permutex2var_epi32(low, even, high);
  value = _mm512_permutex2var_epi32(low, odd, high);
}

// Lanes whose slot comes later than the one looked at.
__mmask16 lanes_beyond(__m512i inside, __m512i range) {
  return _mm512_cmpge_epu32_mask(inside, _mm512_srli_epi32(range, 16));
}

// The states after the symbols found, before the refill.
__m512i advance(__m512i state, __m512i range, __m512i inside) {
  const __m512i product =
      _mm512_mullo_epi32(_mm512_srli_epi32(state, 16), _mm512_srli_epi32(range, 16));
  return _mm512_add_epi32(product, inside);
}

// One symbol of each lane, without the refill. `where` holds the rows' buckets_of_row.
template <class Index>
Sixteen step(const LaneJob<Index>& job, __m512i state, __m512i where) {
  const __m512i half = _mm512_set1_epi32(0xffff);
  const __m512i low = _mm512_and_si512(state, half);
  const __m512i shift = _mm512_and_si512(where, _mm512_set1_epi32((1 << kShiftBits) - 1));
  const __m512i bucket =
      _mm512_add_epi32(_mm512_srli_epi32(where, kShiftBits), _mm512_srlv_epi32(low, shift));
  __m512i range;
  __m512i value;
  load_slots(job.buckets, bucket, range, value);
  __m512i inside = _mm512_sub_epi32(low, _mm512_and_si512(range, half));
  __mmask16 beyond = lanes_beyond(inside, range);
  if (__builtin_expect(beyond == 0, 1)) {
    return {advance(state, range, inside), value};
  }
  __m512i at = _mm512_i32gather_epi32(bucket, job.bucket_slots, 4);
  do {  // ends: a row's last slot reaches 65536
    at = _mm512_mask_add_epi32(at, beyond, at, _mm512_set1_epi32(1));
    load_slots(job.slots, at, range, value);
    inside = _mm512_sub_epi32(low, _mm512_and_si512(range, half));
    beyond = lanes_beyond(inside, range);
  } while (beyond != 0);
  return {advance(state, range, inside), value};
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

std::uint32_t escapes(__m512i value) {
  return _mm512_cmpeq_epi32_mask(value, _mm512_set1_epi32(kEscapeValue));
}

// Where the buckets of valid rows are. Up to 64 rows, the number of Gaussians of most codecs,
// lie in four registers: twice as fast as a gather.
struct RowsInRegisters {
  explicit RowsInRegisters(const std::uint32_t* table, std::uint32_t count) {
    for (std::uint32_t g = 0; g < 4; ++g) {
      const std::uint32_t left = count > 16 * g ? count - 16 * g : 0;
      const auto mask = static_cast<__mmask16>(left >= 16 ? 0xffff : (1u << left) - 1);
      part[g] = _mm512_maskz_loadu_epi32(mask, table + (left != 0 ? 16 * g : 0));
    }
  }
  __m512i operator()(__m512i row) const {
    const __m512i below = _mm512_permutex2var_epi32(part[0], row, part[1]);
    const __m512i above = _mm512_permutex2var_epi32(part[2], row, part[3]);
    const __mmask16 high = _mm512_test_epi32_mask(row, _mm512_set1_epi32(32));
    return _mm512_mask_mov_epi32(below, high, above);
  }
  __m512i part[4];
};

struct RowsInMemory {
  RowsInMemory(const std::uint32_t* table, std::uint32_t) : base(table) {}
  __m512i operator()(__m512i row) const { return _mm512_i32gather_epi32(row, base, 4); }
  const std::uint32_t* base;
};

template <int Groups, class Rows, class Index>
void decode(LaneJob<Index>& job) {
  const Rows rows(job.buckets_of_row, job.row_count);
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
      const Sixteen next = step(job, state[g], rows(row[g]));
      state[g] = refill(next.state, word);
      _mm512_storeu_si512(job.out + i + 16 * g, next.value);
      escaped |= escapes(next.value) << (16 * g);
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
