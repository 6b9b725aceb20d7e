// context_reach.h - the taps of a context model in raster order, and how far they see.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace latentsr {

// `number`: of the tap among the tensor's.
struct ContextTap {
  std::int32_t dy;
  std::int32_t dx;
  std::size_t number;
};

// `slope` of the fronts, and positions that taps reach up, left and right.
struct ContextReach {
  std::size_t slope = 0;
  std::size_t above = 0;
  std::size_t left = 0;
  std::size_t right = 0;
};

// `taps`: dy, dx of each.
std::vector<ContextTap> raster_taps(std::span<const std::int32_t> taps);

ContextReach reach_of(const std::vector<ContextTap>& taps);

}  // namespace latentsr
