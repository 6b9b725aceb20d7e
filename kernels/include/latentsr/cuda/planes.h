// planes.h - where the planes of a batch of RGB pictures lie in device memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace latentsr::cuda {

// Sample (p, y, x) of picture n is first[n * picture_stride + p * plane_stride + y * row_stride
// + x], so planes may be a window of larger ones. Strides count samples.
template <class Sample>
struct PlaneBatch {
  Sample* first;
  std::int64_t picture_stride;
  std::int64_t plane_stride;
  std::int64_t row_stride;
  std::uint32_t pictures;
  std::uint32_t height;
  std::uint32_t width;
};

}  // namespace latentsr::cuda
