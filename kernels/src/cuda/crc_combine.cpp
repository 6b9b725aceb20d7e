// crc_combine.cpp - the CRC-32 of symbols that follow others, from that of each. See calls.h.
#include "crc.cuh"
#include "latentsr/cuda/calls.h"

namespace latentsr::cuda {

// What the start leaves of itself behind `count` symbols is added to their sum, in which nothing
// else depends on it.
std::uint32_t combine_crcs(std::uint32_t before, std::uint32_t own, std::uint64_t count) {
  return own ^ crc_multiply(before, crc_power(count));
}

}  // namespace latentsr::cuda
