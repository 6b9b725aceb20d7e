// half.cuh - samples that kernels read as float32 and write from it: float32 itself, and FP16.
#pragma once

#include <bit>
#include <cstdint>

#include "warp.cuh"

#ifdef __CUDACC__
#include <cuda_fp16.h>
#endif

namespace latentsr::cuda {

// IEEE binary16 as it lies in memory.
struct Half {
  std::uint16_t bits;
};

#ifdef __CUDACC__

LATENTSR_DEVICE float widen(Half sample) { return __half2float(__ushort_as_half(sample.bits)); }
LATENTSR_DEVICE void narrow(float value, Half& sample) {
  sample.bits = __half_as_ushort(__float2half_rn(value));
}
LATENTSR_DEVICE std::int32_t bits_of(float value) { return __float_as_int(value); }
LATENTSR_DEVICE float float_of(std::int32_t bits) { return __int_as_float(bits); }

#else

LATENTSR_DEVICE std::int32_t bits_of(float value) { return std::bit_cast<std::int32_t>(value); }
LATENTSR_DEVICE float float_of(std::int32_t bits) { return std::bit_cast<float>(bits); }

// What the conversion instructions do, for processors without them. Exact.
LATENTSR_DEVICE float widen(Half sample) {
  const std::uint32_t sign = static_cast<std::uint32_t>(sample.bits >> 15) << 31;
  const std::uint32_t rest = sample.bits & 0x7fffu;
  if (rest >= 0x7c00) {  // infinite or NaN
    return std::bit_cast<float>(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
  }
  // Shifted to float32's places the number is 2^112 times too small, subnormal or not.
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(
                                         std::bit_cast<float>(rest << 13) * 0x1p112f));
}

// To the nearest, half to even; beyond 65504 to infinity.
LATENTSR_DEVICE void narrow(float value, Half& sample) {
  const auto all = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t size = all & 0x7fffffffu;
  std::uint32_t found;
  if (size > 0x7f800000u) {
    found = 0x7fffu;  // as the device has it
  } else if (size >= 0x477ff000u) {
    found = 0x7c00u;
  } else if (size < 0x38800000u) {
    // Subnormal: a sum with 1/2 leaves what is above 2^-24, rounded, in the last places.
    found = std::bit_cast<std::uint32_t>(std::bit_cast<float>(size) + 0.5f) - 0x3f000000u;
  } else {
    found = (size - 0x38000000u + 0xfffu + (size >> 13 & 1)) >> 13;
  }
  sample.bits = static_cast<std::uint16_t>((size > 0x7f800000u ? 0 : all >> 31 << 15) | found);
}

#endif

LATENTSR_DEVICE float widen(float sample) { return sample; }
LATENTSR_DEVICE void narrow(float value, float& sample) { sample = value; }

}  // namespace latentsr::cuda
