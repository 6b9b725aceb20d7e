// pixels_avx512.cpp - 16 pixels at once between planes and pictures. See pixels_parts.h.
//
// Bytes are moved by shifting whole words, since AVX-512F alone shuffles nothing smaller.
#include <immintrin.h>

#include "pixels_parts.h"

namespace latentsr {
namespace {

constexpr std::size_t kPixels = 16;

// See pixels_avx2.cpp.
__m512i whole(const float* samples, __m512i& strange) {
  const __m512 sample = _mm512_loadu_ps(samples);
  strange = _mm512_or_si512(strange, _mm512_castps_si512(_mm512_sub_ps(sample, sample)));
  const __m512 above = _mm512_max_ps(sample, _mm512_setzero_ps());
  const __m512 limited = _mm512_min_ps(above, _mm512_set1_ps(1.0f));
  const __m512 scaled = _mm512_mul_ps(limited, _mm512_set1_ps(255.0f));
  return _mm512_cvt_roundps_epi32(scaled, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

// Of pixels a, b, c, d in four words, three words make: a and the first byte of b, the rest of b
// and two bytes of c, the last byte of c and d.
void picture16(const SampleRows& rows, std::size_t x, std::uint8_t* picture, __m512i& strange) {
  const __m512i red = whole(rows.red + x, strange);
  const __m512i green = _mm512_slli_epi32(whole(rows.green + x, strange), 8);
  const __m512i blue = _mm512_slli_epi32(whole(rows.blue + x, strange), 16);
  const __m512i pixels = _mm512_or_si512(_mm512_or_si512(red, green), blue);
  const __m512i first = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0, 0, 0, 0);
  const __m512i next = _mm512_setr_epi32(1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 0, 0, 0, 0);
  const __m512i down = _mm512_setr_epi32(0, 8, 16, 0, 8, 16, 0, 8, 16, 0, 8, 16, 0, 0, 0, 0);
  const __m512i up = _mm512_setr_epi32(24, 16, 8, 24, 16, 8, 24, 16, 8, 24, 16, 8, 0, 0, 0, 0);
  const __m512i packed =
      _mm512_or_si512(_mm512_srlv_epi32(_mm512_permutexvar_epi32(first, pixels), down),
                      _mm512_sllv_epi32(_mm512_permutexvar_epi32(next, pixels), up));
  std::uint8_t* out = picture + 3 * x;
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_castsi512_si256(packed));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 32), _mm512_extracti32x4_epi32(packed, 2));
}

void store_samples(float* row, __m512i bytes) {
  const __m512 samples =
      _mm512_cvtepi32_ps(_mm512_and_si512(bytes, _mm512_set1_epi32(255)));
  _mm512_storeu_ps(row, _mm512_mul_ps(samples, _mm512_set1_ps(kSampleStep)));
}

// The way back: pixel i starts in word 3 i / 4 at byte 3 i % 4, and may end in the next word.
void planes16(const std::uint8_t* picture, std::size_t x, const OutputRows& rows) {
  const std::uint8_t* in = picture + 3 * x;
  const __m512i most =
      _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(in)));
  const __m512i packed = _mm512_inserti32x4(
      most, _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 32)), 2);
  const __m512i first = _mm512_setr_epi32(0, 0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 9, 10, 11);
  const __m512i next = _mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
  const __m512i down = _mm512_setr_epi32(0, 24, 16, 8, 0, 24, 16, 8, 0, 24, 16, 8, 0, 24, 16, 8);
  const __m512i up = _mm512_setr_epi32(0, 8, 16, 24, 0, 8, 16, 24, 0, 8, 16, 24, 0, 8, 16, 24);
  const __m512i pixels =
      _mm512_or_si512(_mm512_srlv_epi32(_mm512_permutexvar_epi32(first, packed), down),
                      _mm512_sllv_epi32(_mm512_permutexvar_epi32(next, packed), up));
  store_samples(rows.red + x, pixels);
  store_samples(rows.green + x, _mm512_srli_epi32(pixels, 8));
  store_samples(rows.blue + x, _mm512_srli_epi32(pixels, 16));
}

}  // namespace

std::size_t picture_row_avx512(const SampleRows& rows, std::size_t width, std::uint8_t* picture,
                               bool& finite) {
  if (width < kPixels) {
    return 0;
  }
  __m512i strange = _mm512_setzero_si512();
  for (std::size_t x = 0; x < width - kPixels; x += kPixels) {
    picture16(rows, x, picture, strange);
  }
  picture16(rows, width - kPixels, picture, strange);
  finite = finite && _mm512_test_epi32_mask(strange, strange) == 0;
  return width;
}

std::size_t plane_row_avx512(const std::uint8_t* picture, std::size_t width,
                             const OutputRows& rows) {
  if (width < kPixels) {
    return 0;
  }
  for (std::size_t x = 0; x < width - kPixels; x += kPixels) {
    planes16(picture, x, rows);
  }
  planes16(picture, width - kPixels, rows);
  return width;
}

}  // namespace latentsr
