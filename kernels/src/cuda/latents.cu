// latents.cu - launches the steps between latents, symbols, scales and rows.
#include "element_steps.cuh"
#include "latentsr/scale_indexes.h"
#include "launch.cuh"

namespace latentsr::cuda {
namespace {

// As each_element(), with the thresholds in shared memory.
template <class Sample>
__global__ void __launch_bounds__(kThreads)
    find_indexes(IndexStep<Sample> step, std::uint64_t count) {
  __shared__ float thresholds[kMaxThresholds + 1];
  for (std::uint32_t i = threadIdx.x; i < step.threshold_count; i += blockDim.x) {
    thresholds[i] = step.thresholds[i];
  }
  __syncthreads();
  for_elements(count, [&](std::uint64_t i) { step(i, thresholds); });
}

}  // namespace

cudaError_t symbols_from_latent(const QuantiseCall& call, cudaStream_t stream) {
  return launch_each(call.kind, call.count, call.fault, stream, [&]<class Sample>(Sample) {
    return QuantiseStep<Sample>{static_cast<const Sample*>(call.latent), call.means, call.symbols,
                                call.restored, call.fault};
  });
}

cudaError_t latent_from_symbols(const RestoreCall& call, cudaStream_t stream) {
  return launch_each(call.kind, call.count, nullptr, stream, [&]<class Sample>(Sample) {
    return RestoreStep<Sample>{call.symbols, call.means, static_cast<Sample*>(call.latent)};
  });
}

cudaError_t scale_indexes(const IndexCall& call, cudaStream_t stream) {
  if (call.threshold_count > kMaxThresholds) {
    return cudaErrorInvalidValue;
  }
  return launch_some(call.count, call.fault, stream, [&](unsigned blocks, cudaStream_t on) {
    with_samples(call.kind, [&]<class Sample>(Sample) {
      const IndexStep<Sample> step{static_cast<const Sample*>(call.scales), call.thresholds,
                                   call.threshold_count, call.out, call.fault};
      find_indexes<<<blocks, kThreads, 0, on>>>(step, call.count);
    });
  });
}

cudaError_t clear_certain(const ClearCall& call, cudaStream_t stream) {
  return launch_some(call.count, nullptr, stream, [&](unsigned blocks, cudaStream_t on) {
    with_indexes(call.kind, [&]<class Index>(Index) {
      const ClearStep<Index> step{static_cast<const Index*>(call.indexes), call.skip, call.means,
                                  call.symbols, call.restored};
      each_element<<<blocks, kThreads, 0, on>>>(step, call.count);
    });
  });
}

}  // namespace latentsr::cuda
