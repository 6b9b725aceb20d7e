// emulated_context.h - the CUDA kernels of context models, run launch by launch on a processor.
#pragma once

#include <cstring>

#include "../src/cuda/context_plan.h"
#include "host_warp.h"

namespace drivers {

namespace cuda = latentsr::cuda;

inline void begin_context(const cuda::ContextPlan& plan, const cuda::ContextArrays& arrays) {
  std::memset(arrays.scratch, 0, plan.zeroed());
  plan.state()->not_finite = plan.state()->out_of_range = cuda::kNoPosition;
  const cuda::FiniteStep step{arrays.features, &plan.state()->not_finite};
  for (std::uint64_t i = 0; i < plan.feature_count(); ++i) {
    step(i);
  }
}

template <cuda::ContextKind kind>
void make_layer(const cuda::ContextLayerJob& job) {
  for (std::uint32_t output = 0; output < job.layer.outputs; ++output) {
    for (std::uint32_t first = 0; first < job.positions; first += cuda::kContextTile) {
      cuda::layer_tile<kind>(HostWarp(), job, output, first);
    }
  }
}

template <class F>
void for_fronts(cuda::ContextPlan& plan, std::uint32_t layers, const F& code) {
  for (std::size_t f = 0; f < plan.fronts(); ++f) {
    const cuda::ContextFrontJob front = plan.next_front();
    if (front.positions == 0) {
      continue;
    }
    for (std::uint32_t k = 0; k < layers; ++k) {
      const cuda::ContextLayerJob job = plan.layer(k);
      switch (cuda::kind_of(k, layers)) {
        case cuda::ContextKind::plain:
          make_layer<cuda::ContextKind::plain>(job);
          break;
        case cuda::ContextKind::lifted:
          make_layer<cuda::ContextKind::lifted>(job);
          break;
        case cuda::ContextKind::last:
          make_layer<cuda::ContextKind::last>(job);
          break;
      }
    }
    code(front);
  }
}

inline void run_context(const cuda::ContextDecodeCall& call) {
  const cuda::ContextArrays arrays{call.features, nullptr, call.scratch, call.symbols,
                                   call.latent,   nullptr, nullptr};
  const cuda::ContextStream source{call.tables, call.data, call.size};
  cuda::ContextPlan plan(call.model, call.height, call.width, arrays);
  begin_context(plan, arrays);
  cuda::open_context(HostWarp(), source, plan.state());
  for_fronts(plan, call.model.layer_count, [&](const cuda::ContextFrontJob& job) {
    cuda::decode_front(HostWarp(), source, job);
    for (std::uint32_t i = 0; job.state->fault.status == latentsr::Status::ok &&
                              i < job.positions * job.channels; ++i) {
      cuda::restore_symbol(job, i);
    }
  });
  cuda::close_context(HostWarp(), source, plan.state(), call.symbols, plan.symbol_count(),
                      call.result);
}

inline void run_context(const cuda::ContextEncodeCall& call) {
  const cuda::ContextArrays arrays{call.features, call.y,            call.scratch,
                                   call.symbols,  call.latent,       call.scan_symbols,
                                   call.scan_indexes};
  cuda::ContextPlan plan(call.model, call.height, call.width, arrays);
  begin_context(plan, arrays);
  for_fronts(plan, call.model.layer_count, [&](const cuda::ContextFrontJob& job) {
    for (std::uint32_t i = 0; i < job.positions * job.channels; ++i) {
      cuda::quantise_symbol(job, i);
    }
  });
  *call.result = cuda::quantised_result(plan.state());
}

}  // namespace drivers
