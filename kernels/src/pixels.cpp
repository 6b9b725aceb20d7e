// pixels.cpp - cuts planes and pictures into rows and shares them. See pixels.h.
#include "latentsr/pixels.h"

#include <algorithm>
#include <atomic>
#include <bit>

#include "parallel.h"
#include "pixels_parts.h"

namespace latentsr {
namespace {

// Pixels below which waking another thread costs more than it saves.
constexpr std::size_t kLeastShare = std::size_t{1} << 17;

// Pixels that the scalar part takes at once, channel by channel: no loop over them ends early or
// mixes channels, so that the compiler can use whatever registers its baseline has.
constexpr std::size_t kBlock = 256;

// Limited as integers, in whose order floats from 0 up are, too: compilers thread two choices
// between floats into jumps, which they do not vectorise. Half to even: beside 2^23 float32 has
// no room for a fraction, and its last bits are the integer.
std::uint8_t whole(float sample) {
  constexpr auto one = std::bit_cast<std::int32_t>(1.0f);
  const std::int32_t limited = std::min(std::max(std::bit_cast<std::int32_t>(sample), 0), one);
  const float scaled = std::bit_cast<float>(limited) * 255.0f;
  return static_cast<std::uint8_t>(std::bit_cast<std::uint32_t>(scaled + 8388608.0f));
}

// Bytes of up to kBlock samples of one channel; the bits returned are 0 when all are finite.
std::uint32_t whole_block(const float* samples, std::size_t count, std::uint8_t* bytes) {
  std::uint32_t strange = 0;
  for (std::size_t i = 0; i < count; ++i) {
    bytes[i] = whole(samples[i]);
    strange |= std::bit_cast<std::uint32_t>(samples[i] - samples[i]);  // 0, or NaN
  }
  return strange;
}

void picture_row_scalar(const SampleRows& rows, std::size_t begin, std::size_t width,
                        std::uint8_t* picture, bool& finite) {
  std::uint8_t red[kBlock];
  std::uint8_t green[kBlock];
  std::uint8_t blue[kBlock];
  for (std::size_t x = begin; x < width; x += kBlock) {
    const std::size_t count = std::min(kBlock, width - x);
    const std::uint32_t strange = whole_block(rows.red + x, count, red) |
                                  whole_block(rows.green + x, count, green) |
                                  whole_block(rows.blue + x, count, blue);
    finite = finite && strange == 0;
    for (std::size_t i = 0; i < count; ++i) {
      picture[3 * (x + i)] = red[i];
      picture[3 * (x + i) + 1] = green[i];
      picture[3 * (x + i) + 2] = blue[i];
    }
  }
}

// False when a sample of the row is not finite.
bool picture_row(const SampleRows& rows, std::size_t width, std::uint8_t* picture,
                 [[maybe_unused]] Isa isa) {
  std::size_t x = 0;
  bool finite = true;
#ifdef LATENTSR_X86_KERNELS
  if (isa != Isa::scalar) {
    const auto part = isa == Isa::avx512 ? picture_row_avx512 : picture_row_avx2;
    x = part(rows, width, picture, finite);
  }
#endif
  picture_row_scalar(rows, x, width, picture, finite);
  return finite;
}

void plane_row(const std::uint8_t* picture, std::size_t width, const OutputRows& rows,
               [[maybe_unused]] Isa isa) {
  std::size_t x = 0;
#ifdef LATENTSR_X86_KERNELS
  if (isa != Isa::scalar) {
    const auto part = isa == Isa::avx512 ? plane_row_avx512 : plane_row_avx2;
    x = part(picture, width, rows);
  }
#endif
  for (; x < width; ++x) {
    rows.red[x] = static_cast<float>(picture[3 * x]) * kSampleStep;
    rows.green[x] = static_cast<float>(picture[3 * x + 1]) * kSampleStep;
    rows.blue[x] = static_cast<float>(picture[3 * x + 2]) * kSampleStep;
  }
}

// Repeats the ends of a row's `width` samples, which start `left` samples within.
void pad_row(float* row, std::size_t left, std::size_t width, std::size_t whole_width) {
  std::fill(row, row + left, row[left]);
  std::fill(row + left + width, row + whole_width, row[left + width - 1]);
}

// Calls work(begin, end) for pieces of `height` rows that are worth a thread each.
template <class Work>
void share_rows(std::size_t height, std::size_t width, unsigned threads, const Work& work) {
  const std::size_t least = kLeastShare / std::max<std::size_t>(width, 1) + 1;
  const std::size_t pieces = std::max<std::size_t>(height / least, 1);
  run_parallel(pieces, threads, [&](std::size_t i) {
    work(height / pieces * i + std::min(i, height % pieces),
         height / pieces * (i + 1) + std::min(i + 1, height % pieces));
  });
}

}  // namespace

bool picture_from_planes(const PlaneWindow& planes, std::uint8_t* picture, const PixelWork& how) {
  std::atomic<bool> finite{true};
  share_rows(planes.height, planes.width, how.threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t y = begin; y < end; ++y) {
      const float* red = planes.first + static_cast<std::ptrdiff_t>(y) * planes.row_stride;
      const SampleRows rows{red, red + planes.plane_stride, red + 2 * planes.plane_stride};
      if (!picture_row(rows, planes.width, picture + 3 * planes.width * y, how.isa)) {
        finite = false;
      }
    }
  });
  return finite;
}

void planes_from_picture(const std::uint8_t* picture, std::size_t height, std::size_t width,
                         const PaddedPlanes& planes, const PixelWork& how) {
  const std::size_t plane = planes.height * planes.width;
  share_rows(planes.height, planes.width, how.threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t y = begin; y < end; ++y) {
      const std::size_t from = std::min(y - std::min(y, planes.top), height - 1);
      float* red = planes.first + y * planes.width;
      float* inner = red + planes.left;
      plane_row(picture + 3 * width * from, width, {inner, inner + plane, inner + 2 * plane},
                how.isa);
      for (std::size_t channel = 0; channel < 3; ++channel) {
        pad_row(red + channel * plane, planes.left, width, planes.width);
      }
    }
  });
}

}  // namespace latentsr
