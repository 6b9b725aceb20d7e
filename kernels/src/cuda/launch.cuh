// launch.cuh - how many blocks a call takes, and its kind of numbers turned into a type.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "half.cuh"
#include "latentsr/cuda/launches.h"

namespace latentsr::cuda {

inline constexpr unsigned kThreads = 256;

// Enough to fill the largest device several times; threads take further elements in steps.
inline constexpr std::uint64_t kMostBlocks = 1u << 15;

inline unsigned blocks_for(std::uint64_t elements) {
  const std::uint64_t blocks = (elements + kThreads - 1) / kThreads;
  return static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks);
}

// Calls body(i) for every element below `count` that is this thread's.
template <class F>
__device__ __forceinline__ void for_elements(std::uint64_t count, const F& body) {
  const std::uint64_t step = static_cast<std::uint64_t>(gridDim.x) * blockDim.x;
  for (std::uint64_t i = static_cast<std::uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < count; i += step) {
    body(i);
  }
}

// No position yet.
inline cudaError_t reset_fault(std::uint64_t* fault, cudaStream_t stream) {
  return cudaMemsetAsync(fault, 0xff, sizeof *fault, stream);
}

// Calls f(T{}) with the type of the samples.
template <class F>
cudaError_t with_samples(SampleKind kind, const F& f) {
  return kind == SampleKind::float32 ? f(float{}) : f(Half{});
}

}  // namespace latentsr::cuda
