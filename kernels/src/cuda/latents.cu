// latents.cu - launches the steps between latents, symbols, scales and rows.
#include "element_steps.cuh"
#include "latentsr/scale_indexes.h"
#include "launch.cuh"

namespace latentsr::cuda {
namespace {

template <class Sample>
__global__ void __launch_bounds__(kThreads)
    quantise_all(QuantiseStep<Sample> step, std::uint64_t count) {
  for_elements(count, [&](std::uint64_t i) { quantise(step, i); });
}

template <class Sample>
__global__ void __launch_bounds__(kThreads)
    restore_all(RestoreStep<Sample> step, std::uint64_t count) {
  for_elements(count, [&](std::uint64_t i) { restore(step, i); });
}

template <class Sample>
__global__ void __launch_bounds__(kThreads)
    find_indexes(IndexStep<Sample> step, std::uint64_t count) {
  __shared__ float thresholds[kMaxThresholds + 1];
  for (std::uint32_t i = threadIdx.x; i < step.threshold_count; i += blockDim.x) {
    thresholds[i] = step.thresholds[i];
  }
  __syncthreads();
  for_elements(count, [&](std::uint64_t i) { find_index(step, thresholds, i); });
}

}  // namespace

cudaError_t symbols_from_latent(const QuantiseCall& call, cudaStream_t stream) {
  const cudaError_t reset = reset_fault(call.fault, stream);
  if (reset != cudaSuccess || call.count == 0) {
    return reset;
  }
  return with_samples(call.kind, [&]<class Sample>(Sample) {
    const QuantiseStep<Sample> step{static_cast<const Sample*>(call.latent), call.means,
                                    call.symbols, call.restored, call.fault};
    quantise_all<<<blocks_for(call.count), kThreads, 0, stream>>>(step, call.count);
    return cudaGetLastError();
  });
}

cudaError_t latent_from_symbols(const RestoreCall& call, cudaStream_t stream) {
  if (call.count == 0) {
    return cudaSuccess;
  }
  return with_samples(call.kind, [&]<class Sample>(Sample) {
    const RestoreStep<Sample> step{call.symbols, call.means, static_cast<Sample*>(call.latent)};
    restore_all<<<blocks_for(call.count), kThreads, 0, stream>>>(step, call.count);
    return cudaGetLastError();
  });
}

cudaError_t scale_indexes(const IndexCall& call, cudaStream_t stream) {
  if (call.threshold_count > kMaxThresholds) {
    return cudaErrorInvalidValue;
  }
  const cudaError_t reset = reset_fault(call.fault, stream);
  if (reset != cudaSuccess || call.count == 0) {
    return reset;
  }
  return with_samples(call.kind, [&]<class Sample>(Sample) {
    const IndexStep<Sample> step{static_cast<const Sample*>(call.scales), call.thresholds,
                                 call.threshold_count, call.out, call.fault};
    find_indexes<<<blocks_for(call.count), kThreads, 0, stream>>>(step, call.count);
    return cudaGetLastError();
  });
}

}  // namespace latentsr::cuda
