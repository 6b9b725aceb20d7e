// lane_plan.cuh - how many lanes and parts a stream is worth, estimated by one warp.
//
// In whole numbers, so that the choice is that of ../lane_plan.cpp, symbol for symbol.
#pragma once

#include <cstdint>

#include "latentsr/cuda/lane_batch.h"
#include "latentsr/cuda/lane_view.h"
#include "../lane_plan.h"
#include "lane_lookup.cuh"
#include "warp.cuh"

namespace latentsr::cuda {

// Length of one slot's code in 1/256 bit, by a straight line between powers of two.
LATENTSR_DEVICE std::uint64_t code_length(std::uint32_t frequency) {
  const std::uint32_t exponent = highest_bit(frequency);
  return 17 * 256 - 256 * exponent - ((frequency << 8) >> exponent);
}

template <class Index>
LATENTSR_DEVICE std::uint64_t symbol_length(const LaneView& tables, std::int32_t symbol,
                                            Index index, std::uint32_t skip) {
  constexpr std::uint64_t kEscapeBits = 16;
  const auto row = static_cast<std::uint32_t>(index);
  if (row < skip || row >= tables.row_count) {
    return 0;
  }
  const EncodedSymbol found = look_up(tables, row, symbol);
  return code_length(found.range >> 16) + (found.side != 0 ? kEscapeBits * 256 : 0);
}

// Replaces by the encoder's choice what a target leaves open. There is room for the records of
// `most_parts`, so there are never more.
template <class Warp, class Index>
LATENTSR_DEVICE PlanRecord plan_stream(const Warp& warp, const LaneView& tables,
                                       const std::int32_t* symbols, const Index* indexes,
                                       const LaneTarget& target, std::uint32_t skip,
                                       std::uint32_t most_parts) {
  constexpr auto kSampled = static_cast<std::uint32_t>(kSamples);
  const std::uint32_t count = target.count;
  const std::uint32_t step = (count / kSampled + (count % kSampled != 0 ? 1 : 0)) | 1;
  typename Warp::template PerLane<std::uint64_t> lengths{};
  warp.each([&](std::uint32_t lane) {
    for (std::uint64_t i = static_cast<std::uint64_t>(lane) * step; i < count;
         i += static_cast<std::uint64_t>(kWarpLanes) * step) {
      lengths[lane] += symbol_length(tables, symbols[i], indexes[i], skip);
    }
  });
  const std::uint64_t worth = warp.sum(lengths) * step / (8 * 256) / kBytesPerLane;
  PlanRecord plan{1, 1, 0, 0};
  while (plan.lanes < kMaxLanes && 2 * static_cast<std::uint64_t>(plan.lanes) <= worth) {
    plan.lanes *= 2;
  }
  while (plan.parts < kMaxParts &&
         2 * static_cast<std::uint64_t>(plan.parts) * kMaxLanes <= worth) {
    plan.parts *= 2;
  }
  plan.lanes = target.lanes != 0 ? target.lanes : plan.lanes;
  plan.parts = target.parts != 0 ? target.parts : plan.parts;
  plan.parts = plan.parts < most_parts ? plan.parts : most_parts;
  return plan;
}

}  // namespace latentsr::cuda
