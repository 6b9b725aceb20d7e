// pixels.cu - launches the steps between planes and pictures, and those of samples alone.
#include "launch.cuh"
#include "pixel_steps.cuh"

namespace latentsr::cuda {

cudaError_t limit_samples(const LimitCall& call, cudaStream_t stream) {
  return launch_each(call.kind, call.count, nullptr, stream, [&]<class Sample>(Sample) {
    return LimitStep<Sample>{static_cast<const Sample*>(call.samples),
                             static_cast<Sample*>(call.out)};
  });
}

cudaError_t convert_samples(const ConvertCall& call, cudaStream_t stream) {
  return launch_each(call.kind, call.count, nullptr, stream, [&]<class Sample>(Sample) {
    using Step = ConvertStep<Sample>;
    return Step{static_cast<const Sample*>(call.samples),
                static_cast<typename Step::Other*>(call.out)};
  });
}

cudaError_t picture_from_planes(const PictureCall& call, cudaStream_t stream) {
  const std::uint64_t count = samples_of(call.planes);
  return launch_each(call.kind, count, call.fault, stream, [&]<class Sample>(Sample) {
    return PictureStep<Sample>{as_samples<const Sample>(call.planes), call.pictures, call.fault};
  });
}

cudaError_t planes_from_picture(const PlaneCall& call, cudaStream_t stream) {
  if (call.height == 0 || call.width == 0) {
    return cudaErrorInvalidValue;
  }
  const std::uint64_t count = samples_of(call.planes);
  return launch_each(call.kind, count, nullptr, stream, [&]<class Sample>(Sample) {
    return PlaneStep<Sample>{call.pictures, call.height, call.width, call.top, call.left,
                             as_samples<Sample>(call.planes)};
  });
}

}  // namespace latentsr::cuda
