// pixel_steps.cuh - planes to pictures and back: one pixel each.
//
// Plain code for one thread, with the bits of ../pixels.cpp, for whole batches of one size.
#pragma once

#include <cstdint>

#include "element_steps.cuh"
#include "half.cuh"
#include "latentsr/cuda/planes.h"

namespace latentsr::cuda {

// Limited as integers, in whose order floats from 0 up are, too; rounded half to even by 2^23,
// beside which float32 has no room for a fraction.
LATENTSR_DEVICE std::uint8_t whole(float sample) {
  const std::int32_t one = bits_of(1.0f);
  const std::int32_t bits = bits_of(sample);
  const std::int32_t limited = bits < 0 ? 0 : bits > one ? one : bits;
  const float scaled = float_of(limited) * 255.0f;
  return static_cast<std::uint8_t>(bits_of(scaled + 8388608.0f));
}

// On the host: planes of samples of any type as those of theirs.
template <class To, class From>
PlaneBatch<To> as_samples(const PlaneBatch<From>& planes) {
  return {static_cast<To*>(planes.first), planes.picture_stride, planes.plane_stride,
          planes.row_stride, planes.pictures, planes.height, planes.width};
}

template <class Sample>
struct PictureStep {
  PlaneBatch<const Sample> planes;
  std::uint8_t* pictures;
  std::uint64_t* fault;
};

// Pixel number `i` of all pictures.
template <class Sample>
LATENTSR_DEVICE void make_pixel(const PictureStep<Sample>& step, std::uint64_t i) {
  const PlaneBatch<const Sample>& planes = step.planes;
  const std::uint64_t row = quotient(i, planes.width);
  const std::uint64_t picture = quotient(row, planes.height);
  const auto x = static_cast<std::int64_t>(i - row * planes.width);
  const auto y = static_cast<std::int64_t>(row - picture * planes.height);
  const Sample* at = planes.first + static_cast<std::int64_t>(picture) * planes.picture_stride +
                     y * planes.row_stride + x;
  bool finite = true;
  for (int channel = 0; channel < 3; ++channel) {
    const float sample = widen(at[channel * planes.plane_stride]);
    finite = finite && sample - sample == 0.0f;
    step.pictures[3 * i + static_cast<std::uint64_t>(channel)] = whole(sample);
  }
  if (!finite) {
    note_fault(step.fault, i);
  }
}

template <class Sample>
struct PlaneStep {
  const std::uint8_t* pictures;
  std::uint32_t height;  // of a picture
  std::uint32_t width;
  std::uint32_t top;     // rows above it in its planes
  std::uint32_t left;    // columns before it
  PlaneBatch<Sample> planes;
};

LATENTSR_DEVICE std::uint32_t inside(std::uint64_t at, std::uint32_t before, std::uint32_t size) {
  const std::uint64_t from = at < before ? 0 : at - before;
  return static_cast<std::uint32_t>(from < size ? from : size - 1);
}

// Sample number `i` of every plane, over all pictures.
template <class Sample>
LATENTSR_DEVICE void make_samples(const PlaneStep<Sample>& step, std::uint64_t i) {
  constexpr float kSampleStep = static_cast<float>(1.0 / 255.0);
  const PlaneBatch<Sample>& planes = step.planes;
  const std::uint64_t row = quotient(i, planes.width);
  const std::uint64_t picture = quotient(row, planes.height);
  const std::uint64_t x = i - row * planes.width;
  const std::uint64_t y = row - picture * planes.height;
  const std::uint64_t line = picture * step.height + inside(y, step.top, step.height);
  const std::uint8_t* from =
      step.pictures + 3 * (line * step.width + inside(x, step.left, step.width));
  Sample* at = planes.first + static_cast<std::int64_t>(picture) * planes.picture_stride +
               static_cast<std::int64_t>(y) * planes.row_stride + static_cast<std::int64_t>(x);
  for (int channel = 0; channel < 3; ++channel) {
    narrow(static_cast<float>(from[channel]) * kSampleStep, at[channel * planes.plane_stride]);
  }
}

}  // namespace latentsr::cuda
