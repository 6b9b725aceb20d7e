// pixels.h - from a network's float planes to an 8-bit RGB picture, and back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "latentsr/rans_lanes.h"

namespace latentsr {

// Three float planes of one size, red first, possibly a window of larger ones: sample (p, y, x)
// is first[p * plane_stride + y * row_stride + x].
struct PlaneWindow {
  const float* first;
  std::ptrdiff_t plane_stride;
  std::ptrdiff_t row_stride;
  std::size_t height;
  std::size_t width;
};

// Three float planes of height x width without gaps, within which a picture lies `top` rows and
// `left` columns from the corner.
struct PaddedPlanes {
  float* first;
  std::size_t height;
  std::size_t width;
  std::size_t top;
  std::size_t left;
};

struct PixelWork {
  unsigned threads = 1;     // at least 1; rows of small pictures are not shared
  Isa isa = Isa::scalar;    // must be supported; all give the same bits
};

// picture[y][x] = red, green, blue of that place: each sample limited to 0..1, times 255 rounded
// to float32, rounded half to even. Returns false when a sample is NaN or infinite; the content of
// the picture is then not to be trusted.
bool picture_from_planes(const PlaneWindow& planes, std::uint8_t* picture, const PixelWork& how);

// Plane samples = picture[height][width][3] * float32(1 / 255); what lies around the picture
// repeats its nearest border pixel. The picture has at least one pixel and lies within the planes.
void planes_from_picture(const std::uint8_t* picture, std::size_t height, std::size_t width,
                         const PaddedPlanes& planes, const PixelWork& how);

}  // namespace latentsr
