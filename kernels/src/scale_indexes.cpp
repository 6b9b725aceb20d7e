// scale_indexes.cpp - counts the thresholds below each scale by a search without branches.
#include "latentsr/scale_indexes.h"

namespace latentsr {

Result scale_indexes(const float* scales, std::size_t count, const float* thresholds,
                     std::size_t threshold_count, std::uint8_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const float scale = scales[i];
    if (scale != scale) {
      return {Status::not_a_number, i, 0};
    }
    const float* base = thresholds;
    std::size_t left = threshold_count;
    while (left > 1) {  // the answer lies in [base, base + left]
      const std::size_t half = left / 2;
      // A product, not a choice: compilers turn the choice into a jump that is never foreseen.
      base += half * static_cast<std::size_t>(base[half - 1] < scale);
      left -= half;
    }
    const bool above = left == 1 && *base < scale;
    out[i] = static_cast<std::uint8_t>(base - thresholds + (above ? 1 : 0));
  }
  return {};
}

}  // namespace latentsr
