// cuda_context.cpp - binds integer context models on CUDA devices.
#include "context_tensors.h"
#include "cuda_arrays.h"

namespace cuda = latentsr::cuda;
using cuda::PackedContext;

namespace {

void init_context(PackedContext* self, Matrix<const std::int32_t> taps,
                  Vector<const std::int32_t> settings, const std::vector<ContextWeights>& weights,
                  const std::vector<Vector<const std::int32_t>>& biases,
                  const std::vector<Vector<const std::uint8_t>>& shifts,
                  Vector<const std::uint8_t> lift, Vector<const float> thresholds) {
  const ContextArguments given{taps, settings, weights, biases, shifts, lift, thresholds};
  PackedContext built;
  const std::string fault = built.build(given.views());
  if (!fault.empty()) {
    throw nb::value_error(fault.c_str());
  }
  new (self) PackedContext(std::move(built));
}

nb::bytes packed(const PackedContext& model) {
  return nb::bytes(model.bytes().data(), model.bytes().size());
}

std::size_t scratch_size(const PackedContext& model, std::uint32_t height, std::uint32_t width) {
  return cuda::context_scratch(model.sizes(), height, width);
}

void decode(const PackedContext& model, Address base, const cuda::PackedTables& tables,
            Address table_base, std::uint32_t height, std::uint32_t width, Address data,
            std::uint32_t size, Address features, Address scratch, Address symbols,
            Address latent, Address result, Address stream) {
  const cuda::ContextDecodeCall call{model.at(base),
                                     tables.at(table_base),
                                     height,
                                     width,
                                     pointer<const std::uint8_t>(data),
                                     size,
                                     pointer<const float>(features),
                                     pointer<void>(scratch),
                                     pointer<std::int32_t>(symbols),
                                     pointer<float>(latent),
                                     pointer<latentsr::Result>(result)};
  nb::gil_scoped_release release;  // thousands of launches
  expect_success(cuda::decode_context(call, stream_of(stream)));
}

void encode(const PackedContext& model, Address base, std::uint32_t height, std::uint32_t width,
            Address features, Address y, Address scratch, Address symbols, Address latent,
            Address scan_symbols, Address scan_indexes, Address result, Address stream) {
  const cuda::ContextEncodeCall call{model.at(base),
                                     height,
                                     width,
                                     pointer<const float>(features),
                                     pointer<const float>(y),
                                     pointer<void>(scratch),
                                     pointer<std::int32_t>(symbols),
                                     pointer<float>(latent),
                                     pointer<std::int32_t>(scan_symbols),
                                     pointer<std::uint8_t>(scan_indexes),
                                     pointer<latentsr::Result>(result)};
  nb::gil_scoped_release release;
  expect_success(cuda::encode_context(call, stream_of(stream)));
}

}  // namespace

void bind_cuda_context(nb::module_& module) {
  nb::class_<PackedContext> model(module, "PackedContext");
  model.def("__init__", &init_context, "taps"_a.noconvert(), "settings"_a.noconvert(),
            "weights"_a.noconvert(), "biases"_a.noconvert(), "shifts"_a.noconvert(),
            "lift"_a.noconvert(), "thresholds"_a.noconvert());
  model.def_prop_ro("bytes", &packed);
  model.def("scratch", &scratch_size, "height"_a, "width"_a);
  model.def("decode", &decode, "base"_a, "tables"_a, "table_base"_a, "height"_a, "width"_a,
            "data"_a, "size"_a, "features"_a, "scratch"_a, "symbols"_a, "latent"_a, "result"_a,
            "stream"_a);
  model.def("encode", &encode, "base"_a, "height"_a, "width"_a, "features"_a, "y"_a, "scratch"_a,
            "symbols"_a, "latent"_a, "scan_symbols"_a, "scan_indexes"_a, "result"_a, "stream"_a);
}
