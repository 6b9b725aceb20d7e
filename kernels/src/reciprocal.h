// reciprocal.h - exact division of coder states by slot frequencies, without a division.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

namespace latentsr {

// Upper 64 bits of the product.
inline std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) {
#if defined(_MSC_VER) && !defined(__clang__)
  return __umulh(a, b);
#else
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(Wide{a} * b >> 64);
#endif
}

// A frequency f, 1 <= f < 2^16, as an encoder's step needs it.
//
// For f >= 2 let k be such that 2^k < f <= 2^(k+1), hence k <= 15, and r = ceil(2^(64+k) / f),
// which is below 2^64. With e = r f - 2^(64+k), 0 <= e < f,
//   x r / 2^(64+k) = x / f + x e / (f 2^(64+k)),
// and the floor of the left side is that of x / f when the error is below 1 / f, that is when
// x e < 2^(64+k). States that are coded are below f 2^47, so x e < f^2 2^47 <= 2^(2k+2+47), and
// 2k + 49 <= 64 + k because k <= 15.
// For f = 1 no such r fits. r = 2^64 - 1 and k = 0 give x - 1 (for x >= 1) in place of x, one too
// few, and `bias` makes good what is then missing in the new state:
//   x + bias + q (2^16 - f) = x + (2^16 - 1) + (x - 1) (2^16 - 1) = x 2^16.
struct Reciprocal {
  std::uint64_t factor;
  std::uint32_t shift;
  std::uint32_t bias;

  explicit Reciprocal(std::uint32_t frequency = 1)
      : factor(~std::uint64_t{0}), shift(0), bias((1u << 16) - 1) {
    if (frequency < 2) {
      return;
    }
    shift = static_cast<std::uint32_t>(std::bit_width(frequency - 1)) - 1;
    bias = 0;
    // 2^(64+k) = high 2^32 2^32 divided in two steps; each remainder is below f < 2^16.
    const std::uint64_t high = (std::uint64_t{1} << (32 + shift)) / frequency;
    const std::uint64_t rest = ((std::uint64_t{1} << (32 + shift)) % frequency) << 32;
    factor = (high << 32) + (rest + frequency - 1) / frequency;
  }

  // (x / f) 2^16 + x mod f, for 1 <= x < f 2^47.
  std::uint64_t advance(std::uint64_t x, std::uint32_t frequency) const {
    const std::uint64_t quotient = multiply_high(x, factor) >> shift;
    return x + bias + quotient * ((1u << 16) - frequency);
  }
};

// The reciprocals of all frequencies, made once a process. A megabyte, of which coding touches
// what it needs; one for each slot of each table would be more.
inline const Reciprocal* reciprocals() {
  static const std::unique_ptr<const Reciprocal[]> all = [] {
    constexpr std::size_t kCount = std::size_t{1} << 16;
    auto made = std::make_unique<Reciprocal[]>(kCount);
    for (std::uint32_t frequency = 1; frequency < kCount; ++frequency) {
      made[frequency] = Reciprocal(frequency);
    }
    return std::unique_ptr<const Reciprocal[]>(std::move(made));
  }();
  return all.get();
}

}  // namespace latentsr
