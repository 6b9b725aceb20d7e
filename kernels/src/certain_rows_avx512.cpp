// certain_rows_avx512.cpp - compaction 16 or 64 rows at once. See certain_rows.h.
#include <immintrin.h>

#include "certain_rows.h"

namespace latentsr {
namespace {

__mmask16 kept_rows(const std::uint8_t* indexes, std::uint32_t skip) {
  const __m512i rows =
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(indexes)));
  return _mm512_cmpge_epu32_mask(rows, _mm512_set1_epi32(static_cast<int>(skip)));
}

__mmask16 kept_rows(const std::int32_t* indexes, std::uint32_t skip) {
  return _mm512_cmpge_epu32_mask(_mm512_loadu_si512(indexes),
                                 _mm512_set1_epi32(static_cast<int>(skip)));
}

}  // namespace

// Stores whole registers: a compressing store is many times slower than this on some processors.
// That writes behind the last index kept, never beyond kept[i + 64] and hence kept[count].
std::size_t keep_most_indexes_avx512(const std::uint8_t* indexes, std::size_t count,
                                     std::uint32_t skip, std::uint8_t* kept,
                                     std::size_t& done) {
  const __m512i first = _mm512_set1_epi8(static_cast<char>(skip));
  std::size_t next = 0;
  std::size_t i = 0;
  // A byte cannot reach a `skip` above 255; then the slow way finds nothing to keep.
  for (; skip < 256 && count - i >= 64; i += 64) {
    const __m512i rows = _mm512_loadu_si512(indexes + i);
    const __mmask64 keep = _mm512_cmpge_epu8_mask(rows, first);
    _mm512_storeu_si512(kept + next, _mm512_maskz_compress_epi8(keep, rows));
    next += static_cast<std::size_t>(_mm_popcnt_u64(keep));
  }
  done = i;
  return next;
}

std::size_t keep_most_indexes_avx512(const std::int32_t* indexes, std::size_t count,
                                     std::uint32_t skip, std::int32_t* kept, std::size_t& done) {
  std::size_t next = 0;
  std::size_t i = 0;
  for (; count - i >= 16; i += 16) {
    const __mmask16 keep = kept_rows(indexes + i, skip);
    const __m512i rows = _mm512_loadu_si512(indexes + i);
    _mm512_storeu_si512(kept + next, _mm512_maskz_compress_epi32(keep, rows));
    next += static_cast<std::size_t>(_mm_popcnt_u32(keep));
  }
  done = i;
  return next;
}

template <class Index>
std::size_t spread_most_symbols_avx512(const Index* indexes, std::size_t count,
                                       std::uint32_t skip, std::size_t next, std::int32_t* out,
                                       std::size_t& done) {
  std::size_t i = 0;
  for (; count - i >= 16 && count - next >= 16; i += 16) {
    const __mmask16 keep = kept_rows(indexes + i, skip);
    const __m512i symbols = _mm512_loadu_si512(out + next);
    _mm512_storeu_si512(out + i, _mm512_maskz_expand_epi32(keep, symbols));
    next += static_cast<std::size_t>(_mm_popcnt_u32(keep));
  }
  done = i;
  return next;
}

template std::size_t spread_most_symbols_avx512(const std::uint8_t*, std::size_t, std::uint32_t,
                                                std::size_t, std::int32_t*, std::size_t&);
template std::size_t spread_most_symbols_avx512(const std::int32_t*, std::size_t, std::uint32_t,
                                                std::size_t, std::int32_t*, std::size_t&);

}  // namespace latentsr
