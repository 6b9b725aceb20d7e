// scale_indexes_avx512.cpp - walks 16 scales at once down the tree. See latent_steps_parts.h.
#include <immintrin.h>

#include "latent_steps_parts.h"

namespace latentsr {
namespace {

// The six upper levels lie in registers: five permutes of one register, one of two. The levels
// below, which few tables have, are gathered.
struct Upper {
  explicit Upper(const float* entries)
      : root(_mm512_set1_ps(entries[0])),
        low(_mm512_loadu_ps(entries + 31)),
        high(_mm512_loadu_ps(entries + 47)) {
    for (int k = 1; k < 5; ++k) {
      level[k] = _mm512_loadu_ps(entries + (1 << k) - 1);  // what follows is never looked at
    }
  }
  __m512 root;
  __m512 level[5];  // level[0] is the root's and not used
  __m512 low;
  __m512 high;
};

// One level down: node * 2, and 1 more where the threshold lies below the scale.
__m512i descend(__m512i node, __m512 threshold, __m512 scale) {
  const __mmask16 right = _mm512_cmp_ps_mask(threshold, scale, _CMP_LT_OQ);
  const __m512i twice = _mm512_add_epi32(node, node);
  return _mm512_mask_add_epi32(twice, right, twice, _mm512_set1_epi32(1));
}

template <int Depth>
__m512i search(const ThresholdTree& tree, const Upper& upper, __m512 scale) {
  __m512i node = descend(_mm512_setzero_si512(), upper.root, scale);
  for (int k = 1; k < 5; ++k) {
    node = descend(node, _mm512_permutexvar_ps(node, upper.level[k]), scale);
  }
  node = descend(node, _mm512_permutex2var_ps(upper.low, node, upper.high), scale);
  for (int k = 6; k < Depth; ++k) {
    const float* entries = tree.entries + (1 << k) - 1;
    node = descend(node, _mm512_i32gather_ps(node, entries, 4), scale);
  }
  return node;
}

template <int Depth>
std::size_t search_all(const ThresholdTree& tree, const float* scales, std::size_t count,
                       std::uint8_t* out) {
  const Upper upper(tree.entries);
  std::size_t i = 0;
  for (; count - i >= 16; i += 16) {
    const __m512 scale = _mm512_loadu_ps(scales + i);
    if (__builtin_expect(_mm512_cmp_ps_mask(scale, scale, _CMP_UNORD_Q) != 0, 0)) {
      break;
    }
    const __m128i rows = _mm512_cvtepi32_epi8(search<Depth>(tree, upper, scale));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), rows);
  }
  return i;
}

}  // namespace

std::size_t search_avx512(const ThresholdTree& tree, const float* scales, std::size_t count,
                          std::uint8_t* out) {
  return tree.depth == 6 ? search_all<6>(tree, scales, count, out)
                         : search_all<8>(tree, scales, count, out);
}

}  // namespace latentsr
