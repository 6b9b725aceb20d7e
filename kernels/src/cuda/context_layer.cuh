// context_layer.cuh - one layer of a context model for some positions of a front, a warp an output.
//
// The lanes of a warp share an output's inputs among them and add up what they have: integers that
// no order of adding changes. The arithmetic is that of ../context.h; ../context_rows.h has it for
// the processor.
#pragma once

#include <cstdint>

#include "latentsr/cuda/context_view.h"
#include "warp.cuh"

#ifndef __CUDA_ARCH__
#include <cstring>
#endif

namespace latentsr::cuda {

// Positions whose sums a warp makes at once: weights are loaded once for all of them, and inputs once
// for the warps of a block. Eight by eight asks least of the second cache without leaving
// multiprocessors idle at usual sizes.
inline constexpr std::uint32_t kContextTile = 8;

inline constexpr std::int32_t kMostContextResult = 1 << 20;

// What a layer gets and makes; positions are those of one front.
struct ContextLayerJob {
  ContextLayerView layer;
  const std::int16_t* input;      // of the first position, at a multiple of 16 bytes
  std::int64_t input_step;        // elements from a position to the next
  std::int64_t cell;              // and to those that layer 0 sees: right of it,
  std::int64_t row;               // and below
  std::uint32_t positions;
  // Layer 1: samples of the first position; from plane to plane, from position to position.
  const float* features;
  std::int64_t plane;
  std::int64_t step;
  const std::uint8_t* lift;
  float feature_top;
  // All but the last one.
  std::int16_t* out;
  std::uint32_t out_step;
  std::int32_t leak;              // slope of LeakyReLU; 2^16 for none
  // The last one: rows and means, M a position.
  std::uint32_t channels;
  const float* thresholds;
  std::uint32_t threshold_count;
  std::uint8_t* indexes;
  std::int32_t* means;
};

enum class ContextKind : int { plain, lifted, last };

LATENTSR_DEVICE std::int32_t limited(std::int32_t value, std::int32_t top) {
  const std::int32_t below = value < top ? value : top;
  return below > -top ? below : -top;
}

// Eight int16 side by side, two in each number.
struct alignas(16) ContextEight {
  std::int32_t pairs[4];
};

LATENTSR_DEVICE ContextEight load_eight(const std::int16_t* at) {
#ifdef __CUDA_ARCH__
  const int4 found = __ldg(reinterpret_cast<const int4*>(at));
  return {{found.x, found.y, found.z, found.w}};
#else
  ContextEight found;
  std::memcpy(&found, at, sizeof found);
  return found;
#endif
}

LATENTSR_DEVICE std::int32_t product(const ContextEight& a, const ContextEight& b) {
  std::int32_t sum = 0;
  for (int i = 0; i < 4; ++i) {
    sum += static_cast<std::int16_t>(a.pairs[i]) * static_cast<std::int16_t>(b.pairs[i]) +
           (a.pairs[i] >> 16) * (b.pairs[i] >> 16);
  }
  return sum;
}

// The number of thresholds below a scale.
LATENTSR_DEVICE std::uint8_t row_of(const ContextLayerJob& job, std::int32_t scale) {
  const auto value = static_cast<float>(scale);
  std::uint32_t first = 0;
  for (std::uint32_t left = job.threshold_count; left != 0;) {
    const std::uint32_t half = left / 2;
    const bool above = job.thresholds[first + half] < value;
    first += above ? half + 1 : 0;
    left = above ? left - half - 1 : half;
  }
  return static_cast<std::uint8_t>(first);
}

// What the sum of one output at one position becomes.
template <ContextKind kind>
LATENTSR_DEVICE void finish_sum(const ContextLayerJob& job, std::uint32_t output,
                                std::uint32_t position, std::int32_t sum) {
  const std::int32_t shift = job.layer.shift[output];
  sum += job.layer.start[output];
  if constexpr (kind == ContextKind::last) {
    const std::int32_t value = limited(sum >> shift, kMostContextResult);
    const std::uint64_t first = static_cast<std::uint64_t>(position) * job.channels;
    if (output < job.channels) {
      job.indexes[first + output] = row_of(job, value);
    } else {
      job.means[first + output - job.channels] = value;
    }
    return;
  }
  if constexpr (kind == ContextKind::lifted) {
    const float feature = job.features[static_cast<std::int64_t>(output) * job.plane +
                                       static_cast<std::int64_t>(position) * job.step];
    const float below = feature < job.feature_top ? feature : job.feature_top;
    const float inside = below > -job.feature_top ? below : -job.feature_top;
    sum += static_cast<std::int32_t>(inside) * (1 << job.lift[output]);
  }
  const std::int32_t value = limited(sum >> shift, job.layer.top);
  // |value| < 2^15 and leak <= 2^16: the product and half a step fit.
  const std::int32_t leaked = (value * job.leak + (1 << 15)) >> 16;
  job.out[static_cast<std::uint64_t>(position) * job.out_step + output] =
      static_cast<std::int16_t>(value < 0 ? leaked : value);
}

// One output at the positions first ... first + kContextTile - 1, as far as there are so many.
template <ContextKind kind, class Warp>
LATENTSR_DEVICE void layer_tile(const Warp& warp, const ContextLayerJob& job, std::uint32_t output,
                                std::uint32_t first) {
  using Sums = typename Warp::template PerLane<std::int32_t>;
  Sums sums[kContextTile]{};
  const std::int16_t* inputs[kContextTile];
  for (std::uint32_t p = 0; p < kContextTile; ++p) {  // beyond the last one, that one again
    const std::uint32_t position = first + p < job.positions ? first + p : job.positions - 1;
    inputs[p] = job.input + static_cast<std::int64_t>(position) * job.input_step;
  }
  const std::int16_t* weights =
      job.layer.weights + static_cast<std::uint64_t>(output) * job.layer.groups * kContextGroup;
  for (std::uint32_t s = 0; s < job.layer.stretch_count; ++s) {
    const ContextStretch stretch = job.layer.stretches[s];
    const std::int64_t offset = stretch.dy * job.row + stretch.dx * job.cell;
    for (std::uint32_t begin = 0; begin < stretch.groups; begin += kWarpLanes) {
      warp.each([&](std::uint32_t lane) {
        const std::uint32_t group = begin + lane;
        if (group >= stretch.groups) {
          return;
        }
        const ContextEight weight = load_eight(
            weights + static_cast<std::uint64_t>(stretch.first + group) * kContextGroup);
        for (std::uint32_t p = 0; p < kContextTile; ++p) {
          sums[p][lane] += product(
              weight, load_eight(inputs[p] + offset + static_cast<std::int64_t>(group) *
                                                          kContextGroup));
        }
      });
    }
  }
  Sums mine{};
  for (std::uint32_t p = 0; p < kContextTile; ++p) {
    const std::int32_t total = warp.sum(sums[p]);
    warp.each([&](std::uint32_t lane) { mine[lane] = lane == p ? total : mine[lane]; });
  }
  warp.each([&](std::uint32_t lane) {
    if (lane < kContextTile && first + lane < job.positions) {
      finish_sum<kind>(job, output, first + lane, mine[lane]);
    }
  });
}

// The kind of layer number `layer` of `count`.
inline ContextKind kind_of(std::uint32_t layer, std::uint32_t count) {
  return layer + 1 == count ? ContextKind::last
                            : layer == 1 ? ContextKind::lifted : ContextKind::plain;
}

}  // namespace latentsr::cuda
