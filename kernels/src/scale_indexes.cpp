// scale_indexes.cpp - counts the thresholds below each scale by a search without branches.
#include "latentsr/scale_indexes.h"

#include <limits>

#include "latent_steps_parts.h"

namespace latentsr {
namespace {

// Fewer scales than this are not worth building the tree for.
[[maybe_unused]] constexpr std::size_t kLeastForTree = 64;

[[maybe_unused]] void plant(ThresholdTree& tree, const float* thresholds, std::size_t count) {
  tree.depth = count < 64 ? 6 : 8;
  std::size_t at = 0;
  for (int level = 0; level < tree.depth; ++level) {
    const std::size_t reach = std::size_t{1} << (tree.depth - 1 - level);
    for (std::size_t node = 0; node < std::size_t{1} << level; ++node) {
      const std::size_t rank = (2 * node + 1) * reach - 1;
      tree.entries[at++] =
          rank < count ? thresholds[rank] : std::numeric_limits<float>::infinity();
    }
  }
}

std::size_t search_simd([[maybe_unused]] const float* scales, [[maybe_unused]] std::size_t count,
                        [[maybe_unused]] const float* thresholds,
                        [[maybe_unused]] std::size_t threshold_count,
                        [[maybe_unused]] std::uint8_t* out, [[maybe_unused]] Isa isa) {
#ifdef LATENTSR_X86_KERNELS
  if (isa != Isa::scalar && count >= kLeastForTree) {
    ThresholdTree tree;
    plant(tree, thresholds, threshold_count);
    const auto part = isa == Isa::avx512 ? search_avx512 : search_avx2;
    return part(tree, scales, count, out);
  }
#endif
  return 0;
}

}  // namespace

Result scale_indexes(const float* scales, std::size_t count, const float* thresholds,
                     std::size_t threshold_count, std::uint8_t* out, Isa isa) {
  for (std::size_t i = search_simd(scales, count, thresholds, threshold_count, out, isa);
       i < count; ++i) {
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
