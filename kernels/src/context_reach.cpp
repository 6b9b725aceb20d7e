// context_reach.cpp - see context_reach.h, and context.h for what a front's slope is.
#include "context_reach.h"

#include <algorithm>
#include <utility>

namespace latentsr {

std::vector<ContextTap> raster_taps(std::span<const std::int32_t> taps) {
  std::vector<ContextTap> found;
  for (std::size_t t = 0; t < taps.size() / 2; ++t) {
    found.push_back({taps[2 * t], taps[2 * t + 1], t});
  }
  std::sort(found.begin(), found.end(), [](const ContextTap& a, const ContextTap& b) {
    return std::pair(a.dy, a.dx) < std::pair(b.dy, b.dx);
  });
  return found;
}

ContextReach reach_of(const std::vector<ContextTap>& taps) {
  ContextReach reach;
  for (const auto& [dy, dx, number] : taps) {
    reach.above = std::max(reach.above, static_cast<std::size_t>(-dy));
    reach.left = std::max(reach.left, static_cast<std::size_t>(std::max(-dx, 0)));
    reach.right = std::max(reach.right, static_cast<std::size_t>(std::max(dx, 0)));
    if (dy < 0 && dx >= 0) {  // dx < slope * -dy
      reach.slope = std::max(reach.slope, static_cast<std::size_t>(dx / -dy + 1));
    }
  }
  return reach;
}

}  // namespace latentsr
