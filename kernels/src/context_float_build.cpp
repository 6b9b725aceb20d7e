// context_float_build.cpp - checks a context model's arrays and lays its weights out.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "context_float_dense.h"
#include "latentsr/context_float.h"
#include "latentsr/scale_indexes.h"

namespace latentsr {
namespace {

std::size_t padded(std::size_t outputs) { return (outputs + kPanel - 1) / kPanel * kPanel; }

bool all_finite(const float* values, std::size_t count) {
  return std::all_of(values, values + count, [](float value) { return std::isfinite(value); });
}

std::string check_taps(const std::vector<ContextTap>& taps) {
  if (taps.size() > kMaxContextTaps) {
    return "taps: found " + std::to_string(taps.size()) + ", expected at most " +
           std::to_string(kMaxContextTaps);
  }
  for (const ContextTap& tap : taps) {
    const bool causal = tap.dy < 0 || (tap.dy == 0 && tap.dx < 0);
    if (!causal || tap.dy < -kMaxContextReach || std::abs(tap.dx) > kMaxContextReach) {
      return "taps: found (" + std::to_string(tap.dy) + ", " + std::to_string(tap.dx) +
             "), expected one before the position, at most " + std::to_string(kMaxContextReach) +
             " away";
    }
  }
  return "";
}

std::string check_layers(const FloatContextArrays& from) {
  if (from.layers.size() < 3) {
    return "layers: found " + std::to_string(from.layers.size()) + ", expected 3 or more";
  }
  std::size_t inputs = from.taps.size() * from.channels;
  for (std::size_t k = 0; k < from.layers.size(); ++k) {
    const FloatLayerArrays& layer = from.layers[k];
    if (layer.outputs == 0 || layer.outputs > kMaxContextWidth) {
      return "layer " + std::to_string(k) + ": found " + std::to_string(layer.outputs) +
             " outputs, expected 1 to " + std::to_string(kMaxContextWidth);
    }
    if (!all_finite(layer.weight, layer.outputs * inputs) ||
        (layer.bias != nullptr && !all_finite(layer.bias, layer.outputs))) {
      return "layer " + std::to_string(k) + ": found a weight that is no finite number";
    }
    inputs = layer.outputs;
  }
  if (inputs != 2 * from.channels) {
    return "last layer: found " + std::to_string(inputs) + " outputs, expected " +
           std::to_string(2 * from.channels) + ", a scale and a mean for each channel";
  }
  return "";
}

std::string check_scales(const FloatContextArrays& from) {
  const float* table = from.scale_table;
  if (from.scale_count == 0 || from.scale_count > kMaxThresholds + 1 ||
      !all_finite(table, from.scale_count)) {
    return "scale table: expected 1 to " + std::to_string(kMaxThresholds + 1) + " finite numbers";
  }
  for (std::size_t i = 1; i < from.scale_count; ++i) {
    if (!(table[i - 1] < table[i])) {
      return "scale table: found entries that do not rise";
    }
  }
  if (!(from.slope >= 0 && from.slope < 1)) {
    return "slope: expected 0 to less than 1";
  }
  return std::isfinite(from.bound) ? "" : "scale bound: expected a finite number";
}

// Layer 1 times one tap of layer 0, summed in double precision: (outputs, channels).
std::vector<float> fold(const FloatLayerArrays& first, const FloatLayerArrays& context,
                        std::size_t tap, std::size_t taps, std::size_t channels) {
  std::vector<float> folded(first.outputs * channels);
  std::vector<double> sum(channels);
  for (std::size_t o = 0; o < first.outputs; ++o) {
    std::fill(sum.begin(), sum.end(), 0.0);
    for (std::size_t k = 0; k < context.outputs; ++k) {
      const double weight = static_cast<double>(first.weight[o * context.outputs + k]);
      const float* row = context.weight + (k * taps + tap) * channels;
      for (std::size_t c = 0; c < channels; ++c) {
        sum[c] += weight * static_cast<double>(row[c]);
      }
    }
    std::transform(sum.begin(), sum.end(), folded.begin() + static_cast<std::ptrdiff_t>(o * channels),
                   [](double value) { return static_cast<float>(value); });
  }
  return folded;
}

std::vector<float> padded_copy(const float* from, std::size_t count) {
  std::vector<float> copy(padded(count), 0.0f);
  if (from != nullptr) {
    std::copy_n(from, count, copy.begin());
  }
  return copy;
}

}  // namespace

void PanelMatrix::pack(const float* from, std::size_t outputs, std::size_t columns,
                       std::size_t row_step) {
  inputs = columns;
  panels = padded(outputs) / kPanel;
  lines.assign(panels * columns * (kPanel / 16), FloatLine{});
  for (std::size_t o = 0; o < outputs; ++o) {
    FloatLine* panel = lines.data() + (o / kPanel * columns) * (kPanel / 16) + o % kPanel / 16;
    for (std::size_t i = 0; i < columns; ++i) {
      panel[i * (kPanel / 16)].values[o % 16] = from[o * row_step + i];
    }
  }
}

std::string FloatContext::build(const FloatContextArrays& from) {
  if (from.channels == 0 || from.channels > kMaxContextWidth) {
    return "channels: found " + std::to_string(from.channels) + ", expected 1 to " +
           std::to_string(kMaxContextWidth);
  }
  for (const std::string& fault : {check_taps(from.taps), check_scales(from)}) {
    if (!fault.empty()) {
      return fault;
    }
  }
  if (const std::string fault = check_layers(from); !fault.empty()) {
    return fault;
  }
  channels = from.channels;
  slope = from.slope;
  bound = from.bound;
  thresholds.assign(from.scale_table, from.scale_table + from.scale_count - 1);
  const FloatLayerArrays& context = from.layers[0];
  context_bias = padded_copy(context.bias, context.outputs);
  const std::size_t taps = from.taps.size();
  for (std::size_t t = 0; t < taps; ++t) {
    const ContextTap tap = from.taps[t];
    reach_up = std::max(reach_up, -tap.dy);
    reach_left = std::max(reach_left, -tap.dx);
    reach_right = std::max(reach_right, tap.dx);
    PanelMatrix matrix;
    if (tap.dy < 0) {
      matrix.pack(context.weight + t * channels, context.outputs, channels, taps * channels);
      above.push_back(tap);
      above_weights.push_back(std::move(matrix));
    } else {
      const std::vector<float> folded = fold(from.layers[1], context, t, taps, channels);
      matrix.pack(folded.data(), from.layers[1].outputs, channels, channels);
      left.push_back(tap);
      left_weights.push_back(std::move(matrix));
    }
  }
  std::size_t inputs = context.outputs;
  for (std::size_t k = 1; k < from.layers.size(); ++k) {
    const FloatLayerArrays& layer = from.layers[k];
    FloatLayer& mine = layers.emplace_back();
    mine.weight.pack(layer.weight, layer.outputs, inputs, inputs);
    mine.bias = padded_copy(layer.bias, layer.outputs);
    mine.outputs = layer.outputs;
    inputs = layer.outputs;
  }
  return "";
}

}  // namespace latentsr
