// context_check.cpp - refuses tensors with which a product could read or count beyond its bounds.
#include "context_check.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace latentsr {
namespace {

std::string found(const std::string& what, std::int64_t value, const std::string& expected) {
  return what + ": found " + std::to_string(value) + ", expected " + expected;
}

std::string range(std::int64_t least, std::int64_t most) {
  return std::to_string(least) + " to " + std::to_string(most);
}

std::string layer_name(std::size_t layer, const char* part) {
  return std::to_string(layer) + "." + part;
}

std::string size_fault(const std::string& what, std::size_t size, std::size_t expected) {
  return size == expected ? ""
                          : found(what, static_cast<std::int64_t>(size),
                                  std::to_string(expected) + " elements");
}

template <class Values>
std::string range_fault(const std::string& what, const Values& values, std::int64_t least,
                        std::int64_t most) {
  for (const auto value : values) {
    if (value < least || value > most) {
      return found(what, value, range(least, most));
    }
  }
  return "";
}

std::string check_taps(std::span<const std::int32_t> taps) {
  if (taps.empty() || taps.size() % 2 != 0) {
    return found("taps", static_cast<std::int64_t>(taps.size()), "one pair (dy, dx) or more");
  }
  for (std::size_t t = 0; t < taps.size(); t += 2) {
    const std::int32_t dy = taps[t];
    const std::int32_t dx = taps[t + 1];
    const std::string pair = std::to_string(dy) + ", " + std::to_string(dx);
    if (dy < -kContextReach || dx < -kContextReach || dx > kContextReach) {
      return "taps: found " + pair + ", expected at most " + std::to_string(kContextReach) +
             " positions away";
    }
    if (dy > 0 || (dy == 0 && dx >= 0)) {
      return "taps: found " + pair + ", which is not before the position in raster order";
    }
    for (std::size_t other = 0; other < t; other += 2) {
      if (taps[other] == dy && taps[other + 1] == dx) {
        return "taps: found " + pair + " twice";
      }
    }
  }
  return "";
}

std::string check_counts(const ContextTensors& tensors) {
  const std::size_t count = tensors.weights.size();  // L + 1
  if (count < 3 || count > kMostContextLayers + 1) {
    return found("weights", static_cast<std::int64_t>(count),
                 range(3, kMostContextLayers + 1) + " layers");
  }
  std::string fault = size_fault("biases", tensors.biases.size(), count - 1);
  if (fault.empty()) {
    fault = size_fault("shifts", tensors.shifts.size(), count);
  }
  return fault.empty() ? size_fault("settings", tensors.settings.size(), kTops + count - 1) : fault;
}

// Shapes of one layer, whose inputs must be `inputs`.
std::string check_shapes(const ContextTensors& tensors, std::size_t layer, std::size_t inputs) {
  const ContextTensors::Weight& weight = tensors.weights[layer];
  if (weight.outputs == 0 || weight.outputs > kMostContextChannels) {
    return found(layer_name(layer, "weight"), static_cast<std::int64_t>(weight.outputs),
                 range(1, kMostContextChannels) + " outputs");
  }
  if (weight.inputs != inputs) {
    return found(layer_name(layer, "weight"), static_cast<std::int64_t>(weight.inputs),
                 std::to_string(inputs) + " inputs");
  }
  const std::size_t bias = layer == 1 ? tensors.lift.size()
                                      : tensors.biases[layer == 0 ? 0 : layer - 1].size();
  const std::string fault =
      size_fault(layer_name(layer, layer == 1 ? "lift" : "bias"), bias, weight.outputs);
  return fault.empty() ? size_fault(layer_name(layer, "shift"), tensors.shifts[layer].size(),
                                    weight.outputs)
                       : fault;
}

std::string check_all_shapes(const ContextTensors& tensors) {
  const std::size_t tap_count = tensors.taps.size() / 2;
  const std::size_t inputs = tensors.weights[0].inputs;
  const std::size_t channels = inputs / tap_count;
  if (channels == 0 || channels > kMostContextChannels || inputs % tap_count != 0) {
    return found("0.weight", static_cast<std::int64_t>(inputs),
                 "inputs of 1 to " + std::to_string(kMostContextChannels) + " channels for each of " +
                     std::to_string(tap_count) + " taps");
  }
  std::string fault = check_shapes(tensors, 0, inputs);
  for (std::size_t layer = 1; fault.empty() && layer < tensors.weights.size(); ++layer) {
    fault = check_shapes(tensors, layer, tensors.weights[layer - 1].outputs);
  }
  const std::size_t results = tensors.weights.back().outputs;
  if (fault.empty() && results != 2 * channels) {
    fault = found("last weight", static_cast<std::int64_t>(results),
                  std::to_string(2 * channels) + " outputs, a scale and a mean a channel");
  }
  return fault;
}

std::string check_ranges(const ContextTensors& tensors) {
  constexpr std::int64_t kMostActivation = std::numeric_limits<std::int16_t>::max();
  const auto setting = [&](std::size_t first, std::size_t count, const char* name,
                           std::int64_t least, std::int64_t most) {
    return range_fault(std::string("settings, ") + name, tensors.settings.subspan(first, count),
                       least, most);
  };
  const std::string faults[] = {
      setting(kMeanBits, 1, "mean bits", 1, 12),
      setting(kLeak, 1, "slope", 0, 1 << 16),
      setting(kInputTop, 1, "top of inputs", 1, kMostActivation),
      setting(kFeatureTop, 1, "top of features", 0, 1 << 20),
      setting(kTops, tensors.settings.size() - kTops, "top of a layer", 1, kMostActivation),
      range_fault("1.lift", tensors.lift, 0, 30),
  };
  for (const std::string& fault : faults) {
    if (!fault.empty()) {
      return fault;
    }
  }
  for (std::size_t layer = 0; layer < tensors.shifts.size(); ++layer) {
    const std::string fault =
        range_fault(layer_name(layer, "shift"), tensors.shifts[layer], 1, 30);
    if (!fault.empty()) {
      return fault;
    }
  }
  return "";
}

std::string check_thresholds(std::span<const float> thresholds) {
  if (thresholds.empty() || thresholds.size() > 256) {
    return found("thresholds", static_cast<std::int64_t>(thresholds.size()), range(1, 256));
  }
  float last = 0;
  for (const float threshold : thresholds.first(thresholds.size() - 1)) {
    if (!(threshold >= last)) {
      return "thresholds: found " + std::to_string(threshold) + " after " + std::to_string(last) +
             ", expected numbers that rise from 0 on";
    }
    last = threshold;
  }
  return "";
}

// The largest sum that a channel can come to, half a step for rounding included. All partial sums
// stay below it, in any order.
std::int64_t largest_sum(const ContextTensors& tensors, std::size_t layer, std::size_t channel) {
  const ContextTensors::Weight& weight = tensors.weights[layer];
  const std::int16_t* row = weight.values + channel * weight.inputs;
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < weight.inputs; ++i) {
    sum += std::abs(std::int32_t{row[i]});
  }
  sum *= layer == 0 ? tensors.settings[kInputTop] : tensors.settings[kTops + layer - 1];
  if (layer == 1) {
    sum += std::int64_t{tensors.settings[kFeatureTop]} << tensors.lift[channel];
  } else {
    sum += std::abs(std::int64_t{tensors.biases[layer == 0 ? 0 : layer - 1][channel]});
  }
  return sum + (std::int64_t{1} << (tensors.shifts[layer][channel] - 1));
}

std::string check_sums(const ContextTensors& tensors) {
  for (std::size_t layer = 0; layer < tensors.weights.size(); ++layer) {
    for (std::size_t o = 0; o < tensors.weights[layer].outputs; ++o) {
      const std::int64_t sum = largest_sum(tensors, layer, o);
      if (sum > std::numeric_limits<std::int32_t>::max()) {
        return found("layer " + std::to_string(layer) + ", channel " + std::to_string(o), sum,
                     "sums below 2^31");
      }
    }
  }
  return "";
}

}  // namespace

std::string check_context(const ContextTensors& tensors) {
  std::string fault = check_taps(tensors.taps);
  for (const auto check : {check_counts, check_all_shapes, check_ranges, check_sums}) {
    if (!fault.empty()) {
      return fault;
    }
    fault = check(tensors);
  }
  return fault.empty() ? check_thresholds(tensors.thresholds) : fault;
}

}  // namespace latentsr
