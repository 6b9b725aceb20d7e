// context_tensors.cpp - see context_tensors.h.
#include "context_tensors.h"

using latentsr::ContextTensors;

namespace {

template <class T>
std::span<const T> span_of(const Vector<const T>& values) {
  return {values.data(), values.shape(0)};
}

// (outputs, inputs); of layer 0 (outputs, taps, channels) as well.
ContextTensors::Weight weight_of(const ContextWeights& weight, std::size_t layer,
                                 std::size_t taps) {
  const bool by_tap = layer == 0 && weight.ndim() == 3;
  if ((weight.ndim() != 2 && !by_tap) || (by_tap && weight.shape(1) != taps)) {
    const std::string text = std::to_string(layer) + ".weight: found " +
                             std::to_string(weight.ndim()) + " dimensions, expected (outputs, " +
                             (layer == 0 ? std::to_string(taps) + " taps, channels)" : "inputs)");
    throw nb::value_error(text.c_str());
  }
  return {weight.data(), weight.shape(0), weight.shape(1) * (by_tap ? weight.shape(2) : 1)};
}

}  // namespace

ContextTensors ContextArguments::views() const {
  expect_size("taps, of each", taps.shape(1), 2);
  ContextTensors tensors;
  tensors.taps = {taps.data(), taps.shape(0) * 2};
  for (const ContextWeights& weight : weights) {
    tensors.weights.push_back(weight_of(weight, tensors.weights.size(), taps.shape(0)));
  }
  for (const auto& bias : biases) {
    tensors.biases.push_back(span_of(bias));
  }
  for (const auto& shift : shifts) {
    tensors.shifts.push_back(span_of(shift));
  }
  tensors.lift = span_of(lift);
  tensors.settings = span_of(settings);
  tensors.thresholds = span_of(thresholds);
  return tensors;
}
