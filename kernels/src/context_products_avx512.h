// context_products_avx512.h - products with 16 sums a register, by any way to add up two products
// of 16 bits. Each file that includes it compiles copies of its own. See context_steps.h.
#pragma once

#include <immintrin.h>

#include <cstring>
#include <utility>

#include "context_steps.h"
#include "latentsr/context.h"

namespace latentsr {
namespace {

// Positions of one tile: that many registers of sums. A tile of few takes two blocks at once, so
// that there are sums enough to wait for while others are added to.
constexpr std::size_t kTile = 16;
constexpr std::size_t kFew = 7;

// Addresses of the positions of a tile. Only every fourth has a pointer of its own, so that they
// stay in registers; the address modes reach the others.
template <int P>
struct Inputs {
  Inputs(const std::int16_t* first, std::ptrdiff_t step)
      : once(2 * step), thrice(6 * step) {
    for (int g = 0; g < (P + 3) / 4; ++g) {
      base[g] = reinterpret_cast<const unsigned char*>(first + 4 * g * step);
    }
  }
  // Pair k of position p, in all lanes.
  __m512i pair(int p, int k) const {
    const unsigned char* at = base[p / 4] + 4 * k;
    const unsigned char* row = p % 4 == 0   ? at
                               : p % 4 == 1 ? at + once
                               : p % 4 == 2 ? at + 2 * once
                                            : at + thrice;
    std::int32_t both;
    std::memcpy(&both, row, sizeof both);
    return _mm512_set1_epi32(both);
  }
  void skip(std::ptrdiff_t bytes) {
    for (const unsigned char*& at : base) {
      at += bytes;
    }
  }
  const unsigned char* base[(P + 3) / 4];
  std::ptrdiff_t once;
  std::ptrdiff_t thrice;
};

// Sums of B blocks from `block` on, for P positions from `first` on.
template <class Dot, int P, int B>
void multiply_tile(const ContextProduct& product, std::size_t block, std::size_t first) {
  const auto at = static_cast<std::ptrdiff_t>(first);
  const std::int32_t* start = product.start + at * product.start_step + block * kContextBlock;
  __m512i sums[B][P];
  for (int b = 0; b < B; ++b) {
    for (int p = 0; p < P; ++p) {
      sums[b][p] = _mm512_loadu_si512(start + p * product.start_step + 16 * b);
    }
  }
  const ContextLine* line = product.lines + block * product.pairs;
  const std::int16_t* input = product.input + at * product.input_step;
  const auto pairs = static_cast<std::ptrdiff_t>(product.pairs);
  for (std::size_t s = 0; s < product.span_count; ++s) {
    Inputs<P> inputs(input + product.spans[s].offset, product.input_step);
    const ContextLine* end = line + product.spans[s].pairs;
    for (; line != end; line += 4) {
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
#pragma GCC unroll 2
        for (int b = 0; b < B; ++b) {
          const __m512i weights = _mm512_load_si512(line + k + b * pairs);
#pragma GCC unroll 16
          for (int p = 0; p < P; ++p) {
            sums[b][p] = Dot::add(sums[b][p], weights, inputs.pair(p, k));
          }
        }
      }
      inputs.skip(16);
    }
  }
  std::int32_t* out = product.out + at * product.out_step + block * kContextBlock;
  for (int b = 0; b < B; ++b) {
    for (int p = 0; p < P; ++p) {
      _mm512_storeu_si512(out + p * product.out_step + 16 * b, sums[b][p]);
    }
  }
}

using Tile = void (*)(const ContextProduct&, std::size_t, std::size_t);

template <class Dot, int B, std::size_t... P>
constexpr Tile tile_of(std::size_t size, std::index_sequence<P...>) {
  constexpr Tile tiles[] = {multiply_tile<Dot, P + 1, B>...};
  return tiles[size - 1];
}

template <class Dot>
void multiply_all(const ContextProduct& product, std::size_t first, std::size_t last) {
  std::size_t block = first;
  if (product.positions <= kFew) {
    const Tile tile = tile_of<Dot, 2>(product.positions, std::make_index_sequence<kFew>());
    for (; last - block >= 2; block += 2) {
      tile(product, block, 0);
    }
  }
  const std::size_t tiles = (product.positions + kTile - 1) / kTile;
  for (; block < last; ++block) {
    std::size_t at = 0;
    for (std::size_t left = tiles; left > 0; --left) {  // tiles of like sizes
      const std::size_t size = (product.positions - at + left - 1) / left;
      tile_of<Dot, 1>(size, std::make_index_sequence<kTile>())(product, block, at);
      at += size;
    }
  }
}

}  // namespace
}  // namespace latentsr
