// pixels_avx2.cpp - 8 pixels at once between planes and pictures. See pixels_parts.h.
#include <immintrin.h>

#include "pixels_parts.h"

namespace latentsr {
namespace {

constexpr std::size_t kPixels = 8;

// The integers 0..255 of 8 samples. A sample less itself is 0, but NaN if it is not finite: its
// bits gather in `strange`.
__m256i whole(const float* samples, __m256& strange) {
  const __m256 sample = _mm256_loadu_ps(samples);
  strange = _mm256_or_ps(strange, _mm256_sub_ps(sample, sample));
  const __m256 above = _mm256_max_ps(sample, _mm256_setzero_ps());
  const __m256 limited = _mm256_min_ps(above, _mm256_set1_ps(1.0f));
  const __m256 scaled = _mm256_mul_ps(limited, _mm256_set1_ps(255.0f));
  return _mm256_cvtps_epi32(
      _mm256_round_ps(scaled, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

void picture8(const SampleRows& rows, std::size_t x, std::uint8_t* picture, __m256& strange) {
  const __m256i red = whole(rows.red + x, strange);
  const __m256i green = _mm256_slli_epi32(whole(rows.green + x, strange), 8);
  const __m256i blue = _mm256_slli_epi32(whole(rows.blue + x, strange), 16);
  const __m256i pixels = _mm256_or_si256(_mm256_or_si256(red, green), blue);
  // The fourth byte of each pixel is left out.
  const __m128i three = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
  const __m256i packed = _mm256_shuffle_epi8(pixels, _mm256_broadcastsi128_si256(three));
  const __m256i joined =
      _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(picture + 3 * x), _mm256_castsi256_si128(joined));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(picture + 3 * x + 16),
                   _mm256_extracti128_si256(joined, 1));
}

void store_samples(float* row, __m256i pixels, __m256i channel) {
  const __m256 samples = _mm256_cvtepi32_ps(_mm256_shuffle_epi8(pixels, channel));
  _mm256_storeu_ps(row, _mm256_mul_ps(samples, _mm256_set1_ps(kSampleStep)));
}

// Byte `channel` of each of four pixels in either half, as integers. The lower half holds its
// pixels from byte 0 on, the upper one from byte 4 on.
__m256i channel_bytes(int channel) {
  const __m256i byte = _mm256_setr_epi32(0, 3, 6, 9, 4, 7, 10, 13);
  const __m256i zeros = _mm256_set1_epi32(static_cast<int>(0x80808000u));  // in the other bytes
  return _mm256_or_si256(_mm256_add_epi32(byte, _mm256_set1_epi32(channel)), zeros);
}

void planes8(const std::uint8_t* picture, std::size_t x, const OutputRows& rows) {
  const auto* from = reinterpret_cast<const __m128i*>(picture + 3 * x);
  const auto* end = reinterpret_cast<const __m128i*>(picture + 3 * x + 8);
  const __m256i pixels =
      _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(from)), _mm_loadu_si128(end),
                              1);
  store_samples(rows.red + x, pixels, channel_bytes(0));
  store_samples(rows.green + x, pixels, channel_bytes(1));
  store_samples(rows.blue + x, pixels, channel_bytes(2));
}

}  // namespace

std::size_t picture_row_avx2(const SampleRows& rows, std::size_t width, std::uint8_t* picture,
                             bool& finite) {
  if (width < kPixels) {
    return 0;
  }
  __m256 strange = _mm256_setzero_ps();
  for (std::size_t x = 0; x < width - kPixels; x += kPixels) {
    picture8(rows, x, picture, strange);
  }
  picture8(rows, width - kPixels, picture, strange);
  const __m256i bits = _mm256_castps_si256(strange);
  finite = finite && _mm256_testz_si256(bits, bits) != 0;
  return width;
}

std::size_t plane_row_avx2(const std::uint8_t* picture, std::size_t width,
                           const OutputRows& rows) {
  if (width < kPixels) {
    return 0;
  }
  for (std::size_t x = 0; x < width - kPixels; x += kPixels) {
    planes8(picture, x, rows);
  }
  planes8(picture, width - kPixels, rows);
  return width;
}

}  // namespace latentsr
