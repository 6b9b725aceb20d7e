// context_steps_avx2.cpp - the inner loops of context models, 8 sums a register.
#include <immintrin.h>

#include <cstring>
#include <iterator>

#include "context_rows.h"
#include "latentsr/context.h"

namespace latentsr {
namespace {

// Positions whose sums of a block, two registers each, fit the 16 registers beside the weights.
constexpr std::size_t kTile = 6;

__m256i dot(__m256i sum, __m256i weights, __m256i inputs) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(weights, inputs));
}

// Sums of one block for P positions from `first` on.
template <int P>
void multiply_tile(const ContextProduct& product, std::size_t block, std::size_t first) {
  const auto at = static_cast<std::ptrdiff_t>(first);
  const std::int32_t* start = product.start + at * product.start_step + block * kContextBlock;
  __m256i sums[P][2];
  for (int p = 0; p < P; ++p) {
    for (int half = 0; half < 2; ++half) {
      sums[p][half] = _mm256_loadu_si256(
          reinterpret_cast<const __m256i*>(start + p * product.start_step + 8 * half));
    }
  }
  const ContextLine* line = product.lines + block * product.pairs;
  const std::int16_t* input = product.input + at * product.input_step;
  for (std::size_t s = 0; s < product.span_count; ++s) {
    const std::int16_t* x = input + product.spans[s].offset;
    for (std::size_t k = 0; k < product.spans[s].pairs; ++k, ++line, x += 2) {
      const __m256i low = _mm256_load_si256(reinterpret_cast<const __m256i*>(line));
      const __m256i high = _mm256_load_si256(reinterpret_cast<const __m256i*>(line) + 1);
#pragma GCC unroll 6
      for (int p = 0; p < P; ++p) {
        std::int32_t both;
        std::memcpy(&both, x + p * product.input_step, sizeof both);
        const __m256i pair = _mm256_set1_epi32(both);
        sums[p][0] = dot(sums[p][0], low, pair);
        sums[p][1] = dot(sums[p][1], high, pair);
      }
    }
  }
  std::int32_t* out = product.out + at * product.out_step + block * kContextBlock;
  for (int p = 0; p < P; ++p) {
    for (int half = 0; half < 2; ++half) {
      _mm256_storeu_si256(
          reinterpret_cast<__m256i*>(out + p * product.out_step + 8 * half), sums[p][half]);
    }
  }
}

using Tile = void (*)(const ContextProduct&, std::size_t, std::size_t);
constexpr Tile kTiles[] = {nullptr,          multiply_tile<1>, multiply_tile<2>, multiply_tile<3>,
                           multiply_tile<4>, multiply_tile<5>, multiply_tile<6>};
static_assert(std::size(kTiles) == kTile + 1);

void multiply(const ContextProduct& product, std::size_t first, std::size_t last) {
  const std::size_t tiles = (product.positions + kTile - 1) / kTile;
  for (std::size_t block = first; block < last; ++block) {
    std::size_t at = 0;
    for (std::size_t left = tiles; left > 0; --left) {  // tiles of like sizes
      const std::size_t size = (product.positions - at + left - 1) / left;
      kTiles[size](product, block, at);
      at += size;
    }
  }
}

__m256i two_halves(__m128i low, __m128i high) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

void transpose(const unsigned char* const* from, unsigned char* const* to) {
  const auto load = [](const unsigned char* row) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(row));
  };
  for (int side = 0; side < 2; ++side) {  // columns 0 to 3, then 4 to 7
    __m256i row[4];
    for (int i = 0; i < 4; ++i) {
      row[i] = two_halves(load(from[i] + 16 * side), load(from[i + 4] + 16 * side));
    }
    const __m256i a = _mm256_unpacklo_epi32(row[0], row[1]);
    const __m256i b = _mm256_unpackhi_epi32(row[0], row[1]);
    const __m256i c = _mm256_unpacklo_epi32(row[2], row[3]);
    const __m256i d = _mm256_unpackhi_epi32(row[2], row[3]);
    const __m256i columns[4] = {_mm256_unpacklo_epi64(a, c), _mm256_unpackhi_epi64(a, c),
                                _mm256_unpacklo_epi64(b, d), _mm256_unpackhi_epi64(b, d)};
    for (int i = 0; i < 4; ++i) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to[4 * side + i]), columns[i]);
    }
  }
}

}  // namespace

const ContextSteps kContextAvx2{multiply,   requantise_row, settle_row,
                                recall_row, lift_row,       transpose};

}  // namespace latentsr
