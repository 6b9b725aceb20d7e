// scale_indexes_avx2.cpp - walks 8 scales at once down the tree. See latent_steps_parts.h.
#include <immintrin.h>

#include "latent_steps_parts.h"

namespace latentsr {
namespace {

// The entry number `node` of 8, 16 or 32; only the low three bits count in a permute.
__m256 pick8(const float* entries, __m256i node) {
  return _mm256_permutevar8x32_ps(_mm256_loadu_ps(entries), node);
}

__m256 pick16(const float* entries, __m256i node) {
  const __m256 upper_half = _mm256_castsi256_ps(_mm256_slli_epi32(node, 28));
  return _mm256_blendv_ps(pick8(entries, node), pick8(entries + 8, node), upper_half);
}

__m256 pick32(const float* entries, __m256i node) {
  const __m256 upper_half = _mm256_castsi256_ps(_mm256_slli_epi32(node, 27));
  return _mm256_blendv_ps(pick16(entries, node), pick16(entries + 16, node), upper_half);
}

// One level down: node * 2, and 1 more where the threshold lies below the scale.
__m256i descend(__m256i node, __m256 threshold, __m256 scale) {
  const __m256i right = _mm256_castps_si256(_mm256_cmp_ps(threshold, scale, _CMP_LT_OQ));
  return _mm256_sub_epi32(_mm256_add_epi32(node, node), right);
}

template <int Depth>
__m256i search(const float* entries, __m256 scale) {
  __m256i node = descend(_mm256_setzero_si256(), _mm256_set1_ps(entries[0]), scale);
  for (int k = 1; k < 4; ++k) {  // what follows a level of fewer than 8 is never picked
    node = descend(node, pick8(entries + (1 << k) - 1, node), scale);
  }
  node = descend(node, pick16(entries + 15, node), scale);
  node = descend(node, pick32(entries + 31, node), scale);
  for (int k = 6; k < Depth; ++k) {
    node = descend(node, _mm256_i32gather_ps(entries + (1 << k) - 1, node, 4), scale);
  }
  return node;
}

// The rows of 32 scales as bytes; false, with nothing stored, when one is NaN.
template <int Depth>
bool search32(const float* entries, const float* scales, std::uint8_t* out) {
  __m256i row[4];
  __m256 strange = _mm256_setzero_ps();
  for (int g = 0; g < 4; ++g) {
    const __m256 scale = _mm256_loadu_ps(scales + 8 * g);
    strange = _mm256_or_ps(strange, _mm256_cmp_ps(scale, scale, _CMP_UNORD_Q));
    row[g] = search<Depth>(entries, scale);
  }
  if (__builtin_expect(_mm256_movemask_ps(strange) != 0, 0)) {
    return false;
  }
  const __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(row[0], row[1]),
                                            _mm256_packs_epi32(row[2], row[3]));
  // Packing works within halves of a register, so quarters of the rows lie interleaved.
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                      _mm256_permutevar8x32_epi32(bytes, order));
  return true;
}

template <int Depth>
std::size_t search_all(const float* entries, const float* scales, std::size_t count,
                       std::uint8_t* out) {
  std::size_t i = 0;
  while (count - i >= 32 && search32<Depth>(entries, scales + i, out + i)) {
    i += 32;
  }
  return i;
}

}  // namespace

std::size_t search_avx2(const ThresholdTree& tree, const float* scales, std::size_t count,
                        std::uint8_t* out) {
  return tree.depth == 6 ? search_all<6>(tree.entries, scales, count, out)
                         : search_all<8>(tree.entries, scales, count, out);
}

}  // namespace latentsr
