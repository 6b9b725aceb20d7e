// latent_steps.cpp - cuts latents into runs of means and rounds them. See latent_steps.h.
#include "latentsr/latent_steps.h"

#include <algorithm>
#include <cmath>

#include "latent_steps_parts.h"

namespace latentsr {
namespace {

constexpr float kNoMean = 0.0f;  // x - 0 and x + 0 are x for every symbol and every residual

// Values that the scalar part takes at once: no loop over them ends early, so that the compiler
// can use whatever registers its baseline has.
constexpr std::size_t kBlock = 512;

// Half to even. Adding and taking away 2^23 leaves no room for a fraction, and from there on
// float32 has none. std::rint would be a call into the library on some baselines.
float rounded(float value) {
  constexpr float first_whole = 8388608.0f;
  // A choice between constants: compilers do not vectorise one between sums.
  const float size = std::fabs(value) < first_whole ? first_whole : 0.0f;
  const float shift = std::copysign(size, value);
  return (value + shift) - shift;
}

float mean_of(const MeanRun& run, std::size_t i) { return run.mean[run.each ? i : 0]; }

bool within(float residual) { return std::fabs(residual) <= kSymbolLimit; }  // false for NaN

// The values begin ... end - 1 of a run; false, with nothing written, when one is out of range.
bool round_block(const MeanRun& run, const float* latent, std::int32_t* symbols, float* restored,
                 std::size_t begin, std::size_t end) {
  int outside = 0;
  for (std::size_t i = begin; i < end; ++i) {
    outside |= within(latent[i] - mean_of(run, i)) ? 0 : 1;
  }
  if (outside != 0) {
    return false;
  }
  for (std::size_t i = begin; i < end; ++i) {
    symbols[i] = static_cast<std::int32_t>(rounded(latent[i] - mean_of(run, i)));
  }
  if (restored != nullptr) {
    for (std::size_t i = begin; i < end; ++i) {
      restored[i] = static_cast<float>(symbols[i]) + mean_of(run, i);
    }
  }
  return true;
}

std::size_t round_run(const MeanRun& run, const float* latent, std::int32_t* symbols,
                      float* restored, [[maybe_unused]] Isa isa) {
  std::size_t i = 0;
#ifdef LATENTSR_X86_KERNELS
  if (isa != Isa::scalar) {
    const auto part = isa == Isa::avx512 ? round_run_avx512 : round_run_avx2;
    i = part(run, latent, kSymbolLimit, symbols, restored);
  }
#endif
  while (i < run.count) {
    const std::size_t end = std::min(run.count, i + kBlock);
    if (!round_block(run, latent, symbols, restored, i, end)) {
      while (within(latent[i] - mean_of(run, i))) {
        ++i;  // ends: the block has one that is not
      }
      return i;
    }
    i = end;
  }
  return i;
}

void restore_run(const MeanRun& run, const std::int32_t* symbols, float* latent,
                 [[maybe_unused]] Isa isa) {
  std::size_t i = 0;
#ifdef LATENTSR_X86_KERNELS
  if (isa != Isa::scalar) {
    const auto part = isa == Isa::avx512 ? restore_run_avx512 : restore_run_avx2;
    i = part(run, symbols, latent);
  }
#endif
  for (; i < run.count; ++i) {
    latent[i] = static_cast<float>(symbols[i]) + mean_of(run, i);
  }
}

// The run that starts at value `start`; all runs are of one length.
MeanRun run_at(const Means& means, std::size_t count, std::size_t start) {
  if (means.count == 0) {
    return {&kNoMean, false, count};
  }
  if (means.repeat == 1) {
    return {means.values, true, means.count};
  }
  return {means.values + start / means.repeat % means.count, false, means.repeat};
}

}  // namespace

Result symbols_from_latent(const float* latent, const Means& means, std::size_t count,
                           std::int32_t* symbols, float* restored, Isa isa) {
  for (std::size_t start = 0; start < count;) {
    const MeanRun run = run_at(means, count, start);
    float* back = restored != nullptr ? restored + start : nullptr;
    const std::size_t done = round_run(run, latent + start, symbols + start, back, isa);
    start += done;
    if (done != run.count) {
      return {Status::out_of_range, start, 0};
    }
  }
  return {};
}

void latent_from_symbols(const std::int32_t* symbols, const Means& means, std::size_t count,
                         float* latent, Isa isa) {
  for (std::size_t start = 0; start < count;) {
    const MeanRun run = run_at(means, count, start);
    restore_run(run, symbols + start, latent + start, isa);
    start += run.count;
  }
}

}  // namespace latentsr
