// emulated_crc.h - the CUDA kernels' CRC-32 of symbols, run thread by thread on a processor.
#pragma once

#include <cstdint>
#include <vector>

#include "../src/cuda/crc.cuh"

namespace drivers {

inline std::uint32_t emulated_crc(const std::int32_t* symbols, std::uint32_t count,
                                  std::uint32_t start) {
  namespace cuda = latentsr::cuda;
  static const std::vector<std::uint32_t> table = [] {
    std::vector<std::uint32_t> made;
    for (std::uint32_t i = 0; i < cuda::kCrcTable; ++i) {
      made.push_back(cuda::crc_table_entry(cuda::crc_power(cuda::kCrcThreads), i));
    }
    return made;
  }();
  std::uint32_t crc = cuda::crc_begin(start, count);
  for (std::uint32_t thread = 0; thread < cuda::kCrcThreads; ++thread) {
    crc ^= cuda::crc_sum(symbols, count, thread, table.data());
  }
  return crc;
}

}  // namespace drivers
