// context.cu - launches context models, front after front.
//
// A front's launches wait for each other on the device, as their stream has them. Most of them are
// far smaller than the device: what counts is how soon one follows another.
#include "context_plan.h"
#include "launch.cuh"

namespace latentsr::cuda {
namespace {

constexpr unsigned kWarps = 8;  // of a block: outputs that share their inputs

template <ContextKind kind>
__global__ void __launch_bounds__(kWarpLanes * kWarps) make_layer(ContextLayerJob job) {
  const std::uint32_t output = blockIdx.x * kWarps + threadIdx.y;
  if (output < job.layer.outputs) {
    layer_tile<kind>(DeviceWarp(), job, output, blockIdx.y * kContextTile);
  }
}

__global__ void __launch_bounds__(kWarpLanes)
    open_stream(ContextStream stream, ContextState* state) {
  open_context(DeviceWarp(), stream, state);
}

// Its first warp decodes, and all of them put away what it decoded.
__global__ void __launch_bounds__(kThreads)
    take_front(ContextStream stream, ContextFrontJob job) {
  if (threadIdx.x < kWarpLanes) {
    decode_front(DeviceWarp(), stream, job);
  }
  __syncthreads();
  if (job.state->fault.status != Status::ok) {
    return;
  }
  for (std::uint32_t i = threadIdx.x; i < job.positions * job.channels; i += blockDim.x) {
    restore_symbol(job, i);
  }
}

__global__ void __launch_bounds__(kWarpLanes)
    close_stream(ContextStream stream, const ContextState* state, std::int32_t* symbols,
                 std::uint64_t count, Result* result) {
  close_context(DeviceWarp(), stream, state, symbols, count, result);
}

__global__ void __launch_bounds__(kThreads) quantise_front(ContextFrontJob job) {
  for_elements(job.positions * job.channels,
               [&](std::uint64_t i) { quantise_symbol(job, static_cast<std::uint32_t>(i)); });
}

__global__ void report_quantised(const ContextState* state, Result* result) {
  *result = quantised_result(state);
}

// Scratch as the first front wants it, and the features looked at.
cudaError_t begin(const ContextPlan& plan, const ContextArrays& arrays, cudaStream_t stream) {
  cudaError_t error = cudaMemsetAsync(arrays.scratch, 0, plan.zeroed(), stream);
  if (error == cudaSuccess) {
    error = cudaMemsetAsync(plan.state(), 0xff, 2 * sizeof(std::uint64_t), stream);
  }
  const std::uint64_t count = plan.feature_count();
  if (error == cudaSuccess && count != 0) {
    const FiniteStep step{arrays.features, &plan.state()->not_finite};
    each_element<<<blocks_for(count), kThreads, 0, stream>>>(step, count);
  }
  return error;
}

void launch_layer(const ContextLayerJob& job, ContextKind kind, cudaStream_t stream) {
  const dim3 blocks((job.layer.outputs + kWarps - 1) / kWarps,
                    (job.positions + kContextTile - 1) / kContextTile);
  const dim3 threads(kWarpLanes, kWarps);
  switch (kind) {
    case ContextKind::plain:
      make_layer<ContextKind::plain><<<blocks, threads, 0, stream>>>(job);
      break;
    case ContextKind::lifted:
      make_layer<ContextKind::lifted><<<blocks, threads, 0, stream>>>(job);
      break;
    case ContextKind::last:
      make_layer<ContextKind::last><<<blocks, threads, 0, stream>>>(job);
      break;
  }
}

// Calls code(job) for each front once its distributions are on their way.
template <class F>
cudaError_t for_fronts(ContextPlan& plan, std::uint32_t layers, cudaStream_t stream,
                       const F& code) {
  for (std::size_t f = 0; f < plan.fronts(); ++f) {
    const ContextFrontJob front = plan.next_front();
    if (front.positions == 0) {
      continue;
    }
    for (std::uint32_t k = 0; k < layers; ++k) {
      launch_layer(plan.layer(k), kind_of(k, layers), stream);
    }
    code(front);
    const cudaError_t error = cudaGetLastError();
    if (error != cudaSuccess) {
      return error;
    }
  }
  return cudaSuccess;
}

bool fits(const ContextView& model, std::uint32_t height, std::uint32_t width) {
  constexpr std::uint32_t kMostTiles = 65535;  // of a grid's second side
  return std::uint64_t{height} * width <= kMostContextSymbols / model.channels &&
         height / kContextTile < kMostTiles;
}

}  // namespace

cudaError_t decode_context(const ContextDecodeCall& call, cudaStream_t stream) {
  if (!fits(call.model, call.height, call.width)) {
    return cudaErrorInvalidValue;
  }
  const ContextArrays arrays{call.features, nullptr, call.scratch, call.symbols,
                             call.latent,   nullptr, nullptr};
  const ContextStream source{call.tables, call.data, call.size};
  ContextPlan plan(call.model, call.height, call.width, arrays);
  cudaError_t error = begin(plan, arrays, stream);
  if (error != cudaSuccess) {
    return error;
  }
  open_stream<<<1, kWarpLanes, 0, stream>>>(source, plan.state());
  error = for_fronts(plan, call.model.layer_count, stream, [&](const ContextFrontJob& job) {
    take_front<<<1, kThreads, 0, stream>>>(source, job);
  });
  if (error != cudaSuccess) {
    return error;
  }
  close_stream<<<1, kWarpLanes, 0, stream>>>(source, plan.state(), call.symbols,
                                             plan.symbol_count(), call.result);
  return cudaGetLastError();
}

cudaError_t encode_context(const ContextEncodeCall& call, cudaStream_t stream) {
  if (!fits(call.model, call.height, call.width)) {
    return cudaErrorInvalidValue;
  }
  const ContextArrays arrays{call.features, call.y,            call.scratch,     call.symbols,
                             call.latent,   call.scan_symbols, call.scan_indexes};
  ContextPlan plan(call.model, call.height, call.width, arrays);
  cudaError_t error = begin(plan, arrays, stream);
  if (error != cudaSuccess) {
    return error;
  }
  error = for_fronts(plan, call.model.layer_count, stream, [&](const ContextFrontJob& job) {
    quantise_front<<<blocks_for(job.positions * job.channels), kThreads, 0, stream>>>(job);
  });
  if (error != cudaSuccess) {
    return error;
  }
  report_quantised<<<1, 1, 0, stream>>>(plan.state(), call.result);
  return cudaGetLastError();
}

}  // namespace latentsr::cuda
