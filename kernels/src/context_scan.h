// context_scan.h - the order `wavefront` of a latent's positions, and moves between it and planes.
#pragma once

#include <cstddef>
#include <vector>

#include "context_steps.h"

namespace latentsr {

// Positions (row + i, column - slope i), i below `count`, which may be 0.
struct ContextFront {
  std::size_t row;
  std::size_t column;
  std::size_t count;
};

class ContextScan {
 public:
  ContextScan(std::size_t height, std::size_t width, std::size_t slope)
      : height_(height), width_(width), slope_(slope) {}

  std::size_t positions() const { return height_ * width_; }
  std::size_t fronts() const {
    return positions() == 0 ? 0 : width_ + slope_ * (height_ - 1);
  }
  ContextFront front(std::size_t number) const;

  // Where in the order each position is, positions in raster order.
  std::vector<std::size_t> ranks() const;

 private:
  std::size_t height_;
  std::size_t width_;
  std::size_t slope_;
};

// Numbers of 4 bytes of `channels` planes of ranks.size() positions, and the same as one row a
// position, in scan order, `stride` numbers apart.
void planes_to_rows(const ContextSteps& steps, const void* planes, std::size_t channels,
                    const std::vector<std::size_t>& ranks, void* rows, std::size_t stride);
void rows_to_planes(const ContextSteps& steps, const void* rows, std::size_t stride,
                    const std::vector<std::size_t>& ranks, void* planes, std::size_t channels);

}  // namespace latentsr
