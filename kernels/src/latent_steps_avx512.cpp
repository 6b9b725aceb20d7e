// latent_steps_avx512.cpp - rounds and restores 16 values at once. See latent_steps_parts.h.
//
// The end of a run is done under a mask: a hyper-latent's channels are short. Only the end, as
// some processors take several times as long for a store under a mask.
#include <immintrin.h>

#include "latent_steps_parts.h"

namespace latentsr {
namespace {

struct All {
  __m512 load(const float* from) const { return _mm512_loadu_ps(from); }
  __m512i load(const std::int32_t* from) const { return _mm512_loadu_si512(from); }
  void store(float* to, __m512 value) const { _mm512_storeu_ps(to, value); }
  void store(std::int32_t* to, __m512i value) const { _mm512_storeu_si512(to, value); }
};

struct First {
  __m512 load(const float* from) const { return _mm512_maskz_loadu_ps(mask, from); }
  __m512i load(const std::int32_t* from) const { return _mm512_maskz_loadu_epi32(mask, from); }
  void store(float* to, __m512 value) const { _mm512_mask_storeu_ps(to, mask, value); }
  void store(std::int32_t* to, __m512i value) const { _mm512_mask_storeu_epi32(to, mask, value); }
  __mmask16 mask;
};

struct MeanEach {
  explicit MeanEach(const float* mean) : values(mean) {}
  template <class Lanes>
  __m512 at(std::size_t i, Lanes lanes) const {
    return lanes.load(values + i);
  }
  const float* values;
};

struct MeanForAll {
  explicit MeanForAll(const float* mean) : value(_mm512_set1_ps(*mean)) {}
  template <class Lanes>
  __m512 at(std::size_t, Lanes) const {
    return value;
  }
  __m512 value;
};

// Lanes that are not in use hold 0 less the mean, which is no fault unless the mean is one.
template <bool Restore, class Lanes>
bool round16(Lanes lanes, __m512 mean, const float* latent, __m512 most, std::int32_t* symbols,
             float* restored) {
  const __m512 residual = _mm512_sub_ps(lanes.load(latent), mean);
  const __mmask16 outside =
      _mm512_cmp_ps_mask(_mm512_abs_ps(residual), most, _CMP_NLE_UQ);
  if (__builtin_expect(outside != 0, 0)) {
    return false;
  }
  const __m512i symbol =
      _mm512_cvt_roundps_epi32(residual, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  lanes.store(symbols, symbol);
  if (Restore) {
    lanes.store(restored, _mm512_add_ps(_mm512_cvtepi32_ps(symbol), mean));
  }
  return true;
}

template <class Mean, bool Restore>
std::size_t round_run(const MeanRun& run, const float* latent, float limit, std::int32_t* symbols,
                      float* restored) {
  const Mean means(run.mean);
  const __m512 most = _mm512_set1_ps(limit);
  std::size_t i = 0;
  for (; run.count - i >= 16; i += 16) {
    if (!round16<Restore>(All{}, means.at(i, All{}), latent + i, most, symbols + i,
                          Restore ? restored + i : nullptr)) {
      return i;
    }
  }
  const First end{static_cast<__mmask16>((1u << (run.count - i)) - 1)};
  const bool good = round16<Restore>(end, means.at(i, end), latent + i, most, symbols + i,
                                     Restore ? restored + i : nullptr);
  return good ? run.count : i;
}

template <class Lanes>
void restore16(Lanes lanes, __m512 mean, const std::int32_t* symbols, float* latent) {
  lanes.store(latent, _mm512_add_ps(_mm512_cvtepi32_ps(lanes.load(symbols)), mean));
}

template <class Mean>
std::size_t restore_run(const MeanRun& run, const std::int32_t* symbols, float* latent) {
  const Mean means(run.mean);
  std::size_t i = 0;
  for (; run.count - i >= 16; i += 16) {
    restore16(All{}, means.at(i, All{}), symbols + i, latent + i);
  }
  const First end{static_cast<__mmask16>((1u << (run.count - i)) - 1)};
  restore16(end, means.at(i, end), symbols + i, latent + i);
  return run.count;
}

}  // namespace

std::size_t round_run_avx512(const MeanRun& run, const float* latent, float limit,
                             std::int32_t* symbols, float* restored) {
  if (run.each) {
    return restored != nullptr ? round_run<MeanEach, true>(run, latent, limit, symbols, restored)
                               : round_run<MeanEach, false>(run, latent, limit, symbols, nullptr);
  }
  return restored != nullptr ? round_run<MeanForAll, true>(run, latent, limit, symbols, restored)
                             : round_run<MeanForAll, false>(run, latent, limit, symbols, nullptr);
}

std::size_t restore_run_avx512(const MeanRun& run, const std::int32_t* symbols, float* latent) {
  return run.each ? restore_run<MeanEach>(run, symbols, latent)
                  : restore_run<MeanForAll>(run, symbols, latent);
}

}  // namespace latentsr
