// launch.cuh - steps of one element each, launched for all elements of a call.
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

template <class Step>
__global__ void __launch_bounds__(kThreads) each_element(Step step, std::uint64_t count) {
  for_elements(count, step);
}

// Runs launch(count, stream) unless there is nothing to do. `fault`, which may be null, is first
// set to no position yet.
template <class F>
cudaError_t launch_some(std::uint64_t count, std::uint64_t* fault, cudaStream_t stream,
                        const F& launch) {
  const cudaError_t reset =
      fault == nullptr ? cudaSuccess : cudaMemsetAsync(fault, 0xff, sizeof *fault, stream);
  if (reset != cudaSuccess || count == 0) {
    return reset;
  }
  launch(blocks_for(count), stream);
  return cudaGetLastError();
}

// Calls f(T{}) with the type of the samples.
template <class F>
void with_samples(SampleKind kind, const F& f) {
  kind == SampleKind::float32 ? f(float{}) : f(Half{});
}

// Calls f(T{}) with the type of the indexes.
template <class F>
void with_indexes(IndexKind kind, const F& f) {
  kind == IndexKind::uint8 ? f(std::uint8_t{}) : f(std::int32_t{});
}

// Launches the step that make(T{}) gives for samples of type T, with an element a thread.
template <class F>
cudaError_t launch_each(SampleKind kind, std::uint64_t count, std::uint64_t* fault,
                        cudaStream_t stream, const F& make) {
  return launch_some(count, fault, stream, [&](unsigned blocks, cudaStream_t on) {
    with_samples(kind, [&]<class Sample>(Sample sample) {
      each_element<<<blocks, kThreads, 0, on>>>(make(sample), count);
    });
  });
}

}  // namespace latentsr::cuda
