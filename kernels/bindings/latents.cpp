// latents.cpp - binds the steps between engines' arrays and the coders' symbols.
#include "arrays.h"

#include <nanobind/stl/optional.h>

#include <optional>

#include "latentsr/crc32.h"
#include "latentsr/latent_steps.h"
#include "latentsr/scale_indexes.h"

using latentsr::Isa;
using latentsr::Means;

namespace {

using OptionalMeans = std::optional<Vector<const float>>;

void expect_isa(Isa isa) {
  if (!latentsr::isa_supported(isa)) {
    throw nb::value_error("isa: this processor or build does not have it");
  }
}

Means checked_means(const OptionalMeans& means, std::size_t repeat, std::size_t count) {
  if (!means) {
    return {};
  }
  const std::size_t values = means->shape(0);
  // Division first: the product of the two could overflow.
  if (repeat == 0 || values == 0 ? count != 0
                                 : count % repeat != 0 || count / repeat % values != 0) {
    throw nb::value_error("means: expected a number of values, times repeat, that divides the "
                          "number of latents");
  }
  return {means->data(), values, repeat};
}

Outcome scale_indexes(Vector<const float> scales, Vector<const float> thresholds,
                      Vector<std::uint8_t> out, Isa isa) {
  expect_size("out", out.shape(0), scales.shape(0));
  if (thresholds.shape(0) > latentsr::kMaxThresholds) {
    expect_size("thresholds", thresholds.shape(0), latentsr::kMaxThresholds);
  }
  expect_isa(isa);
  nb::gil_scoped_release release;
  return outcome(latentsr::scale_indexes(scales.data(), scales.shape(0), thresholds.data(),
                                         thresholds.shape(0), out.data(), isa));
}

Outcome symbols_from_latent(Vector<const float> latent, OptionalMeans means, std::size_t repeat,
                            Vector<std::int32_t> symbols, std::optional<Vector<float>> restored,
                            Isa isa) {
  const std::size_t count = latent.shape(0);
  expect_size("symbols", symbols.shape(0), count);
  if (restored) {
    expect_size("restored", restored->shape(0), count);
  }
  expect_isa(isa);
  const Means checked = checked_means(means, repeat, count);
  float* back = restored ? restored->data() : nullptr;
  nb::gil_scoped_release release;
  return outcome(latentsr::symbols_from_latent(latent.data(), checked, count, symbols.data(), back,
                                               isa));
}

void latent_from_symbols(Vector<const std::int32_t> symbols, OptionalMeans means,
                         std::size_t repeat, Vector<float> out, Isa isa) {
  const std::size_t count = symbols.shape(0);
  expect_size("out", out.shape(0), count);
  expect_isa(isa);
  const Means checked = checked_means(means, repeat, count);
  nb::gil_scoped_release release;
  latentsr::latent_from_symbols(symbols.data(), checked, count, out.data(), isa);
}

std::uint32_t crc32(Vector<const std::uint8_t> data, std::uint32_t start, Isa isa) {
  expect_isa(isa);
  nb::gil_scoped_release release;
  return latentsr::crc32(data.data(), data.shape(0), start, isa);
}

}  // namespace

void bind_latents(nb::module_& module) {
  module.def("scale_indexes", &scale_indexes, "scales"_a.noconvert(), "thresholds"_a.noconvert(),
             "out"_a.noconvert(), "isa"_a);
  module.def("symbols_from_latent", &symbols_from_latent, "latent"_a.noconvert(),
             "means"_a.noconvert().none(), "repeat"_a, "symbols"_a.noconvert(),
             "restored"_a.noconvert().none(), "isa"_a);
  module.def("latent_from_symbols", &latent_from_symbols, "symbols"_a.noconvert(),
             "means"_a.noconvert().none(), "repeat"_a, "out"_a.noconvert(), "isa"_a);
  module.def("crc32", &crc32, "data"_a.noconvert(), "start"_a, "isa"_a);
}
