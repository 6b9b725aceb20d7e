// host_launches.cpp - the launches of latentsr/cuda/launches.h for a machine without a device: the
// kernels' source runs on the processor, and device memory is memory.
//
// With it the Python module of the CUDA kernels can be built and what is around the kernels be
// tested. It is for tests alone: it is slow, and nothing runs at the same time.
#include "../src/cuda/crc.cuh"
#include "../src/cuda/pixel_steps.cuh"
#include "emulated_coder.h"
#include "emulated_context.h"
#include "emulated_crc.h"
#include "latentsr/cuda/launches.h"

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaFree(void*) { return cudaSuccess; }
const char* cudaGetErrorName(cudaError_t) { return "cudaErrorInvalidValue"; }
const char* cudaGetErrorString(cudaError_t) { return "invalid argument"; }
}

namespace latentsr::cuda {
namespace {

constexpr std::uint64_t kNoFault = ~std::uint64_t{0};

template <class Index, class Call>
void run(const Call& call) {
  drivers::run_blocks(batch_of<Index>(call));
}

// Runs the step that make(T{}) gives for samples of type T.
template <class F>
cudaError_t run_each(SampleKind kind, std::uint64_t count, std::uint64_t* fault, const F& make) {
  if (fault != nullptr) {
    *fault = kNoFault;
  }
  const auto run_all = [&](const auto& step) {
    for (std::uint64_t i = 0; i < count; ++i) {
      step(i);
    }
  };
  kind == SampleKind::float32 ? run_all(make(float{})) : run_all(make(Half{}));
  return cudaSuccess;
}

}  // namespace

cudaError_t decode_lanes(const DecodeCall& call, cudaStream_t) {
  call.kind == IndexKind::uint8 ? run<std::uint8_t>(call) : run<std::int32_t>(call);
  return cudaSuccess;
}

cudaError_t encode_lanes(const EncodeCall& call, cudaStream_t) {
  call.kind == IndexKind::uint8 ? run<std::uint8_t>(call) : run<std::int32_t>(call);
  return cudaSuccess;
}

cudaError_t crc_of_symbols(const CrcCall& call, cudaStream_t) {
  for (std::uint32_t i = 0; i < call.stream_count; ++i) {
    const LaneStream& stream = call.streams[i];
    const std::uint32_t start = call.starts != nullptr ? call.starts[i] : 0;
    call.crcs[i] = drivers::emulated_crc(call.symbols + stream.first, stream.count, start);
  }
  return cudaSuccess;
}

cudaError_t symbols_from_latent(const QuantiseCall& call, cudaStream_t) {
  return run_each(call.kind, call.count, call.fault, [&]<class Sample>(Sample) {
    return QuantiseStep<Sample>{static_cast<const Sample*>(call.latent), call.means, call.symbols,
                                call.restored, call.fault};
  });
}

cudaError_t latent_from_symbols(const RestoreCall& call, cudaStream_t) {
  return run_each(call.kind, call.count, nullptr, [&]<class Sample>(Sample) {
    return RestoreStep<Sample>{call.symbols, call.means, static_cast<Sample*>(call.latent)};
  });
}

cudaError_t scale_indexes(const IndexCall& call, cudaStream_t) {
  return run_each(call.kind, call.count, call.fault, [&]<class Sample>(Sample) {
    return IndexStep<Sample>{static_cast<const Sample*>(call.scales), call.thresholds,
                             call.threshold_count, call.out, call.fault};
  });
}

cudaError_t clear_certain(const ClearCall& call, cudaStream_t) {
  const auto run_all = [&]<class Index>(Index) {
    const ClearStep<Index> step{static_cast<const Index*>(call.indexes), call.skip, call.means,
                                call.symbols, call.restored};
    for (std::uint64_t i = 0; i < call.count; ++i) {
      step(i);
    }
  };
  call.kind == IndexKind::uint8 ? run_all(std::uint8_t{}) : run_all(std::int32_t{});
  return cudaSuccess;
}

cudaError_t limit_samples(const LimitCall& call, cudaStream_t) {
  return run_each(call.kind, call.count, nullptr, [&]<class Sample>(Sample) {
    return LimitStep<Sample>{static_cast<const Sample*>(call.samples),
                             static_cast<Sample*>(call.out)};
  });
}

cudaError_t convert_samples(const ConvertCall& call, cudaStream_t) {
  return run_each(call.kind, call.count, nullptr, [&]<class Sample>(Sample) {
    using Step = ConvertStep<Sample>;
    return Step{static_cast<const Sample*>(call.samples),
                static_cast<typename Step::Other*>(call.out)};
  });
}

cudaError_t picture_from_planes(const PictureCall& call, cudaStream_t) {
  return run_each(call.kind, samples_of(call.planes), call.fault, [&]<class Sample>(Sample) {
    return PictureStep<Sample>{as_samples<const Sample>(call.planes), call.pictures, call.fault};
  });
}

cudaError_t planes_from_picture(const PlaneCall& call, cudaStream_t) {
  return run_each(call.kind, samples_of(call.planes), nullptr, [&]<class Sample>(Sample) {
    return PlaneStep<Sample>{call.pictures, call.height, call.width, call.top, call.left,
                             as_samples<Sample>(call.planes)};
  });
}

cudaError_t decode_context(const ContextDecodeCall& call, cudaStream_t) {
  drivers::run_context(call);
  return cudaSuccess;
}

cudaError_t encode_context(const ContextEncodeCall& call, cudaStream_t) {
  drivers::run_context(call);
  return cudaSuccess;
}

}  // namespace latentsr::cuda
