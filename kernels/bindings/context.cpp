// context.cpp - binds integer context models.
#include "context_tensors.h"

using latentsr::ContextLatent;
using latentsr::ContextModel;
using latentsr::ContextRun;
using latentsr::Isa;
using latentsr::LaneTables;

namespace {

template <class T>
using Cube = nb::ndarray<T, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

void init_model(ContextModel* self, Matrix<const std::int32_t> taps,
                Vector<const std::int32_t> settings, const std::vector<ContextWeights>& weights,
                const std::vector<Vector<const std::int32_t>>& biases,
                const std::vector<Vector<const std::uint8_t>>& shifts,
                Vector<const std::uint8_t> lift, Vector<const float> thresholds) {
  const ContextArguments given{taps, settings, weights, biases, shifts, lift, thresholds};
  ContextModel built;
  const std::string fault = built.build(given.views());
  if (!fault.empty()) {
    throw nb::value_error(fault.c_str());
  }
  new (self) ContextModel(std::move(built));
}

template <class T>
void expect_shape(const char* name, const Cube<T>& found, std::size_t channels,
                  std::size_t height, std::size_t width) {
  if (found.shape(0) != channels || found.shape(1) != height || found.shape(2) != width) {
    const auto words = [](std::size_t c, std::size_t h, std::size_t w) {
      return "(" + std::to_string(c) + ", " + std::to_string(h) + ", " + std::to_string(w) + ")";
    };
    const std::string text =
        std::string(name) + ": found shape " +
        words(found.shape(0), found.shape(1), found.shape(2)) + ", expected " +
        words(channels, height, width);
    throw nb::value_error(text.c_str());
  }
}

ContextLatent checked_latent(const ContextModel& model, const Cube<const float>& features,
                             const Cube<std::int32_t>& symbols, const Cube<float>& latent) {
  const std::size_t height = features.shape(1);
  const std::size_t width = features.shape(2);
  expect_shape("features", features, model.features(), height, width);
  expect_shape("symbols", symbols, model.channels(), height, width);
  expect_shape("latent", latent, model.channels(), height, width);
  if (!model.fits(height, width)) {
    throw nb::value_error("features: found more positions than memory has room for");
  }
  return {height, width, features.data(), symbols.data(), latent.data()};
}

ContextRun checked_run(Isa isa, unsigned threads) {
  if (threads == 0) {
    throw nb::value_error("threads: expected 1 or more");
  }
  if (!latentsr::isa_supported(isa)) {
    throw nb::value_error("isa: this processor or build does not have it");
  }
  return {isa, threads};
}

Outcome decode(const ContextModel& model, Cube<const float> features,
               Vector<const std::uint8_t> data, const LaneTables& tables,
               Cube<std::int32_t> symbols, Cube<float> latent, Isa isa, unsigned threads) {
  const ContextLatent where = checked_latent(model, features, symbols, latent);
  const ContextRun run = checked_run(isa, threads);
  nb::gil_scoped_release release;
  return outcome(model.decode(where, data.data(), data.shape(0), tables, run));
}

Outcome encode(const ContextModel& model, Cube<const float> features, Cube<const float> y,
               Cube<std::int32_t> symbols, Cube<float> latent, Vector<std::int32_t> scan_symbols,
               Vector<std::uint8_t> scan_indexes, Isa isa, unsigned threads) {
  const ContextLatent where = checked_latent(model, features, symbols, latent);
  expect_shape("y", y, model.channels(), where.height, where.width);
  expect_size("scan_symbols", scan_symbols.shape(0), symbols.size());
  expect_size("scan_indexes", scan_indexes.shape(0), symbols.size());
  const ContextRun run = checked_run(isa, threads);
  nb::gil_scoped_release release;
  return outcome(model.encode(where, y.data(), scan_symbols.data(), scan_indexes.data(), run));
}

}  // namespace

void bind_context(nb::module_& module) {
  nb::class_<ContextModel>(module, "ContextModel")
      .def("__init__", &init_model, "taps"_a.noconvert(), "settings"_a.noconvert(),
           "weights"_a.noconvert(), "biases"_a.noconvert(), "shifts"_a.noconvert(),
           "lift"_a.noconvert(), "thresholds"_a.noconvert())
      .def_prop_ro("channels", &ContextModel::channels)
      .def_prop_ro("features", &ContextModel::features)
      .def("decode", &decode, "features"_a.noconvert(), "data"_a.noconvert(), "tables"_a,
           "symbols"_a.noconvert(), "latent"_a.noconvert(), "isa"_a, "threads"_a = 1)
      .def("encode", &encode, "features"_a.noconvert(), "y"_a.noconvert(),
           "symbols"_a.noconvert(), "latent"_a.noconvert(), "scan_symbols"_a.noconvert(),
           "scan_indexes"_a.noconvert(), "isa"_a, "threads"_a = 1);
}
