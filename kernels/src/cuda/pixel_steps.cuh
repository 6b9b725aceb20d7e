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

// On the host: samples of one plane, over all pictures.
template <class T>
std::uint64_t samples_of(const PlaneBatch<T>& planes) {
  return std::uint64_t{planes.pictures} * planes.height * planes.width;
}

// The picture, row and column of element `i` of a plane, over all pictures.
struct Place {
  std::uint64_t picture;
  std::uint64_t y;
  std::uint64_t x;
};

template <class Sample>
LATENTSR_DEVICE Place place_of(const PlaneBatch<Sample>& planes, std::uint64_t i) {
  const std::uint64_t row = quotient(i, planes.width);
  const std::uint64_t picture = quotient(row, planes.height);
  return {picture, row - picture * planes.height, i - row * planes.width};
}

template <class Sample>
LATENTSR_DEVICE Sample* sample_at(const PlaneBatch<Sample>& planes, const Place& place) {
  return planes.first + static_cast<std::int64_t>(place.picture) * planes.picture_stride +
         static_cast<std::int64_t>(place.y) * planes.row_stride +
         static_cast<std::int64_t>(place.x);
}

// Makes pixel number `i` of all pictures.
template <class Sample>
struct PictureStep {
  PlaneBatch<const Sample> planes;
  std::uint8_t* pictures;
  std::uint64_t* fault;

  LATENTSR_DEVICE void operator()(std::uint64_t i) const {
    const Sample* at = sample_at(planes, place_of(planes, i));
    bool finite = true;
    for (int channel = 0; channel < 3; ++channel) {
      const float sample = widen(at[channel * planes.plane_stride]);
      finite = finite && sample - sample == 0.0f;
      pictures[3 * i + static_cast<std::uint64_t>(channel)] = whole(sample);
    }
    if (!finite) {
      note_fault(fault, i);
    }
  }
};

LATENTSR_DEVICE std::uint32_t inside(std::uint64_t at, std::uint32_t before, std::uint32_t size) {
  const std::uint64_t from = at < before ? 0 : at - before;
  return static_cast<std::uint32_t>(from < size ? from : size - 1);
}

// Makes sample number `i` of every plane, over all pictures.
template <class Sample>
struct PlaneStep {
  const std::uint8_t* pictures;
  std::uint32_t height;  // of a picture
  std::uint32_t width;
  std::uint32_t top;     // rows above it in its planes
  std::uint32_t left;    // columns before it
  PlaneBatch<Sample> planes;

  LATENTSR_DEVICE void operator()(std::uint64_t i) const {
    constexpr float kSampleStep = static_cast<float>(1.0 / 255.0);
    const Place place = place_of(planes, i);
    const std::uint64_t line = place.picture * height + inside(place.y, top, height);
    const std::uint8_t* from = pictures + 3 * (line * width + inside(place.x, left, width));
    Sample* at = sample_at(planes, place);
    for (int channel = 0; channel < 3; ++channel) {
      narrow(static_cast<float>(from[channel]) * kSampleStep, at[channel * planes.plane_stride]);
    }
  }
};

}  // namespace latentsr::cuda
