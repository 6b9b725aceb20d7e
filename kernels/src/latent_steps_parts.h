// latent_steps_parts.h - the SIMD parts of the steps between latents and symbols.
//
// The SIMD files are compiled for processors that may not be there. They see raw pointers and
// plain functions only: an inline function from a shared header, compiled there, could be the
// copy that the linker keeps for everyone.
//
// Each part starts at the first element, stops where its registers no longer fill or before a
// fault, and returns how many elements it finished. The scalar parts do the rest, and they alone
// name a fault.
#pragma once

#include <cstddef>
#include <cstdint>

namespace latentsr {

// A stretch of values with a mean each, or with one mean for all.
struct MeanRun {
  const float* mean;
  bool each;
  std::size_t count;
};

// `restored` may be null. Values beyond `limit` and NaN are faults.
std::size_t round_run_avx2(const MeanRun& run, const float* latent, float limit,
                           std::int32_t* symbols, float* restored);
std::size_t round_run_avx512(const MeanRun& run, const float* latent, float limit,
                             std::int32_t* symbols, float* restored);

std::size_t restore_run_avx2(const MeanRun& run, const std::int32_t* symbols, float* latent);
std::size_t restore_run_avx512(const MeanRun& run, const std::int32_t* symbols, float* latent);

// A search tree over the thresholds, level after level: level k has 2^k entries and starts at
// entry 2^k - 1. `depth` is 6 or 8; where thresholds are fewer than entries, +inf fills up.
struct ThresholdTree {
  float entries[255];
  int depth;
};

std::size_t search_avx2(const ThresholdTree& tree, const float* scales, std::size_t count,
                        std::uint8_t* out);
std::size_t search_avx512(const ThresholdTree& tree, const float* scales, std::size_t count,
                          std::uint8_t* out);

}  // namespace latentsr
