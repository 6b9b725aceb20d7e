// pixels.cu - launches the steps between planes and pictures.
#include "launch.cuh"
#include "pixel_steps.cuh"

namespace latentsr::cuda {
namespace {

template <class Sample>
__global__ void __launch_bounds__(kThreads)
    make_pixels(PictureStep<Sample> step, std::uint64_t count) {
  for_elements(count, [&](std::uint64_t i) { make_pixel(step, i); });
}

template <class Sample>
__global__ void __launch_bounds__(kThreads)
    make_planes(PlaneStep<Sample> step, std::uint64_t count) {
  for_elements(count, [&](std::uint64_t i) { make_samples(step, i); });
}

template <class T>
std::uint64_t samples_of(const PlaneBatch<T>& planes) {
  return std::uint64_t{planes.pictures} * planes.height * planes.width;
}

}  // namespace

cudaError_t picture_from_planes(const PictureCall& call, cudaStream_t stream) {
  const std::uint64_t count = samples_of(call.planes);
  const cudaError_t reset = reset_fault(call.fault, stream);
  if (reset != cudaSuccess || count == 0) {
    return reset;
  }
  return with_samples(call.kind, [&]<class Sample>(Sample) {
    const PictureStep<Sample> step{as_samples<const Sample>(call.planes), call.pictures,
                                   call.fault};
    make_pixels<<<blocks_for(count), kThreads, 0, stream>>>(step, count);
    return cudaGetLastError();
  });
}

cudaError_t planes_from_picture(const PlaneCall& call, cudaStream_t stream) {
  const std::uint64_t count = samples_of(call.planes);
  if (call.height == 0 || call.width == 0) {
    return cudaErrorInvalidValue;
  }
  if (count == 0) {
    return cudaSuccess;
  }
  return with_samples(call.kind, [&]<class Sample>(Sample) {
    const PlaneStep<Sample> step{call.pictures, call.height, call.width, call.top, call.left,
                                 as_samples<Sample>(call.planes)};
    make_planes<<<blocks_for(count), kThreads, 0, stream>>>(step, count);
    return cudaGetLastError();
  });
}

}  // namespace latentsr::cuda
