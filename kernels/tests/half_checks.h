// half_checks.h - ends a driver at the first difference; FP16 against a plain conversion.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "../src/cuda/pixel_steps.cuh"
#include "seeded_cases.h"

namespace drivers {

namespace cuda = latentsr::cuda;
using cuda::Half;

inline void expect(bool right, const char* what, std::size_t number) {
  if (!right) {
    std::fprintf(stderr, "%s: other at %zu\n", what, number);
    std::exit(1);
  }
}

template <class T>
bool same_bits(const std::vector<T>& one, const std::vector<T>& other) {
  return one.size() == other.size() &&
         (one.empty() || std::memcmp(one.data(), other.data(), one.size() * sizeof(T)) == 0);
}

// The number that the bits of a finite half stand for.
inline double plain_half(std::uint32_t bits) {
  const double size = bits >> 10 == 0 ? std::ldexp(bits, -24)
                                      : std::ldexp((bits & 1023) + 1024, static_cast<int>(bits >> 10) - 25);
  return size;
}

// The half nearest to a number from 0 up, of two the even one, by trying.
inline std::uint32_t plain_narrow(double value) {
  if (value >= 65520) {
    return 0x7c00;
  }
  std::uint32_t low = 0;
  std::uint32_t high = 0x7c00;  // low <= value < high, if 2^16 stands for infinity
  while (high - low > 1) {
    const std::uint32_t middle = (low + high) / 2;
    (plain_half(middle) <= value ? low : high) = middle;
  }
  const double below = value - plain_half(low);
  const double above = (high == 0x7c00 ? 65536 : plain_half(high)) - value;
  return below < above || (below == above && low % 2 == 0) ? low : high;
}

inline void check_half(Random& random, std::size_t rounds) {
  Half made{};
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const std::uint32_t size = bits & 0x7fff;
    const float found = cuda::widen(Half{static_cast<std::uint16_t>(bits)});
    expect(std::signbit(found) == (bits > 0x7fff), "sign of half", bits);
    expect(size > 0x7c00    ? std::isnan(found)
           : size == 0x7c00 ? std::isinf(found)
                            : std::fabs(found) == plain_half(size),
           "half", bits);
    cuda::narrow(found, made);
    expect(size > 0x7c00 ? made.bits == 0x7fff : made.bits == bits, "half and back", bits);
  }
  for (std::size_t i = 0; i < 100 * rounds; ++i) {
    auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random.next()));
    if (i % 2 == 0) {  // beside the middle between two halves
      const auto bits = static_cast<std::uint32_t>(random.below(0x7c00));
      value = static_cast<float>((plain_half(bits) + plain_half(bits + 1 < 0x7c00 ? bits + 1 : bits)) / 2);
      value = i % 3 == 0 ? std::nextafter(value, 0.0f) : i % 3 == 1 ? std::nextafter(value, 9e9f) : value;
    }
    if (!std::isnan(value)) {
      cuda::narrow(value, made);
      const std::uint32_t sign = std::signbit(value) ? 0x8000 : 0;
      expect(made.bits == (sign | plain_narrow(std::fabs(value))), "narrowed", i);
    }
  }
}

// Every half to float32, and any float32 to a half.
inline void check_conversions(Random& random) {
  std::vector<Half> halves;
  std::vector<float> floats;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    halves.push_back(Half{static_cast<std::uint16_t>(bits)});
    floats.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random.next())));
  }
  std::vector<float> wide(halves.size());
  std::vector<Half> narrow(floats.size());
  for (std::size_t i = 0; i < halves.size(); ++i) {
    cuda::ConvertStep<Half>{halves.data(), wide.data()}(i);
    cuda::ConvertStep<float>{floats.data(), narrow.data()}(i);
    const auto size = static_cast<std::uint32_t>(i & 0x7fff);
    const double found = std::fabs(wide[i]);
    expect(size > 0x7c00    ? std::isnan(found)
           : size == 0x7c00 ? std::isinf(found)
                            : found == plain_half(size),
           "converted half", i);
    expect(size > 0x7c00 || std::signbit(wide[i]) == (i > 0x7fff), "sign of converted half", i);
    expect(std::isnan(floats[i])
               ? (narrow[i].bits & 0x7fff) > 0x7c00
               : narrow[i].bits == ((std::signbit(floats[i]) ? 0x8000u : 0u) |
                                    plain_narrow(std::fabs(floats[i]))),
           "converted float", i);
  }
}

}  // namespace drivers
