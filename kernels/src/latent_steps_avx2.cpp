// latent_steps_avx2.cpp - rounds and restores 8 values at once. See latent_steps_parts.h.
#include <immintrin.h>

#include "latent_steps_parts.h"

namespace latentsr {
namespace {

struct MeanEach {
  explicit MeanEach(const float* mean) : values(mean) {}
  __m256 at(std::size_t i) const { return _mm256_loadu_ps(values + i); }
  const float* values;
};

struct MeanForAll {
  explicit MeanForAll(const float* mean) : value(_mm256_set1_ps(*mean)) {}
  __m256 at(std::size_t) const { return value; }
  __m256 value;
};

template <class Mean, bool Restore>
std::size_t round_run(const MeanRun& run, const float* latent, float limit, std::int32_t* symbols,
                      float* restored) {
  const Mean means(run.mean);
  const __m256 sign = _mm256_set1_ps(-0.0f);
  const __m256 most = _mm256_set1_ps(limit);
  std::size_t i = 0;
  for (; run.count - i >= 8; i += 8) {
    const __m256 mean = means.at(i);
    const __m256 residual = _mm256_sub_ps(_mm256_loadu_ps(latent + i), mean);
    const __m256 outside = _mm256_cmp_ps(_mm256_andnot_ps(sign, residual), most, _CMP_NLE_UQ);
    if (__builtin_expect(_mm256_movemask_ps(outside) != 0, 0)) {
      break;
    }
    const __m256 whole = _mm256_round_ps(residual, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m256i symbol = _mm256_cvtps_epi32(whole);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(symbols + i), symbol);
    if (Restore) {
      _mm256_storeu_ps(restored + i, _mm256_add_ps(_mm256_cvtepi32_ps(symbol), mean));
    }
  }
  return i;
}

template <class Mean>
std::size_t restore_run(const MeanRun& run, const std::int32_t* symbols, float* latent) {
  const Mean means(run.mean);
  std::size_t i = 0;
  for (; run.count - i >= 8; i += 8) {
    const __m256i symbol = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(symbols + i));
    _mm256_storeu_ps(latent + i, _mm256_add_ps(_mm256_cvtepi32_ps(symbol), means.at(i)));
  }
  return i;
}

}  // namespace

std::size_t round_run_avx2(const MeanRun& run, const float* latent, float limit,
                           std::int32_t* symbols, float* restored) {
  if (run.each) {
    return restored != nullptr ? round_run<MeanEach, true>(run, latent, limit, symbols, restored)
                               : round_run<MeanEach, false>(run, latent, limit, symbols, nullptr);
  }
  return restored != nullptr ? round_run<MeanForAll, true>(run, latent, limit, symbols, restored)
                             : round_run<MeanForAll, false>(run, latent, limit, symbols, nullptr);
}

std::size_t restore_run_avx2(const MeanRun& run, const std::int32_t* symbols, float* latent) {
  return run.each ? restore_run<MeanEach>(run, symbols, latent)
                  : restore_run<MeanForAll>(run, symbols, latent);
}

}  // namespace latentsr
