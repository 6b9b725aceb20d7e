// context_scan.cpp - moves squares of 8 channels by 8 positions; what is left, number by number.
#include "context_scan.h"

#include <algorithm>
#include <cstring>

namespace latentsr {
namespace {

constexpr std::size_t kSide = 8;
constexpr std::size_t kBytes = 4;

// Calls move(channel, position, whole) for each square; whole is false where it is cut off.
template <class Move>
void for_squares(std::size_t channels, std::size_t positions, const Move& move) {
  for (std::size_t p = 0; p < positions; p += kSide) {
    for (std::size_t c = 0; c < channels; c += kSide) {
      move(c, p, channels - c >= kSide && positions - p >= kSide);
    }
  }
}

// Calls move(channel, position) for each number of a square that is cut off.
template <class Move>
void for_rest(std::size_t channel, std::size_t channels, std::size_t position,
              std::size_t positions, const Move& move) {
  for (std::size_t p = position; p < std::min(position + kSide, positions); ++p) {
    for (std::size_t c = channel; c < std::min(channel + kSide, channels); ++c) {
      move(c, p);
    }
  }
}

}  // namespace

ContextFront ContextScan::front(std::size_t number) const {
  if (slope_ == 0) {
    return {0, number, height_};
  }
  const std::size_t beyond = number < width_ ? 0 : number - width_ + 1;
  const std::size_t first = (beyond + slope_ - 1) / slope_;
  const std::size_t last = std::min(height_ - 1, number / slope_);
  return {first, number - slope_ * first, first <= last ? last - first + 1 : 0};
}

std::vector<std::size_t> ContextScan::ranks() const {
  std::vector<std::size_t> ranks(positions());
  std::size_t next = 0;
  for (std::size_t f = 0; f < fronts(); ++f) {
    const ContextFront found = front(f);
    for (std::size_t i = 0; i < found.count; ++i) {
      ranks[(found.row + i) * width_ + found.column - slope_ * i] = next++;
    }
  }
  return ranks;
}

void planes_to_rows(const ContextSteps& steps, const void* planes, std::size_t channels,
                    const std::vector<std::size_t>& ranks, void* rows, std::size_t stride) {
  const std::size_t positions = ranks.size();
  const auto plane = [&](std::size_t c, std::size_t p) {
    return static_cast<const unsigned char*>(planes) + kBytes * (c * positions + p);
  };
  const auto row = [&](std::size_t c, std::size_t p) {
    return static_cast<unsigned char*>(rows) + kBytes * (ranks[p] * stride + c);
  };
  for_squares(channels, positions, [&](std::size_t c, std::size_t p, bool whole) {
    if (!whole) {
      for_rest(c, channels, p, positions, [&](std::size_t one, std::size_t at) {
        std::memcpy(row(one, at), plane(one, at), kBytes);
      });
      return;
    }
    const unsigned char* from[kSide];
    unsigned char* to[kSide];
    for (std::size_t i = 0; i < kSide; ++i) {
      from[i] = plane(c + i, p);
      to[i] = row(c, p + i);
    }
    steps.transpose(from, to);
  });
}

void rows_to_planes(const ContextSteps& steps, const void* rows, std::size_t stride,
                    const std::vector<std::size_t>& ranks, void* planes, std::size_t channels) {
  const std::size_t positions = ranks.size();
  const auto plane = [&](std::size_t c, std::size_t p) {
    return static_cast<unsigned char*>(planes) + kBytes * (c * positions + p);
  };
  const auto row = [&](std::size_t c, std::size_t p) {
    return static_cast<const unsigned char*>(rows) + kBytes * (ranks[p] * stride + c);
  };
  for_squares(channels, positions, [&](std::size_t c, std::size_t p, bool whole) {
    if (!whole) {
      for_rest(c, channels, p, positions, [&](std::size_t one, std::size_t at) {
        std::memcpy(plane(one, at), row(one, at), kBytes);
      });
      return;
    }
    const unsigned char* from[kSide];
    unsigned char* to[kSide];
    for (std::size_t i = 0; i < kSide; ++i) {
      from[i] = row(c, p + i);
      to[i] = plane(c + i, p);
    }
    steps.transpose(from, to);
  });
}

}  // namespace latentsr
