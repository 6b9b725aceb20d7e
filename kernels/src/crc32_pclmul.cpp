// crc32_pclmul.cpp - folds bytes by carry-less products, 16 bytes a register.
//
// Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction",
// Intel 2009. A block A with n bits after it stands for A * x^n, so its halves times powers of x
// mod P can be added to the block n bits further on without changing the remainder.
#include <immintrin.h>

#include "crc32_parts.h"

namespace latentsr {
namespace {

__m128i factors(const FoldFactors& found) { return _mm_set_epi64x(found.second, found.first); }

__m128i load(const std::uint8_t* data) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(data));
}

__m128i fold(__m128i block, __m128i factor, __m128i next) {
  const __m128i low = _mm_clmulepi64_si128(block, factor, 0x00);
  const __m128i high = _mm_clmulepi64_si128(block, factor, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

}  // namespace

std::size_t crc32_fold(const std::uint8_t* data, std::size_t size, std::uint32_t state,
                       std::uint8_t folded[16]) {
  const __m128i by64 = factors(kFold64);
  const __m128i by16 = factors(kFold16);
  __m128i block[4];
  for (int k = 0; k < 4; ++k) {
    block[k] = load(data + 16 * k);
  }
  block[0] = _mm_xor_si128(block[0], _mm_cvtsi32_si128(static_cast<int>(state)));
  std::size_t i = 64;
  for (; size - i >= 64; i += 64) {
    for (int k = 0; k < 4; ++k) {
      block[k] = fold(block[k], by64, load(data + i + 16 * static_cast<std::size_t>(k)));
    }
  }
  __m128i all = block[0];
  for (int k = 1; k < 4; ++k) {
    all = fold(all, by16, block[k]);
  }
  for (; size - i >= 16; i += 16) {
    all = fold(all, by16, load(data + i));
  }
  _mm_storeu_si128(reinterpret_cast<__m128i*>(folded), all);
  return i;
}

}  // namespace latentsr
