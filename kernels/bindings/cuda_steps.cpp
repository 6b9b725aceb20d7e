// cuda_steps.cpp - binds the steps between latents, symbols, planes and pictures on CUDA devices.
#include "cuda_arrays.h"

namespace cuda = latentsr::cuda;
using latentsr::Means;

namespace {

void scale_indexes(Address scales, unsigned sample_bytes, std::uint64_t count, Address thresholds,
                   std::uint32_t threshold_count, Address out, Address fault, Address stream) {
  expect_success(cuda::scale_indexes(
      {pointer<const void>(scales), sample_kind(sample_bytes), count,
       pointer<const float>(thresholds), threshold_count, pointer<std::uint8_t>(out),
       pointer<std::uint64_t>(fault)},
      stream_of(stream)));
}

void symbols_from_latent(Address latent, unsigned sample_bytes, Address means,
                         std::size_t mean_count, std::size_t repeat, std::uint64_t count,
                         Address symbols, Address restored, Address fault, Address stream) {
  expect_success(cuda::symbols_from_latent(
      {pointer<const void>(latent), sample_kind(sample_bytes),
       Means{pointer<const float>(means), mean_count, repeat}, count,
       pointer<std::int32_t>(symbols), pointer<float>(restored), pointer<std::uint64_t>(fault)},
      stream_of(stream)));
}

void latent_from_symbols(Address symbols, Address means, std::size_t mean_count,
                         std::size_t repeat, std::uint64_t count, Address latent,
                         unsigned sample_bytes, Address stream) {
  expect_success(cuda::latent_from_symbols(
      {pointer<const std::int32_t>(symbols),
       Means{pointer<const float>(means), mean_count, repeat}, count, pointer<void>(latent),
       sample_kind(sample_bytes)},
      stream_of(stream)));
}

void clear_certain(Address indexes, unsigned index_bytes, std::uint32_t skip, Address means,
                   std::size_t mean_count, std::size_t repeat, std::uint64_t count,
                   Address symbols, Address restored, Address stream) {
  expect_success(cuda::clear_certain(
      {pointer<const void>(indexes), index_kind(index_bytes), skip,
       Means{pointer<const float>(means), mean_count, repeat}, count,
       pointer<std::int32_t>(symbols), pointer<float>(restored)},
      stream_of(stream)));
}

void crc_of_symbols(Address symbols, Address streams, std::uint32_t stream_count, Address starts,
                    Address crcs, Address stream) {
  expect_success(cuda::crc_of_symbols(
      {pointer<const std::int32_t>(symbols), pointer<const cuda::LaneStream>(streams),
       stream_count, pointer<const std::uint32_t>(starts), pointer<std::uint32_t>(crcs)},
      stream_of(stream)));
}

void limit_samples(Address samples, unsigned sample_bytes, std::uint64_t count, Address out,
                   Address stream) {
  expect_success(cuda::limit_samples({pointer<const void>(samples), sample_kind(sample_bytes),
                                      count, pointer<void>(out)},
                                     stream_of(stream)));
}

void convert_samples(Address samples, unsigned sample_bytes, std::uint64_t count, Address out,
                     Address stream) {
  expect_success(cuda::convert_samples({pointer<const void>(samples), sample_kind(sample_bytes),
                                        count, pointer<void>(out)},
                                       stream_of(stream)));
}

using Strides = std::tuple<std::int64_t, std::int64_t, std::int64_t>;
using Sizes = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>;

template <class T>
cuda::PlaneBatch<T> plane_batch(Address first, const Strides& strides, const Sizes& sizes) {
  return {pointer<T>(first),    std::get<0>(strides), std::get<1>(strides), std::get<2>(strides),
          std::get<0>(sizes), std::get<1>(sizes),   std::get<2>(sizes)};
}

void picture_from_planes(Address planes, unsigned sample_bytes, const Strides& strides,
                         const Sizes& sizes, Address pictures, Address fault, Address stream) {
  expect_success(cuda::picture_from_planes(
      {plane_batch<const void>(planes, strides, sizes), sample_kind(sample_bytes),
       pointer<std::uint8_t>(pictures), pointer<std::uint64_t>(fault)},
      stream_of(stream)));
}

void planes_from_picture(Address pictures, std::uint32_t height, std::uint32_t width,
                         std::uint32_t top, std::uint32_t left, Address planes,
                         unsigned sample_bytes, const Strides& strides, const Sizes& sizes,
                         Address stream) {
  expect_success(cuda::planes_from_picture(
      {pointer<const std::uint8_t>(pictures), height, width, top, left,
       plane_batch<void>(planes, strides, sizes), sample_kind(sample_bytes)},
      stream_of(stream)));
}

}  // namespace

void bind_cuda_steps(nb::module_& module) {
  module.def("scale_indexes", &scale_indexes, "scales"_a, "sample_bytes"_a, "count"_a,
             "thresholds"_a, "threshold_count"_a, "out"_a, "fault"_a, "stream"_a);
  module.def("symbols_from_latent", &symbols_from_latent, "latent"_a, "sample_bytes"_a, "means"_a,
             "mean_count"_a, "repeat"_a, "count"_a, "symbols"_a, "restored"_a, "fault"_a,
             "stream"_a);
  module.def("latent_from_symbols", &latent_from_symbols, "symbols"_a, "means"_a, "mean_count"_a,
             "repeat"_a, "count"_a, "latent"_a, "sample_bytes"_a, "stream"_a);
  module.def("clear_certain", &clear_certain, "indexes"_a, "index_bytes"_a, "skip"_a, "means"_a,
             "mean_count"_a, "repeat"_a, "count"_a, "symbols"_a, "restored"_a, "stream"_a);
  module.def("crc_of_symbols", &crc_of_symbols, "symbols"_a, "streams"_a, "stream_count"_a,
             "starts"_a, "crcs"_a, "stream"_a);
  module.def("combine_crcs", &cuda::combine_crcs, "before"_a, "own"_a, "count"_a);
  module.def("limit_samples", &limit_samples, "samples"_a, "sample_bytes"_a, "count"_a, "out"_a,
             "stream"_a);
  module.def("convert_samples", &convert_samples, "samples"_a, "sample_bytes"_a, "count"_a,
             "out"_a, "stream"_a);
  module.def("picture_from_planes", &picture_from_planes, "planes"_a, "sample_bytes"_a,
             "strides"_a, "sizes"_a, "pictures"_a, "fault"_a, "stream"_a);
  module.def("planes_from_picture", &planes_from_picture, "pictures"_a, "height"_a, "width"_a,
             "top"_a, "left"_a, "planes"_a, "sample_bytes"_a, "strides"_a, "sizes"_a, "stream"_a);
}
