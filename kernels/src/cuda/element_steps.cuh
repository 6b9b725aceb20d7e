// element_steps.cuh - latents to symbols and back, scales to rows, certain symbols cleared, samples
// limited or converted: one element each.
//
// A step is called with an element's number. Plain code for one thread, with the bits of
// ../latent_steps.cpp and ../scale_indexes.cpp. It must be compiled without fused multiplications.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "half.cuh"
#include "latentsr/latent_steps.h"

namespace latentsr::cuda {

// Keeps the lowest position at which a fault was seen.
LATENTSR_DEVICE void note_fault(std::uint64_t* first, std::uint64_t position) {
#ifdef __CUDA_ARCH__
  atomicMin(reinterpret_cast<unsigned long long*>(first),
            static_cast<unsigned long long>(position));
#else
  *first = position < *first ? position : *first;
#endif
}

// Divisions of 64 bits take a GPU many times as long.
LATENTSR_DEVICE std::uint64_t quotient(std::uint64_t number, std::uint64_t by) {
  return (number | by) >> 32 == 0
             ? static_cast<std::uint32_t>(number) / static_cast<std::uint32_t>(by)
             : number / by;
}

LATENTSR_DEVICE float mean_at(const Means& means, std::uint64_t i) {
  if (means.count == 0) {
    return 0.0f;
  }
  const std::uint64_t number = means.repeat == 1 ? i : quotient(i, means.repeat);
  return number < means.count
             ? means.values[number]
             : means.values[number - quotient(number, means.count) * means.count];
}

template <class Sample>
struct QuantiseStep {
  const Sample* latent;
  Means means;
  std::int32_t* symbols;
  float* restored;  // or null
  std::uint64_t* fault;

  LATENTSR_DEVICE void operator()(std::uint64_t i) const {
    const float mean = mean_at(means, i);
    const float residual = widen(latent[i]) - mean;
    const bool fits = fabsf(residual) <= kSymbolLimit;  // NaN does not
    if (!fits) {
      note_fault(fault, i);
    }
    // Written all the same: an encoder that is in the stream already reads it.
    const auto symbol = fits ? static_cast<std::int32_t>(rintf(residual)) : 0;
    symbols[i] = symbol;
    if (restored != nullptr) {
      restored[i] = static_cast<float>(symbol) + mean;
    }
  }
};

template <class Sample>
struct RestoreStep {
  const std::int32_t* symbols;
  Means means;
  Sample* latent;

  LATENTSR_DEVICE void operator()(std::uint64_t i) const {
    narrow(static_cast<float>(symbols[i]) + mean_at(means, i), latent[i]);
  }
};

// Symbols that the coder leaves out are zeros, and what a decoder restores is their mean. Added to
// 0, as it is there: a mean of -0 ends as 0.
template <class Index>
struct ClearStep {
  const Index* indexes;
  std::uint32_t skip;
  Means means;
  std::int32_t* symbols;
  float* restored;  // or null

  LATENTSR_DEVICE void operator()(std::uint64_t i) const {
    if (static_cast<std::uint32_t>(indexes[i]) >= skip) {
      return;
    }
    symbols[i] = 0;
    if (restored != nullptr) {
      restored[i] = 0.0f + mean_at(means, i);
    }
  }
};

// To 0..1; NaN stays.
template <class Sample>
struct LimitStep {
  const Sample* samples;
  Sample* out;  // may be `samples`

  LATENTSR_DEVICE void operator()(std::uint64_t i) const {
    const float sample = widen(samples[i]);
    narrow(sample <= 0.0f ? 0.0f : sample > 1.0f ? 1.0f : sample, out[i]);
  }
};

// To the other of the two types.
template <class Sample>
struct ConvertStep {
  using Other = std::conditional_t<std::is_same_v<Sample, float>, Half, float>;

  const Sample* samples;
  Other* out;

  LATENTSR_DEVICE void operator()(std::uint64_t i) const { narrow(widen(samples[i]), out[i]); }
};

template <class Sample>
struct IndexStep {
  const Sample* scales;
  const float* thresholds;  // rising
  std::uint32_t threshold_count;
  std::uint8_t* out;
  std::uint64_t* fault;

  LATENTSR_DEVICE void operator()(std::uint64_t i) const { (*this)(i, thresholds); }

  // Counts the thresholds below the scale; `limits` is a copy of them in faster memory.
  LATENTSR_DEVICE void operator()(std::uint64_t i, const float* limits) const {
    const float scale = widen(scales[i]);
    if (scale != scale) {
      note_fault(fault, i);  // no threshold is below it, so the coder that comes next reads row 0
    }
    std::uint32_t first = 0;
    for (std::uint32_t left = threshold_count; left != 0;) {
      const std::uint32_t half = left / 2;
      const bool above = limits[first + half] < scale;
      first += above ? half + 1 : 0;
      left = above ? left - half - 1 : half;
    }
    out[i] = static_cast<std::uint8_t>(first);
  }
};

}  // namespace latentsr::cuda
