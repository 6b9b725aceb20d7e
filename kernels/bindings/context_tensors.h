// context_tensors.h - the tensors of a context model as Python hands them over.
#pragma once

#include <nanobind/stl/vector.h>

#include <vector>

#include "arrays.h"
#include "latentsr/context.h"

using ContextWeights = nb::ndarray<const std::int16_t, nb::c_contig, nb::device::cpu>;

// Arrays of one model; lists go by layer, and layer 1 has no bias. Views, which the arrays keep.
struct ContextArguments {
  Matrix<const std::int32_t> taps;
  Vector<const std::int32_t> settings;
  const std::vector<ContextWeights>& weights;
  const std::vector<Vector<const std::int32_t>>& biases;
  const std::vector<Vector<const std::uint8_t>>& shifts;
  Vector<const std::uint8_t> lift;
  Vector<const float> thresholds;

  // Throws value_error for arrays of other dimensions.
  latentsr::ContextTensors views() const;
};
