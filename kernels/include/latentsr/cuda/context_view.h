// context_view.h - an integer context model as one block of device memory. See ../context.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "latentsr/context.h"

namespace latentsr::cuda {

// Inputs and outputs of a layer are padded to a multiple that a lane loads at once.
inline constexpr std::uint32_t kContextGroup = 8;
inline constexpr std::size_t kMostLayerViews = 9;  // kMostContextLayers and layer 0

// Inputs that lie side by side: groups of kContextGroup, beginning at the position (dy, dx) away;
// `first` is the number of the first one among a layer's groups.
struct ContextStretch {
  std::int32_t dy;
  std::int32_t dx;
  std::uint32_t first;
  std::uint32_t groups;
};

struct ContextLayerView {
  const std::int16_t* weights;       // outputs x groups x kContextGroup, at a multiple of 16 bytes
  const std::int32_t* start;         // outputs: bias and half a step; of layer 1 half a step
  const std::uint8_t* shift;         // outputs
  const ContextStretch* stretches;   // stretch_count
  std::uint32_t stretch_count;
  std::uint32_t outputs;
  std::uint32_t groups;              // of inputs
  std::int32_t top;                  // of the results; 0 for the last layer
};

// Kernels get parts of it by value.
struct ContextView {
  std::array<ContextLayerView, kMostLayerViews> layers;
  std::uint32_t layer_count;
  const std::uint8_t* lift;          // features
  const float* thresholds;           // threshold_count, rising
  std::uint32_t threshold_count;
  std::uint32_t channels;            // M
  std::uint32_t features;            // C1
  std::uint32_t cell;                // M, padded
  std::uint32_t slope;               // of the fronts
  std::uint32_t above;               // how far taps reach up, left and right
  std::uint32_t left;
  std::uint32_t right;
  std::int32_t mean_bits;
  std::int32_t leak;
  std::int32_t input_top;
  std::int32_t feature_top;
};

// The tensors of a model one behind the other, each at a multiple of 256 bytes.
class PackedContext {
 public:
  // As ContextModel::build(): an empty string, or what is wrong.
  std::string build(const ContextTensors& tensors);

  // To be copied to the device as they are.
  const std::vector<std::uint8_t>& bytes() const { return bytes_; }

  // Device pointers for a copy of bytes() that starts at `base`, a multiple of 16.
  ContextView at(std::uintptr_t base) const;

  // The sizes of a view; pointers mean nothing.
  const ContextView& sizes() const { return view_; }

 private:
  template <class T>
  std::size_t append(const std::vector<T>& array);
  void take_layer(const ContextTensors& tensors, std::size_t layer);

  struct LayerPlaces {
    std::size_t weights;
    std::size_t start;
    std::size_t shift;
    std::size_t stretches;
  };
  std::vector<std::uint8_t> bytes_;
  std::vector<LayerPlaces> places_;
  std::size_t lift_ = 0;
  std::size_t thresholds_ = 0;
  ContextView view_{};
};

}  // namespace latentsr::cuda
