// context_rows.h - steps over rows of numbers, written so that compilers find the registers; each
// file that includes it compiles copies of its own for its instruction set. See context_steps.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "context_steps.h"

namespace latentsr {
namespace {

constexpr std::int32_t kMostResult = 1 << 20;

inline std::int32_t clamped(std::int32_t value, std::int32_t top) {
  const std::int32_t below = value < top ? value : top;
  return below > -top ? below : -top;
}

void requantise_row(const ContextRequantise& how, const std::int32_t* sums, std::size_t count,
                    std::int16_t* out) {
  const std::int32_t top = how.top;
  const std::int32_t leak = how.leak;
  const std::int32_t* shift = how.shift;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t value = clamped(sums[i] >> shift[i], top);
    // |value| < 2^15 and leak <= 2^16: the product and half a step fit.
    const std::int32_t leaked = (value * leak + (1 << 15)) >> 16;
    out[i] = static_cast<std::int16_t>(value < 0 ? leaked : value);
  }
}

void settle_row(const std::int32_t* sums, const std::int32_t* shift, std::size_t count,
                float unit, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(clamped(sums[i] >> shift[i], kMostResult)) * unit;
  }
}

void recall_row(const std::int32_t* symbols, const float* means, std::size_t count,
                std::int32_t mean_bits, std::int32_t top, std::int16_t* out) {
  // Means stay within 2^20 and `top` within 2^15, so symbols whose own part reaches 2^22 are
  // clamped whatever their mean is, and beyond it need not be told apart.
  const std::int32_t most = 1 << (22 - mean_bits);
  const auto unit = static_cast<float>(1 << mean_bits);
  for (std::size_t i = 0; i < count; ++i) {
    const auto mean = static_cast<std::int32_t>(means[i] * unit);
    const std::int32_t value = clamped(symbols[i], most) * (1 << mean_bits) + mean;
    out[i] = static_cast<std::int16_t>(clamped(value, top));
  }
}

bool lift_row(const float* features, std::size_t count, float top, std::int32_t lift,
              std::int32_t half, std::int32_t* out) {
  std::int32_t strange = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float value = features[i];
    strange |= value - value == 0.0f ? 0 : 1;  // infinities and NaN give NaN
    const float below = value < top ? value : top;
    const float inside = below > -top ? below : -top;  // NaN has become a number, too
    out[i] = static_cast<std::int32_t>(inside) * (1 << lift) + half;
  }
  return strange == 0;
}

}  // namespace
}  // namespace latentsr
