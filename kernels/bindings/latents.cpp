// latents.cpp - binds the steps between engines' arrays and the coders' symbols.
#include "arrays.h"

#include "latentsr/scale_indexes.h"

namespace {

Outcome scale_indexes(Vector<const float> scales, Vector<const float> thresholds,
                      Vector<std::uint8_t> out) {
  expect_size("out", out.shape(0), scales.shape(0));
  if (thresholds.shape(0) > latentsr::kMaxThresholds) {
    expect_size("thresholds", thresholds.shape(0), latentsr::kMaxThresholds);
  }
  nb::gil_scoped_release release;
  return outcome(latentsr::scale_indexes(scales.data(), scales.shape(0), thresholds.data(),
                                         thresholds.shape(0), out.data()));
}

}  // namespace

void bind_latents(nb::module_& module) {
  module.def("scale_indexes", &scale_indexes, "scales"_a.noconvert(), "thresholds"_a.noconvert(),
             "out"_a.noconvert());
}
