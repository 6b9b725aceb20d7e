// pixels_parts.h - the SIMD parts of the steps between planes and pictures: one row each.
//
// They see raw pointers and plain functions only, for the reason in latent_steps_parts.h.
//
// Each returns how many pixels from the row's start it finished: all of a row that fills a
// register (the last group then overlaps the one before), none of a shorter one. It touches
// nothing beyond `width` pixels, as rows next to it may be another thread's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace latentsr {

struct SampleRows {
  const float* red;
  const float* green;
  const float* blue;
};

struct OutputRows {
  float* red;
  float* green;
  float* blue;
};

// float32(1 / 255), the step between two 8-bit samples.
inline constexpr float kSampleStep = static_cast<float>(1.0 / 255.0);

// `finite` becomes false when a sample is not.
std::size_t picture_row_avx2(const SampleRows& rows, std::size_t width, std::uint8_t* picture,
                             bool& finite);
std::size_t picture_row_avx512(const SampleRows& rows, std::size_t width, std::uint8_t* picture,
                               bool& finite);

std::size_t plane_row_avx2(const std::uint8_t* picture, std::size_t width, const OutputRows& rows);
std::size_t plane_row_avx512(const std::uint8_t* picture, std::size_t width,
                             const OutputRows& rows);

}  // namespace latentsr
