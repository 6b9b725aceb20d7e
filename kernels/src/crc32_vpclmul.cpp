// crc32_vpclmul.cpp - folds 64 bytes a register; see crc32_pclmul.cpp for the method.
#include <immintrin.h>

#include "crc32_parts.h"

namespace latentsr {
namespace {

__m512i load(const std::uint8_t* data) { return _mm512_loadu_si512(data); }

__m512i fold(__m512i block, __m512i factor, __m512i next) {
  const __m512i low = _mm512_clmulepi64_epi128(block, factor, 0x00);
  const __m512i high = _mm512_clmulepi64_epi128(block, factor, 0x11);
  return _mm512_ternarylogic_epi64(low, high, next, 0x96);  // low ^ high ^ next
}

__m512i factors(const FoldFactors& found) {
  return _mm512_set4_epi64(found.second, found.first, found.second, found.first);
}

}  // namespace

std::size_t crc32_fold_wide(const std::uint8_t* data, std::size_t size, std::uint32_t state,
                            std::uint8_t folded[16]) {
  const __m512i by256 = factors(kFold256);
  const __m512i by64 = factors(kFold64);
  __m512i block[4];
  for (int k = 0; k < 4; ++k) {
    block[k] = load(data + 64 * k);
  }
  block[0] = _mm512_xor_si512(block[0], _mm512_maskz_set1_epi32(1, static_cast<int>(state)));
  std::size_t i = 256;
  for (; size - i >= 256; i += 256) {
    for (int k = 0; k < 4; ++k) {
      block[k] = fold(block[k], by256, load(data + i + 64 * static_cast<std::size_t>(k)));
    }
  }
  __m512i all = block[0];
  for (int k = 1; k < 4; ++k) {
    all = fold(all, by64, block[k]);
  }
  for (; size - i >= 64; i += 64) {
    all = fold(all, by64, load(data + i));
  }
  std::uint8_t bytes[64];
  _mm512_storeu_si512(bytes, all);
  crc32_fold(bytes, sizeof bytes, 0, folded);
  return i;
}

}  // namespace latentsr
