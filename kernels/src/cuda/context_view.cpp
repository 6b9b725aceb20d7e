// context_view.cpp - lays a context model's tensors out as the kernels read them.
#include "latentsr/cuda/context_view.h"

#include <algorithm>
#include <cstring>

#include "../context_check.h"
#include "../context_reach.h"

namespace latentsr::cuda {
namespace {

// What device allocators align to, so that each array starts on a cache line of its own.
constexpr std::size_t kAlignment = 256;

static_assert(kMostLayerViews == kMostContextLayers + 1);

std::uint32_t padded(std::size_t count) {
  return static_cast<std::uint32_t>((count + kContextGroup - 1) / kContextGroup * kContextGroup);
}

// Taps next to each other in a row are one stretch: their channels follow each other.
std::vector<ContextStretch> stretches_of(const std::vector<ContextTap>& taps,
                                         std::uint32_t groups) {
  std::vector<ContextStretch> found;
  for (std::size_t t = 0; t < taps.size(); ++t) {
    const bool follows = t > 0 && taps[t].dy == taps[t - 1].dy && taps[t].dx == taps[t - 1].dx + 1;
    if (!follows) {
      found.push_back({taps[t].dy, taps[t].dx, static_cast<std::uint32_t>(t) * groups, 0});
    }
    found.back().groups += groups;
  }
  return found;
}

}  // namespace

template <class T>
std::size_t PackedContext::append(const std::vector<T>& array) {
  const std::size_t offset = (bytes_.size() + kAlignment - 1) / kAlignment * kAlignment;
  bytes_.resize(offset + array.size() * sizeof(T));
  if (!array.empty()) {
    std::memcpy(bytes_.data() + offset, array.data(), array.size() * sizeof(T));
  }
  return offset;
}

std::string PackedContext::build(const ContextTensors& tensors) {
  const std::string fault = check_context(tensors);
  if (!fault.empty()) {
    return fault;
  }
  const ContextReach reach = reach_of(raster_taps(tensors.taps));
  view_ = {};
  view_.layer_count = static_cast<std::uint32_t>(tensors.weights.size());
  view_.threshold_count = static_cast<std::uint32_t>(tensors.thresholds.size() - 1);
  view_.channels = static_cast<std::uint32_t>(tensors.weights.back().outputs / 2);
  view_.features = static_cast<std::uint32_t>(tensors.weights[1].outputs);
  view_.cell = padded(view_.channels);
  view_.slope = static_cast<std::uint32_t>(reach.slope);
  view_.above = static_cast<std::uint32_t>(reach.above);
  view_.left = static_cast<std::uint32_t>(reach.left);
  view_.right = static_cast<std::uint32_t>(reach.right);
  view_.mean_bits = tensors.settings[kMeanBits];
  view_.leak = tensors.settings[kLeak];
  view_.input_top = tensors.settings[kInputTop];
  view_.feature_top = tensors.settings[kFeatureTop];
  bytes_.clear();
  places_.clear();
  for (std::size_t k = 0; k < tensors.weights.size(); ++k) {
    take_layer(tensors, k);
  }
  lift_ = append(std::vector(tensors.lift.begin(), tensors.lift.end()));
  thresholds_ = append(std::vector(tensors.thresholds.begin(), tensors.thresholds.end() - 1));
  return "";
}

void PackedContext::take_layer(const ContextTensors& tensors, std::size_t layer) {
  const ContextTensors::Weight& weight = tensors.weights[layer];
  const std::vector<ContextTap> taps = layer == 0 ? raster_taps(tensors.taps)
                                                  : std::vector<ContextTap>{{0, 0, 0}};
  const std::size_t each = weight.inputs / taps.size();  // inputs of a tap
  const std::size_t padded_each = padded(each);
  std::vector<std::int16_t> weights(weight.outputs * taps.size() * padded_each);
  std::vector<std::int32_t> start(weight.outputs);
  for (std::size_t o = 0; o < weight.outputs; ++o) {
    for (std::size_t t = 0; t < taps.size(); ++t) {
      std::copy_n(weight.values + o * weight.inputs + taps[t].number * each, each,
                  weights.data() + (o * taps.size() + t) * padded_each);
    }
    const std::int32_t bias = layer == 1 ? 0 : tensors.biases[layer == 0 ? 0 : layer - 1][o];
    start[o] = bias + (std::int32_t{1} << (tensors.shifts[layer][o] - 1));
  }
  ContextLayerView& view = view_.layers[layer];
  const auto groups = static_cast<std::uint32_t>(padded_each / kContextGroup);
  const std::vector<ContextStretch> stretches = stretches_of(taps, groups);
  view.stretch_count = static_cast<std::uint32_t>(stretches.size());
  view.outputs = static_cast<std::uint32_t>(weight.outputs);
  view.groups = static_cast<std::uint32_t>(taps.size()) * groups;
  view.top = layer + 1 == tensors.weights.size() ? 0 : tensors.settings[kTops + layer];
  const auto& shifts = tensors.shifts[layer];
  places_.push_back({append(weights), append(start),
                     append(std::vector(shifts.begin(), shifts.end())), append(stretches)});
}

ContextView PackedContext::at(std::uintptr_t base) const {
  ContextView made = view_;
  for (std::size_t k = 0; k < places_.size(); ++k) {
    made.layers[k].weights = reinterpret_cast<const std::int16_t*>(base + places_[k].weights);
    made.layers[k].start = reinterpret_cast<const std::int32_t*>(base + places_[k].start);
    made.layers[k].shift = reinterpret_cast<const std::uint8_t*>(base + places_[k].shift);
    made.layers[k].stretches =
        reinterpret_cast<const ContextStretch*>(base + places_[k].stretches);
  }
  made.lift = reinterpret_cast<const std::uint8_t*>(base + lift_);
  made.thresholds = reinterpret_cast<const float*>(base + thresholds_);
  return made;
}

}  // namespace latentsr::cuda
