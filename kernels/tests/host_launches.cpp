// host_launches.cpp - the launches of latentsr/cuda/launches.h for a machine without a device: the
// kernels' source runs on the processor, and device memory is memory.
//
// With it the Python module of the CUDA kernels can be built and what is around the kernels be
// tested. It is for tests alone: it is slow, and nothing runs at the same time.
#include "../src/cuda/crc.cuh"
#include "../src/cuda/pixel_steps.cuh"
#include "emulated_coder.h"
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

template <class F>
cudaError_t with_samples(SampleKind kind, const F& f) {
  kind == SampleKind::float32 ? f(float{}) : f(Half{});
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
  *call.fault = kNoFault;
  return with_samples(call.kind, [&]<class Sample>(Sample) {
    const QuantiseStep<Sample> step{static_cast<const Sample*>(call.latent), call.means,
                                    call.symbols, call.restored, call.fault};
    for (std::uint64_t i = 0; i < call.count; ++i) {
      quantise(step, i);
    }
  });
}

cudaError_t latent_from_symbols(const RestoreCall& call, cudaStream_t) {
  return with_samples(call.kind, [&]<class Sample>(Sample) {
    const RestoreStep<Sample> step{call.symbols, call.means, static_cast<Sample*>(call.latent)};
    for (std::uint64_t i = 0; i < call.count; ++i) {
      restore(step, i);
    }
  });
}

cudaError_t scale_indexes(const IndexCall& call, cudaStream_t) {
  *call.fault = kNoFault;
  return with_samples(call.kind, [&]<class Sample>(Sample) {
    const IndexStep<Sample> step{static_cast<const Sample*>(call.scales), call.thresholds,
                                 call.threshold_count, call.out, call.fault};
    for (std::uint64_t i = 0; i < call.count; ++i) {
      find_index(step, call.thresholds, i);
    }
  });
}

cudaError_t picture_from_planes(const PictureCall& call, cudaStream_t) {
  *call.fault = kNoFault;
  return with_samples(call.kind, [&]<class Sample>(Sample) {
    const PictureStep<Sample> step{as_samples<const Sample>(call.planes), call.pictures,
                                   call.fault};
    const auto& planes = step.planes;
    for (std::uint64_t i = 0; i < std::uint64_t{planes.pictures} * planes.height * planes.width;
         ++i) {
      make_pixel(step, i);
    }
  });
}

cudaError_t planes_from_picture(const PlaneCall& call, cudaStream_t) {
  return with_samples(call.kind, [&]<class Sample>(Sample) {
    const PlaneStep<Sample> step{call.pictures, call.height, call.width, call.top, call.left,
                                 as_samples<Sample>(call.planes)};
    const auto& planes = step.planes;
    for (std::uint64_t i = 0; i < std::uint64_t{planes.pictures} * planes.height * planes.width;
         ++i) {
      make_samples(step, i);
    }
  });
}

}  // namespace latentsr::cuda
